"""How much of a study's best figure may be luck: it was chosen among many, and chance has a best one too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from engine.backtest.analysis.overfitting import overfitting
from engine.backtest.analysis.sharpe import deflated_sharpe, expected_best, ratio_variance, sharpe_facts
from engine.risk.measures import DAYS_PER_YEAR

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.backtest.search.outcome import Outcome

__all__ = ["luck_of"]

BLOCKS = (16, 10, 8, 6, 4)
"""Parts into which time is cut, the most that the data and the number of sets allow."""
MANY = 200
"""Sets from which on fewer parts are used: the ways of halving 16 parts are 12,870."""
CONFIDENT = 0.95


def luck_of(outcomes: Sequence[Outcome], best: int, risk_free_rate: float, trials: int = 0) -> dict[str, Any]:
    """What speaks against the best of many sets.

    Args:
        outcomes: The sets that ran and traded enough, of the same days.
        best: Index of the one that is called the best.
        risk_free_rate: A year, as a fraction.
        trials: Sets that were tried, those without enough trades included; 0 for as many as there are outcomes.

    Returns:
        `sets`; `deflated_sharpe`, the probability that its true Sharpe ratio is above 0 although it is the best of so
        many; `luckiest`, the Sharpe ratio a year that the best of so many worthless sets would show; `overfitting`, how
        often the best set of one half of time is in the poorer half of the other (CSCV), and `blocks`. None where a
        figure cannot be computed. `warnings` in sentences by name.
    """
    tried = [outcome.daily for outcome in outcomes if outcome.daily is not None]
    found: dict[str, Any] = {
        "sets": max(len(tried), trials), "deflated_sharpe": None, "luckiest": None, "overfitting": None, "blocks": None,
        "warnings": {},
    }  # fmt: skip
    series = outcomes[best].daily if outcomes else None
    if series is None or len(tried) < 2:
        return found
    all_facts = [sharpe_facts(one, risk_free_rate) for one in tried]
    ratios = np.array([facts.ratio for facts in all_facts if facts is not None])
    facts, variance = sharpe_facts(series, risk_free_rate), ratio_variance(ratios)
    if facts is not None and variance is not None:
        found["deflated_sharpe"] = deflated_sharpe(facts, found["sets"], variance)
        found["luckiest"] = expected_best(found["sets"], variance) * DAYS_PER_YEAR**0.5
    _overfitting(found, tried)
    _warn(found)
    return found


def _overfitting(found: dict[str, Any], tried: Sequence[Any]) -> None:
    days = min(len(one) for one in tried)
    blocks = next((n for n in BLOCKS[len(tried) > MANY :] if days >= 2 * n), None)
    if blocks is not None:
        table = np.column_stack([one[len(one) - days :] for one in tried])
        found["overfitting"], found["blocks"] = overfitting(table, blocks).probability, blocks


def _warn(found: dict[str, Any]) -> None:
    sets, sure, poor = found["sets"], found["deflated_sharpe"], found["overfitting"]
    if sure is not None and sure < CONFIDENT:
        found["warnings"]["luck"] = (
            f"As the best of {sets:,} sets its Sharpe ratio is above zero with a probability of only {sure:.0%} "
            f"(deflated Sharpe ratio); the best of as many worthless sets would show about {found['luckiest']:.2f}."
        )
    if poor is not None and poor > 0.5:
        found["warnings"]["overfitting"] = (
            f"The set that is best in one half of the time is among the poorer half in the other in {poor:.0%} of all "
            f"ways to halve it ({found['blocks']} blocks): choosing by this figure is worse than chance."
        )
