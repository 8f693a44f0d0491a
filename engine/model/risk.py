"""What the risk gate answers, and what it is asked about."""

from __future__ import annotations

import enum
from decimal import Decimal
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol

import msgspec

from engine.errors import DrawdownLimitError, OrderRejectionError, PositionLimitError, RiskRefusalError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from engine.model.ids import ClientOrderId, InstrumentId
    from engine.model.order import OrderRequest

__all__ = [
    "BREAKER_FIELDS",
    "Correlations",
    "Gate",
    "Quote",
    "Quotes",
    "Refusal",
    "RefusalCode",
    "Verdict",
    "Volatilities",
]


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
    """What is allowed."""
    value: str = ""
    """What the order would have come to."""
    name: str = ""
    """Field of the risk limits that it is about; empty where it is about none."""


_BOUNDS = frozenset(
    {
        RefusalCode.POSITION_SIZE, RefusalCode.EXPOSURE, RefusalCode.ACCOUNT_EXPOSURE, RefusalCode.VENUE_EXPOSURE,
        RefusalCode.STRATEGY_EXPOSURE, RefusalCode.CLASS_EXPOSURE, RefusalCode.CURRENCY_EXPOSURE,
        RefusalCode.CORRELATED_EXPOSURE, RefusalCode.CONCENTRATION, RefusalCode.POSITIONS, RefusalCode.LEVERAGE,
        RefusalCode.SHORT,
    }
)  # fmt: skip
BREAKER_FIELDS: Mapping[str, str] = MappingProxyType(
    {
        "daily_loss": "max_daily_loss_pct",
        "weekly_loss": "max_weekly_loss_pct",
        "monthly_loss": "max_monthly_loss_pct",
        "drawdown": "breaker_drawdown_pct",
        "max_drawdown": "max_drawdown_pct",
    }
)
"""Breaker -> field of the risk limits, for those on losses."""
_LOSSES = frozenset(BREAKER_FIELDS.values())
_FORMAL = frozenset(
    {RefusalCode.BAD_ORDER, RefusalCode.UNKNOWN_INSTRUMENT, RefusalCode.UNKNOWN_ACCOUNT, RefusalCode.KIND}
)
"""Reasons that have nothing to do with risk."""


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

    def error(self) -> OrderRejectionError:
        """The exception for an order that does not pass: by the gravest reason, with all of them in its details.

        `DrawdownLimitError` while a limit of losses holds, else `PositionLimitError` for a limit of positions or
        exposure, else `RiskRefusalError`; an order that is no order at all is an `OrderRejectionError`.
        """
        codes = [refusal.code for refusal in self.refusals]
        kind: type[OrderRejectionError] = RiskRefusalError
        if any(refusal.name in _LOSSES for refusal in self.refusals):
            kind = DrawdownLimitError
        elif not _BOUNDS.isdisjoint(codes):
            kind = PositionLimitError
        elif _FORMAL.issuperset(codes):
            kind = OrderRejectionError
        return kind(
            self.message,
            error_code=str(codes[0]),
            details={
                "codes": [str(code) for code in codes],
                "refusals": [
                    {"code": str(one.code), "name": one.name, "limit": one.limit, "value": one.value}
                    for one in self.refusals
                ],
            },
        )


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
