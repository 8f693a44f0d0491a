"""The paper venue at live prices: accounts and orders of its own, on the books of a real exchange.

It opens without its exchange: what is stored is known, orders that rest wait, and the markets are silent until the feed
is there. Rules and fees are those of the exchange.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from engine.errors import ExchangeConnectionError, ExchangeError, QuarterdeckError, ValidationError
from engine.model.venue import VenueHealth, VenueStatus
from engine.venues.paper.fill_model import FillKind
from engine.venues.paper.venue import PaperVenue

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.clock import Clock
    from engine.model.candle import Candle
    from engine.model.ids import AccountId, InstrumentId
    from engine.model.instrument import Instrument
    from engine.model.market import BookUpdate, Ticker
    from engine.model.venue import EventSink, MarketSink
    from engine.venues.markets.live import LiveMarket
    from engine.venues.paper.settings import PaperSettings
    from engine.venues.paper.store import PaperStore

__all__ = ["LivePaperVenue"]

log = structlog.get_logger(__name__)

FIRST_S = 10.0
"""Seconds of real time that the exchange has to answer before the venue opens without it."""
LONGEST_PAUSE_S = 60.0
KNOWN_S = 3600.0
"""How long the list of instruments is good for."""


class LivePaperVenue(PaperVenue):
    """A venue (`engine.model.venue.Venue`) on paper, at an exchange's prices.

    Args:
        market: The exchange's prices.
        store: The venue's file, not yet open.
        clock: The engine's clock.
        settings: Balances, latency, fills.
        accounts: Its accounts.
    """

    def __init__(
        self,
        market: LiveMarket,
        store: PaperStore,
        clock: Clock,
        settings: PaperSettings,
        *,
        accounts: Sequence[AccountId],
    ) -> None:
        super().__init__(market, store, clock, settings, venue=market.id, accounts=accounts)
        self._live = market
        self._learnt = 0
        market.on_use = self._list
        self._opening: asyncio.Task[None] | None = None

    # --- life --------------------------------------------------------------------------------------------------------

    async def warm_up(self, instruments: Sequence[InstrumentId]) -> None:
        """Reach the exchange and hear its markets before the venue is opened, for a process that is to take over."""
        await self._reach()
        await self._live.watch([key for key in instruments if key in self._live.catalogue])

    async def start(self, events: EventSink, market: MarketSink) -> None:
        """Open what is stored, and reach the exchange; idempotent. Raises as `PaperVenue.start`."""
        if self._status is VenueStatus.ONLINE and self._live.is_open:
            return
        await super().start(events, market)
        await self._reach()

    async def _reach(self) -> None:
        """Give the exchange a moment to answer; go on trying beside everything else."""
        if self._live.is_open:
            return
        if self._opening is None or self._opening.done():
            self._opening = asyncio.get_running_loop().create_task(self._open_feed(), name=f"reach {self.id}")
        try:
            async with asyncio.timeout(FIRST_S):
                await asyncio.shield(self._opening)
        except TimeoutError:
            log.warning("the paper venue opens without its exchange", venue=self.id)

    async def _open_feed(self) -> None:
        pause = 1.0
        while True:
            try:
                await self._live.open()
                self._learnt = self._clock.monotonic()
                return
            except (QuarterdeckError, TimeoutError, OSError) as error:
                words = error.message if isinstance(error, QuarterdeckError) else str(error) or type(error).__name__
                log.info("the exchange of a paper venue cannot be reached yet", venue=self.id, problem=words)
            except Exception:
                # An adapter's fault leaves the markets silent; what is on paper stays usable.
                log.exception("the feed of a paper venue failed", venue=self.id)
            await self._clock.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE_S)

    async def close(self) -> None:
        """Stop, store everything, and release the exchange."""
        if self._opening is not None:
            self._opening.cancel()
            await asyncio.gather(self._opening, return_exceptions=True)
        try:
            await super().close()
        finally:
            await self._live.close()

    def _list(self, instrument: Instrument) -> None:
        try:
            self._exchange.list_instrument(instrument, FillKind.BOOK)
        except ValidationError as error:
            # Its new rules hold from the next start on; what works keeps those under which it was taken.
            log.info("the rules of an instrument changed while orders work", problem=error.message)
            return
        if self._live.live(instrument.id):
            self._match(self._live.snapshot(instrument.id))

    async def _idle(self, seconds: float) -> None:
        """Wait, but no longer than until something is heard."""
        if self._live.arrived.is_set():
            await asyncio.sleep(0)
            return
        loop = asyncio.get_running_loop()
        waits = [
            loop.create_task(self._live.arrived.wait(), name="heard"),
            loop.create_task(self._clock.sleep(seconds), name="idle"),
        ]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    # --- questions ---------------------------------------------------------------------------------------------------

    async def instruments(self) -> Sequence[Instrument]:
        """Everything that the exchange has; while it is away, what is in use.

        Raises:
            ExchangeConnectionError: It has never been reached, and nothing is in use.
        """
        if self._live.is_open and self._clock.monotonic() - self._learnt > KNOWN_S * 1e9:
            try:
                await self._live.learn()
                self._learnt = self._clock.monotonic()
            except ExchangeError as error:
                log.info("the list of instruments is an older one", venue=self.id, problem=error.message)
        known = tuple(self._live.catalogue.values()) or self._live.instruments()
        if not known:
            raise ExchangeConnectionError(f"{self.id} has not told yet what can be traded there.")
        return known

    async def candles(
        self, instrument: InstrumentId, timeframe: str, *, end: int | None = None, limit: int = 500
    ) -> Sequence[Candle]:
        """The newest closed candles of the exchange. Raises as the exchange does."""
        self._check_open()
        return await self._live.feed.candles(instrument, timeframe, end=end, limit=limit)

    async def tickers(self, instruments: Sequence[InstrumentId] | None = None) -> Sequence[Ticker]:
        """The last 24 hours at the exchange. Raises as the exchange does."""
        self._check_open()
        return await self._live.feed.tickers(instruments)

    async def watch(self, instruments: Sequence[InstrumentId]) -> None:
        """Deliver these too.

        Raises:
            NotFoundError: The exchange has no such instrument.
            ExchangeError: The exchange cannot be reached.
        """
        self._check_open()
        await self._live.watch(instruments)
        await super().watch(instruments)

    async def unwatch(self, instruments: Sequence[InstrumentId]) -> None:
        """Stop delivering these, and listen to them no more where no order works."""
        await super().unwatch(instruments)
        working = {order.instrument for account in self._accounts for order in self._exchange.open_orders(account)}
        await self._live.unwatch([instrument for instrument in instruments if instrument not in working])

    async def book(self, instrument: InstrumentId, depth: int) -> BookUpdate:
        """The present book; of a market that is not listened to, as the exchange answers. Raises as the exchange."""
        self._check_open()
        if instrument in self._watched or self._live.knows_book(instrument):
            return await super().book(instrument, depth)
        return await self._live.feed.book(instrument, depth)

    def health(self) -> VenueHealth:
        """How the way to the exchange is."""
        return self._live.feed.health()
