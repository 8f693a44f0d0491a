"""Walk-forward analysis: optimise on training data, choose on validation data, measure once on test data, move on.

The sets that validation chooses among are those in the best regions of the training data, not its lone peaks. Test
windows overlap where the step is shorter than they are; the stitched curve counts each day once, as the latest window
has it. Nothing that a window chooses has seen its test data.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from engine.backtest.metrics import annual_return, drawdown, sortino
from engine.backtest.search.bench import Job
from engine.backtest.search.luck import luck_of
from engine.backtest.search.optimise import search_sets
from engine.backtest.search.outcome import OBJECTIVES, TOO_FEW, best_first, score, value_of
from engine.backtest.search.regions import near_regions
from engine.backtest.search.sampling import draw_sets
from engine.backtest.search.space import ranges_for
from engine.backtest.search.stability import judge, moved
from engine.backtest.search.study import left_out_part
from engine.backtest.search.tries import Tries
from engine.backtest.search.windows import NS_PER_DAY, stitched, windows_of
from engine.model.candle import timeframe_ns
from engine.risk.measures import DAYS_PER_YEAR, sharpe

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from engine.backtest.search.bench import Bench, Curve
    from engine.backtest.search.outcome import Outcome
    from engine.backtest.search.places import Place
    from engine.backtest.search.space import LeftOut, Range, Value
    from engine.backtest.search.spec import WalkForwardSpec
    from engine.backtest.search.study import Save, Tell
    from engine.backtest.search.windows import WalkWindow
    from engine.model.candle import FloatArray, IntArray
    from engine.strategy.loader import LoadedStrategy

__all__ = ["run_walk_forward"]

CHOICES = 5
"""Sets of the best regions that validation chooses among."""
NS_PER_HOUR = 3_600_000_000_000
TRAINING_SHARE = 0.8
"""Share of the progress that the training takes."""


class _Step(NamedTuple):
    """What one window came to."""

    window: WalkWindow
    training: Outcome
    region: float | None
    validation: Outcome
    curve: Curve


def run_walk_forward(
    spec: WalkForwardSpec, bench: Bench, loaded: LoadedStrategy, place: Place, key: str, tell: Tell, save: Save
) -> dict[str, Any]:
    """Walk; see `run_sweep` for the arguments.

    Returns:
        The result as plain values; `details` has the windows, the stitched curve with its figures, how parameters
        moved, and the signs of overfitting.

    Raises:
        DataError: The data are too short for one window.
        QuarterdeckError: The ranges cannot be read, or a cluster is lost.
    """
    ranges = ranges_for(loaded.cls, spec.ranges)
    windows = windows_of(bench.bars.ts, bench.begin, timeframe_ns(spec.run.timeframe), spec.windows)
    tries = Tries(key, bench, place, loaded, spec.trials * len(windows))
    walk = _Walk(spec, bench, loaded, ranges, windows, tries)
    walk.train(lambda share, words: tell(TRAINING_SHARE * share, words))
    steps: list[_Step] = []
    for window in windows:
        steps.append(walk.step(window))
        share = len(steps) / len(windows)
        tell(TRAINING_SHARE + (1 - TRAINING_SHARE) * share, f"window {len(steps):,} of {len(windows):,} measured")
        if len(steps) % 10 == 0:
            save(walk.result(steps))
    return walk.result(steps, walk.luck())


class _Walk:
    """The state of one analysis."""

    def __init__(
        self,
        spec: WalkForwardSpec,
        bench: Bench,
        loaded: LoadedStrategy,
        ranges: Sequence[Range],
        windows: Sequence[WalkWindow],
        tries: Tries,
    ) -> None:
        self.spec, self.bench, self.loaded, self.ranges, self.windows, self.tries = (
            spec, bench, loaded, ranges, windows, tries
        )  # fmt: skip
        self.objective = spec.objectives[0]
        self.least = spec.windows.min_trades
        self.slow = timeframe_ns(spec.run.timeframe) >= NS_PER_HOUR
        """With long bars only the training period can have enough trades."""
        self.left_out: Sequence[LeftOut] = ()
        self.sets: Sequence[dict[str, Value]] = ()
        self.trained: dict[int, list[Outcome]] = {}

    # --- training

    def train(self, tell: Callable[[float, str], None]) -> None:
        """Try sets on the training data of all windows."""
        if self.spec.sampler == "sobol":
            self._train_evenly(tell)
            return
        for done, window in enumerate(self.windows):
            seed = self.spec.seed + window.number
            self.trained[window.number], left_out = search_sets(
                self.spec, self.ranges, self.loaded, self.tries, window.training, seed
            )
            self.left_out = [*self.left_out, *left_out]
            tell((done + 1) / len(self.windows), f"window {done + 1:,} of {len(self.windows):,} trained")

    def _train_evenly(self, tell: Callable[[float, str], None]) -> None:
        """The same evenly spread sets in every window, so that windows can be compared."""
        found = draw_sets(self.loaded.cls, self.spec.run.params, self.ranges, self.spec.trials, self.spec.seed)
        self.sets, self.left_out = found.sets, found.left_out
        jobs = [Job(params, window.training) for window in self.windows for params in found.sets]
        outcomes = self.tries.outcomes(jobs, lambda done: tell(done / len(jobs), f"{done:,} of {len(jobs):,} trained"))
        count = len(found.sets)
        for place, window in enumerate(self.windows):
            self.trained[window.number] = outcomes[place * count : (place + 1) * count]

    # --- one window

    def step(self, window: WalkWindow) -> _Step:
        """Choose the set of a window and measure it once on the test data."""
        outcomes = self.trained[window.number]
        scores = [score(outcome, self.objective, self.least) for outcome in outcomes]
        regions = near_regions([outcome.params for outcome in outcomes], scores)
        ranks = [(TOO_FEW if region is None else region, scores[i]) for i, region in enumerate(regions)]
        order = sorted(range(len(outcomes)), key=lambda i: ranks[i], reverse=True)
        chosen = order[:CHOICES]
        checks = self.tries.outcomes([Job(outcomes[i].params, window.validation) for i in chosen])
        # A month of a slow strategy may have no trade at all: then the order of the training stands.
        least = 0 if self.slow else self.least
        best = max(range(len(chosen)), key=lambda k: (score(checks[k], self.objective, least), -k))
        winner = outcomes[chosen[best]]
        return _Step(
            window=window,
            training=winner,
            region=regions[chosen[best]],
            validation=checks[best],
            curve=self.tries.curve(winner.params, window.test),
        )

    def flag(self, step: _Step) -> str:
        """Why a window says nothing; empty when it does."""
        counts = {"training": step.training.trades}
        if not self.slow:
            counts |= {"validation": step.validation.trades, "test": int(step.curve.metrics.get("trades") or 0)}
        few = [f"{count} trades in {name}" for name, count in counts.items() if count < self.least]
        return f"{', '.join(few)}, fewer than {self.least}" if few else ""

    # --- the result

    def luck(self) -> dict[str, Any]:
        """What speaks against choosing among these sets at all; they are run once over everything for it.

        Only where every window has the same sets.
        """
        if not self.sets:
            return {"warnings": {}}
        whole = self.tries.outcomes([Job(params) for params in self.sets])
        ran = [outcome for outcome in whole if not outcome.failed]
        outcomes = [outcome for outcome in ran if outcome.trades >= self.least]
        if not outcomes:
            return {"warnings": {}}
        best = best_first(outcomes, self.objective, self.least)[0]
        return luck_of(outcomes, best, self.spec.run.risk_free_rate, len(ran))

    def result(self, steps: Sequence[_Step], luck: dict[str, Any] | None = None) -> dict[str, Any]:
        """Everything as plain values, as far as it has come."""
        rows = [self._row(step) for step in steps]
        counted = [row for row in rows if not row["flagged"]]
        days, gains = stitched([(step.curve.ts, step.curve.equity) for step in steps])
        curve = self._curve(days, gains)
        movement = moved([row["params"] for row in rows], self.ranges)
        verdict = judge(counted, movement, self.objective, self.spec.windows.min_ratio)
        best = curve["figures"].get(self.objective)
        failed = [outcome for outcomes in self.trained.values() for outcome in outcomes if outcome.failed]
        return {
            "params": [],
            "figures": [],
            "rows": [],
            **left_out_part(self.left_out, failed),
            "sets": len(self.windows),
            "tried": len(steps),
            "road": self.bench.road,
            "why": self.bench.why,
            "place": self.tries.words,
            "summary": {"best": best, "stable": verdict["ratio"], "windows": len(steps), "counted": len(counted)},
            "details": {
                "windows": rows,
                "stitched": curve,
                "movement": movement,
                "verdict": verdict,
                "luck": luck or {},
            },
            "assumptions": self._assumptions(len(rows) - len(counted), verdict, luck or {}),
        }

    def _row(self, step: _Step) -> dict[str, Any]:
        window, metrics = step.window, step.curve.metrics
        ts, length = self.bench.bars.ts, timeframe_ns(self.spec.run.timeframe)
        parts = {name: getattr(window, name) for name in ("training", "validation", "test")}
        ratio = ratio_figure(self.objective)
        sign = OBJECTIVES[self.objective]
        return {
            "number": window.number,
            **{name: [int(ts[part.first]), int(ts[part.last - 1]) + length] for name, part in parts.items()},
            "params": dict(step.training.params),
            "scores": {
                "training": step.training.metrics.get(self.objective),
                "region": None if step.region is None else sign * step.region,
                "validation": step.validation.metrics.get(self.objective),
                "test": metrics.get(self.objective),
            },
            "compared": {"training": value_of(step.training.metrics, ratio), "test": value_of(metrics, ratio)},
            "trades": {
                "training": step.training.trades,
                "validation": step.validation.trades,
                "test": int(metrics.get("trades") or 0),
            },
            "test_return": metrics.get("total_return"),
            "test_drawdown": metrics.get("max_drawdown"),
            "flagged": self.flag(step),
        }

    def _curve(self, days: IntArray, gains: FloatArray) -> dict[str, Any]:
        """The stitched curve, the market's beside it, and their figures."""
        capital = float(self.spec.run.capital)
        if not len(days):
            return {"ts": [], "equity": [], "benchmark": [], "figures": {}}
        equity = capital * np.concatenate(([1.0], np.cumprod(1.0 + gains)))
        ts = np.concatenate((days[:1], days + 1)) * NS_PER_DAY
        closes = self._closes(ts)
        fall = drawdown(ts, equity)
        length = (int(ts[-1]) - int(ts[0])) / NS_PER_DAY
        yearly = annual_return(float(equity[0]), float(equity[-1]), length)
        figures = {
            "sharpe": sharpe(gains, self.spec.run.risk_free_rate),
            "sortino": sortino(gains, self.spec.run.risk_free_rate),
            "calmar": yearly / fall.depth if yearly is not None and fall.depth > 0 else None,
            "total_return": float(equity[-1] / equity[0]) - 1.0,
            "annual_return": yearly,
            "annual_volatility": float(np.std(gains, ddof=1)) * DAYS_PER_YEAR**0.5 if len(gains) > 1 else None,
            "max_drawdown": fall.depth,
            "benchmark_return": float(closes[-1] / closes[0]) - 1.0,
            "days": float(len(days)),
        }
        return {
            "ts": ts.tolist(),
            "equity": [round(value, 8) for value in equity.tolist()],
            "benchmark": [round(capital * value / float(closes[0]), 8) for value in closes.tolist()],
            "figures": figures,
        }

    def _closes(self, ts: IntArray) -> FloatArray:
        """The last close at or before each time."""
        bars, length = self.bench.bars, timeframe_ns(self.spec.run.timeframe)
        places = np.searchsorted(bars.ts + length, ts, side="right") - 1
        found: FloatArray = bars.close[np.maximum(places, 0)]
        return found

    def _assumptions(self, flagged: int, verdict: dict[str, Any], luck: dict[str, Any]) -> dict[str, str]:
        one = self.spec.windows
        where = "the training" if self.slow else "every"
        drawn = (
            "a Sobol sequence, the same in every window"
            if self.spec.sampler == "sobol"
            else "TPE of Optuna, anew in every window"
        )
        told = {
            "windows": (
                f"{len(self.windows):,}, each {one.training_period} days of training, {one.validation_period} of "
                f"validation and {one.test_period} of test, {one.step_size} days apart."
            ),
            "search": (
                f"{self.spec.trials:,} sets a window by {drawn}, over "
                + ", ".join(f"{r.name} {r.words}" for r in self.ranges)
                + f". Validation chooses among the {CHOICES} sets in the best regions of the training."
            ),
            "stitched": (
                "Daily returns of the test windows, each day once, as the latest window has it. Every window begins "
                "flat; a position does not pass from one to the next."
            ),
            "min_trades": f"A window with fewer than {one.min_trades} trades in {where} period is not counted.",
        }
        if flagged:
            told["warning_flagged"] = (
                f"{flagged:,} of {len(self.windows):,} windows have too few trades and are not counted."
            )
        warnings = {**verdict["warnings"], **luck.get("warnings", {})}
        return {**told, **{f"warning_{name}": text for name, text in warnings.items()}}


def ratio_figure(objective: str) -> str:
    """The figure by which test and training are compared: one that does not grow with the length of a period."""
    if objective == "total_return":
        return "annual_return"
    return "sharpe" if OBJECTIVES[objective] < 0 else objective
