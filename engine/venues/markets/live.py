"""A market for the paper venue that is the real one: prices of an exchange's public feed, without any key.

What the feed says waits in a queue until the paper venue takes it; both sides then see the same moment. A feed that is
away leaves its markets silent: nothing is guessed, and what rests on paper waits. Nothing here presses on the market.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

import msgspec
import structlog

from engine.errors import ExchangeConnectionError, ExchangeError, NotFoundError, StateCorruptionError
from engine.model.ids import InstrumentId, VenueId
from engine.model.instrument import Instrument, InstrumentRules
from engine.model.market import BookMoved, BookUpdate, FeedStatus, OrderBook

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from decimal import Decimal

    from engine.clock import Clock
    from engine.model.candle import Candle
    from engine.model.market import MarketDatum, MarketEvent
    from engine.model.order import OrderSide
    from engine.model.venue import Venue

__all__ = ["LiveMarket"]

log = structlog.get_logger(__name__)

AT_ONCE = 256
"""Events that are taken from the queue in one step."""
KEPT = 100_000
"""Events that wait at most; more means that nobody takes them, and every book begins anew."""
DEPTH = 1000
"""Levels a side that are asked for when updates of a book that is kept here were lost."""


class _Saved(msgspec.Struct, frozen=True):
    """What is stored: which market it is, and the rules of what is in use, so that a start needs no answer."""

    venue: VenueId
    instruments: list[Instrument]


class LiveMarket:
    """A market (`engine.venues.markets.contract.Market`) over the public side of a venue.

    Args:
        feed: Gives prices; nobody else listens to it.
        clock: The engine's clock.
        maker_fee: Instead of that of the instruments, as a fraction.
        taker_fee: Likewise.
    """

    depletes = False
    """The real book knows nothing of orders on paper."""

    def __init__(
        self, feed: Venue, clock: Clock, *, maker_fee: Decimal | None = None, taker_fee: Decimal | None = None
    ) -> None:
        self.feed = feed
        self.id = feed.id
        self.start_time = clock.now()
        self.catalogue: dict[InstrumentId, Instrument] = {}
        """Everything that the exchange has; empty before the first answer."""
        self.arrived = asyncio.Event()
        """Set while something waits to be taken."""
        self.on_use: Callable[[Instrument], None] = lambda instrument: None
        """Told of every instrument that comes into use."""
        self._clock = clock
        self._fees = {"maker_fee": maker_fee, "taker_fee": taker_fee}
        self._now = self.start_time
        self._used: dict[InstrumentId, Instrument] = {}
        self._saved = b""
        self._queue: deque[MarketDatum] = deque()
        self._books: dict[InstrumentId, OrderBook] = {}
        """Books as far as they were taken."""
        self._sent: dict[InstrumentId, int] = {}
        """Number of the last update that was put into the queue, by instrument."""
        self._heard: dict[InstrumentId, int] = {}
        """Number of the last update as the feed counts, where it does not keep the book itself."""
        self._up: set[InstrumentId] = set()
        """Books that are whole as far as they were heard."""
        self._kept: set[InstrumentId] = set()
        """Books that the feed keeps itself: they come whole again with their next change."""
        self._mending: dict[InstrumentId, asyncio.Task[None]] = {}
        self._wanted: set[InstrumentId] = set()
        self._open = False

    # --- the feed ----------------------------------------------------------------------------------------------------

    @property
    def is_open(self) -> bool:
        """Whether the feed was reached."""
        return self._open

    async def open(self) -> None:
        """Connect, learn what there is, and listen to what is wanted; idempotent.

        Raises:
            ExchangeError: The exchange cannot be reached.
        """
        if self._open:
            return
        await self.feed.start(lambda account, event: None, self._hear)
        await self.learn()
        self._open = True
        try:
            await self.feed.watch(sorted(self._wanted & self.catalogue.keys()))
        except BaseException:
            self._open = False
            raise

    async def learn(self) -> Sequence[Instrument]:
        """Everything that the exchange has now, with the rules and fees that hold on paper.

        Raises:
            ExchangeError: The exchange did not answer.
        """
        found = [self._on_paper(instrument) for instrument in await self.feed.instruments()]
        self.catalogue = {instrument.id: instrument for instrument in found}
        for known in tuple(self._used):
            if known in self.catalogue:
                self.use(self.catalogue[known])
        return found

    async def watch(self, instruments: Iterable[InstrumentId]) -> None:
        """Listen to these too, now or as soon as the feed is there.

        Raises:
            NotFoundError: The exchange has no such instrument; none of them is listened to then.
            ExchangeError: The exchange cannot be reached.
        """
        wanted = list(instruments)
        for instrument in wanted:
            if instrument not in self._used and instrument not in self.catalogue:
                raise NotFoundError(f"{self.id} has no {instrument}.")
        for instrument in wanted:
            if instrument in self.catalogue:
                self.use(self.catalogue[instrument])
        fresh = [instrument for instrument in wanted if instrument not in self._wanted]
        self._wanted.update(fresh)
        if self._open and fresh:
            await self.feed.watch(fresh)

    async def unwatch(self, instruments: Iterable[InstrumentId]) -> None:
        """Listen to these no more."""
        gone = [instrument for instrument in instruments if instrument in self._wanted]
        self._wanted.difference_update(gone)
        if self._open and gone:
            await self.feed.unwatch(gone)
        for instrument in gone:
            self._forget(instrument)

    def _forget(self, instrument: InstrumentId) -> None:
        self._up.discard(instrument)
        self._books.pop(instrument, None)
        self._heard.pop(instrument, None)

    async def close(self) -> None:
        """Release the feed."""
        self._open = False
        mending = list(self._mending.values())
        for task in mending:
            task.cancel()
        await asyncio.gather(*mending, return_exceptions=True)
        await self.feed.close()

    def use(self, instrument: Instrument) -> None:
        """Take an instrument into use, or its new rules."""
        if self._used.get(instrument.id) != instrument:
            self._used[instrument.id] = instrument
            self._saved = b""
            self.on_use(instrument)

    def _on_paper(self, instrument: Instrument) -> Instrument:
        fees = {name: fee for name, fee in self._fees.items() if fee is not None}
        if not fees:
            return instrument
        rules: tuple[InstrumentRules, ...] = tuple(msgspec.structs.replace(r, **fees) for r in instrument.rules)
        return msgspec.structs.replace(instrument, rules=rules)

    def _hear(self, event: MarketEvent) -> None:
        """The feed's sink: keep what was said until it is taken."""
        key = event.instrument
        if key not in self._wanted:
            return
        if len(self._queue) >= KEPT:
            self._lose_all()
        match event:
            case BookMoved():
                self._kept.add(key)
                anew = key not in self._up
                self._put_book(event.book.to_snapshot() if anew else event.changes(), anew=anew)
            case BookUpdate():
                self._follow(event)
            case FeedStatus(live=False):
                self._down(event)
            case FeedStatus():
                # What counts is the first book after it.
                return
            case _:
                self._queue.append(event)
        self.arrived.set()

    def _follow(self, update: BookUpdate) -> None:
        """Check the numbers of a feed that does not keep its books itself."""
        key = update.instrument
        if not update.snapshot and (key not in self._up or update.seq != self._heard.get(key, -1) + 1):
            if update.seq <= self._heard.get(key, -1):
                return
            self._down(FeedStatus(key, self._clock.now(), live=False, reason="the book has a gap"))
            self._mend(key)
            return
        self._heard[key] = update.seq
        self._put_book(update, anew=key not in self._up)

    def _put_book(self, update: BookUpdate, *, anew: bool) -> None:
        key = update.instrument
        if anew:
            self._up.add(key)
            self._queue.append(FeedStatus(key, update.ts, live=True))
        self._sent[key] = number = self._sent.get(key, -1) + 1
        self._queue.append(
            BookUpdate(key, update.ts, number, snapshot=update.snapshot, bids=update.bids, asks=update.asks)
        )

    def _down(self, event: FeedStatus) -> None:
        self._up.discard(event.instrument)
        self._queue.append(event)

    def _lose_all(self) -> None:
        log.warning("the paper market is far behind its feed; every book begins anew", venue=self.id)
        self._queue.clear()
        for key in tuple(self._up):
            self._down(FeedStatus(key, self._clock.now(), live=False, reason="the paper venue is behind the feed"))
            self._mend(key)

    def _mend(self, key: InstrumentId) -> None:
        if key not in self._mending and key not in self._kept:
            task = asyncio.get_running_loop().create_task(self._fetch(key), name=f"fetch the book of {key}")
            self._mending[key] = task
            task.add_done_callback(lambda _: self._mending.pop(key, None))

    async def _fetch(self, key: InstrumentId) -> None:
        pause = 0.5
        while key in self._wanted and key not in self._up:
            try:
                book = await self.feed.book(key, DEPTH)
            except ExchangeError as error:
                log.info("a book cannot be fetched yet", instrument=key, problem=error.message)
                await self._clock.sleep(pause)
                pause = min(pause * 2, 30.0)
                continue
            self._heard[key] = book.seq
            self._put_book(book, anew=True)
            self.arrived.set()

    # --- the market --------------------------------------------------------------------------------------------------

    @property
    def now(self) -> int:
        """UTC nanoseconds up to which everything heard was taken."""
        return self._now

    def instruments(self) -> tuple[Instrument, ...]:
        """What is in use."""
        return tuple(self._used.values())

    def live(self, instrument: InstrumentId) -> bool:
        """Whether its book was taken and is kept up to date. Raises NotFoundError."""
        if instrument not in self._used:
            raise NotFoundError(f"{self.id} has no {instrument} in use.")
        return instrument in self._up and instrument in self._books

    def knows_book(self, instrument: InstrumentId) -> bool:
        """Whether a book of it is kept, whatever is in use."""
        return instrument in self._up and instrument in self._books

    def next_time(self) -> int | None:
        """At once while something waits; None else."""
        return self._now + 1 if self._queue else None

    def advance(self, to_ns: int) -> list[MarketDatum]:
        """What was heard, in its order; at most a few hundred events at once."""
        if to_ns <= self._now:
            return []
        taken = [self._queue.popleft() for _ in range(min(len(self._queue), AT_ONCE))]
        for event in taken:
            self._take(event)
        if self._queue:
            # The rest belongs to the same moment: whoever asks goes on asking.
            self._now = min(self._now + 1, to_ns - 1)
        else:
            self._now = to_ns
            self.arrived.clear()
        return taken

    def _take(self, event: MarketDatum) -> None:
        if isinstance(event, BookUpdate):
            book = self._books.get(event.instrument)
            if book is None:
                book = self._books[event.instrument] = OrderBook(event.instrument)
            book.apply(event)
        elif isinstance(event, FeedStatus) and not event.live:
            self._books.pop(event.instrument, None)

    def skip(self, to_ns: int) -> list[MarketDatum]:
        """Take what is known now; what was missed cannot be told."""
        self._now = max(self._now, to_ns)
        return [self.snapshot(key) for key in self._used if self.live(key)]

    def snapshot(self, instrument: InstrumentId) -> BookUpdate:
        """The whole book as far as it was taken.

        Raises:
            NotFoundError: The market has no such instrument.
            ExchangeConnectionError: It has no book now.
        """
        if not self.live(instrument):
            raise ExchangeConnectionError(f"{self.id} has told no book of {instrument} lately.")
        return self._books[instrument].to_snapshot()

    def impact(self, instrument: InstrumentId, ts: int, side: OrderSide, quantity: int, price: int) -> None:
        """Nothing: the real market does not notice."""

    def history(self, instrument: InstrumentId, timeframe: str, end_ns: int, limit: int) -> list[Candle]:
        """None are kept here; the exchange is asked for them (`feed.candles`)."""
        return []

    def save(self) -> bytes:
        """Which market it is, and the rules of what is in use."""
        if not self._saved:
            self._saved = msgspec.json.encode(_Saved(self.id, list(self._used.values())))
        return self._saved

    def restore(self, data: bytes) -> None:
        """Take up the rules of what was in use. Raises StateCorruptionError for another market's."""
        try:
            saved = msgspec.json.decode(data, type=_Saved)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise StateCorruptionError(f"What the paper venue of {self.id} stored of its market is damaged.") from error
        if saved.venue != self.id:
            raise StateCorruptionError(
                f"The paper venue's file belongs to the market of {saved.venue} and not to {self.id}."
            )
        for instrument in saved.instruments:
            # What the exchange has told by now is newer.
            self.use(self.catalogue.get(instrument.id, instrument))
