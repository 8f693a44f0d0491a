"""Views of execution quality: groups of orders, trades with their scores, one trade with everything it was made of."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from engine.control.views import FillRow
from engine.model.ids import AccountId, Currency, InstrumentId, Owner
from engine.model.order import OrderSide
from engine.model.quality import Attribution, GroupQuality, OrderQuality

__all__ = ["OffsetRow", "OrderScore", "QualityReport", "TradeDetail", "TradeScore", "TradeScores"]


class QualityReport(msgspec.Struct, frozen=True, kw_only=True):
    """Orders put together by something."""

    by: str
    since: int
    """Only orders intended from then on, UTC nanoseconds; 0 for all."""
    groups: tuple[GroupQuality, ...]
    complete: bool
    """False when there are more orders than are looked at; then these are the newest."""
    poor_slippage: Decimal
    """Slippage that counts as poor, as a fraction."""
    fill_rate_target: Decimal
    behind: int | None
    """Booked facts that the records do not contain yet; None when that is not known."""


class OffsetRow(msgspec.Struct, frozen=True, kw_only=True):
    """How far from the market slices of an instrument rest, which adapts until enough of them are executed."""

    instrument: InstrumentId
    offset: float
    """Spreads from the own side's best price: above 0 away from the market, below 0 towards the other side's."""
    seen: int
    """Slices that rested and ended."""
    filled: int
    """Those that were executed as a whole while they rested."""
    fill_rate: float | None
    fill_rate_target: float


class TradeScore(msgspec.Struct, frozen=True, kw_only=True):
    """A trade in a line."""

    id: str
    account: AccountId
    instrument: InstrumentId
    owner: Owner
    owner_name: str
    side: OrderSide
    strategy: str
    algorithms: tuple[str, ...]
    """Algorithms, or types of orders, that executed it."""
    opened: int
    closed: int
    """0 while something is held."""
    quantity: Decimal
    """Executed on its own side."""
    position: Decimal
    """Held now, signed."""
    entry_price: Decimal | None
    """Mean; None before anything is known of it."""
    exit_price: Decimal | None
    currency: Currency
    pnl: Decimal
    """Realised so far, after fees in the settle currency and funding: the sum of the parts in `attribution`."""
    attribution: Attribution
    slippage_bps: float | None
    """Mean over its orders, weighted by value; positive is worse. None where no decision price was recorded."""
    score: float | None
    """0 to 100."""
    poor: bool
    """Whether the slippage of one of its orders was poor."""
    orders: int
    fills: int


class TradeScores(msgspec.Struct, frozen=True, kw_only=True):
    """A page of trades, the last opened first."""

    rows: tuple[TradeScore, ...]
    page: int
    pages: int
    total: int


class OrderScore(msgspec.Struct, frozen=True, kw_only=True):
    """An order of a trade, and what its record comes to."""

    order: OrderQuality
    shortfall: Decimal | None
    """Executed implementation shortfall, positive is a cost; None where no decision price was recorded."""
    delay: Decimal | None
    trading: Decimal | None
    shortfall_bps: float | None
    slippage_pct: float | None
    """By which the order itself is judged, as a fraction; positive is worse."""
    score: float | None
    mark_outs: dict[str, float | None]
    """Seconds after the executions -> basis points in their favour; None where no market was recorded."""


class TradeDetail(msgspec.Struct, frozen=True, kw_only=True):
    """A trade with the orders and executions that made it."""

    trade: TradeScore
    other_fees: dict[Currency, Decimal]
    """Fees in currencies that the settle currency does not tell the value of; they are not part of the profit."""
    unmeasured: Decimal
    """Quantity executed without a recorded decision or arrival price; what it has made counts as signal."""
    orders: tuple[OrderScore, ...]
    """The first intended first."""
    parents: tuple[GroupQuality, ...]
    """Its parent orders, each with the whole of its parts."""
    fills: tuple[FillRow, ...]
    complete: bool
    """False when it has more orders or executions than are shown."""
    also: tuple[str, ...]
    """Other trades that the same name leads to."""
