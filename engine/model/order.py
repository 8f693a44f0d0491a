"""Orders: what is asked for, and the explicit table of their life."""

from __future__ import annotations

import enum
from decimal import Decimal

import msgspec

from engine.model.ids import AccountId, ClientOrderId, Currency, InstrumentId, Owner, ParentId, VenueOrderId
from engine.model.impact import ImpactEstimate

__all__ = [
    "OPEN_STATUSES",
    "TERMINAL_STATUSES",
    "TRANSITIONS",
    "Decision",
    "Liquidity",
    "Order",
    "OrderRequest",
    "OrderSide",
    "OrderStatus",
    "OrderType",
    "TimeInForce",
    "can_move",
]


class OrderSide(enum.StrEnum):
    """Direction of an order."""

    BUY = "buy"
    SELL = "sell"

    @property
    def opposite(self) -> OrderSide:
        """The other side."""
        return OrderSide.SELL if self is OrderSide.BUY else OrderSide.BUY

    @property
    def sign(self) -> int:
        """+1 for buy, -1 for sell."""
        return 1 if self is OrderSide.BUY else -1


class OrderType(enum.StrEnum):
    """How an order is executed. Stop and take-profit orders become market orders when triggered."""

    MARKET = "market"
    LIMIT = "limit"
    STOP_LOSS = "stop_loss"
    """Triggers when the price is at or beyond `stop_price` against the position: a sell at or below, a buy at or
    above; with a `price` it becomes a limit order."""
    TAKE_PROFIT = "take_profit"
    """Triggers in the position's favour: a sell at or above, a buy at or below `stop_price`."""


class TimeInForce(enum.StrEnum):
    """How long an order stays."""

    GTC = "GTC"
    IOC = "IOC"
    FOK = "FOK"


class Liquidity(enum.StrEnum):
    """Role of an order in an execution."""

    MAKER = "maker"
    TAKER = "taker"


class OrderStatus(enum.StrEnum):
    """Where an order is in its life. A requested cancel is a flag, not a status."""

    PENDING = "pending"
    """The intent is booked; funds are reserved; nothing is known to have been sent."""
    SUBMITTED = "submitted"
    """Handed to the venue; no answer yet."""
    UNKNOWN = "unknown"
    """The answer was lost; asked for by client order id, never sent again."""
    ACCEPTED = "accepted"
    """Working at the venue, nothing filled."""
    PARTIALLY_FILLED = "partially_filled"
    FILLED = "filled"
    CANCELED = "canceled"
    REJECTED = "rejected"
    EXPIRED = "expired"


_S = OrderStatus
TRANSITIONS: dict[OrderStatus, frozenset[OrderStatus]] = {
    _S.PENDING: frozenset(
        {_S.SUBMITTED, _S.UNKNOWN, _S.ACCEPTED, _S.PARTIALLY_FILLED, _S.FILLED, _S.CANCELED, _S.REJECTED, _S.EXPIRED}
    ),
    _S.SUBMITTED: frozenset(
        {_S.UNKNOWN, _S.ACCEPTED, _S.PARTIALLY_FILLED, _S.FILLED, _S.CANCELED, _S.REJECTED, _S.EXPIRED}
    ),
    _S.UNKNOWN: frozenset({_S.ACCEPTED, _S.PARTIALLY_FILLED, _S.FILLED, _S.CANCELED, _S.REJECTED, _S.EXPIRED}),
    _S.ACCEPTED: frozenset({_S.UNKNOWN, _S.PARTIALLY_FILLED, _S.FILLED, _S.CANCELED, _S.REJECTED, _S.EXPIRED}),
    _S.PARTIALLY_FILLED: frozenset({_S.UNKNOWN, _S.PARTIALLY_FILLED, _S.FILLED, _S.CANCELED, _S.EXPIRED}),
    # A fill that was under way when the order ended is real: the venue's executions outrank its notices.
    _S.CANCELED: frozenset({_S.CANCELED, _S.FILLED}),
    _S.EXPIRED: frozenset({_S.EXPIRED, _S.FILLED}),
    _S.REJECTED: frozenset({_S.ACCEPTED, _S.PARTIALLY_FILLED, _S.FILLED}),
    _S.FILLED: frozenset({_S.FILLED}),
}
"""Every legal move; anything else raises IllegalTransitionError in the fold."""

_NOTHING = Decimal(0)
TERMINAL_STATUSES = frozenset({_S.FILLED, _S.CANCELED, _S.REJECTED, _S.EXPIRED})
OPEN_STATUSES = frozenset(set(_S) - TERMINAL_STATUSES)


def can_move(now: OrderStatus, to: OrderStatus) -> bool:
    """Tell whether an order may move from one status to another."""
    return to in TRANSITIONS[now]


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """What a decision used, kept with the intent; None means it was not known."""

    reason: str
    """Why the order exists, in the decider's words."""
    best_bid: Decimal | None = None
    best_ask: Decimal | None = None
    mark: Decimal | None = None
    strategy: str | None = None
    """`name@version` of the strategy; None for a manual order."""
    params_hash: str | None = None
    impact: ImpactEstimate | None = None
    """Of an order that takes at once: what it was expected to cost."""


class OrderRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody wants; not yet checked, numbered or booked."""

    account: AccountId
    instrument: InstrumentId
    owner: Owner
    side: OrderSide
    type: OrderType
    quantity: Decimal
    """In base units (contracts for derivatives)."""
    price: Decimal | None = None
    """Limit price; required for LIMIT, optional for STOP_LOSS and TAKE_PROFIT, forbidden for MARKET."""
    stop_price: Decimal | None = None
    """Trigger price; required for STOP_LOSS and TAKE_PROFIT, forbidden otherwise."""
    tif: TimeInForce = TimeInForce.GTC
    post_only: bool = False
    reduce_only: bool = False
    oco_group: str | None = None
    """Orders of one group cancel each other: what one fills, the others lose."""
    urgent: bool = False
    """Whether it belongs to an emergency stop: it goes first, and may use what is kept back of every rate limit."""
    decision: Decision = Decision(reason="")
    parent: ParentId | None = None
    """The parent order whose child it is."""


class Order(msgspec.Struct, kw_only=True):
    """An order as the engine knows it. Only the fold changes it."""

    client_id: ClientOrderId
    account: AccountId
    instrument: InstrumentId
    owner: Owner
    side: OrderSide
    type: OrderType
    quantity: Decimal
    price: Decimal | None
    stop_price: Decimal | None
    tif: TimeInForce
    post_only: bool
    reduce_only: bool
    oco_group: str | None
    status: OrderStatus
    created: int
    """UTC nanoseconds of the intent."""
    updated: int
    """UTC nanoseconds of the last change."""
    reserve_currency: Currency
    reserve_unit: Decimal
    """Funds held per unit of open quantity, in `reserve_currency`."""
    decision: Decision
    venue_order_id: VenueOrderId | None = None
    filled: Decimal = Decimal(0)
    cost: Decimal = Decimal(0)
    """Sum of price x quantity x multiplier over the fills, in quote currency; the average price is cost / filled."""
    fees: dict[Currency, Decimal] = {}
    cancel_requested: bool = False
    triggered: bool = False
    overfilled: bool = False
    executed_before: Decimal = Decimal(0)
    """Executed before the order was adopted and booked elsewhere; `filled` holds only what is booked as its own."""
    reason: str = ""
    """Why the order ended, in words; empty while open or filled."""
    fill_keys: set[str] = set()
    """Natural keys of the fills already booked, so that a repeat is skipped."""
    pending_amends: int = 0
    """Changes asked for and not answered yet."""
    pending_quantity: Decimal | None = None
    """Largest quantity among the changes not answered yet; None when none changes it."""
    pending_reserve_unit: Decimal | None = None
    """Largest `reserve_unit` among them."""
    parent: ParentId | None = None
    """The parent order whose child it is."""

    @property
    def is_open(self) -> bool:
        """True until a terminal status is reached."""
        return self.status in OPEN_STATUSES

    @property
    def executed(self) -> Decimal:
        """All that was executed of it, as the venue counts."""
        return self.filled + self.executed_before

    @property
    def remaining(self) -> Decimal:
        """Quantity not filled yet, never negative."""
        left = self.quantity - (self.filled + self.executed_before)
        return left if left > 0 else _NOTHING

    @property
    def working(self) -> Decimal:
        """The most that may still be filled: what remains, or what would with a change not answered yet."""
        if self.pending_quantity is None:
            left = self.quantity - (self.filled + self.executed_before)
            return left if left > 0 else _NOTHING
        return max(self.remaining, self.pending_quantity - self.executed)

    @property
    def reserved(self) -> Decimal:
        """Funds still held for the order, in `reserve_currency`; 0 once it ended."""
        if self.status not in OPEN_STATUSES:
            return _NOTHING
        unit = self.reserve_unit
        if self.pending_reserve_unit is not None:
            unit = max(unit, self.pending_reserve_unit)
        return unit * self.working
