"""What the risk gate answers, and what it is asked about."""

from __future__ import annotations

import enum
from decimal import Decimal
from typing import TYPE_CHECKING, Protocol

import msgspec

if TYPE_CHECKING:
    from engine.model.ids import ClientOrderId, InstrumentId
    from engine.model.order import OrderRequest

__all__ = ["Correlations", "Gate", "Quote", "Quotes", "Refusal", "RefusalCode", "Verdict", "Volatilities"]


class RefusalCode(enum.StrEnum):
    """Why the gate refuses an order."""

    HALTED = "halted"
    REDUCING = "reducing"
    BREAKER_FAILED = "breaker_failed"
    LOCKED = "locked"
    """Bots open nothing there for some time."""
    UNKNOWN_INSTRUMENT = "unknown_instrument"
    UNKNOWN_ACCOUNT = "unknown_account"
    KIND = "kind"
    """A contract that is not traded here: inverse, dated, an option."""
    BAD_ORDER = "bad_order"
    """Fields that do not fit together, such as a limit order without a price."""
    TICK = "tick"
    LOT = "lot"
    MIN_QUANTITY = "min_quantity"
    MAX_QUANTITY = "max_quantity"
    MIN_NOTIONAL = "min_notional"
    PRICE_BAND = "price_band"
    STALE_MARKET = "stale_market"
    UNAVAILABLE = "unavailable"
    """The venue cannot be reached, is being maintained, or its market is not heard."""
    INSUFFICIENT_BALANCE = "insufficient_balance"
    INSUFFICIENT_CAPITAL = "insufficient_capital"
    POSITION_SIZE = "position_size"
    EXPOSURE = "exposure"
    ACCOUNT_EXPOSURE = "account_exposure"
    VENUE_EXPOSURE = "venue_exposure"
    STRATEGY_EXPOSURE = "strategy_exposure"
    CLASS_EXPOSURE = "class_exposure"
    CURRENCY_EXPOSURE = "currency_exposure"
    CORRELATED_EXPOSURE = "correlated_exposure"
    CONCENTRATION = "concentration"
    POSITIONS = "positions"
    SHORT = "short"
    LEVERAGE = "leverage"
    OPPOSED = "opposed"
    """Somebody else holds the other side in the same account."""
    CROSSING = "crossing"
    """The order would execute against one of another bot in the same account."""
    ORDER_RATE = "order_rate"
    REDUCE_ONLY = "reduce_only"
    EVALUATION_FAILED = "evaluation_failed"


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """One reason against an order."""

    code: RefusalCode
    message: str
    """A sentence with the limit, the value and what would be possible."""
    limit: str = ""
    value: str = ""


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """The gate's answer; it passes when there is no refusal."""

    refusals: tuple[Refusal, ...] = ()
    reduces: bool = False
    """True when the order can only shrink the owner's position."""

    @property
    def passed(self) -> bool:
        """True when nothing speaks against the order."""
        return not self.refusals

    @property
    def message(self) -> str:
        """All reasons in one line; empty when the order passes."""
        return " ".join(refusal.message for refusal in self.refusals)


class Quote(msgspec.Struct, frozen=True, gc=False):
    """The present market of one instrument in exact decimals; None where not known."""

    bid: Decimal | None
    ask: Decimal | None
    last: Decimal | None
    ts: int
    """UTC nanoseconds at which the engine last heard of this market."""
    fair: Decimal | None = None
    """The venue's own valuation of a derivative."""

    @property
    def mark(self) -> Decimal | None:
        """Price at which a position is valued: the venue's own, else the middle of the book, else the last trade."""
        if self.fair is not None:
            return self.fair
        if self.bid is not None and self.ask is not None:
            return (self.bid + self.ask) / 2
        return self.last


class Quotes(Protocol):
    """Where present markets are looked up."""

    def quote(self, instrument: InstrumentId) -> Quote | None:
        """The market of an instrument; None when nothing was heard of it yet."""


class Correlations(Protocol):
    """How much instruments move together."""

    def between(self, one: InstrumentId, other: InstrumentId) -> float | None:
        """Correlation of the daily returns of the last 30 days, -1 to 1; None where there is too little history."""


class Volatilities(Protocol):
    """How much instruments move."""

    def volatility(self, instrument: InstrumentId) -> float | None:
        """Standard deviation of the daily returns of the last 30 days; None where there is too little history."""


class Gate(Protocol):
    """The one door every order passes before it is booked."""

    def check(self, request: OrderRequest, now: int, replaces: ClientOrderId | None = None) -> Verdict:
        """Judge a request without side effects, as if the order `replaces` were already gone."""

    def passed(self, request: OrderRequest, now: int) -> None:
        """Count an order that was booked, for the order-rate throttle."""
