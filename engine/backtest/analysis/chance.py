"""What chance has to do with it: the significance of one run, and the choice among several, with a verdict."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.backtest.analysis.compare import returns_table
from engine.backtest.analysis.overfitting import overfitting
from engine.backtest.analysis.random_entries import random_entries
from engine.backtest.analysis.sharpe import (
    deflated_sharpe,
    expected_best,
    minimum_record,
    probabilistic_sharpe,
    ratio_variance,
    sharpe_facts,
)
from engine.backtest.metrics import daily_equity, returns_of
from engine.errors import DataError
from engine.risk.measures import DAYS_PER_YEAR

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.backtest.analysis.compare import Contender
    from engine.backtest.outcome import BacktestResult
    from engine.backtest.prepare import PreparedRun

__all__ = ["choice_among", "significance"]

CONFIDENCE = 0.95
_YEAR = math.sqrt(DAYS_PER_YEAR)
_BINS = 20


def significance(
    prepared: PreparedRun,
    result: BacktestResult,
    others: Sequence[float],
    *,
    trials: int | None,
    iterations: int,
    seed: int,
) -> dict[str, Any]:
    """How far a run can be told from chance.

    Args:
        prepared: What was run.
        result: What came of it.
        others: Annualised Sharpe ratios of the variants that are known, this one included; their number is that of
            the trials unless `trials` says otherwise, and their variance that of the trials' ratios.
        trials: Variants that were tried, this one included.
        iterations: Random traders.
        seed: Random start value.

    Returns:
        `sharpe` with the ratio (a year), `probabilistic`, `deflated`, `trials`, `expected_best` (a year),
        `minimum_record_days` and `days`; `random_entries` (or its `refusal`); `verdict`.
    """
    returns = returns_of(daily_equity(result.ts, result.equity))
    facts = sharpe_facts(returns, prepared.spec.risk_free_rate)
    ratio: dict[str, Any] = {"ratio": None, "days": len(returns)}
    if facts is not None:
        count = max(trials or len(others), 1)
        variance = ratio_variance(np.array(others) / _YEAR)
        spread = 1.0 / (facts.periods - 1) if variance is None else variance
        ratio = {
            "ratio": facts.ratio * _YEAR,
            "days": facts.periods,
            "skewness": facts.skewness,
            "kurtosis": facts.kurtosis,
            "probabilistic": probabilistic_sharpe(facts),
            "trials": count,
            "trial_variance": spread * DAYS_PER_YEAR,
            "expected_best": expected_best(count, spread) * _YEAR,
            "deflated": deflated_sharpe(facts, count, spread),
            "minimum_record_days": minimum_record(facts, 0.0, CONFIDENCE),
        }
    try:
        entries: dict[str, Any] = random_entries(
            result.trades,
            prepared.bars,
            first=result.warmup,
            iterations=iterations,
            seed=seed,
        )
    except DataError as error:
        entries = {"refusal": error.message}
    return {"confidence": CONFIDENCE, "sharpe": ratio, "random_entries": entries, "verdict": _verdict(ratio, entries)}


def _verdict(ratio: dict[str, Any], entries: dict[str, Any]) -> str:
    doubts = []
    deflated = ratio.get("deflated")
    if deflated is None:
        doubts.append("its Sharpe ratio cannot be computed")
    elif deflated < CONFIDENCE:
        doubts.append(f"a ratio above 0 is only {deflated:.1%} likely after {ratio['trials']:,} trials")
    if "refusal" in entries:
        doubts.append("it could not be compared with random entries")
    elif entries["p_value"] > 1.0 - CONFIDENCE:
        doubts.append(f"random entries do as well {entries['p_value']:.1%} of the time")
    if not doubts:
        return f"Significant: {deflated:.1%} after {ratio['trials']:,} trials, p = {entries['p_value']:.4f}."
    return f"Not told from chance: {', and '.join(doubts)}."


def choice_among(runs: Sequence[Contender], blocks: int) -> dict[str, Any]:
    """How likely the choice of the best of several runs is overfitted.

    Args:
        runs: Two or more, variants of one idea.
        blocks: Parts of time, an even number.

    Returns:
        `probability`, `loss_probability`, `slope`, `splits`, `logits` as a histogram (`edges`, `counts`), `chosen` by
        run, the median ratios (a year) `inside` and `outside`, and `verdict`.

    Raises:
        DataError: The runs have too few days in common.
        ValidationError: There are too few of them, or of days for the blocks.
    """
    found = overfitting(returns_table(runs), blocks)
    counts, edges = np.histogram(found.logits, bins=_BINS)
    words = "likely overfitted" if found.probability > 0.5 else "not obviously overfitted"
    if found.probability <= 0.05:
        words = "robust in this test"
    return {
        "probability": found.probability,
        "loss_probability": found.loss_probability,
        "slope": found.slope,
        "splits": len(found.logits),
        "blocks": blocks,
        "logits": {"edges": edges.tolist(), "counts": counts.tolist()},
        "chosen": [
            {"id": run.id, "name": run.name, "times": times} for run, times in zip(runs, found.chosen, strict=True)
        ],
        "inside": float(np.median(found.inside)) * _YEAR,
        "outside": float(np.median(found.outside)) * _YEAR,
        "verdict": f"The choice is {words}: {found.probability:.1%} of the splits put the best at or below the median.",
    }
