"""The least order that a venue takes at a price."""

from __future__ import annotations

from decimal import ROUND_CEILING, Decimal
from typing import TYPE_CHECKING

from engine.model.decimals import ONE

if TYPE_CHECKING:
    from engine.model.instrument import Instrument

__all__ = ["LEAST_HEADROOM", "least_quantity"]

LEAST_HEADROOM = Decimal("1.2")
"""On the least value of an order, so that it is still enough when the price has moved meanwhile."""


def least_quantity(instrument: Instrument, price: Decimal, headroom: Decimal = ONE) -> Decimal:
    """The smallest quantity, on the grid, that the instrument's rules let through.

    Args:
        instrument: With its rules.
        price: At which the order is valued, in quote currency.
        headroom: Factor on the least value, for a price that may have moved when the order arrives.

    Returns:
        Base units, or contracts of a derivative.
    """
    rules = instrument.current_rules
    wanted = max(rules.min_quantity, rules.lot)
    if rules.min_notional:
        wanted = max(wanted, rules.min_notional * headroom / (price * instrument.multiplier))
    return (wanted / rules.lot).to_integral_value(ROUND_CEILING) * rules.lot
