"""What the paper venue answers beside orders: positions in perpetuals, funding, trades, tickers, its own state."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import TYPE_CHECKING, TypeVar

from engine.model.market import BookUpdate, Ticker
from engine.model.venue import Permissions, StreamHealth, VenueHealth, VenueStatus

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Awaitable, Callable, Sequence

    from engine.clock import Clock
    from engine.model.candle import Candle
    from engine.model.ids import AccountId, Currency, InstrumentId
    from engine.model.instrument import Instrument
    from engine.model.margin import MarginSetting
    from engine.model.market import MarketTrade
    from engine.model.venue import FundingPayment, MarginMode, VenuePosition
    from engine.venues.markets.contract import Market
    from engine.venues.paper.commits import Commits
    from engine.venues.paper.exchange import PaperExchange
    from engine.venues.paper.orders import Report
    from engine.venues.paper.store import PaperStore

__all__ = ["FILLS_A_PAGE", "PaperQuestions"]

_T = TypeVar("_T")

FILLS_A_PAGE = 1_000
"""Executions, or funding payments, of one answer."""


class PaperQuestions:
    """Mixed into the paper venue, which owns everything that is used here."""

    _clock: Clock
    _commits: Commits
    _exchange: PaperExchange
    _failure: str
    _market: Market
    _store: PaperStore
    _tapes: dict[InstrumentId, deque[MarketTrade]]
    _deadlines: dict[AccountId, int]
    """When the orders of an account are cancelled unless its switch is fed again, UTC nanoseconds."""

    async def _ask(self, question: Callable[[], _T]) -> _T:
        raise NotImplementedError

    def _check_open(self) -> None:
        raise NotImplementedError

    def _keep(self, reports: Sequence[Report]) -> None:
        raise NotImplementedError

    @property
    def status(self) -> VenueStatus:
        """Whether it is open."""
        raise NotImplementedError

    async def candles(
        self, instrument: InstrumentId, timeframe: str, *, end: int | None = None, limit: int = 500
    ) -> Sequence[Candle]:
        """The newest closed candles before `end`."""
        raise NotImplementedError

    def fund(self, account: AccountId, currency: Currency, amount: Decimal) -> Awaitable[None]:
        """Add money at once, or take it out; see `Fundable`."""
        self._check_open()
        self._exchange.deposit(account, currency, amount)
        return self._commits.durable()

    async def positions(self, account: AccountId) -> Sequence[VenuePosition]:
        """All open positions in perpetuals. Raises NotFoundError, ExchangeConnectionError."""
        return await self._ask(lambda: self._exchange.positions(account, self._clock.now()))

    async def margin(self, account: AccountId, instrument: InstrumentId, mode: MarginMode) -> MarginSetting:
        """Leverage and margin mode of a perpetual. Raises as `set_margin`."""
        return await self._ask(lambda: self._exchange.margin(account, instrument))

    async def set_margin(
        self, account: AccountId, instrument: InstrumentId, leverage: Decimal, mode: MarginMode
    ) -> None:
        """Set leverage and margin mode of a perpetual.

        Raises:
            NotFoundError: No such account or instrument.
            ValidationError: It cannot be set.
            ExchangeConnectionError: The venue is not open.
        """
        await self._ask(lambda: self._exchange.set_margin(account, instrument, leverage, mode))

    async def funding_since(self, account: AccountId, cursor: str) -> tuple[Sequence[FundingPayment], str]:
        """Funding after a cursor ("" for all), oldest first, at most a page, and the cursor for the next.

        Raises as `fills_since`.
        """
        after = self._exchange.cursors.payment(cursor)
        found = await self._ask(lambda: self._exchange.funding_since(account, cursor))
        if after + 1 >= self._exchange.oldest_payment:
            return found
        read = self._store.submit(lambda: self._store.find_payments(account, after, FILLS_A_PAGE))
        page = await asyncio.wrap_future(read)
        return [stored.payment for stored in page], self._exchange.cursors.of(page[-1].number) if page else found[1]

    async def countdown(self, account: AccountId, seconds: float) -> None:
        """Feed the switch that cancels all orders of an account, protective stops left alone; 0 turns it off.

        It does not outlive the venue. Raises ExchangeConnectionError.
        """
        self._check_open()
        if seconds > 0:
            self._deadlines[account] = self._clock.now() + int(seconds * 1e9)
        else:
            self._deadlines.pop(account, None)

    def deleverage(self, account: AccountId, instrument: InstrumentId, quantity: Decimal) -> None:
        """Close a part of a position against somebody's liquidation (tests and drills only)."""
        self._keep(self._exchange.deleverage(account, instrument, quantity, self._clock.now()))

    async def trades(self, instrument: InstrumentId, limit: int = 100) -> Sequence[MarketTrade]:
        """The newest public trades since the start. Raises NotFoundError, ExchangeConnectionError."""
        self._check_open()
        self._market.live(instrument)
        return list(self._tapes.get(instrument, ()))[-limit:]

    async def tickers(self, instruments: Sequence[InstrumentId] | None = None) -> Sequence[Ticker]:
        """The last 24 hours by the hour. Raises NotFoundError, ExchangeConnectionError."""
        self._check_open()
        wanted = {i.id: i for i in self._market.instruments() if instruments is None or i.id in instruments}
        return [await self._ticker(instrument) for instrument in wanted.values()]

    async def _ticker(self, instrument: Instrument) -> Ticker:
        day = await self.candles(instrument.id, "1h", limit=24)
        book = self._market.snapshot(instrument.id) if self._market.live(instrument.id) else None
        price, tape = instrument.price_from_int, self._tapes.get(instrument.id)
        scale, step = instrument.price_scale, Decimal(1).scaleb(-instrument.quantity_scale)

        def told(of: float) -> Decimal:
            return price(round(of * 10**scale))

        return Ticker(
            instrument=instrument.id,
            ts=self._clock.now(),
            bid=price(book.bids[0][0]) if book is not None and book.bids else None,
            ask=price(book.asks[0][0]) if book is not None and book.asks else None,
            last=price(tape[-1].price) if tape else told(day[-1].close) if day else None,
            open=told(day[0].open) if day else None,
            high=told(max(bar.high for bar in day)) if day else None,
            low=told(min(bar.low for bar in day)) if day else None,
            base_volume=sum((Decimal(bar.volume) for bar in day), Decimal(0)).quantize(step) if day else None,
        )

    async def permissions(self, account: AccountId) -> Permissions:
        """Everything but taking money out. Raises NotFoundError, ExchangeConnectionError."""
        self._check_open()
        self._exchange.balances(account)
        return Permissions(read=True, trade=True, withdraw=False, derivatives=True)

    def health(self) -> VenueHealth:
        """Whether it is open; nothing lies between it and the engine."""
        up = self.status is VenueStatus.ONLINE
        stream = StreamHealth(name="paper", up=up, since=self._market.start_time, reason="" if up else self._failure)
        return VenueHealth(streams=(stream,))

    async def server_time(self) -> int:
        """The venue's clock, which is the engine's."""
        return self._clock.now()

    async def book(self, instrument: InstrumentId, depth: int) -> BookUpdate:
        """The present book. Raises NotFoundError, ExchangeConnectionError."""
        whole = await self._ask(lambda: self._market.snapshot(instrument))
        return BookUpdate(
            instrument, whole.ts, whole.seq, snapshot=True, bids=whole.bids[:depth], asks=whole.asks[:depth]
        )

    def _expire(self, now: int) -> None:
        """Cancel the orders of accounts whose switch was not fed."""
        for account in [one for one, due in self._deadlines.items() if due <= now]:
            del self._deadlines[account]
            self._keep(self._exchange.cancel_all(account, "the dead-man's switch was not fed", now))
