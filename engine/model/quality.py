"""Records of execution quality: one for each order and one for each trade, linked by their names.

Times are UTC nanoseconds of the engine's clock unless said otherwise; 0 means that it was not recorded. Prices are None
where they were not recorded. Amounts of money are in the settle currency of the instrument.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from engine.model.ids import AccountId, ClientOrderId, Currency, InstrumentId, Owner, ParentId, VenueOrderId
from engine.model.order import OrderSide, OrderStatus, OrderType

__all__ = ["Attribution", "Chain", "GroupQuality", "HorizonQuality", "MarkSum", "OrderQuality", "TradeQuality"]

ZERO = Decimal(0)


class Chain(msgspec.Struct, kw_only=True):
    """When each step of an order happened; 0 where that was not recorded."""

    signal: int = 0
    """The strategy's signal that led to it."""
    intended: int = 0
    durable: int = 0
    """The intent was found to be durable."""
    sent: int = 0
    acknowledged: int = 0
    """The venue's acceptance, or its first execution where that came first."""
    first_fill: int = 0
    last_fill: int = 0
    ended: int = 0


class MarkSum(msgspec.Struct):
    """Executions against the middle of the book some time after them."""

    quantity: Decimal = ZERO
    """Of the executions for which the market was recorded."""
    paid: Decimal = ZERO
    """Sum of price x quantity of those."""
    mid: Decimal = ZERO
    """Sum of the later middle x quantity."""
    missing: Decimal = ZERO
    """Quantity for which no market was recorded at that time."""


class Attribution(msgspec.Struct):
    """Realised profit by its causes; the five parts add up to it exactly. See docs/quality.md."""

    signal: Decimal = ZERO
    """What it would have been, had everything been executed at once at the prices of the decisions."""
    timing: Decimal = ZERO
    """What the market's moves between decision and sending have changed."""
    execution: Decimal = ZERO
    """What prices other than those of the market at the sending have changed."""
    fees: Decimal = ZERO
    """Negative where they were paid; those in other currencies than the settle currency are kept apart."""
    funding: Decimal = ZERO
    """Negative where it was paid."""

    @property
    def profit(self) -> Decimal:
        """The realised profit."""
        return self.signal + self.timing + self.execution + self.fees + self.funding

    def add(self, other: Attribution) -> None:
        """Add another one's parts."""
        self.signal += other.signal
        self.timing += other.timing
        self.execution += other.execution
        self.fees += other.fees
        self.funding += other.funding


class OrderQuality(msgspec.Struct, kw_only=True):
    """How an order was executed."""

    client_id: ClientOrderId
    account: AccountId
    instrument: InstrumentId
    owner: Owner
    side: OrderSide
    type: OrderType
    quantity: Decimal
    currency: Currency
    """Settle currency."""
    multiplier: Decimal
    status: OrderStatus = OrderStatus.PENDING
    venue_order_id: VenueOrderId | None = None
    parent: ParentId | None = None
    algorithm: str = ""
    """Of its parent; empty without one."""
    strategy: str = ""
    reason: str = ""
    price: Decimal | None = None
    """Limit."""
    stop_price: Decimal | None = None
    decision: Decimal | None = None
    """Middle of the book when it, or its parent, was decided; a stop's trigger."""
    arrival: Decimal | None = None
    """Middle of the book as it was sent; a stop's trigger."""
    chain: Chain = msgspec.field(default_factory=Chain)
    filled: Decimal = ZERO
    value: Decimal = ZERO
    """Sum of price x quantity over its executions, without the multiplier."""
    maker: Decimal = ZERO
    """Quantity that gave liquidity."""
    fills: int = 0
    fees: dict[Currency, Decimal] = {}
    marks: dict[str, MarkSum] = {}
    """Seconds after the executions -> where the market was."""
    position_before: Decimal | None = None
    """The owner's position before its first execution."""
    position_after: Decimal | None = None
    """And after its last one."""
    attribution: Attribution = msgspec.field(default_factory=Attribution)
    """Of the profit that its executions have realised."""
    trade: str = ""
    """The trade that it was part of first; empty before an execution."""
    next_trade: str = ""
    """Another one, where it closed the first and opened this."""

    @property
    def average(self) -> Decimal | None:
        """Mean price of its executions, for display; None before the first."""
        return self.value / self.filled if self.filled else None


class TradeQuality(msgspec.Struct, kw_only=True):
    """What an owner did in an instrument from nothing held to nothing held again."""

    id: str
    account: AccountId
    instrument: InstrumentId
    owner: Owner
    currency: Currency
    side: OrderSide
    """BUY for a long, SELL for a short."""
    strategy: str = ""
    opened: int
    closed: int = 0
    """0 while something is held."""
    position: Decimal = ZERO
    """Held now, signed."""
    entered: Decimal = ZERO
    """Quantity executed on its own side."""
    entry_value: Decimal = ZERO
    """Sum of price x quantity of that."""
    exited: Decimal = ZERO
    exit_value: Decimal = ZERO
    fills: int = 0
    orders: int = 0
    attribution: Attribution = msgspec.field(default_factory=Attribution)
    other_fees: dict[Currency, Decimal] = {}
    """Fees in currencies that the settle currency does not tell the value of."""
    unmeasured: Decimal = ZERO
    """Quantity executed for which neither decision nor arrival price was recorded: all of its profit is `signal`."""


class HorizonQuality(msgspec.Struct, frozen=True):
    """Where the market was some time after the executions of a group."""

    seconds: int
    bps: float | None
    """Mean over the orders, weighted by their value: positive in favour; None where no market was recorded."""
    value: float
    """Value of the orders with a recorded market."""
    missing: float
    """Value of those without one."""


class GroupQuality(msgspec.Struct, frozen=True, kw_only=True):
    """What the orders of one name and settle currency add up to. Times are medians in milliseconds."""

    name: str
    currency: Currency
    orders: int
    executed: int
    """Orders of which anything was executed."""
    measured: int
    """Those of them whose decision price was recorded; shortfall, delay and trading cost are theirs."""
    poor: int
    """Orders whose slippage was poor."""
    value: Decimal
    """Of all executions."""
    shortfall: Decimal
    """Positive is a cost; so are its two parts."""
    delay: Decimal
    trading: Decimal
    shortfall_bps: float | None
    delay_bps: float | None
    trading_bps: float | None
    ended: int
    """Orders that have ended and were not refused by the venue: what fill rates are taken over."""
    fill_rate: float | None
    """Mean executed share of those, 0 to 1."""
    limits: int
    """Limit orders among them."""
    limits_whole: int
    """Limit orders that were executed as a whole."""
    limit_fill_rate: float | None
    maker: float | None
    """Share of the value that gave liquidity."""
    score: float | None
    """Mean score, weighted by value."""
    signal_ms: float | None
    """From the signal to the intent."""
    durable_ms: float | None
    """From the intent until it was found to be durable."""
    ack_ms: float | None
    """From the intent to the venue's answer."""
    fill_ms: float | None
    """From the intent to the first execution."""
    marks: tuple[HorizonQuality, ...]
    signal: Decimal
    """Realised profit by its causes, funding apart; see `Attribution`."""
    timing: Decimal
    execution: Decimal
    fees: Decimal

    @property
    def profit(self) -> Decimal:
        """The realised profit before funding."""
        return self.signal + self.timing + self.execution + self.fees
