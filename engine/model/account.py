"""Accounts and the money in them."""

from __future__ import annotations

import enum
from decimal import Decimal

import msgspec

from engine.model.ids import AccountId, Currency, VenueId

__all__ = ["Account", "Balance", "TradingMode"]


class TradingMode(enum.StrEnum):
    """Whether orders are real."""

    LIVE = "live"
    PAPER = "paper"
    BACKTEST = "backtest"


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """A named account at one venue."""

    id: AccountId
    venue: VenueId
    mode: TradingMode
    base_currency: Currency
    """Currency in which the account is valued."""


class Balance(msgspec.Struct, kw_only=True):
    """One currency of one account. Only the fold changes it."""

    currency: Currency
    total: Decimal = Decimal(0)
    reserved: Decimal = Decimal(0)
    """Held for open orders; what is free is total - reserved."""

    @property
    def free(self) -> Decimal:
        """What new orders may use."""
        return self.total - self.reserved
