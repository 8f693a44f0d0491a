"""Random paths on the compiled road: the strategy's columns by its own code, everything after them by the kernel.

Columns are what the strategy's Python makes of the bars; the one indicator loop that is Python, the recursive average,
runs compiled here with the very same numbers. Importing this imports numba.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import njit

from engine.backtest.analysis.rerun import padded
from engine.backtest.kernel import layout as x
from engine.backtest.kernel.loop import simulate
from engine.backtest.kernel.road import days_of
from engine.backtest.kernel.rules import require
from engine.backtest.kernel.setup import columns_of, fault, given, roi_of
from engine.errors import StrategyError
from engine.strategy.faults import THEIR_FAULTS, cause_text
from engine.strategy.rows import check_columns
from engine.strategy.toolkit import Toolkit

if TYPE_CHECKING:
    from engine.backtest.analysis.paths import PricePaths
    from engine.backtest.prepare import PreparedRun
    from engine.model.candle import Bars, FloatArray

__all__ = ["CompiledToolkit", "KernelTraded"]

THREADS = 2
_FILLS = 1024


@njit(cache=True, nogil=True)
def _smooth(values: Any, period: int, weight: float, count: int, level: float, out: Any) -> tuple[int, float]:
    """`Toolkit._smooth` number for number; `out` is NaN where nothing is known."""
    keep = 1.0 - weight
    for row in range(len(values)):
        value = values[row]
        if math.isnan(value):
            continue
        if count < period:
            # Until `period` values are seen the level is their sum.
            level = level + value
            count += 1
            if count == period:
                level = level / period
                out[row] = level
        else:
            level = level * keep + value * weight
            out[row] = level
    return count, level


class CompiledToolkit(Toolkit):
    """The toolkit with its recursive average compiled; results are those of the other one, bit for bit."""

    def _smooth(self, name: str, values: FloatArray, period: int, weight: float) -> FloatArray:
        key, kept = self._slot(name)
        count, level = (0, 0.0) if kept is None else (int(kept[0]), float(kept[1]))
        out = np.full(len(values), np.nan)
        count, level = _smooth(np.ascontiguousarray(values), period, weight, count, level, out)
        self.carry[key] = np.array([count, level])
        return out


class KernelTraded:
    """Trades paths in one compiled pass each.

    Args:
        prepared: The run whose strategy, rules and warm-up are used.

    Raises:
        ConfigurationError: The kernel cannot run it; every reason is named.
    """

    threads = THREADS

    def __init__(self, prepared: PreparedRun) -> None:
        self._spec, self._instrument = prepared.spec, prepared.instrument
        self._strategy = require(prepared.spec, prepared.loaded.build(prepared.spec.params), prepared.instrument)
        history = prepared.history
        warm = CompiledToolkit()
        # Paths begin where the history ended, so its indicators' carry is the same for all of them.
        if len(history):
            self._columns(history, warm)
        self._carry = warm.carry if len(history) else None
        warmup = max(int(self._strategy.warmup(self._spec.timeframe)), 1)
        self._given = given(self._spec, self._strategy, self._instrument, max(warmup - 1 - len(history), 0))
        self._roi = roi_of(self._strategy)
        self._days = days_of(prepared.bars, int(self._given[1][x.LENGTH]))

    def _columns(self, bars: Bars, ta: Toolkit) -> dict[str, FloatArray]:
        try:
            with np.errstate(all="ignore"):
                return check_columns(self._strategy.columns(bars, ta), len(bars))
        except THEIR_FAULTS as error:  # a strategy's own code may raise anything
            cause = error.message if isinstance(error, StrategyError) else cause_text(error)
            raise StrategyError(f"The strategy {self._strategy.name} failed in columns(): {cause}.") from error

    def __call__(self, paths: PricePaths) -> tuple[FloatArray, FloatArray]:
        """Equity of every path, shape (paths, n + 1), and the profits of its trades, filled up with NaN.

        Raises:
            StrategyError: The strategy failed on one of them.
        """
        equity = np.empty((len(paths), paths.close.shape[1] + 1))
        profits = []
        for path in range(len(paths)):
            bars = paths.bars(path)
            fills = self._fills(bars)
            equity[path, 0] = float(self._spec.capital)
            self._value(fills, bars.close, equity[path, 1:])
            profits.append(self._profits(fills))
        return equity, padded(profits)

    def _fills(self, bars: Bars) -> Any:
        """Executions of one path, as the kernel records them."""
        columns = columns_of(self._columns(bars, CompiledToolkit(self._carry)))
        p, q = self._given[0].copy(), self._given[1].copy()
        q[x.RECORD] = 1
        series = (bars.ts, bars.open, bars.high, bars.low, bars.close, bars.volume)
        size = _FILLS
        while True:
            k, s = np.zeros(x.K_SIZE, dtype=np.int64), np.zeros(x.S_SIZE)
            fills = np.zeros((size, x.F_SIZE), dtype=np.int64)
            q[x.FILLS_ROOM] = size
            book = np.zeros((x.LOTS_KEPT, 2), dtype=np.int64)
            out = fills, book, np.zeros((x.HALTS_KEPT, x.H_SIZE)), np.zeros(self._days)
            simulate(series, columns, *self._roi, k, s, p, q, out)
            if k[x.STATUS] != x.FULL:
                break
            size *= 8
        if k[x.STATUS] != x.OK:
            raise fault(self._strategy, k, " on a random path")
        return fills[: k[x.FILLS]]

    def _cash(self, fills: Any) -> tuple[FloatArray, FloatArray]:
        """What each execution adds to the account's cash and units."""
        p = self._given[0]
        lots = (fills[:, x.F_SIDE] * fills[:, x.F_LOTS]).astype(np.float64)
        value = lots * fills[:, x.F_TICKS] * p[x.UNIT]
        return -value - np.abs(value) * p[x.TAKER], lots * p[x.LOT]

    def _value(self, fills: Any, close: FloatArray, out: FloatArray) -> None:
        """Account value at each close: what the last execution left holds until the next."""
        cash, units = self._cash(fills)
        lengths = np.diff(np.concatenate(([0], fills[:, x.F_BAR], [len(close)])))
        held = np.repeat(np.concatenate(([0.0], np.cumsum(units))), lengths)
        np.multiply(held, close, out=out)
        out += np.repeat(np.concatenate(([0.0], np.cumsum(cash))), lengths)
        out += float(self._spec.capital)

    def _profits(self, fills: Any) -> list[float]:
        """Profit of each round trip after fees."""
        if not len(fills):
            return []
        cash, _ = self._cash(fills)
        position = np.cumsum(fills[:, x.F_SIDE] * fills[:, x.F_LOTS])
        ends = np.flatnonzero(position == 0)
        starts = np.concatenate(([0], ends[:-1] + 1))
        profits: list[float] = np.add.reduceat(cash, starts)[: len(ends)].tolist()
        return profits
