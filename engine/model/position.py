"""Positions as exact FIFO cost lots; averages and ratios belong to views."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from engine.model.ids import AccountId, InstrumentId

__all__ = ["Lot", "Position"]


class Lot(msgspec.Struct):
    """A signed quantity acquired at one price."""

    quantity: Decimal
    """Base units; positive long, negative short."""
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
        return sum((lot.quantity for lot in self.lots), Decimal(0))

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
