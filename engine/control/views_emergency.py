"""Views of what is held, of emergency stops, and of dust."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from engine.model.entries import TradingState
from engine.model.ids import AccountId, Currency, InstrumentId, Owner, VenueId

__all__ = ["DustRow", "HaltRow", "StopRow", "UnclosableRow"]


class HaltRow(msgspec.Struct, frozen=True, kw_only=True):
    """A part of trading that is held."""

    scope: str
    """As it is written, such as `venue:OKX`."""
    trading: TradingState
    reason: str
    actor: str
    since: int
    """UTC nanoseconds."""


class UnclosableRow(msgspec.Struct, frozen=True, kw_only=True):
    """A position that an emergency stop could not close so far."""

    account: AccountId
    instrument: InstrumentId
    owner: Owner
    owner_name: str
    quantity: Decimal
    """Signed base units (contracts of a derivative)."""
    value: Decimal | None
    """At the mark, in the instrument's quote currency; None while no price is known."""
    reason: str
    final: bool
    """Whether the stop counts as done without it."""


class StopRow(msgspec.Struct, frozen=True, kw_only=True):
    """An emergency stop."""

    scope: str
    reason: str
    actor: str
    began: int
    """UTC nanoseconds."""
    done: bool
    orders: int
    """Orders still to be cancelled, closing ones included."""
    positions: int
    """Positions still to be closed."""
    unclosable: tuple[UnclosableRow, ...]
    problems: tuple[str, ...]


class DustRow(msgspec.Struct, frozen=True, kw_only=True):
    """A rest that no order can sell."""

    account: AccountId
    venue: VenueId
    currency: Currency
    quantity: Decimal
    instrument: InstrumentId
    """Where it would be sold."""
    owner_name: str
    """Whose position it is left of; empty for what is nobody's."""
    value: Decimal | None
    """In the account's base currency; None while no price is known."""
    reason: str
    """Why no order can sell it."""
