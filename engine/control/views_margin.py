"""Views of leverage, margin and liquidation."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from engine.model.ids import AccountId, InstrumentId
from engine.model.margin import MarginMode

__all__ = ["MarginView", "StandingView"]


class StandingView(msgspec.Struct, frozen=True, kw_only=True):
    """How a position in a derivative stands; amounts in its settle currency."""

    base_size: Decimal
    """Signed base units of its contracts."""
    leverage: Decimal
    mode: MarginMode
    margin: Decimal | None
    """Set aside for it; None while it is not known."""
    ratio: float | None
    """Maintenance margin over what stands for it: liquidated at 1."""
    liquidation_price: Decimal | None
    """None where no price liquidates it, or while a mark is missing."""
    liquidation_pct: float | None
    """Distance of that price from the mark as a fraction."""
    funding: Decimal
    """Paid (positive) or received so far."""
    funding_rate: float | None
    """Of the running period; longs pay a positive one."""
    next_funding: int | None
    """UTC nanoseconds of the next payment."""
    index: Decimal | None
    """Price of what the derivative follows."""


class MarginView(msgspec.Struct, frozen=True, kw_only=True):
    """Leverage and margin mode of an account in an instrument, and what is possible there."""

    account: AccountId
    instrument: InstrumentId
    leverage: Decimal
    mode: MarginMode
    modes: tuple[MarginMode, ...]
    """Modes that the venue has; empty for what is traded without leverage."""
    most: Decimal
    """Largest leverage of a small position at the venue."""
    limit: Decimal
    """Largest leverage that the risk limits allow."""
