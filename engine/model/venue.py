"""The venue contract: what execution and market data ask of any exchange, real or paper.

A venue answers requests and delivers what happens through two sinks: private `VenueEvent`s and public
`MarketEvent`s. Sinks are plain functions called on the event loop in the venue's order; they must return at once.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Protocol

import msgspec

from engine.events import VenueEvent
from engine.model.ids import AccountId, ClientOrderId, Currency, InstrumentId, VenueId, VenueOrderId
from engine.model.instrument import Instrument, InstrumentKind
from engine.model.market import BookUpdate, MarketEvent
from engine.model.order import OrderSide, OrderStatus, OrderType, TimeInForce

if TYPE_CHECKING:
    from engine.model.candle import Candle
    from engine.model.fill import Fill

__all__ = [
    "Capabilities",
    "EventSink",
    "MarketSink",
    "OrderCommand",
    "Venue",
    "VenueBalance",
    "VenueOrder",
    "VenueStatus",
]

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


class OrderCommand(msgspec.Struct, frozen=True, kw_only=True):
    """One order as it is sent."""

    client_id: ClientOrderId
    account: AccountId
    instrument: InstrumentId
    side: OrderSide
    type: OrderType
    quantity: Decimal
    price: Decimal | None = None
    stop_price: Decimal | None = None
    tif: TimeInForce = TimeInForce.GTC
    post_only: bool = False
    reduce_only: bool = False
    oco_group: str | None = None


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

    async def server_time(self) -> int:
        """The venue's clock in UTC nanoseconds."""
