"""Sets of parameters that fill ranges evenly: a scrambled Sobol sequence, without those that the strategy refuses.

Source: I. M. Sobol', "On the distribution of points in a cube" (1967); scrambled as scipy.stats.qmc does it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.backtest.search.space import Candidates, LeftOut, refusal
from engine.errors import ValidationError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from engine.backtest.search.space import Range, Value
    from engine.strategy.contract import StrategyBase

__all__ = ["draw_sets"]

BLOCK = 64
MOST_TRIES = 200
"""Points drawn for each wanted set, at most: so few possible ones mean that the ranges do not fit each other."""


def draw_sets(
    cls: type[StrategyBase], fixed: Mapping[str, Any], ranges: Sequence[Range], count: int, seed: int
) -> Candidates:
    """Draw possible sets, each once; fewer where the ranges hold fewer.

    Args:
        cls: The strategy.
        fixed: Its other parameters.
        ranges: Where to draw.
        count: How many are wanted.
        seed: Seed of the scrambling.

    Raises:
        ValidationError: No point that was drawn is possible.
    """
    from scipy.stats import qmc

    engine = qmc.Sobol(len(ranges), scramble=True, rng=seed)
    found: dict[tuple[Value, ...], dict[str, Value]] = {}
    refused: dict[tuple[Value, ...], LeftOut] = {}
    tries, fruitless = 0, 0
    while len(found) < count and tries < MOST_TRIES * count + BLOCK and fruitless < 20:
        before = len(found)
        for point in engine.random(BLOCK).tolist():
            tries += 1
            varied = {one.name: one.at(share) for one, share in zip(ranges, point, strict=True)}
            key = tuple(varied.values())
            if key in found or key in refused or len(found) >= count:
                continue
            reason = refusal(cls, fixed, varied)
            if reason:
                refused[key] = LeftOut(params=varied, reason=reason)
            else:
                found[key] = varied
        fruitless = 0 if len(found) > before else fruitless + 1
    if not found:
        first = next(iter(refused.values())).reason if refused else "the ranges are empty"
        raise ValidationError(f"The strategy {cls.name} takes none of {tries:,} sets drawn from the ranges: {first}.")
    return Candidates(sets=tuple(found.values()), left_out=tuple(refused.values()), of=tries)
