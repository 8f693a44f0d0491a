"""How parameters moved along a walk-forward analysis, and the signs that it has fitted noise."""

from __future__ import annotations

import statistics
from itertools import pairwise
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.backtest.search.space import Range, Value

__all__ = ["judge", "moved"]

WIDE = 0.2
"""Standard deviation as a share of the range from which on a parameter wanders; evenly drawn values have 0.29."""


def moved(sets: Sequence[dict[str, Value]], ranges: Sequence[Range]) -> list[dict[str, Any]]:
    """How each parameter's best value moved from window to window.

    Args:
        sets: The chosen set of each window, in order.
        ranges: What was searched.

    Returns:
        By parameter: `values`, `mean`, `deviation` (of the population), `share` (deviation over the range searched),
        `changes` (windows in which it differs from the window before) and `wanders`. Where values are no numbers, only
        values and changes are known.
    """
    found = []
    for one in ranges:
        values = [params[one.name] for params in sets]
        numbers = [float(value) for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
        ends = [float(choice) for choice in one.choices] if one.choices and numbers else [one.low, one.high]
        reach = max(ends) - min(ends)
        deviation = statistics.pstdev(numbers) if numbers else None
        share = deviation / reach if deviation is not None and reach > 0 else None
        found.append(
            {
                "name": one.name,
                "values": values,
                "mean": statistics.fmean(numbers) if numbers else None,
                "deviation": deviation,
                "share": share,
                "changes": sum(a != b for a, b in pairwise(values)),
                "wanders": share is not None and share > WIDE,
            }
        )
    return found


def judge(
    rows: Sequence[dict[str, Any]], movement: Sequence[dict[str, Any]], objective: str, least: float
) -> dict[str, Any]:
    """What speaks for and against the analysis.

    Args:
        rows: The windows that count.
        movement: How parameters moved.
        objective: What was searched for.
        least: Ratio of test to training below which a warning is given.

    Returns:
        `ratio`, the mean figure of the tests over that of the trainings; `better`, the share of tests with a figure
        above zero; `warnings` in sentences by name.
    """
    pairs = [
        (row["compared"]["training"], row["compared"]["test"])
        for row in rows
        if row["compared"]["training"] is not None and row["compared"]["test"] is not None
    ]
    warnings: dict[str, str] = {}
    ratio = None
    if pairs:
        trained, tested = (statistics.fmean(values) for values in zip(*pairs, strict=True))
        words = objective.replace("_", " ")
        if trained > 0:
            ratio = tested / trained
            if ratio < least:
                warnings["overfitted"] = (
                    f"Out of sample the {words} is {ratio:.2f} of that in training, below {least:g}: much of what the "
                    "training found was noise."
                )
        else:
            warnings["nothing_found"] = (
                f"Not even the training has a {words} above zero on average; there is no edge to keep."
            )
    else:
        warnings["nothing_counted"] = (
            "No window has enough trades in training and a figure in its test; nothing can be concluded."
        )
    wandering = [entry["name"] for entry in movement if entry["wanders"]]
    if wandering:
        warnings["wandering"] = (
            f"The best {', '.join(wandering)} moves over more than {WIDE:.0%} of its range from window to window: the "
            "market does not hold on to it. Narrow the range, or leave the parameter alone."
        )
    return {
        "ratio": ratio,
        "compared": len(pairs),
        "better": sum(test > 0 for _, test in pairs) / len(pairs) if pairs else None,
        "warnings": warnings,
    }
