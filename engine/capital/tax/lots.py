"""Lots of one asset, and the order in which they are given up."""

from __future__ import annotations

import bisect
import decimal
from decimal import Decimal
from typing import TYPE_CHECKING, Literal

import msgspec

from engine.model.decimals import ZERO, exact
from engine.model.valuation import VIEW

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["CENT", "METHODS", "LotMethod", "Lots", "Piece", "TaxLot", "share"]

LotMethod = Literal["fifo", "lifo", "hifo", "average"]
"""Which units go first: the oldest, the newest, the dearest; or the oldest at the average cost of all that are held."""
METHODS: tuple[LotMethod, ...] = ("fifo", "lifo", "hifo", "average")
CENT = Decimal("1e-8")
"""To which parts of a value are kept; what rounding leaves goes to the other part, so that sums are exact."""


class TaxLot(msgspec.Struct, kw_only=True):
    """Units that were acquired together; of units that are owed, what was given up together."""

    quantity: Decimal
    cost: Decimal | None
    """Of all its units in the report's currency, fees included; None where no price was known. Proceeds of a debt."""
    acquired: int
    """UTC nanoseconds."""
    origin: str
    """How it was acquired, in a word; the reference of a debt."""


class Piece(msgspec.Struct, frozen=True, kw_only=True):
    """Units of one lot; see there."""

    quantity: Decimal
    cost: Decimal | None
    acquired: int
    origin: str


class Lots:
    """What is held of one asset in one pool, or owed: units that were given up before they were acquired.

    Something is owed only while nothing is held, and what is acquired goes to the oldest debt first.
    """

    def __init__(self, method: LotMethod) -> None:
        self._method = method
        self._lots: list[TaxLot] = []
        """In the order of their ranks; the next to go is the first, or the last by lifo."""
        self._ranks: list[Decimal | int] = []
        self._owed: list[TaxLot] = []
        self._pool = TaxLot(quantity=ZERO, cost=ZERO, acquired=0, origin="")
        """All units together whose cost is known; by average only."""

    def __iter__(self) -> Iterator[TaxLot]:
        if self._method == "average":
            self._even_out()
        return iter(self._lots)

    @property
    def owed(self) -> tuple[TaxLot, ...]:
        """Units that were given up without being held, oldest first, with their proceeds as cost."""
        return tuple(self._owed)

    @property
    def quantity(self) -> Decimal:
        """Units that are held; negative where they are owed."""
        with exact():
            return sum((lot.quantity for lot in self._lots), ZERO) - sum((lot.quantity for lot in self._owed), ZERO)

    @property
    def cost(self) -> Decimal | None:
        """What is held cost; None where it is not known of some."""
        costs = [lot.cost for lot in self._lots if lot.cost is not None]
        if len(costs) < len(self._lots):
            return None
        if self._method == "average":
            return self._pool.cost
        with exact():
            return sum(costs, ZERO)

    def add(self, lot: TaxLot) -> list[tuple[Piece, Piece]]:
        """Take in acquired units; returns each debt they settle with the units that settle it."""
        settled = []
        while self._owed and lot.quantity:
            debt = self._owed[0]
            units = min(debt.quantity, lot.quantity)
            settled.append((_part(debt, units), _part(lot, units)))
            if not debt.quantity:
                del self._owed[0]
        if lot.quantity:
            rank = self._rank(lot)
            place = bisect.bisect_right(self._ranks, rank)
            self._ranks.insert(place, rank)
            self._lots.insert(place, lot)
            if lot.cost is not None and self._pool.cost is not None:
                with exact():
                    self._pool.quantity += lot.quantity
                    self._pool.cost += lot.cost
        return settled

    def take(self, quantity: Decimal) -> list[Piece]:
        """Give up units in the order of the method; fewer where fewer are held."""
        pieces: list[Piece] = []
        place = -1 if self._method == "lifo" else 0
        with exact():
            left = quantity
            while left > ZERO and self._lots:
                lot = self._lots[place]
                units = min(left, lot.quantity)
                pieces.append(self._split(lot, units))
                if not lot.quantity:
                    del self._lots[place], self._ranks[place]
                left -= units
        return pieces

    def owe(self, quantity: Decimal, proceeds: Decimal | None, ts: int, reference: str) -> None:
        """Remember units that were given up without being held.

        Args:
            quantity: Above zero.
            proceeds: What they brought in the report's currency; None where that is not known.
            ts: UTC nanoseconds.
            reference: Of what gave them up.
        """
        self._owed.append(TaxLot(quantity=quantity, cost=proceeds, acquired=ts, origin=reference))

    def _rank(self, lot: TaxLot) -> Decimal | int:
        if self._method != "hifo":
            return lot.acquired
        # What is not known to have cost anything is given up last.
        return 1 if lot.cost is None else -VIEW.divide(lot.cost, lot.quantity)

    def _split(self, lot: TaxLot, units: Decimal) -> Piece:
        piece = _part(lot, units)
        if piece.cost is None or self._method != "average":
            return piece
        return msgspec.structs.replace(piece, cost=_part(self._pool, units).cost)

    def _even_out(self) -> None:
        """Spread the cost of the pool evenly over its lots; the sum stays."""
        rest = msgspec.structs.replace(self._pool)
        for lot in self._lots:
            if lot.cost is not None:
                lot.cost = _part(rest, lot.quantity).cost


def share(value: Decimal, part: Decimal, whole: Decimal) -> Decimal:
    """What of a value falls to a part of a quantity, to eight decimal places; all of it to the whole."""
    if part == whole:
        return value
    with decimal.localcontext(VIEW):
        return (value * part / whole).quantize(CENT)


def _part(lot: TaxLot, units: Decimal) -> Piece:
    """Split units off a lot; the lot keeps the rest."""
    cost = None if lot.cost is None else share(lot.cost, units, lot.quantity)
    with exact():
        if lot.cost is not None and cost is not None:
            lot.cost -= cost
        lot.quantity -= units
    return Piece(quantity=units, cost=cost, acquired=lot.acquired, origin=lot.origin)
