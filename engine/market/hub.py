"""The market hub: what the engine knows of markets right now, and who is told when a bar closes.

Plain and synchronous. A venue's market sink feeds it on the loop; consumers read the latest state, so a handler always
sees the newest. Nothing here is journalled.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from engine.errors import NotFoundError
from engine.logs import get_logger
from engine.model.candle import Candle, timeframe_ns
from engine.model.candle_builder import CandleBuilder
from engine.model.decimals import ZERO
from engine.model.market import (
    BookMoved,
    BookUpdate,
    BookView,
    FeedStatus,
    MarketEvent,
    MarketTrade,
    MarkPrice,
    OrderBook,
    Ticker,
)
from engine.model.order import OrderSide
from engine.model.risk import Quote

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from decimal import Decimal

    from engine.model.ids import InstrumentId, VenueId
    from engine.model.instrument import Instrument

__all__ = ["BarListener", "CandleSeries", "Market", "MarketHub", "MarketListener"]

log = get_logger(__name__)

TAPE = 200
DEPTH = 200
"""Levels of a side that are looked at for its depth."""
"""Public trades kept per instrument."""
SERIES = 2_000
"""Closed candles kept per instrument and timeframe."""
MISSED = 5_000
"""Book updates kept while a snapshot is on its way."""
MARK_AGE_NS = 60_000_000_000
"""A venue's mark that is so much older than its book is not used any more."""
DAY_AGE_NS = 120_000_000_000
"""A venue's figures of the day that are so much older than its market are not shown any more."""
BarListener = Callable[[Candle], None]
MarketListener = Callable[[MarketEvent, int], None]
"""Hears an event and the engine's time."""


class CandleSeries:
    """Closed candles of one timeframe with the growing one, and who hears about each close.

    A bar of which the beginning or a part was not heard is not announced when its time is over: it waits, and all
    after it, until `mend` brings the venue's own.
    """

    def __init__(self, instrument: Instrument, timeframe: str) -> None:
        self.timeframe = timeframe
        self.closed: deque[Candle] = deque(maxlen=SERIES)
        """Oldest first."""
        self.listeners: list[BarListener] = []
        self.waiting: list[Candle] = []
        """Bars whose time is over and that are not announced yet, oldest first."""
        self.corrected = 0
        """Bars that were announced as they were heard here, and that the venue then told otherwise."""
        self._builder = CandleBuilder(instrument, timeframe)
        self._whole = False
        """Whether the growing bar was heard from its first moment on."""
        self._deaf = False
        self._traded = False
        """Whether the market's trades are heard, and not its candles alone."""

    @property
    def growing(self) -> Candle | None:
        """The bar that still grows."""
        return self._builder.growing

    def seed(self, history: Sequence[Candle]) -> None:
        """Take in closed candles of the venue, oldest first; those already known are skipped.

        The first ones are simply kept. Later ones are bars that would have closed here any moment, and are announced.
        """
        if not self.closed:
            self.closed.extend(candle for candle in history if candle.closed)
            return
        for candle in history:
            if candle.closed:
                self._announce(candle)
        self._release()

    def mend(self, history: Sequence[Candle]) -> bool:
        """Put the venue's own candles in the place of those that wait; False when the first one is not among them."""
        if not self.waiting:
            return True
        first = self.waiting[0].ts
        if not any(candle.ts == first and candle.closed for candle in history):
            return False
        for candle in history:
            # What is older than the first bar ever heard was never announced to anybody.
            if candle.closed and (self.closed or candle.ts >= first):
                self._announce(candle)
        self._release()
        return True

    def give_up(self) -> None:
        """Announce the bars that wait as they are."""
        waiting, self.waiting = self.waiting, []
        for candle in waiting:
            self._announce(candle)

    def spoil(self, *, deaf: bool = False) -> None:
        """A part of the growing bar was not heard; `deaf` until the next trade, those after it neither."""
        self._whole = False
        self._deaf = deaf
        self._traded = self._traded and not deaf

    def on_trade(self, trade: MarketTrade) -> None:
        """Take a public trade in."""
        self._deaf = False
        if not self._traded:
            self._traded, self._whole = True, False
        self._grow(lambda: self._builder.on_trade(trade))

    def on_price(self, ts: int, price: float) -> None:
        """Take a price without volume in, in scaled units."""
        self._grow(lambda: self._builder.on_price(ts, price))

    def on_candle(self, candle: Candle) -> None:
        """Take a venue's own candle in.

        A closed one is the truth about its time: where the bar that was heard here differs, and was announced already,
        it takes its place for all who look back. A growing one helps where the bar's beginning was not heard; where it
        was, the trades themselves tell more, and tell it earlier.
        """
        if candle.closed:
            self._correct(candle)
            self._announce(candle)
            self._release()
            return
        self._grow(lambda: self._builder.roll(candle.ts))
        if not (self._whole and self._traded):
            self._builder.resume(candle)
            # Trades that it holds may still be on their way; then the venue has to tell the bar once it has ended.
            self._whole = not self._traded

    def _correct(self, candle: Candle) -> None:
        for place in range(len(self.closed) - 1, -1, -1):
            told = self.closed[place]
            if told.ts > candle.ts:
                continue
            if told.ts == candle.ts and told != candle:
                self.closed[place] = candle
                self.corrected += 1
                log.info("a bar differs from the venue's own", instrument=candle.instrument, bar=candle.ts)
            return

    def roll(self, ts: int) -> None:
        """Close what ended at or before a time, silent bars included."""
        self._grow(lambda: self._builder.roll(ts))

    def _grow(self, step: Callable[[], list[Candle]]) -> None:
        begun = self._builder.growing is not None
        end = -1
        for candle in step():
            if self._whole and not self.waiting:
                self._announce(candle)
            elif not self.closed or candle.ts > self.closed[-1].ts:
                self.waiting.append(candle)
                del self.waiting[:-SERIES]
            # The bar after one that has closed was heard from its first moment on.
            self._whole = not self._deaf
            end = candle.ts + self._builder.length
        growing = self._builder.growing
        if not begun or growing is None or (end >= 0 and growing.ts != end):
            self._whole = False

    def _release(self) -> None:
        """Announce what has waited for nothing but the bars before it, and forget what the venue has told itself."""
        last = self.closed[-1].ts if self.closed else -1
        if self.waiting and self.waiting[0].ts <= last:
            waiting, self.waiting = self.waiting, []
            for candle in waiting:
                self._announce(candle)

    def _announce(self, candle: Candle) -> None:
        if self.closed and candle.ts <= self.closed[-1].ts:
            return
        self.closed.append(candle)
        for listener in tuple(self.listeners):
            listener(candle)


class Market:
    """Everything known of one instrument's market."""

    def __init__(self, instrument: Instrument) -> None:
        self.instrument = instrument
        self.built = OrderBook(instrument.id)
        """The book that is made here of the venue's updates, where the venue's adapter keeps none."""
        self.book: BookView = self.built
        self.top: tuple[int | None, int | None] = (None, None)
        """Best bid and ask as scaled prices, as they were looked at last."""
        self.top_moved = 0
        """UTC nanoseconds (engine clock) at which they last changed; 0 before the first book."""
        self.outside = 0
        """Trades since then beyond the book's best prices, where a book that moves would have met them."""
        self.mark: MarkPrice | None = None
        """The venue's own valuation of a perpetual; None for everything else."""
        self.marked = 0
        """UTC nanoseconds (engine clock) of that."""
        self.ticker: Ticker | None = None
        """The venue's own figures of the last 24 hours; None where it streams none."""
        self.ticked = 0
        """UTC nanoseconds (engine clock) of that."""
        self.tape: deque[MarketTrade] = deque(maxlen=TAPE)
        """Public trades, oldest first."""
        self.series: dict[str, CandleSeries] = {}
        self.listeners: list[MarketListener] = []
        """Hear every event of this market once it is taken in; they must return at once and raise nothing."""
        self.live = False
        self.reason = ""
        self.heard = 0
        """UTC nanoseconds (engine clock) of the last event; stands still while the book is broken."""
        self.streamed = 0
        """UTC nanoseconds of the last event of the feed itself; books asked for one by one do not count."""
        self.updates = 0
        self.gaps = 0
        self.version = 0
        """Counts every change, for views that redraw only when something moved."""
        self.trades = 0
        """Counts public trades."""
        self.traded = 0
        """UTC nanoseconds (engine clock) at which something was last heard to have traded; 0 for never."""
        self.told: tuple[str, int, float] = ("", 0, 0.0)
        """Timeframe, begin and volume of the last candle of the venue."""
        self.volume = 0
        """Scaled quantity of all public trades."""
        self.broken = False
        """True while the book has a gap and is not to be trusted."""
        self.missed: deque[BookUpdate] = deque(maxlen=MISSED)
        """Updates since the gap, to be applied on top of the snapshot that is awaited."""
        self._quote: Quote | None = None
        self._quoted = -1

    def day(self) -> Ticker | None:
        """The venue's figures of the last 24 hours while they are fresh; None else.

        They age with what is heard of the market: what stands still as a whole is shown to be old by its own age.
        """
        return self.ticker if self.heard - self.ticked <= DAY_AGE_NS else None

    def quote(self) -> Quote | None:
        """The market in exact decimals; None before the first event."""
        if self._quoted != self.version:
            self._quoted = self.version
            self._quote = self._make_quote()
        return self._quote

    def _make_quote(self) -> Quote | None:
        if not self.heard:
            return None
        bid, ask, convert = self.book.best_bid, self.book.best_ask, self.instrument.price_from_int
        last = self.tape[-1].price if self.tape else None
        useless = self.broken or self.book.crossed
        return Quote(
            None if bid is None or useless else convert(bid),
            None if ask is None or useless else convert(ask),
            None if last is None else convert(last),
            self.heard,
            self.mark.mark if self.mark is not None and self.heard - self.marked <= MARK_AGE_NS else None,
        )


class MarketHub:
    """All markets by instrument. Implements `Quotes`."""

    def __init__(self) -> None:
        self.markets: dict[InstrumentId, Market] = {}
        self.needs_snapshot: set[InstrumentId] = set()
        """Instruments whose book has a gap; whoever owns the feed fetches them anew."""
        self.latency: Callable[[VenueId], float | None] = lambda venue: None
        """Tells a venue's answer time in milliseconds, None where it is not known; set by who knows the venues."""

    def latency_ns(self, venue: VenueId) -> int:
        """Time of a question to a venue and back, in nanoseconds; 0 where it is not known."""
        return int((self.latency(venue) or 0.0) * 1e6)

    def add(self, instrument: Instrument) -> Market:
        """Begin to keep an instrument's market; what is already kept stays."""
        market = self.markets.get(instrument.id)
        if market is None:
            market = self.markets[instrument.id] = Market(instrument)
        return market

    def remove(self, instrument: InstrumentId) -> None:
        """Keep an instrument's market no more."""
        self.markets.pop(instrument, None)
        self.needs_snapshot.discard(instrument)

    def market(self, instrument: InstrumentId) -> Market:
        """The market of an instrument.

        Raises:
            NotFoundError: No such instrument is kept.
        """
        market = self.markets.get(instrument)
        if market is None:
            known = ", ".join(sorted(self.markets)) or "none"
            raise NotFoundError(f"There is no market {instrument}; known are {known}.")
        return market

    def quote(self, instrument: InstrumentId) -> Quote | None:
        """The present market in exact decimals; None when nothing was heard of it."""
        market = self.markets.get(instrument)
        return market.quote() if market is not None else None

    def watched(self) -> Iterable[InstrumentId]:
        """All instruments whose market is kept."""
        return self.markets.keys()

    def traded(self, instrument: InstrumentId) -> int:
        """UTC nanoseconds (engine clock) at which something was last heard to have traded there; 0 for never."""
        market = self.markets.get(instrument)
        return market.traded if market is not None else 0

    def volume(self, instrument: InstrumentId) -> Decimal:
        """Everything heard to be traded of an instrument since its market is kept, in its own units."""
        market = self.markets.get(instrument)
        return ZERO if market is None else market.instrument.quantity_from_int(market.volume)

    def depth(self, instrument: InstrumentId, side: OrderSide, worst: Decimal | None) -> Decimal | None:
        """Quantity that an order of a side could take at no worse than a price; None without a book to be trusted."""
        market = self.markets.get(instrument)
        if market is None or market.broken or market.book.best_bid is None or market.book.best_ask is None:
            return None
        buys = side is OrderSide.BUY
        levels = market.book.top_asks(DEPTH) if buys else market.book.top_bids(DEPTH)
        if worst is not None:
            bound = market.instrument.price_to_int(market.instrument.round_price(worst, up=not buys))
            levels = [(price, size) for price, size in levels if side.sign * (price - bound) <= 0]
        return market.instrument.quantity_from_int(sum(size for _, size in levels))

    def series(self, instrument: InstrumentId, timeframe: str) -> CandleSeries:
        """The candles of a timeframe, built from now on when nobody asked before.

        Raises:
            NotFoundError: No such instrument is kept.
            ValidationError: The timeframe is not known.
        """
        market = self.market(instrument)
        found = market.series.get(timeframe)
        if found is None:
            timeframe_ns(timeframe)
            found = market.series[timeframe] = CandleSeries(market.instrument, timeframe)
        return found

    def on_market(self, event: MarketEvent, now: int, *, asked: bool = False) -> None:
        """Take one market event in; `now` is the engine's clock, `asked` means that it is an answer, not the feed."""
        market = self.markets.get(event.instrument)
        if market is None:
            return
        if not asked and not isinstance(event, FeedStatus):
            market.streamed = now
        market.version += 1
        self._take_in(market, event, now)
        for listener in tuple(market.listeners):
            listener(event, now)

    def _take_in(self, market: Market, event: MarketEvent, now: int) -> None:
        match event:
            case BookMoved():
                self._on_moved(market, event, now)
            case BookUpdate():
                self._on_book(market, event, now)
            case MarkPrice():
                market.mark, market.marked = event, now
            case Ticker():
                market.ticker, market.ticked = event, now
            case MarketTrade():
                self._on_trade(market, event, now)
            case Candle():
                self._on_candle(market, event, now)
            case FeedStatus():
                # Hearing that nothing is heard does not make what is known any younger.
                market.live, market.reason = event.live, event.reason
                _spoil(() if event.live else market.series.values())

    def _on_candle(self, market: Market, candle: Candle, now: int) -> None:
        self._hear(market, now)
        told = (candle.timeframe, candle.ts, candle.volume)
        if candle.volume > 0 and told != market.told:
            # The same bar told again is no new trade.
            market.traded = now
        market.told = told
        self.series(candle.instrument, candle.timeframe).on_candle(candle)

    def _on_trade(self, market: Market, trade: MarketTrade, now: int) -> None:
        self._hear(market, now)
        market.tape.append(trade)
        market.trades += 1
        market.traded = now
        market.volume += trade.quantity
        bid, ask = market.top
        if bid is not None and ask is not None and not bid <= trade.price <= ask:
            market.outside += 1
        for series in market.series.values():
            series.on_trade(trade)

    def _hear(self, market: Market, now: int) -> None:
        # A frozen book stays as old as it is, however much else is heard: orders are priced by it.
        if not market.broken:
            market.heard = now

    def _on_moved(self, market: Market, event: BookMoved, now: int) -> None:
        """A book that its venue keeps and checks; it is never told of while it has a gap."""
        market.updates += 1
        market.book = event.book
        market.broken = False
        market.heard = now
        market.live, market.reason = True, ""
        self.needs_snapshot.discard(event.instrument)
        _look_at_top(market, now)

    def _on_book(self, market: Market, update: BookUpdate, now: int) -> None:
        market.updates += 1
        if market.book is not market.built:
            # An answer about a book that the venue keeps itself tells nothing new.
            return
        if update.snapshot:
            self._renew(market, update, now)
        elif market.broken:
            market.missed.append(update)
        elif market.built.apply(update):
            market.heard = now
            market.live = True
            _look_at_top(market, now)
        elif market.book.seq < 0 or update.seq > market.book.seq:
            self._break(market, update)

    def _renew(self, market: Market, snapshot: BookUpdate, now: int) -> None:
        """Begin from a snapshot, and go on with what was heard since it was made."""
        market.built.apply(snapshot)
        market.broken = False
        self.needs_snapshot.discard(snapshot.instrument)
        missed = [update for update in market.missed if update.seq > snapshot.seq]
        market.missed.clear()
        for update in missed:
            if not market.built.apply(update):
                self._break(market, update)
                return
        market.heard = now
        market.live, market.reason = True, ""
        _look_at_top(market, now)

    def _break(self, market: Market, update: BookUpdate) -> None:
        market.broken = True
        market.missed.append(update)
        market.gaps += 1
        market.live, market.reason = False, "the book has a gap"
        self.needs_snapshot.add(update.instrument)
        for series in market.series.values():
            # Where updates are lost, trades may be lost as well.
            series.spoil()
        log.warning("book gap", instrument=update.instrument, have=market.book.seq, got=update.seq)

    def doubtful(self) -> list[tuple[InstrumentId, CandleSeries]]:
        """Series with bars that wait for the venue's own; whoever owns the feed fetches them."""
        return [
            (market.instrument.id, series)
            for market in self.markets.values()
            for series in market.series.values()
            if series.waiting
        ]

    def roll(self, now: int) -> None:
        """Close bars whose time is over though nothing traded; call it about once a second."""
        for market in self.markets.values():
            for series in market.series.values():
                series.roll(now)

    def feed_age_ns(self, now: int) -> int | None:
        """Age of the market heard of longest ago; None when none was heard of."""
        heard = [market.heard for market in self.markets.values() if market.heard]
        return now - min(heard) if heard else None


def _look_at_top(market: Market, now: int) -> None:
    top = market.book.best_bid, market.book.best_ask
    if top != market.top or not market.top_moved:
        market.top, market.top_moved, market.outside = top, now, 0


def _spoil(series: Iterable[CandleSeries]) -> None:
    for one in series:
        one.spoil(deaf=True)
