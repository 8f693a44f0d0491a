"""Splits an amount over several in proportion to their weights, in whole units and without a rest."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, TypeVar

from engine.model.decimals import ZERO, exact

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["apportion"]

_K = TypeVar("_K", bound=str)


def apportion(amount: Decimal, weights: Mapping[_K, Decimal], unit: Decimal) -> dict[_K, Decimal]:
    """Split a signed amount in proportion to signed weights, by the method of the largest remainder.

    Args:
        amount: What is split; the parts add up to exactly this.
        weights: By whom; they must not add up to zero. A weight against the others gets a part of the other sign.
        unit: Parts are multiples of it, > 0. What the amount has beyond whole units goes to the largest weight.

    Returns:
        The parts that are not zero, by name in alphabetical order. Where an amount and all weights are whole units and
        the amount is no larger than the sum of the weights, no part is larger than its weight.
    """
    names = sorted(name for name, weight in weights.items() if weight)
    scale = min(Decimal(1).scaleb(_exponent(weights[name])) for name in names)
    ratios = {name: int(weights[name] / scale) for name in names}
    total = sum(ratios.values())
    whole = int(amount / unit)
    units: dict[_K, int] = {}
    rests: list[tuple[int, int, _K]] = []
    for place, name in enumerate(names):
        units[name], rest = divmod(whole * ratios[name] * (1 if total > 0 else -1), abs(total))
        rests.append((-rest, place, name))
    for _, _, name in sorted(rests)[: whole - sum(units.values())]:
        units[name] += 1
    with exact():
        parts = {name: count * unit for name, count in units.items()}
        largest = max(names, key=lambda name: abs(ratios[name]))
        parts[largest] += amount - whole * unit
    return {name: part for name, part in parts.items() if part != ZERO}


def _exponent(value: Decimal) -> int:
    exponent = value.normalize().as_tuple().exponent
    return exponent if isinstance(exponent, int) else 0
