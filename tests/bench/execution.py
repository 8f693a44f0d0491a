"""Execution algorithms on the simulated market, whose impact is hidden from them.

The implementation shortfall calibrates its impact model with own executions on other seeds than those it is measured
on. Every seed is traded as a buyer and as a seller. `python -m tests.bench.execution SEEDS [FIRST]` runs it alone.
"""

from __future__ import annotations

import sys
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from engine.execution.impact import calibrate, table_of
from engine.execution.schedules.almgren_chriss import RISK_AVERSION
from engine.model.order import OrderSide
from tests.bench.table import Row
from tests.kit.arena import (
    CAP,
    MINUTE,
    Outcome,
    Practised,
    Task,
    at_once,
    by_participation,
    by_shortfall,
    by_time,
    by_volume,
    learn,
    practise,
)

if TYPE_CHECKING:
    from engine.model.candle import FloatArray

SEEDS = 200
FIRST = 5_000
"""First seed that is measured; whatever is tuned is tuned on seeds below 1,000."""
PRACTICE = 20
"""Seeds of each of the two rounds of calibration; the second one trades as the first one has taught."""
FIRST_PRACTICE = 1_000_000
TASKS = tuple(Task("SOL/USDT", share, 15 * MINUTE, 15) for share in (0.05, 0.1, 0.2))
PROCESSES = 2
RESAMPLES = 2_000
STRETCH = 50
BPS = 1e4


class Trial(NamedTuple):
    """One seed: costs as buyer and seller, and how well the schedules were kept, in slices of each order."""

    market: tuple[float, float]
    twap: tuple[float, float]
    shortfall: tuple[float, float]
    expected: float
    unfilled: float
    """Share of the market order that found no depth."""
    off: tuple[float, float, float]
    """Farthest from schedule in slices: TWAP, VWAP, POV."""
    over: float
    """Largest participation of VWAP and POV as a part of what was allowed."""


def calibrated(processes: ProcessPoolExecutor, practice: int) -> FloatArray:
    """What own executions on practice seeds teach."""
    known = table_of([])
    practised: list[list[Practised]] = []
    for number in range(2):
        seeds = range(FIRST_PRACTICE + number * practice, FIRST_PRACTICE + (number + 1) * practice)
        for task in TASKS:
            practised += processes.map(partial(practise, task=task, known=known), seeds)
        known = learn(practised)
    return known


def _off(outcomes: list[Outcome]) -> float:
    return max(max(one.behind, one.ahead) for one in outcomes)


def trial(seed: int, task: Task, known: FloatArray) -> Trial:
    """Trade one seed with every algorithm."""
    sides = tuple(OrderSide)
    market = [at_once(seed, side, task) for side in sides]
    even = [by_time(seed, side, task) for side in sides]
    best = [by_shortfall(seed, side, task, known) for side in sides]
    # Whether schedules and caps are kept is looked at with each size on every third seed.
    watched = [_off(even)]
    over = 0.0
    if seed % len(TASKS) == TASKS.index(task):
        side = sides[seed % 2]
        volume, part = by_volume(seed, side, task), by_participation(seed, side, task)
        watched += [_off([volume]), _off([part])]
        over = max(volume.peak / float(CAP), part.peak / float(task.rate))
    off = (*watched, 0.0, 0.0)
    return Trial(
        market=(market[0].cost, market[1].cost),
        twap=(even[0].cost, even[1].cost),
        shortfall=(best[0][0].cost, best[1][0].cost),
        expected=(best[0][1].expected + best[1][1].expected) / 2,
        unfilled=(market[0].unfilled + market[1].unfilled) / 2,
        off=(off[0], off[1], off[2]),
        over=over,
    )


def _utility(costs: FloatArray) -> float:
    """Mean cost + lambda x variance in basis points; costs of shape (seeds, sides)."""
    return float(costs.mean() + RISK_AVERSION * costs.var()) * BPS


def _gap(one: FloatArray, other: FloatArray) -> tuple[float, float, float]:
    """By how much one utility is above the other, with the bounds of a 95 % bootstrap interval over seeds."""
    chance = np.random.default_rng(1)
    gaps = []
    for _ in range(RESAMPLES):
        drawn = chance.integers(0, len(one), len(one))
        gaps.append(_utility(one[drawn]) - _utility(other[drawn]))
    low, high = np.percentile(gaps, [2.5, 97.5])
    return _utility(one) - _utility(other), float(low), float(high)


def _rows(task: Task, trials: list[Trial]) -> list[Row]:
    name = f"{task.share:.0%} of {task.seconds / 60:.0f} min volume"
    market, even, best = (np.array([getattr(t, which) for t in trials]) for which in ("market", "twap", "shortfall"))
    rows = [
        Row(
            f"{name}: cost of market, TWAP, IS (deviation)",
            ", ".join(f"{c.mean() * BPS:.2f} ({c.std() * BPS:.1f})" for c in (market, even, best)) + " bps",
        ),
        Row(f"{name}: market order without depth", f"{np.mean([t.unfilled for t in trials]):.1%}"),
    ]
    for what, costs in (("market", market), ("TWAP", even)):
        gap, low, high = _gap(costs, best)
        words = f"{_utility(best):.2f}, lower by {gap:.2f} [{low:.2f}, {high:.2f}] bps"
        rows.append(Row(f"{name}: IS cost + λ·variance against {what}", words, "95 % interval over 0", low > 0))
    expected = float(np.mean([t.expected for t in trials]))
    ratio = float(best.mean()) / expected
    error = float(best.mean(axis=1).std(ddof=1)) / len(best) ** 0.5
    words = f"{best.mean() * BPS:.2f} ± {error * BPS:.2f} of {expected * BPS:.2f} bps ({ratio - 1:+.1%})"
    rows.append(Row(f"{name}: IS mean of Almgren–Chriss's", words, "within 15 %", abs(ratio - 1) <= 0.15))
    off = [max(t.off[i] for t in trials) for i in range(3)]
    words = ", ".join(f"{slices:.2f}" for slices in off)
    rows.append(Row(f"{name}: TWAP, VWAP, POV off schedule, slices", words, "<= 1", max(off) <= 1))
    over = max(t.over for t in trials)
    rows.append(Row(f"{name}: VWAP, POV participation of the cap", f"{over:.3f}", "<= 1", over <= 1 + 1e-9))
    return rows


def measure(seeds: int, practice: int, first: int = FIRST) -> list[Row]:
    """Calibrate, then trade every seed with orders of every size; what is known so far is told every 50 seeds."""
    rows: list[Row] = []
    with ProcessPoolExecutor(PROCESSES) as processes:
        known = calibrated(processes, practice)
        mean = calibrate(known)
        words = f"permanent {mean.permanent:.2f}, temporary {mean.temporary:.2f}, {mean.seen} parts of own orders"
        trials: dict[Task, list[Trial]] = {task: [] for task in TASKS}
        for begin in range(first, first + seeds, STRETCH):
            stretch = range(begin, min(begin + STRETCH, first + seeds))
            for task in TASKS:
                trials[task] += processes.map(partial(trial, task=task, known=known), stretch, chunksize=4)
            rows = [Row("impact coefficients by own executions", words)]
            rows += [row for task in TASKS for row in _rows(task, trials[task])]
            print(f"{stretch.stop - first} seeds", *rows, sep="\n", file=sys.stderr, flush=True)
    return rows


def run() -> list[Row]:
    """Measure on 200 seeds, about a quarter of an hour on two cores."""
    return measure(SEEDS, PRACTICE)


if __name__ == "__main__":
    count = int(sys.argv[1]) if len(sys.argv) > 1 else SEEDS
    begin = int(sys.argv[2]) if len(sys.argv) > 2 else FIRST
    for line in measure(count, max(2, count // 10), begin):
        print(" | ".join(map(str, line)))
