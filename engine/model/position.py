"""Positions as exact cost lots: first in first out where units are owned, at the average price in derivatives.

Averages and ratios of what is owned belong to views. Derivatives are booked at the average entry price because their
venues do so: only then is the profit that they pay out at each execution the one that is booked here.
"""

from __future__ import annotations

import decimal
from decimal import Decimal

import msgspec

from engine.model.ids import AccountId, InstrumentId

__all__ = ["Lot", "Position"]

_PLACES = Decimal("1e-18")
_NOTHING = Decimal(0)
_AVERAGE = decimal.Context(
    prec=60, rounding=decimal.ROUND_HALF_EVEN, traps=[decimal.InvalidOperation, decimal.DivisionByZero]
)


class Lot(msgspec.Struct):
    """A signed quantity acquired at one price."""

    quantity: Decimal
    """Base units (contracts); positive long, negative short."""
    price: Decimal
    ts: int
    """UTC nanoseconds of the fill that opened it."""


class Position(msgspec.Struct, kw_only=True):
    """Open lots of one owner (or of a whole account) in one instrument, oldest first.

    All lots have one sign. Realised profit is the sum over closed pieces of
    (exit price - entry price) x signed quantity x multiplier, fees apart, in the settle currency.
    """

    account: AccountId
    instrument: InstrumentId
    lots: list[Lot] = []
    realised: Decimal = Decimal(0)
    fees: Decimal = Decimal(0)
    """Fees booked in the settle currency or converted at the fill's own price when taken in base units."""
    funding: Decimal = Decimal(0)
    """Funding paid (positive) or received (negative), in the settle currency."""

    @property
    def quantity(self) -> Decimal:
        """Signed open quantity in base units."""
        lots = self.lots
        if len(lots) == 1:
            return _NOTHING + lots[0].quantity
        return sum((lot.quantity for lot in lots), _NOTHING)

    def book(self, quantity: Decimal, price: Decimal, multiplier: Decimal, ts: int) -> Decimal:
        """Add a signed execution, oldest lots first; run it in the exact context.

        Returns:
            The profit realised by the closed part, in the settle currency, before fees.
        """
        realised = Decimal(0)
        left = quantity
        while left and self.lots and (self.lots[0].quantity > 0) != (left > 0):
            lot = self.lots[0]
            if abs(lot.quantity) <= abs(left):
                closed = lot.quantity
                del self.lots[0]
            else:
                closed = -left
                lot.quantity -= closed
            realised += (price - lot.price) * closed * multiplier
            left += closed
        if left:
            self.lots.append(Lot(left, price, ts))
        self.realised += realised
        return realised

    def book_average(self, quantity: Decimal, price: Decimal, multiplier: Decimal, ts: int) -> Decimal:
        """Add a signed execution at the average entry price, which is kept to 18 decimal places.

        What that rounding adds to the cost of the position is booked as profit, so that nothing is made or lost by it.
        Run it in the exact context. Returns what `book` does.
        """
        realised = self.book(quantity, price, multiplier, ts)
        if len(self.lots) < 2:
            return realised
        held, cost = self.quantity, self.cost(multiplier)
        average = _AVERAGE.divide(_AVERAGE.divide(cost, multiplier), held).quantize(_PLACES, context=_AVERAGE)
        self.lots = [Lot(held, average.normalize(_AVERAGE), self.lots[0].ts)]
        rounding = self.cost(multiplier) - cost
        self.realised += rounding
        return realised + rounding

    def cost(self, multiplier: Decimal) -> Decimal:
        """Signed cost of the open lots: sum of price x quantity x multiplier; run it in the exact context."""
        return sum((lot.price * lot.quantity for lot in self.lots), Decimal(0)) * multiplier

    def unrealised(self, mark: Decimal, multiplier: Decimal) -> Decimal:
        """Profit of the open lots at a mark price, in the settle currency; run it in the exact context."""
        return mark * self.quantity * multiplier - self.cost(multiplier)

    def average_price(self) -> Decimal | None:
        """Mean entry price for display (rounded to 28 digits); None when flat."""
        quantity = self.quantity
        if not quantity:
            return None
        return sum((lot.price * lot.quantity for lot in self.lots), Decimal(0)) / quantity
