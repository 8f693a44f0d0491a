"""The view of an order that is thought of and not sent."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from engine.model.ids import AccountId, Currency, InstrumentId
from engine.model.impact import ImpactEstimate
from engine.model.order import OrderSide, OrderType
from engine.model.risk import Refusal

__all__ = ["ExitsPreview", "OrderPreview", "SizeSuggestion"]


class OrderPreview(msgspec.Struct, frozen=True, kw_only=True):
    """What an order would cost and whether it would pass."""

    instrument: InstrumentId
    side: OrderSide
    type: OrderType
    quantity: Decimal
    price: Decimal | None
    stop_price: Decimal | None
    expected_price: Decimal | None
    notional: Decimal | None
    fee: Decimal | None
    total: Decimal | None
    """What leaves the account (buy) or arrives (sell), fee included."""
    currency: Currency
    available: Decimal
    """Free funds in `available_currency`."""
    available_currency: Currency
    slippage_pct: float | None
    """Expected price against the middle, as a fraction, from the visible book."""
    passed: bool
    refusals: tuple[Refusal, ...]
    sentence: str
    """Exactly what would be sent, in words."""
    leverage: Decimal | None = None
    """Of a derivative; None for spot, as are the next two."""
    margin: Decimal | None = None
    """Needed for what opens or enlarges a position."""
    liquidation_price: Decimal | None = None
    """Estimated, once the order has filled; None where no price liquidates the position."""
    impact: ImpactEstimate | None = None
    """Of what would take at once: what it is expected to cost against the middle; None for what rests."""
    advice: str = ""
    """How it would better be traded where its impact is large; empty where it is small."""


class ExitsPreview(msgspec.Struct, frozen=True, kw_only=True):
    """A stop and a target for a position: what would be sent, and whether it would pass."""

    instrument: InstrumentId
    account: AccountId
    side: OrderSide
    quantity: Decimal
    """Base units, or contracts."""
    stop_price: Decimal | None
    target_price: Decimal | None
    stop_held: bool
    """Whether the engine would hold the stop, so that it works only while the engine lives; else it is at the venue."""
    target_held: bool
    """The same of the target."""
    refusals: tuple[Refusal, ...]
    """Why risk would refuse one of them; empty where both pass."""
    sentence: str
    """Exactly what would be sent, in words."""


class SizeSuggestion(msgspec.Struct, frozen=True, kw_only=True):
    """How large an entry is meant to be, by the method that the limits name."""

    instrument: InstrumentId
    account: AccountId
    side: OrderSide
    quantity: Decimal
    """Base units, or contracts; 0 where nothing can be had."""
    method: str
    words: str
    """The method and its base, in words."""
    reason: str = ""
    """Why the quantity is 0; empty when it is not."""
