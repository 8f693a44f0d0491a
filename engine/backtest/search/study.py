"""What a study comes to, as plain values that can be stored, shown and exported, finished or not."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from engine.backtest.search.outcome import KEPT, OBJECTIVES, TOO_FEW, best_first, score

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from engine.backtest.search.outcome import Outcome
    from engine.backtest.search.space import LeftOut
    from engine.backtest.search.spec import StudySpec

    Save = Callable[[dict[str, Any]], None]
    Tell = Callable[[float, str], None]

__all__ = ["SHOWN_LEFT_OUT", "left_out_part", "pareto_front", "table_part", "with_luck"]

SHOWN_LEFT_OUT = 50
"""Sets without a run that are kept with their reason; of the others only the number."""


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def pareto_front(points: Sequence[Sequence[float]]) -> list[int]:
    """Indices of the points that no other one beats in every objective; more is better in all.

    Args:
        points: One tuple of figures a point, all finite.

    Returns:
        Their indices by the first objective, the best first; of equal points the first one.
    """
    order = sorted(range(len(points)), key=lambda index: [-value for value in points[index]])
    front: list[int] = []
    for index in order:
        point = points[index]
        if not any(all(a >= b for a, b in zip(points[held], point, strict=True)) for held in front):
            front.append(index)
    return front


def left_out_part(left_out: Sequence[LeftOut], failed: Sequence[Outcome]) -> dict[str, Any]:
    """Sets that were not run, and those whose run failed."""
    return {
        "left_out": len(left_out),
        "left_out_first": [{"params": found.params, "reason": found.reason} for found in left_out[:SHOWN_LEFT_OUT]],
        "failed": len(failed),
        "failed_first": [{"params": found.params, "reason": found.failed} for found in failed[:SHOWN_LEFT_OUT]],
    }


def table_part(
    outcomes: Sequence[Outcome], regions: Sequence[float | None], objectives: Sequence[str], min_trades: int
) -> dict[str, Any]:
    """The table of all outcomes, the best first by the first objective.

    Args:
        outcomes: Those that ran.
        regions: Mean score of each one's neighbourhood, turned so that more is better.
        objectives: What was searched for.
        min_trades: Fewer make a set rank behind all others.

    Returns:
        `params`, `figures` and `rows`: values of the parameters, figures, the region's mean, whether there were too few
        trades. `front` holds the rows of the Pareto front where there are several objectives, `stable` the row of the
        best region.
    """
    order = best_first(outcomes, objectives[0], min_trades)
    names = list(outcomes[0].params) if outcomes else []
    sign = OBJECTIVES[objectives[0]]
    rows = []
    for index in order:
        found, region = outcomes[index], regions[index]
        rows.append(
            {
                "params": [found.params[name] for name in names],
                "figures": [_finite(found.metrics.get(name)) for name in KEPT],
                "region": None if region is None else _finite(sign * region),
                "few": found.trades < min_trades,
            }
        )
    ranked = [(position, index) for position, index in enumerate(order) if regions[index] is not None]
    stable = max(ranked, key=lambda pair: (regions[pair[1]] or 0.0, -pair[0]))[0] if ranked else None
    front: list[int] = []
    if len(objectives) > 1:
        points = [[score(outcomes[index], name, min_trades) for name in objectives] for index in order]
        usable = [position for position, point in enumerate(points) if min(point) > TOO_FEW / 2]
        front = [usable[k] for k in pareto_front([points[position] for position in usable])]
    return {"params": names, "figures": list(KEPT), "rows": rows, "front": front, "stable": stable}


def with_luck(result: dict[str, Any], outcomes: Sequence[Outcome], spec: StudySpec) -> dict[str, Any]:
    """A finished result with what speaks against its best set, as `details["luck"]` and as warnings."""
    from engine.backtest.search.luck import luck_of

    ran = [outcome for outcome in outcomes if not outcome.failed]
    if not ran:
        return result
    # A figure of next to no trades says nothing of how far such figures spread; the set was tried all the same.
    told = [outcome for outcome in ran if outcome.trades >= spec.min_trades]
    best = best_first(told, spec.objectives[0], spec.min_trades)[0] if told else 0
    luck = luck_of(told, best, spec.run.risk_free_rate, len(ran))
    warnings = {f"warning_{name}": text for name, text in luck.pop("warnings").items()}
    return {
        **result,
        "details": {**result.get("details", {}), "luck": luck},
        "assumptions": {**result.get("assumptions", {}), **warnings},
    }
