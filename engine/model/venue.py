"""The venue contract: what execution and market data ask of any exchange, real or paper.

A venue answers requests and delivers what happens through two sinks: private `VenueEvent`s and public
`MarketEvent`s. Sinks are plain functions called on the event loop in the venue's order; they must return at once.
"""

from __future__ import annotations

import enum
from collections.abc import Awaitable, Callable, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import msgspec

from engine.events import VenueEvent
from engine.model.ids import AccountId, ClientOrderId, Currency, InstrumentId, VenueId, VenueOrderId
from engine.model.instrument import Instrument, InstrumentKind
from engine.model.margin import MarginMode, MarginSetting
from engine.model.market import BookUpdate, MarketEvent, MarketTrade, Ticker
from engine.model.order import OrderSide, OrderStatus, OrderType, TimeInForce

if TYPE_CHECKING:
    from engine.model.candle import Candle
    from engine.model.fill import Fill

__all__ = [
    "AMEND_UNSUPPORTED",
    "EXECUTIONS_MISSING",
    "Capabilities",
    "EventSink",
    "FundingPayment",
    "MarginMode",
    "MarketSink",
    "OrderCommand",
    "Permissions",
    "StreamHealth",
    "Venue",
    "VenueBalance",
    "VenueHealth",
    "VenueOrder",
    "VenuePosition",
    "VenueStatus",
]

AMEND_UNSUPPORTED = "amend_unsupported"
"""Error code of a venue that changes no such order in place: cancel it and place another one."""
EXECUTIONS_MISSING = "executions_missing"
"""Error code of a venue that says that an order was executed and does not list all of its executions."""
EventSink = Callable[[AccountId, VenueEvent], None]
MarketSink = Callable[[MarketEvent], None]


class VenueStatus(enum.StrEnum):
    """Whether a venue can be traded."""

    ONLINE = "online"
    OFFLINE = "offline"
    MAINTENANCE = "maintenance"


class Capabilities(msgspec.Struct, frozen=True, kw_only=True):
    """What a venue can do; anything not listed is emulated by the engine or refused with a sentence."""

    kinds: frozenset[InstrumentKind]
    order_types: frozenset[OrderType]
    times_in_force: frozenset[TimeInForce]
    post_only: bool
    reduce_only: bool
    amend: bool
    oco: bool
    lookup_by_client_id: bool
    candles: bool
    visibility_delay_s: float = 30.0
    """How long an accepted order may stay invisible to look-ups: until then "not found" proves nothing."""
    fills_kept_s: float | None = None
    """How long `fills_since` reaches back; None for all time."""
    margin_modes: frozenset[MarginMode] = frozenset()
    """Margin modes of its derivatives; empty for a venue without them."""
    max_leverage: Decimal = Decimal(1)
    collar: bool = False
    """Whether it keeps market orders from being executed far from the market by itself."""
    countdown: bool = False
    """Whether it has a dead-man's switch that cancels all orders of an account unless it is fed."""
    countdown_spares: frozenset[OrderType] = frozenset()
    """Types of orders that the switch leaves alone."""
    verified_books: bool = True
    """Whether a gap in a book's updates is certain to be noticed."""


class OrderCommand(msgspec.Struct, frozen=True, kw_only=True):
    """One order as it is sent."""

    client_id: ClientOrderId
    account: AccountId
    instrument: InstrumentId
    side: OrderSide
    type: OrderType
    quantity: Decimal
    price: Decimal | None = None
    """Limit price; of a market order the worst price at which it may be executed, None for as it comes."""
    stop_price: Decimal | None = None
    tif: TimeInForce = TimeInForce.GTC
    post_only: bool = False
    reduce_only: bool = False
    oco_group: str | None = None
    urgent: bool = False
    """Whether it closes something in an emergency: it goes before everything else at the venue's rate limits."""
    margin_mode: MarginMode | None = None
    """Of a derivative, for venues whose orders name it; None for that of the open position, else isolated."""


class VenueOrder(msgspec.Struct, frozen=True, kw_only=True):
    """An order as the venue knows it."""

    client_id: ClientOrderId
    venue_order_id: VenueOrderId
    account: AccountId
    instrument: InstrumentId
    side: OrderSide
    type: OrderType
    quantity: Decimal
    filled: Decimal
    status: OrderStatus
    created: int
    """UTC nanoseconds at the venue."""
    updated: int
    price: Decimal | None = None
    stop_price: Decimal | None = None
    reason: str = ""


class VenueBalance(msgspec.Struct, frozen=True, kw_only=True):
    """One currency of one account as the venue knows it."""

    currency: Currency
    total: Decimal
    locked: Decimal


class VenuePosition(msgspec.Struct, frozen=True, kw_only=True):
    """An open position in a derivative as the venue knows it."""

    account: AccountId
    instrument: InstrumentId
    quantity: Decimal
    """Signed contracts, positive long."""
    entry_price: Decimal
    mark_price: Decimal
    unrealised: Decimal
    """In the settle currency."""
    leverage: Decimal
    margin_mode: MarginMode
    margin: Decimal
    """Set aside for it, in the settle currency."""
    maintenance: Decimal
    """Margin below which it is liquidated, in the settle currency."""
    updated: int
    """UTC nanoseconds at the venue."""
    liquidation_price: Decimal | None = None
    """None where the venue names none."""


class FundingPayment(msgspec.Struct, frozen=True, kw_only=True):
    """One settled funding payment of a perpetual."""

    id: str
    """The venue's own id, or one made of account, instrument and time."""
    account: AccountId
    instrument: InstrumentId
    currency: Currency
    amount: Decimal
    """Paid (positive) or received (negative)."""
    ts: int
    """UTC nanoseconds at which it was settled."""
    rate: Decimal | None = None
    """As a fraction of the position's value; None where the venue does not say it."""


class Permissions(msgspec.Struct, frozen=True, kw_only=True):
    """What the key of an account may do."""

    read: bool
    trade: bool | None
    """None, here and below, where the venue does not say it."""
    withdraw: bool | None
    derivatives: bool | None = None
    ip_restricted: bool | None = None
    expires: int | None = None
    """UTC nanoseconds; None for a key without an end or a venue that does not say it."""
    note: str = ""
    """A sentence about what stands in the way, such as an account in hedge mode; empty for nothing."""


class StreamHealth(msgspec.Struct, frozen=True, kw_only=True):
    """One connection of a venue."""

    name: str
    """Such as `public 1` or `private main`."""
    up: bool
    since: int
    """UTC nanoseconds at which it came up or went down."""
    heard: int = 0
    """UTC nanoseconds (engine clock) of the last message; 0 before the first."""
    messages: int = 0
    reconnects: int = 0
    reason: str = ""
    """Why it is down; empty while it is up."""


class VenueHealth(msgspec.Struct, frozen=True, kw_only=True):
    """How the way to a venue is."""

    streams: tuple[StreamHealth, ...] = ()
    latency_ms: float | None = None
    """Median of the last requests; None before the first answer."""
    clock_offset_ms: float | None = None
    """The venue's clock minus ours; None before it was measured."""
    limits: dict[str, float] = {}
    """Share of each rate limit that is used now, 0 to 1, by the limit's name."""
    paused_until: int = 0
    """UTC nanoseconds until which the venue has forbidden requests; 0 for not at all."""


@runtime_checkable
class Fundable(Protocol):
    """A market of paper money, which can be put in and taken out."""

    def fund(self, account: AccountId, currency: Currency, amount: Decimal) -> Awaitable[None]:
        """Add money at once, or take it out where the amount is negative; what is returned waits until it is kept.

        Raises:
            NotFoundError: No such account.
            ValidationError: More would be taken out than is free.
        """


class Venue(Protocol):
    """One exchange. Every method is safe under cancellation: a cancelled request may still have taken effect."""

    id: VenueId
    capabilities: Capabilities

    @property
    def status(self) -> VenueStatus:
        """Whether requests can be expected to succeed."""

    async def start(self, events: EventSink, market: MarketSink) -> None:
        """Connect and begin to deliver private events of all accounts; idempotent."""

    async def close(self) -> None:
        """Stop delivering and release everything; working orders stay at the venue."""

    async def instruments(self) -> Sequence[Instrument]:
        """All tradable instruments with their rules."""

    async def balances(self, account: AccountId) -> Sequence[VenueBalance]:
        """All non-zero balances of an account."""

    async def place(self, command: OrderCommand) -> None:
        """Send an order; the outcome (accepted, rejected, fills) arrives as events before or after the return.

        Raises:
            UnknownOutcomeError: No answer; ask with `order` and never send again.
            ExchangeConnectionError: The order certainly did not leave.
        """

    async def cancel(self, account: AccountId, client_id: ClientOrderId) -> None:
        """Ask to cancel; OrderCanceled or OrderCancelRejected arrives as an event. Raises as `place`."""

    async def amend(
        self,
        account: AccountId,
        client_id: ClientOrderId,
        *,
        quantity: Decimal | None = None,
        price: Decimal | None = None,
        stop_price: Decimal | None = None,
    ) -> None:
        """Change a working order in place; OrderAmended or OrderCancelRejected arrives. Raises as `place`."""

    async def order(self, account: AccountId, client_id: ClientOrderId) -> VenueOrder | None:
        """Look an order up by our id; None is the venue's authenticated answer that it does not exist."""

    async def open_orders(self, account: AccountId) -> Sequence[VenueOrder]:
        """All working orders of an account, ours or not."""

    async def fills_since(self, account: AccountId, cursor: str) -> tuple[Sequence[Fill], str]:
        """Executions after a cursor ("" for all kept), oldest first, and the cursor to ask with next time."""

    async def watch(self, instruments: Sequence[InstrumentId]) -> None:
        """Deliver books (snapshot first, then updates), trades and candles of these too."""

    async def unwatch(self, instruments: Sequence[InstrumentId]) -> None:
        """Stop delivering these instruments."""

    async def book(self, instrument: InstrumentId, depth: int) -> BookUpdate:
        """The present book as a snapshot of at most `depth` levels a side."""

    async def candles(
        self, instrument: InstrumentId, timeframe: str, *, end: int | None = None, limit: int = 500
    ) -> Sequence[Candle]:
        """The newest closed candles before `end` (UTC nanoseconds, exclusive; None for now), oldest first."""

    async def trades(self, instrument: InstrumentId, limit: int = 100) -> Sequence[MarketTrade]:
        """The newest public trades, oldest first."""

    async def tickers(self, instruments: Sequence[InstrumentId] | None = None) -> Sequence[Ticker]:
        """The last 24 hours of these instruments, or of all; those that the venue leaves out are missing."""

    async def server_time(self) -> int:
        """The venue's clock in UTC nanoseconds."""

    async def permissions(self, account: AccountId) -> Permissions:
        """What the account's key may do. Raises AuthenticationError for one that the venue does not take."""

    async def positions(self, account: AccountId) -> Sequence[VenuePosition]:
        """All open positions in derivatives; empty for a venue without them."""

    async def margin(self, account: AccountId, instrument: InstrumentId, mode: MarginMode) -> MarginSetting:
        """Leverage and margin mode that the next order in a derivative would have, as the venue holds them now.

        Args:
            account: Whose.
            instrument: Which derivative.
            mode: The mode that the order would name, where orders name it and no position stands in its way.

        Raises:
            ValidationError: The venue has no such thing, or the account holds contracts both ways (hedge mode).
            ExchangeError: The venue did not answer.
        """

    async def set_margin(
        self, account: AccountId, instrument: InstrumentId, leverage: Decimal, mode: MarginMode
    ) -> None:
        """Set leverage and margin mode of a derivative; what is set already is no error.

        Raises:
            ValidationError: The venue has no such thing, or refuses it (an open position, too much leverage).
        """

    async def funding_since(self, account: AccountId, cursor: str) -> tuple[Sequence[FundingPayment], str]:
        """Settled funding after a cursor ("" for all kept), oldest first, and the cursor to ask with next time."""

    async def countdown(self, account: AccountId, seconds: float) -> None:
        """Feed the dead-man's switch: all orders of the account are cancelled unless it is fed again in time.

        Args:
            account: Whose orders.
            seconds: Time left from now on; 0 turns the switch off.

        Raises:
            ValidationError: The venue has no such switch.
        """

    def health(self) -> VenueHealth:
        """How the way to the venue is, from what is known without asking."""
