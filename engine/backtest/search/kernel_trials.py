"""Trials on the compiled kernel: many sets at once in threads, with the figures of the event path."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, cast

from engine.backtest.kernel import Field, obstacles, run_kernel
from engine.backtest.search.bench import Curve, Job, find_strategy
from engine.backtest.search.outcome import KEPT, Outcome
from engine.errors import DataError, QuarterdeckError
from engine.strategy.runner import StrategyRunner

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from engine.backtest.kernel import Summary
    from engine.backtest.search.bench import Bench
    from engine.backtest.search.space import Value
    from engine.model.candle import Bars
    from engine.strategy.contract import Strategy
    from engine.strategy.loader import LoadedStrategy

    Window = tuple[int, int]

__all__ = ["KernelTrials", "kernel_obstacles"]

FIELDS = 2
"""Stretches of bars kept ready; each may keep some hundred megabytes of indicators."""


def kernel_obstacles(bench: Bench, strategy: Strategy) -> list[str]:
    """Why the kernel cannot run the trials of a bench, as parts of a sentence; empty where it can."""
    return obstacles(bench.spec, strategy, bench.instrument)


class KernelTrials:
    """Tries sets on the kernel.

    Args:
        bench: What to run on.
        loaded: Its strategy; found here when not given.
        threads: How many run at once; None for one a core.
    """

    def __init__(self, bench: Bench, loaded: LoadedStrategy | None = None, threads: int | None = None) -> None:
        self._bench, self._threads = bench, threads
        self._loaded = loaded or find_strategy(bench.spec.strategy, bench.source, bench.source_hash)
        self._bars_class = cast("type[Strategy]", self._loaded.cls)
        self._fields: OrderedDict[tuple[int, int, int], Field] = OrderedDict()

    def outcome(self, params: Mapping[str, Value], window: Window | None = None) -> Outcome:
        """The figures of one set; a set that cannot be run gives an outcome that says why."""
        return self.outcomes([Job(params, window)])[0]

    def outcomes(self, jobs: Sequence[Job]) -> list[Outcome]:
        """The figures of several runs, in their order; those on the same bars are computed side by side."""
        found: list[Outcome | None] = [None] * len(jobs)
        groups: dict[tuple[int, int, int], list[int]] = {}
        for number, job in enumerate(jobs):
            first, last = job.window or (self._bench.begin, len(self._bench.bars))
            try:
                before = self._before(job.params, first, last)
            except QuarterdeckError as error:
                found[number] = Outcome(params=dict(job.params), metrics={}, failed=error.message)
                continue
            groups.setdefault((before, first, last), []).append(number)
        for key, numbers in groups.items():
            for number, outcome in zip(numbers, self._together(key, [jobs[n].params for n in numbers]), strict=True):
                found[number] = outcome
        return [outcome for outcome in found if outcome is not None]

    def curve(self, params: Mapping[str, Value], window: Window | None = None) -> Curve:
        """The whole equity curve of one set; raises what the run raises."""
        bench = self._bench
        first, last = window or (bench.begin, len(bench.bars))
        before = self._before(params, first, last)
        spec = bench.spec.model_copy(update={"params": {**bench.spec.params, **params}})
        strategy = self._loaded.build(spec.params)
        history = bench.bars.slice(before, first)
        result = run_kernel(spec, strategy, bench.instrument, bench.bars.slice(first, last), history=history)
        return Curve(ts=result.ts, equity=result.equity, metrics=result.metrics)

    def _before(self, params: Mapping[str, Value], first: int, last: int) -> int:
        """Index of the first bar from which a trial warms up; the same as on the event path."""
        bench = self._bench
        strategy = self._loaded.build({**bench.spec.params, **params})
        runner = StrategyRunner(strategy, bench.instrument.id, timeframe=bench.spec.timeframe)
        if last < runner.warmup:
            raise DataError(f"The strategy needs {runner.warmup:,} bars before it decides; there are {last:,}.")
        return 0 if bench.deep else max(0, first - runner.history)

    def _together(self, key: tuple[int, int, int], sets: Sequence[Mapping[str, Value]]) -> list[Outcome]:
        _, first, last = key
        try:
            # On a deep bench all windows are cut out of the same bars, so that indicators are computed once for all.
            field = self._field((0, 0, len(self._bench.bars)) if self._bench.deep else key)
        except QuarterdeckError as error:
            return [Outcome(params=dict(params), metrics={}, failed=error.message) for params in sets]
        window = (first, last) if self._bench.deep else None
        return [_outcome(summary) for summary in field.evaluate(sets, workers=self._threads, window=window)]

    def _field(self, key: tuple[int, int, int]) -> Field:
        field = self._fields.get(key)
        if field is None:
            bench, (before, first, last) = self._bench, key
            bars, history = bench.bars.slice(first, last), self._stretch(before, first)
            # Kept ones give way first, so that their memory is free before the next one's is taken.
            while len(self._fields) >= FIELDS:
                self._fields.popitem(last=False)
            field = self._fields[key] = Field(bench.spec, self._bars_class, bench.instrument, bars, history)
        return field

    def _stretch(self, before: int, first: int) -> Bars | None:
        return self._bench.bars.slice(before, first) if before < first else None


def _outcome(summary: Summary) -> Outcome:
    params: dict[str, Value] = dict(summary.params)  # type: ignore[arg-type]
    if summary.error:
        return Outcome(params=params, metrics={}, failed=summary.error)
    return Outcome(params=params, metrics={name: summary.metrics.get(name) for name in KEPT}, daily=summary.returns)
