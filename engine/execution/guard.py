"""A venue with a guard before it: questions that can wait are tried again, held back and counted; money is not.

Instruments, candles, books and the venue's time pass the breaker and are asked again after transient errors. Orders,
cancels, changes, and every question about orders, executions and balances go to the venue whatever the breaker says,
once each: they only let it know how they fared. So a panic always gets through, and nothing is ordered twice.
"""

from __future__ import annotations

import asyncio
from collections import deque
from decimal import Decimal
from typing import TYPE_CHECKING, TypeVar

from engine.errors import (
    CircuitOpenError,
    ExchangeError,
    ExchangeInsufficientFundsError,
    ExchangeRateLimitError,
    NotVisibleYetError,
    VenueCircuitOpenError,
)
from engine.model.decimals import ONE
from engine.model.faults import BreakerState, Severity
from engine.model.scenario import ScenarioKind
from engine.resilience.breaker import BreakerStanding, CircuitBreaker
from engine.resilience.policy import RetryPolicy
from engine.resilience.severity import is_transient
from engine.resilience.throttle import RequestThrottle

if TYPE_CHECKING:
    import random
    from collections.abc import Awaitable, Callable, Sequence

    from engine.clock import Clock
    from engine.model.candle import Candle
    from engine.model.fill import Fill
    from engine.model.ids import AccountId, ClientOrderId, InstrumentId
    from engine.model.instrument import Instrument
    from engine.model.margin import MarginSetting
    from engine.model.market import BookUpdate, MarketTrade, Ticker
    from engine.model.venue import (
        Capabilities,
        EventSink,
        FundingPayment,
        MarginMode,
        MarketSink,
        OrderCommand,
        Permissions,
        Venue,
        VenueBalance,
        VenueHealth,
        VenueOrder,
        VenuePosition,
        VenueStatus,
    )
    from engine.resilience.handler import ErrorHandler
    from engine.resilience.scenario import Scenario, Scenarios

__all__ = ["VenueGuard", "speaks_against"]

_T = TypeVar("_T")

ANSWER_S = 5.0
"""Seconds of real time that a venue has for the answer to one question that can wait."""
OUTCOMES = 100
"""Requests that the venue's reliability is reckoned from."""
_ANSWERS = (ExchangeRateLimitError, ExchangeInsufficientFundsError, NotVisibleYetError, CircuitOpenError)


def speaks_against(error: BaseException) -> bool:
    """Whether an error says that the venue, or the way to it, is not well; a refusal is an answer."""
    if isinstance(error, _ANSWERS):
        return False
    return isinstance(error, ExchangeError | OSError)


def _may_ask_again(error: BaseException) -> bool:
    return is_transient(error) and not isinstance(error, ExchangeRateLimitError)


class VenueGuard:
    """A venue (`engine.model.venue.Venue`) before another one.

    Args:
        venue: The venue itself.
        clock: Gives the pauses.
        errors: Hears when the breaker moves, and gives the figures.
        scenarios: Where a rate limit is written down; None leaves it to the log.
        chance: Draws the jitter.
    """

    def __init__(
        self,
        venue: Venue,
        clock: Clock,
        errors: ErrorHandler,
        scenarios: Scenarios | None = None,
        chance: random.Random | None = None,
    ) -> None:
        settings = errors.settings
        self.id = venue.id
        self.inner = venue
        self.breaker = CircuitBreaker(
            f"{venue.id} api", settings.api_calls, clock, VenueCircuitOpenError, self._on_breaker
        )
        self.throttle = RequestThrottle(clock)
        self.rate_limits = RetryPolicy(settings.api_rate_limits, clock, chance)
        self._network = RetryPolicy(settings.network_errors, clock, chance)
        self._errors = errors
        self._scenarios = scenarios
        self._limited: Scenario | None = None
        self._waited = 0
        self._outcomes: deque[bool] = deque(maxlen=OUTCOMES)
        self.let_go = False
        """The engine has given the venue up, for another process to take: that nothing answers any more is no fault."""

    # --- life --------------------------------------------------------------------------------------------------------

    @property
    def capabilities(self) -> Capabilities:
        """What the venue can do, as it says now."""
        return self.inner.capabilities

    @capabilities.setter
    def capabilities(self, value: Capabilities) -> None:
        self.inner.capabilities = value

    @property
    def reliability(self) -> Decimal:
        """Share of the last requests that the venue answered, 0 to 1; 1 before the first."""
        known = len(self._outcomes)
        return Decimal(sum(self._outcomes)) / known if known else ONE

    @property
    def status(self) -> VenueStatus:
        """Whether requests can be expected to succeed."""
        return self.inner.status

    async def start(self, events: EventSink, market: MarketSink) -> None:
        """Connect. Raises as the venue does."""
        await self.inner.start(events, market)

    async def close(self) -> None:
        """Release everything."""
        await self.inner.close()

    def look(self) -> None:
        """Notice that a pause is over; call it now and then."""
        if self._limited is not None and not self.throttle.left_s:
            waited = self.throttle.waited - self._waited
            self._limited.step(f"{waited} requests waited")
            self._limited.end("Requests go on.", succeeded=True)
            self._limited = None

    # --- questions that can wait -------------------------------------------------------------------------------------

    async def instruments(self) -> Sequence[Instrument]:
        """All tradable instruments. Raises as the venue does, and VenueCircuitOpenError."""
        return await self._question(self.inner.instruments)

    async def book(self, instrument: InstrumentId, depth: int) -> BookUpdate:
        """The present book. Raises as the venue does, and VenueCircuitOpenError."""
        return await self._question(lambda: self.inner.book(instrument, depth))

    async def candles(
        self, instrument: InstrumentId, timeframe: str, *, end: int | None = None, limit: int = 500
    ) -> Sequence[Candle]:
        """The newest closed candles. Raises as the venue does, and VenueCircuitOpenError."""
        return await self._question(lambda: self.inner.candles(instrument, timeframe, end=end, limit=limit))

    async def trades(self, instrument: InstrumentId, limit: int = 100) -> Sequence[MarketTrade]:
        """The newest public trades. Raises as the venue does, and VenueCircuitOpenError."""
        return await self._question(lambda: self.inner.trades(instrument, limit))

    async def tickers(self, instruments: Sequence[InstrumentId] | None = None) -> Sequence[Ticker]:
        """The last 24 hours. Raises as the venue does, and VenueCircuitOpenError."""
        return await self._question(lambda: self.inner.tickers(instruments))

    async def permissions(self, account: AccountId) -> Permissions:
        """What may be done with the account. Raises as the venue does, and VenueCircuitOpenError."""
        return await self._question(lambda: self.inner.permissions(account))

    def health(self) -> VenueHealth:
        """How the way to the venue is."""
        return self.inner.health()

    async def watch(self, instruments: Sequence[InstrumentId]) -> None:
        """Deliver these too. Raises as the venue does."""
        await self._told(lambda: self.inner.watch(instruments))

    async def unwatch(self, instruments: Sequence[InstrumentId]) -> None:
        """Stop delivering these. Raises as the venue does."""
        await self._told(lambda: self.inner.unwatch(instruments))

    # --- money: never held back --------------------------------------------------------------------------------------

    async def turn(self, command: OrderCommand) -> None:
        """Wait while the venue wants fewer requests; what closes something in an emergency waits for nothing."""
        if not command.urgent:
            await self.throttle.turn()

    async def place(self, command: OrderCommand) -> None:
        """Send an order, once. Raises as the venue does."""
        await self._told(lambda: self.inner.place(command))

    async def cancel(self, account: AccountId, client_id: ClientOrderId) -> None:
        """Ask to cancel. Raises as the venue does."""
        await self._told(lambda: self.inner.cancel(account, client_id))

    async def amend(
        self,
        account: AccountId,
        client_id: ClientOrderId,
        *,
        quantity: Decimal | None = None,
        price: Decimal | None = None,
        stop_price: Decimal | None = None,
    ) -> None:
        """Change a working order. Raises as the venue does."""
        await self._told(
            lambda: self.inner.amend(account, client_id, quantity=quantity, price=price, stop_price=stop_price)
        )

    async def order(self, account: AccountId, client_id: ClientOrderId) -> VenueOrder | None:
        """Look an order up. Raises as the venue does."""
        return await self._told(lambda: self.inner.order(account, client_id))

    async def open_orders(self, account: AccountId) -> Sequence[VenueOrder]:
        """All working orders. Raises as the venue does."""
        return await self._told(lambda: self.inner.open_orders(account))

    async def fills_since(self, account: AccountId, cursor: str) -> tuple[Sequence[Fill], str]:
        """Executions after a cursor. Raises as the venue does."""
        return await self._told(lambda: self.inner.fills_since(account, cursor))

    async def server_time(self) -> int:
        """The venue's clock, asked again after a transient error: accounts open by it. Raises as the venue does."""
        return await self._network.run(lambda: self._told(self.inner.server_time), again=_may_ask_again)

    async def balances(self, account: AccountId) -> Sequence[VenueBalance]:
        """All balances, asked again after a transient error. Raises as the venue does."""
        return await self._network.run(lambda: self._told(lambda: self.inner.balances(account)), again=_may_ask_again)

    async def positions(self, account: AccountId) -> Sequence[VenuePosition]:
        """All open positions, asked again after a transient error. Raises as the venue does."""
        return await self._network.run(lambda: self._told(lambda: self.inner.positions(account)), again=_may_ask_again)

    async def margin(self, account: AccountId, instrument: InstrumentId, mode: MarginMode) -> MarginSetting:
        """Leverage and margin mode, asked again after a transient error. Raises as the venue does."""
        return await self._network.run(
            lambda: self._told(lambda: self.inner.margin(account, instrument, mode)), again=_may_ask_again
        )

    async def set_margin(
        self, account: AccountId, instrument: InstrumentId, leverage: Decimal, mode: MarginMode
    ) -> None:
        """Set leverage and margin mode, once. Raises as the venue does."""
        await self._told(lambda: self.inner.set_margin(account, instrument, leverage, mode))

    async def funding_since(self, account: AccountId, cursor: str) -> tuple[Sequence[FundingPayment], str]:
        """Settled funding after a cursor. Raises as the venue does."""
        return await self._told(lambda: self.inner.funding_since(account, cursor))

    async def countdown(self, account: AccountId, seconds: float) -> None:
        """Feed the dead-man's switch, once. Raises as the venue does."""
        await self._told(lambda: self.inner.countdown(account, seconds))

    # --- how ---------------------------------------------------------------------------------------------------------

    async def _question(self, call: Callable[[], Awaitable[_T]]) -> _T:
        async def timed() -> _T:
            async with asyncio.timeout(ANSWER_S):
                return await call()

        async def once() -> _T:
            await self.throttle.turn()
            try:
                result = await self.breaker.run(timed, counts=speaks_against)
            except Exception as error:
                self._failed(error)
                if isinstance(error, ExchangeRateLimitError):
                    self._limit(error)
                raise
            self._outcomes.append(True)
            return result

        async def through_errors() -> _T:
            return await self._network.run(once, again=_may_ask_again)

        return await self.rate_limits.run(through_errors, again=lambda error: isinstance(error, ExchangeRateLimitError))

    async def _told(self, call: Callable[[], Awaitable[_T]]) -> _T:
        """Make a call that is never held back by the breaker, and let it know how the call fared."""
        try:
            result = await call()
        except Exception as error:
            if isinstance(error, ExchangeRateLimitError):
                self._limit(error)
            if not self.let_go:
                self.breaker.note(error, counts=speaks_against)
                self._failed(error)
            raise
        self.breaker.succeeded()
        self._outcomes.append(True)
        return result

    def _failed(self, error: Exception) -> None:
        # What the breaker held back never reached the venue.
        if not isinstance(error, CircuitOpenError):
            self._outcomes.append(not speaks_against(error))

    def _limit(self, error: ExchangeRateLimitError) -> None:
        """Everything that can wait waits as long as the venue says, or as long as the first pause is."""
        seconds = self.rate_limits.pause(1, error)
        self.throttle.pause(seconds)
        if self._limited is None and self._scenarios is not None:
            self._waited = self.throttle.waited
            self._limited = self._scenarios.begin(ScenarioKind.RATE_LIMIT, self.id, error.message)
        if self._limited is not None:
            self._limited.step(f"requests are held back for {seconds:g} s")

    def _on_breaker(self, standing: BreakerStanding) -> None:
        if standing.state is BreakerState.OPEN:
            seconds = self.breaker.settings.recovery_timeout
            self._errors.alert(
                Severity.HIGH,
                "venue",
                f"{self.id} failed {standing.failures} times in a row ({standing.reason.rstrip('.')}): no questions "
                f"for {seconds:g} s; orders and cancels still go there.",
            )
        elif standing.state is BreakerState.CLOSED:
            self._errors.alert(Severity.LOW, "venue", f"{self.id} answers again.")
