"""Books, trades and days of watched markets through ccxt's streams, or by asking again and again where it has none."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from engine.errors import QuarterdeckError
from engine.logs import get_logger
from engine.model.market import BookUpdate
from engine.model.venue import StreamHealth
from engine.venues.generic import parse

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from engine.model.ids import InstrumentId
    from engine.model.instrument import Instrument
    from engine.venues.generic.venue import GenericVenue

__all__ = ["GenericFeed"]

log = get_logger(__name__)

DEPTH = 50
"""Levels a side that are shown; a gap deeper down would not be noticed anyway."""
POLL_S = 2.0
DAY_POLL_S = 30.0
AGAIN_S = (0.5, 1.0, 2.0, 5.0, 15.0)
TRADES = 5_000


class _Kept:
    """What was shown of one market."""

    def __init__(self) -> None:
        self.seq = -1
        self.ts = 0
        self.bids: dict[int, int] = {}
        self.asks: dict[int, int] = {}
        self.trades: dict[str, None] = {}


class GenericFeed:
    """The markets' connections of one venue, as `MarketFeed` wants them.

    Args:
        venue: Whose markets; everything goes to its `show`.
    """

    def __init__(self, venue: GenericVenue) -> None:
        self._venue = venue
        self._tasks: dict[InstrumentId, list[asyncio.Task[None]]] = {}
        self._since = venue.clock.now()
        self._heard = 0
        self._messages = self._failures = 0
        self._down: dict[str, str] = {}

    @property
    def up(self) -> bool:
        """False while something is watched and nothing can be heard."""
        return not self._tasks or len(self._down) < sum(len(tasks) for tasks in self._tasks.values())

    async def watch(self, instruments: Sequence[Instrument]) -> None:
        """Deliver these too; watching again changes nothing."""
        loop = asyncio.get_running_loop()
        for instrument in instruments:
            if instrument.id not in self._tasks:
                kept = _Kept()
                turns = {
                    "book": self._book_turn(instrument, kept),
                    "trades": self._trades_turn(instrument, kept),
                    "day": self._day_turn(instrument),
                }
                self._tasks[instrument.id] = [
                    loop.create_task(self._keep(f"{kind} {instrument.id}", turn)) for kind, turn in turns.items()
                ]

    async def unwatch(self, instruments: Sequence[Instrument]) -> None:
        """Deliver nothing more of these."""
        for instrument in instruments:
            await self._end(self._tasks.pop(instrument.id, []))
            for kind in ("book", "trades", "day"):
                self._down.pop(f"{kind} {instrument.id}", None)

    async def close(self) -> None:
        """Disconnect everything; idempotent."""
        tasks, self._tasks = self._tasks, {}
        await self._end([task for found in tasks.values() for task in found])

    @staticmethod
    async def _end(tasks: list[asyncio.Task[None]]) -> None:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def health(self) -> Sequence[StreamHealth]:
        """How the connections are; ccxt does not tell them apart."""
        return (
            StreamHealth(
                name="markets",
                up=self.up,
                since=self._since,
                heard=self._heard,
                messages=self._messages,
                reconnects=self._failures,
                reason=next(iter(self._down.values()), "") if not self.up else "",
            ),
        )

    # --- turns -------------------------------------------------------------------------------------------------------

    async def _keep(self, name: str, turn: Callable[[], Awaitable[None]]) -> None:
        """Take turns for ever; after a failure wait, longer each time."""
        failed = 0
        while True:
            try:
                await turn()
            except Exception as error:  # what ccxt hands over may break any expectation; the market must be followed
                if not failed:
                    known = isinstance(error, QuarterdeckError)
                    log.warning("a market cannot be heard", venue=self._venue.id, what=name, exc_info=not known)
                self._moved(name, str(error) or type(error).__name__)
                self._failures += 1
                await self._venue.clock.sleep(AGAIN_S[min(failed, len(AGAIN_S) - 1)])
                failed += 1
            else:
                failed = 0
                self._messages += 1
                self._heard = self._venue.clock.now()
                self._moved(name, "")

    def _moved(self, name: str, reason: str) -> None:
        was = self.up
        if reason:
            self._down[name] = reason
        else:
            self._down.pop(name, None)
        if was != self.up:
            self._since = self._venue.clock.now()
            self._venue.public_moved()

    def _book_turn(self, of: Instrument, kept: _Kept) -> Callable[[], Awaitable[None]]:
        async def turn() -> None:
            if self._venue.has("watchOrderBook"):
                told = await self._venue.public("watch_order_book", of.symbol)
            else:
                await self._venue.clock.sleep(POLL_S if kept.seq >= 0 else 0)
                told = await self._venue.public("fetch_order_book", of.symbol, DEPTH)
            self._show_book(of, kept, told)

        return turn

    def _trades_turn(self, of: Instrument, kept: _Kept) -> Callable[[], Awaitable[None]]:
        async def turn() -> None:
            if self._venue.has("watchTrades"):
                told = await self._venue.public("watch_trades", of.symbol)
            else:
                await self._venue.clock.sleep(POLL_S)
                told = await self._venue.public("fetch_trades", of.symbol)
            self._show_trades(of, kept, told)

        return turn

    def _day_turn(self, of: Instrument) -> Callable[[], Awaitable[None]]:
        async def turn() -> None:
            if self._venue.has("watchTicker"):
                told = await self._venue.public("watch_ticker", of.symbol)
            else:
                told = await self._venue.public("fetch_ticker", of.symbol)
                await self._venue.clock.sleep(DAY_POLL_S)
            self._venue.show(parse.ticker(told, of, self._venue.venue_now()))

        return turn

    def _show_book(self, of: Instrument, kept: _Kept, told: dict[str, Any]) -> None:
        bids, asks = parse.levels(told["bids"], of, DEPTH), parse.levels(told["asks"], of, DEPTH)
        stamp = int(told["timestamp"]) * parse.MS if told.get("timestamp") else self._venue.venue_now()
        first = kept.seq < 0
        changed = tuple(_changes(before, now) for before, now in ((kept.bids, bids), (kept.asks, asks)))
        if not first and not any(changed):
            return
        kept.seq, kept.ts, kept.bids, kept.asks = kept.seq + 1, max(kept.ts, stamp), bids, asks
        self._venue.show(BookUpdate(of.id, kept.ts, kept.seq, snapshot=first, bids=changed[0], asks=changed[1]))

    def _show_trades(self, of: Instrument, kept: _Kept, told: list[dict[str, Any]]) -> None:
        for one in told:
            trade = parse.market_trade(one, of)
            if trade is not None and trade.trade_id not in kept.trades:
                kept.trades[trade.trade_id] = None
                if len(kept.trades) > TRADES:
                    del kept.trades[next(iter(kept.trades))]
                self._venue.show(trade)


def _changes(before: dict[int, int], now: dict[int, int]) -> tuple[tuple[int, int], ...]:
    gone = tuple((price, 0) for price in before if price not in now)
    return gone + tuple((price, quantity) for price, quantity in now.items() if before.get(price) != quantity)
