"""An owner's position booked thrice: at the prices of the decisions, of the sendings, and of the executions.

All three take the same quantities by the very rules by which the engine books positions, so that the last one's profit
is the recorded one, and the differences between them are what timing and execution have changed of it.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from engine.model.decimals import ZERO
from engine.model.instrument import CASH_KINDS
from engine.model.position import Position
from engine.model.quality import Attribution, TradeQuality

if TYPE_CHECKING:
    from engine.model.ids import AccountId, InstrumentId
    from engine.model.instrument import Instrument

__all__ = ["Books", "Prices"]


class Prices(msgspec.Struct, frozen=True):
    """At which one execution is booked."""

    decision: Decimal
    arrival: Decimal
    fill: Decimal
    measured: bool
    """Whether decision or arrival price was recorded; else they are those of the execution."""

    @classmethod
    def of(cls, decision: Decimal | None, arrival: Decimal | None, fill: Decimal) -> Prices:
        """Put what was recorded in the place of what was not."""
        first = decision if decision is not None else arrival
        second = arrival if arrival is not None else decision
        if first is None or second is None:
            return cls(fill, fill, fill, measured=False)
        return cls(first, second, fill, measured=True)


class Books:
    """The three books of one owner in one instrument of an account, and the trade that is open. Run it exactly."""

    def __init__(self, account: AccountId, instrument: InstrumentId) -> None:
        self.decided, self.arrived, self.filled = (Position(account=account, instrument=instrument) for _ in range(3))
        self.trade: TradeQuality | None = None
        self.owed = ZERO
        """Funding paid since the last trade ended; the next one bears it, as in the engine's own count."""

    def book(
        self, quantity: Decimal, prices: Prices, instrument: Instrument, ts: int, base_fee: Decimal
    ) -> Attribution:
        """Add a signed execution, and the fee that was taken of its units; returns what was realised, fees apart."""
        realised = []
        books = ((self.decided, prices.decision), (self.arrived, prices.arrival), (self.filled, prices.fill))
        for position, price in books:
            if instrument.kind in CASH_KINDS:
                gain = position.book(quantity, price, instrument.multiplier, ts)
                if base_fee:
                    gain += position.book(-base_fee, price, instrument.multiplier, ts)
            else:
                gain = position.book_average(quantity, price, instrument.multiplier, ts)
            realised.append(gain)
        decided, arrived, filled = realised
        return Attribution(signal=decided, timing=arrived - decided, execution=filled - arrived)

    @property
    def quantity(self) -> Decimal:
        """Held, signed."""
        return self.filled.quantity

    def ended(self, before: Decimal, lot: Decimal) -> bool:
        """Whether the last execution left less than a lot, or turned the position over."""
        after = self.quantity
        if abs(before) < lot:
            return False
        return abs(after) < lot or (before > ZERO) is not (after > ZERO)
