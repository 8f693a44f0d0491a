"""Lets a stored run's strategy trade other bars: drawn paths, or the same bars with other parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from engine.backtest.run import run_backtest
from engine.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from engine.backtest.analysis.montecarlo import Traded
    from engine.backtest.analysis.paths import PricePaths
    from engine.backtest.outcome import BacktestResult
    from engine.backtest.prepare import PreparedRun
    from engine.model.candle import FloatArray

__all__ = ["EventTraded", "padded", "traded", "with_params"]


class EventTraded:
    """Trades paths on the event path, one after another.

    Args:
        prepared: The run whose strategy, rules and warm-up are used.
    """

    threads = 1

    def __init__(self, prepared: PreparedRun) -> None:
        self._prepared = prepared

    def __call__(self, paths: PricePaths) -> tuple[FloatArray, FloatArray]:
        """Equity of every path, shape (paths, n + 1), and the profits of its trades, filled up with NaN."""
        prepared = self._prepared
        equity = np.empty((len(paths), paths.close.shape[1] + 1))
        profits = []
        for path in range(len(paths)):
            strategy = prepared.loaded.build(prepared.spec.params)
            result = run_backtest(
                prepared.spec, strategy, prepared.instrument, paths.bars(path), history=prepared.history
            )
            equity[path] = result.equity
            profits.append([float(trade.pnl) for trade in result.trades])
        return equity, padded(profits)


def traded(prepared: PreparedRun) -> tuple[Traded, bool, str]:
    """Who trades paths for a run: the kernel where it can, else the event path; whether it is the kernel; and why."""
    try:
        from engine.backtest.analysis.compiled import KernelTraded

        return KernelTraded(prepared), True, "Paths are traded on the compiled road."
    except ConfigurationError as error:
        if error.error_code != "kernel_refused":
            raise
        return EventTraded(prepared), False, f"Paths are traded on the event path, which takes longer. {error.message}"


def padded(rows: list[list[float]]) -> FloatArray:
    """Rows of different lengths as one array, filled up with NaN; at least one column wide."""
    width = max((len(row) for row in rows), default=0) or 1
    table = np.full((len(rows), width), np.nan)
    for index, row in enumerate(rows):
        table[index, : len(row)] = row
    return table


def with_params(prepared: PreparedRun, *, compiled: bool) -> Callable[[Mapping[str, Any]], BacktestResult]:
    """Runs the same run with some parameters changed.

    Args:
        prepared: The run.
        compiled: On the compiled road; the event path gives the same and takes longer.
    """

    def run(changes: Mapping[str, Any]) -> BacktestResult:
        params = {**prepared.spec.params, **changes}
        spec = prepared.spec.model_copy(update={"params": params})
        strategy = prepared.loaded.build(params)
        if compiled:
            from engine.backtest.kernel.road import run_kernel

            return run_kernel(spec, strategy, prepared.instrument, prepared.bars, history=prepared.history)
        return run_backtest(spec, strategy, prepared.instrument, prepared.bars, history=prepared.history)

    return run
