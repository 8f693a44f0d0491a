"""Stable regions: how good the neighbourhood of a set of parameters is, since a lone peak is more likely luck.

A set's region is the mean score of itself and its neighbours. On a grid the neighbours are the sets at most one step
away on every axis; where sets were drawn or chosen, they are the nearest ones in the space scaled to 0…1.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from engine.backtest.search.outcome import TOO_FEW

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from engine.backtest.search.space import Axis, Value
    from engine.model.candle import FloatArray

__all__ = ["grid_regions", "near_regions", "scaled"]

NEAREST = 2
"""Neighbours for each parameter that varies, where there is no grid."""
MOST_PAIRS = 4_000
"""Sets up to which every one is compared with every other."""
_NONE = TOO_FEW / 2


def _mean(scores: Sequence[float], own: float) -> float | None:
    """Mean of a region; None for a set that has no figure itself. Neighbours without one count as zero."""
    if own < _NONE:
        return None
    known = [score if score > _NONE else min(0.0, own) for score in scores]
    return sum(known) / len(known)


def grid_regions(
    sets: Sequence[Mapping[str, Value]], scores: Sequence[float], axes: Sequence[Axis]
) -> list[float | None]:
    """Mean score of each set of a grid and its neighbours at most one step away on every axis.

    Args:
        sets: Sets of parameters, all of the grid.
        scores: What they are ranked by.
        axes: The grid; values of a parameter that is no number are all neighbours of nothing.

    Returns:
        A mean by set; None where the set itself has no figure.
    """
    places = [{value: index for index, value in enumerate(axis.values)} for axis in axes]
    at = {
        tuple(place[params[axis.name]] for place, axis in zip(places, axes, strict=True)): index
        for index, params in enumerate(sets)
    }
    steps = [
        (-1, 0, 1)
        if all(isinstance(value, int | float) and not isinstance(value, bool) for value in axis.values)
        else (0,)
        for axis in axes
    ]
    found: list[float | None] = [None] * len(sets)
    for key, index in at.items():
        near = (tuple(k + s for k, s in zip(key, move, strict=True)) for move in itertools.product(*steps))
        found[index] = _mean([scores[at[place]] for place in near if place in at], scores[index])
    return found


def scaled(sets: Sequence[Mapping[str, Value]]) -> FloatArray:
    """Numeric parameters scaled to 0…1 over the sets, others by the order of their words; shape (sets, parameters)."""
    import numpy as np

    names = list(sets[0]) if sets else []
    table = np.zeros((len(sets), len(names)))
    for column, name in enumerate(names):
        values = [params[name] for params in sets]
        if any(isinstance(value, str) for value in values):
            order = {value: index for index, value in enumerate(sorted({str(value) for value in values}))}
            numbers = np.array([float(order[str(value)]) for value in values])
        else:
            numbers = np.array([float(value) for value in values])
        reach = float(numbers.max() - numbers.min())
        table[:, column] = (numbers - numbers.min()) / reach if reach else 0.0
    return table


def near_regions(sets: Sequence[Mapping[str, Value]], scores: Sequence[float]) -> list[float | None]:
    """Mean score of each set and its nearest ones: two for each parameter.

    Args:
        sets: Sets of parameters; beyond MOST_PAIRS only the best ones are looked at.
        scores: What they are ranked by.

    Returns:
        A mean by set; None where the set itself has no figure, or was not looked at.
    """
    import numpy as np

    found: list[float | None] = [None] * len(sets)
    if len(sets) < 3:
        return found
    table = scaled(sets)
    count = min(len(sets) - 1, NEAREST * table.shape[1])
    order = sorted(range(len(sets)), key=lambda index: -scores[index])[:MOST_PAIRS]
    for index in order:
        apart = np.abs(table - table[index]).max(axis=1)
        near = np.argsort(apart, kind="stable")[: count + 1]
        found[index] = _mean([scores[k] for k in near.tolist()], scores[index])
    return found
