"""The bench on which many sets of parameters are tried: the same bars, costs and rules for all of them.

A `Bench` is plain data and can be sent to another process or machine; a `Trial` is its working side there.
"""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from engine.backtest.metrics import daily_equity, returns_of
from engine.backtest.run import run_backtest
from engine.backtest.search.outcome import KEPT, Outcome
from engine.errors import ConfigurationError, DataError, QuarterdeckError
from engine.strategy.loader import StrategyRegistry, read_strategy_file
from engine.strategy.runner import StrategyRunner

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from engine.backtest.run import BacktestResult
    from engine.backtest.search.space import Value
    from engine.backtest.spec import BacktestSpec
    from engine.model.candle import Bars, FloatArray, IntArray
    from engine.model.instrument import Instrument
    from engine.strategy.contract import Strategy
    from engine.strategy.loader import LoadedStrategy

__all__ = ["Bench", "Curve", "Evaluator", "EventTrials", "Job", "evaluator_for", "find_strategy", "with_road"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """Everything that the trials of a study have in common."""

    spec: BacktestSpec
    """With every parameter by value; trials change some."""
    source: str | None
    """Text of the strategy's file; None for a built-in strategy."""
    source_hash: str
    instrument: Instrument
    bars: Bars
    """The bars before the range, for warm-up, and those of the range."""
    begin: int
    """Index of the first bar of the range."""
    deep: bool = False
    """Warm every trial up with all bars before it, not with as many as a single run would read."""
    road: str = "event"
    """`event` or `kernel`."""
    why: str = ""
    """Why that road was taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """An equity curve with its figures."""

    ts: IntArray
    equity: FloatArray
    metrics: dict[str, float | None]


class Job(NamedTuple):
    """One run: a set of parameters and the range of indices of the bench's bars; None means the whole range."""

    params: Mapping[str, Value]
    window: tuple[int, int] | None = None


class Evaluator(Protocol):
    """Tries sets of parameters on a bench."""

    def outcome(self, params: Mapping[str, Value], window: tuple[int, int] | None = None) -> Outcome:
        """The figures of one set; a set that cannot be run gives an outcome that says why."""

    def outcomes(self, jobs: Sequence[Job]) -> list[Outcome]:
        """The figures of several runs, in their order."""

    def curve(self, params: Mapping[str, Value], window: tuple[int, int] | None = None) -> Curve:
        """The whole equity curve of one set; raises what the run raises."""


def find_strategy(name: str, source: str | None, source_hash: str) -> LoadedStrategy:
    """The strategy of a bench, in whatever process this is.

    Args:
        name: Its name.
        source: Text of its file; None for a built-in one.
        source_hash: What its source must be.

    Raises:
        StrategyLoadError: It cannot be loaded here.
        ConfigurationError: The strategy of that name is another one here.
    """
    if source is None:
        found = StrategyRegistry().get(name)
    else:
        digest = hashlib.sha256(source.encode()).hexdigest()[:16]
        with tempfile.TemporaryDirectory(prefix="quarterdeck-") as folder:
            file = Path(folder, f"{name}_{digest}.py")
            file.write_bytes(source.encode())
            found = read_strategy_file(file)
    if found.source_hash != source_hash:
        raise ConfigurationError(
            f"The strategy {name} is not the same in every process of this study; bring all machines to one release."
        )
    return found


class EventTrials:
    """Tries sets on the event path, the road of every order with all its checks.

    Args:
        bench: What to run on.
        loaded: Its strategy; found here when not given.
    """

    def __init__(self, bench: Bench, loaded: LoadedStrategy | None = None) -> None:
        self._bench = bench
        self._loaded = loaded or find_strategy(bench.spec.strategy, bench.source, bench.source_hash)

    def outcome(self, params: Mapping[str, Value], window: tuple[int, int] | None = None) -> Outcome:
        """The figures of one set; a set that cannot be run gives an outcome that says why."""
        try:
            result = self._run(params, window)
        except QuarterdeckError as error:
            return Outcome(params=dict(params), metrics={}, failed=error.message)
        return Outcome(
            params=dict(params),
            metrics={name: result.metrics.get(name) for name in KEPT},
            daily=returns_of(daily_equity(result.ts, result.equity)),
        )

    def outcomes(self, jobs: Sequence[Job]) -> list[Outcome]:
        """The figures of several runs, in their order."""
        return [self.outcome(job.params, job.window) for job in jobs]

    def curve(self, params: Mapping[str, Value], window: tuple[int, int] | None = None) -> Curve:
        """The whole equity curve of one set; raises what the run raises."""
        result = self._run(params, window)
        return Curve(ts=result.ts, equity=result.equity, metrics=result.metrics)

    def _run(self, params: Mapping[str, Value], window: tuple[int, int] | None) -> BacktestResult:
        bench = self._bench
        spec = bench.spec.model_copy(update={"params": {**bench.spec.params, **params}})
        strategy = self._loaded.build(spec.params)
        first, last = window or (bench.begin, len(bench.bars))
        bars, history = bench.bars.slice(first, last), self._history(strategy, first, last)
        return run_backtest(spec, strategy, bench.instrument, bars, history=history)

    def _history(self, strategy: Strategy, first: int, last: int) -> Bars:
        """The bars that warm a trial up: as many as a single run reads, or all there are on a deep bench."""
        bench = self._bench
        runner = StrategyRunner(strategy, bench.instrument.id, timeframe=bench.spec.timeframe)
        if last < runner.warmup:
            raise DataError(f"The strategy needs {runner.warmup:,} bars before it decides; there are {last:,}.")
        return bench.bars.slice(0 if bench.deep else max(0, first - runner.history), first)


def evaluator_for(bench: Bench, loaded: LoadedStrategy | None = None, threads: int | None = None) -> Evaluator:
    """The working side of a bench in this process.

    Args:
        bench: What to run on.
        loaded: Its strategy; found here when not given.
        threads: How many trials of the kernel run at once; None for one a core. The event path runs one.
    """
    if bench.road == "kernel":
        # Compiled code is loaded where it is used.
        from engine.backtest.search.kernel_trials import KernelTrials

        return KernelTrials(bench, loaded, threads)
    return EventTrials(bench, loaded)


def with_road(bench: Bench, loaded: LoadedStrategy, wanted: str) -> Bench:
    """A bench on the road that is wanted: `event`, `kernel`, or with `auto` the kernel where it takes the strategy.

    Raises:
        ConfigurationError: The kernel is wanted and cannot run it; every reason is named.
    """
    if wanted == "event":
        return replace(bench, road="event", why="as asked")
    from engine.backtest.search.kernel_trials import kernel_obstacles

    found = kernel_obstacles(bench, loaded.build(bench.spec.params))
    if not found:
        return replace(bench, road="kernel", why="one compiled pass over the bars, with the event path's trades")
    if wanted == "kernel":
        raise ConfigurationError(
            f"The kernel cannot run {loaded.name}: {'; '.join(found)}. Use --road event.", details={"reasons": found}
        )
    return replace(bench, road="event", why=f"the kernel cannot run {loaded.name}: {'; '.join(found)}")
