"""Records of pools, made of daily returns."""

from __future__ import annotations

from decimal import Decimal as D
from typing import TYPE_CHECKING

from engine.model.capital import DayMark

if TYPE_CHECKING:
    from collections.abc import Sequence


def days(returns: Sequence[float], capital: str = "1000") -> list[DayMark]:
    """Ends of days, the first one before the first return."""
    result, found = D(0), [DayMark(0, D(capital), D(0))]
    for day, made in enumerate(returns, 1):
        result += D(repr(float(made))) * D(capital)
        found.append(DayMark(day, D(capital), result))
    return found
