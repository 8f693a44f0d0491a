"""Lets a stored run's strategy trade other bars: drawn paths, or the same bars with other parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from engine.backtest.run import run_backtest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from engine.backtest.analysis.paths import PricePaths
    from engine.backtest.prepare import PreparedRun
    from engine.backtest.run import BacktestResult
    from engine.model.candle import FloatArray

__all__ = ["EventTraded", "padded", "with_params"]


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


def padded(rows: list[list[float]]) -> FloatArray:
    """Rows of different lengths as one array, filled up with NaN; at least one column wide."""
    width = max((len(row) for row in rows), default=0) or 1
    table = np.full((len(rows), width), np.nan)
    for index, row in enumerate(rows):
        table[index, : len(row)] = row
    return table


def with_params(prepared: PreparedRun, changes: Mapping[str, float | int]) -> BacktestResult:
    """The same run with some parameters changed.

    Raises:
        ConfigurationError: The strategy does not take them.
    """
    params = {**prepared.spec.params, **changes}
    strategy = prepared.loaded.build(params)
    spec = prepared.spec.model_copy(update={"params": params})
    return run_backtest(spec, strategy, prepared.instrument, prepared.bars, history=prepared.history)
