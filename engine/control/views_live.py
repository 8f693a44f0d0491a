"""What the doors show of trading real money."""

from __future__ import annotations

from decimal import Decimal

from engine.control.views import View
from engine.model.ids import AccountId, Currency, VenueId

__all__ = ["ArmedRow", "LiveAccountRow", "LiveView"]


class LiveAccountRow(View, frozen=True, kw_only=True):
    """One account that the settings want to be live."""

    venue: VenueId
    account: AccountId
    target: str
    """Where its orders go, such as `binance testnet`."""
    words: str
    """What has to be typed."""
    currency: Currency
    """In which what may be sent is counted."""
    consented: bool
    """Whether a person has allowed it to trade from this home folder."""
    refused: str
    """Why it cannot trade whatever is agreed; empty when it can."""


class ArmedRow(View, frozen=True, kw_only=True):
    """One console's permission to send orders with real money."""

    actor: str
    venue: VenueId
    account: AccountId
    mine: bool
    """Whether it is that of whoever asks."""
    until: int
    """UTC nanoseconds."""
    currency: Currency
    max_order: Decimal
    max_total: Decimal
    used: Decimal


class LiveView(View, frozen=True, kw_only=True):
    """Trading with real money, as a whole."""

    accounts: tuple[LiveAccountRow, ...]
    armed: tuple[ArmedRow, ...]
    minutes: float
    """For how long one arms unless one says otherwise, and below for how much."""
    max_order: Decimal
    max_total: Decimal
