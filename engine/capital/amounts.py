"""In which steps capital moves, and how amounts that were computed are rounded before they are booked."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal
from typing import TYPE_CHECKING

from engine.model.decimals import floor_to

if TYPE_CHECKING:
    from engine.model.ids import Currency

__all__ = ["booked", "cent", "down"]

_CENTS = {"BTC": Decimal("1e-6"), "ETH": Decimal("1e-5")}
_PLACES = Decimal("1e-8")


def cent(currency: Currency) -> Decimal:
    """Unit in which capital of a currency moves."""
    return _CENTS.get(currency, Decimal("0.01"))


def down(amount: Decimal, currency: Currency) -> Decimal:
    """An amount above zero in whole cents, never more than it is; zero for none."""
    return floor_to(amount, cent(currency)) if amount > 0 else Decimal(0)


def booked(value: Decimal) -> Decimal:
    """A figure to eight places: what came through a rate has more digits than the books can add up exactly."""
    return value.quantize(_PLACES, ROUND_HALF_EVEN)
