"""Causal indicators that give the same float64 for a whole history, for chunks of it, and bar by bar.

Every function takes the newest stretch of a series and remembers, in the toolkit's carry, what it needs from earlier
ones: the last values of a window, or the level of a recursive average. The carry is found again by the order of the
calls, so a strategy calls the same functions in the same order each time. Row i of a result depends on rows 0..i only
and is NaN until enough is known; a NaN that goes into a window makes the windows that hold it NaN.

Definitions and default periods are those of TA-Lib (https://ta-lib.org/functions/) and, where it has none, of
pandas-ta-classic; a docstring says where ours differs.
"""

from __future__ import annotations

from functools import reduce
from itertools import accumulate
from operator import add
from typing import TYPE_CHECKING

import numpy as np

from engine.errors import StrategyError
from engine.strategy.frames import aggregate, frame_ratio
from engine.strategy.indicators import MoreIndicators
from engine.strategy.windows import sliding_max, sliding_mean_m2, sliding_min, sliding_sum

if TYPE_CHECKING:
    from collections.abc import Mapping

    from engine.model.candle import Bars, FloatArray

    Carry = Mapping[str, FloatArray]

__all__ = ["HigherToolkit", "Toolkit"]


class Toolkit(MoreIndicators):
    """The indicators of one pass over new bars.

    Args:
        earlier: The `carry` of the pass before; None or empty at the beginning of a history.
        prefix: Where this toolkit's own part of the carry begins.

    Attributes:
        carry: What the next pass needs, float64 arrays by call; complete when the pass is over.
    """

    def __init__(self, earlier: Carry | None = None, prefix: str = "") -> None:
        self.carry: dict[str, FloatArray] = {}
        self._earlier: Carry = earlier or {}
        self._prefix = prefix
        self._calls = 0

    # ------------------------------------------------------------------------------------------------------- averages

    def sma(self, values: FloatArray, period: int = 20) -> FloatArray:
        """Simple moving average, sum of the last `period` values / `period`. Source: TA-Lib SMA."""
        return sliding_sum(self._recent(f"sma{period}", values, _at_least(1, period) - 1), period) / period

    def ema(self, values: FloatArray, period: int = 20) -> FloatArray:
        """Exponential moving average of weight 2 / (period + 1), begun with the SMA. Source: TA-Lib EMA."""
        return self._smooth(f"ema{period}", values, _at_least(1, period), 2.0 / (period + 1))

    def wilder(self, values: FloatArray, period: int = 14) -> FloatArray:
        """Wilder's smoothing: exponential of weight 1 / period, begun with the mean of the first `period` values.

        Source: J. W. Wilder, "New Concepts in Technical Trading Systems" (1978).
        """
        return self._smooth(f"wilder{period}", values, _at_least(1, period), 1.0 / period)

    # --------------------------------------------------------------------------------------------------------- spread

    def std(self, values: FloatArray, period: int = 20, ddof: int = 0) -> FloatArray:
        """Rolling standard deviation, exactly 0 for equal values. Source: TA-Lib STDDEV (`ddof` 0, of a population).

        Args:
            values: The series.
            period: Values in a window.
            ddof: 1 gives the deviation of a sample, as pandas does.
        """
        _, m2 = self._moments(f"std{period}", values, period, ddof)
        return np.sqrt(m2 / (period - ddof))

    def zscore(self, values: FloatArray, period: int = 20, ddof: int = 0) -> FloatArray:
        """Distance from the rolling mean in rolling standard deviations, NaN where the deviation is 0.

        Source: pandas-ta-classic zscore, but with the population's deviation unless `ddof` is 1, so that ±2 is the
        edge of a Bollinger band of 2.
        """
        mean, m2 = self._moments(f"zscore{period}", values, period, ddof)
        return _ratio(values - mean, np.sqrt(m2 / (period - ddof)))

    def highest(self, values: FloatArray, period: int = 20) -> FloatArray:
        """Largest of the last `period` values, the present one included. Source: TA-Lib MAX."""
        return sliding_max(self._recent(f"highest{period}", values, _at_least(1, period) - 1), period)

    def lowest(self, values: FloatArray, period: int = 20) -> FloatArray:
        """Smallest of the last `period` values, the present one included. Source: TA-Lib MIN."""
        return sliding_min(self._recent(f"lowest{period}", values, _at_least(1, period) - 1), period)

    # ----------------------------------------------------------------------------------------------- momentum, volume

    def rsi(self, values: FloatArray, period: int = 14) -> FloatArray:
        """Relative strength index, 0 to 100, Wilder-smoothed. Source: TA-Lib RSI.

        Where there was neither gain nor loss it is 50 (TA-Lib: 0), since a market at rest has no momentum.
        """
        joined = self._recent(f"rsi{period}", values, 1)
        change = joined[1:] - joined[:-1]
        gain = self.wilder(np.maximum(change, 0.0), _at_least(2, period))
        loss = self.wilder(np.maximum(-change, 0.0), period)
        total = gain + loss
        return np.where(total == 0.0, 50.0, 100.0 * _ratio(gain, total))

    def true_range(self, bars: Bars) -> FloatArray:
        """Range of each bar including the gap from the last close, in price units. Source: TA-Lib TRANGE."""
        close = self._recent("true_range", bars.close, 1)[:-1]
        return np.maximum(bars.high, close) - np.minimum(bars.low, close)

    def atr(self, bars: Bars, period: int = 14) -> FloatArray:
        """Average true range, Wilder-smoothed, in price units. Source: TA-Lib ATR."""
        return self.wilder(self.true_range(bars), period)

    def volume_ratio(self, bars: Bars, period: int = 20) -> FloatArray:
        """Volume of each bar / mean volume of the last `period` bars, itself included; NaN where nothing traded."""
        return _ratio(bars.volume, self.sma(bars.volume, period))

    # ---------------------------------------------------------------------------------------------- earlier and events

    def previous(self, values: FloatArray, bars: int = 1) -> FloatArray:
        """The series as it was `bars` rows ago. Source: pandas shift."""
        joined = self._recent(f"previous{bars}", values, _at_least(0, bars))
        return joined[: len(values)]

    def crossed_above(self, values: FloatArray, other: FloatArray | float) -> FloatArray:
        """1 where the series is above the other after it was at or below it one row ago, else 0.

        Source: TradingView ta.crossover; so a touch from below that goes on upwards counts.
        """
        gap = self._recent("crossed_above", values - other, 1)
        return ((gap[1:] > 0) & (gap[:-1] <= 0)).astype(np.float64)

    def crossed_below(self, values: FloatArray, other: FloatArray | float) -> FloatArray:
        """1 where the series is below the other after it was at or above it one row ago, else 0."""
        gap = self._recent("crossed_below", values - other, 1)
        return ((gap[1:] < 0) & (gap[:-1] >= 0)).astype(np.float64)

    # -------------------------------------------------------------------------------------------------- higher frames

    def higher(self, bars: Bars, timeframe: str) -> HigherToolkit:
        """Indicators over the complete bars of a higher timeframe, such as `1h` above `5m`.

        Raises:
            StrategyError: The timeframe is no whole multiple of the bars' own.
        """
        frame_ratio(bars.timeframe, timeframe)
        return HigherToolkit(self, bars, timeframe)

    # ---------------------------------------------------------------------------------------------------------- carry

    def _slot(self, name: str) -> tuple[str, FloatArray | None]:
        """Key of this call in the carry, and what the call left there in the last pass."""
        key = f"{self._prefix}{self._calls}.{name}"
        self._calls += 1
        kept = self._earlier.get(key)
        if kept is None and self._earlier:
            raise StrategyError(
                f"The indicator call {key} was not made for earlier bars. Call the same indicators with the same "
                "periods in the same order each time; after a change, warm up anew."
            )
        return key, kept

    def _recent(self, name: str, values: FloatArray, count: int) -> FloatArray:
        """The values with the `count` before them in front, NaN where there were none."""
        key, kept = self._slot(name)
        joined = np.concatenate((np.full(count, np.nan) if kept is None else kept, values))
        self.carry[key] = joined[len(joined) - count :].copy()
        return joined

    def _moments(self, name: str, values: FloatArray, period: int, ddof: int) -> tuple[FloatArray, FloatArray]:
        joined = self._recent(name, values, _at_least(1 + ddof, period) - 1)
        return sliding_mean_m2(joined, period)

    def _smooth(self, name: str, values: FloatArray, period: int, weight: float) -> FloatArray:
        """Exponential average begun with the mean of the first `period` values; rows of NaN leave it as it is."""
        key, kept = self._slot(name)
        count, level = (0, 0.0) if kept is None else (int(kept[0]), float(kept[1]))
        known = ~np.isnan(values)
        series = values if known.all() else values[known]
        # Until `period` values are seen the level is their sum.
        begin = series[: max(period - count, 0)]
        # Not sum(): newer Pythons correct its rounding within one call, and then the chunks would show.
        level = reduce(add, begin.tolist(), level)
        levels = np.full(len(series), np.nan)
        if len(begin) and count + len(begin) == period:
            level /= period
            levels[len(begin) - 1] = level
        rest = (series[len(begin) :] * weight).tolist()
        if rest:
            keep = 1.0 - weight
            path = list(accumulate(rest, lambda average, value: average * keep + value, initial=level))
            level = path[-1]
            levels[len(begin) :] = path[1:]
        self.carry[key] = np.array([count + len(begin), level])
        if len(series) == len(values):
            return levels
        result = np.full(len(values), np.nan)
        result[known] = levels
        return result


class HigherToolkit(Toolkit):
    """Indicators over the complete bars of a higher timeframe.

    A higher bar is seen from the base bar on whose close it is complete, never before. Indicators take the columns of
    `bars`; `align` brings a result back to the rows of the base.

    Attributes:
        bars: The higher bars that became complete in this pass; often none.
    """

    def __init__(self, base: Toolkit, bars: Bars, timeframe: str) -> None:
        key, kept = base._slot(f"higher{timeframe}")
        super().__init__(base._earlier, f"{key}/")
        self.bars, self._known, left = aggregate(bars, timeframe, kept if kept is not None and len(kept) else None)
        # Sharing the base's carry keeps all of a strategy's memory in one place.
        self.carry = base.carry
        self.carry[key] = np.zeros(0) if left is None else left

    def align(self, values: FloatArray) -> FloatArray:
        """The newest value known at each row of the base, NaN before the first.

        Args:
            values: One value for each of `bars`.
        """
        key, kept = self._slot("align")
        known = np.concatenate((np.full(1, np.nan) if kept is None else kept, values))
        self.carry[key] = known[-1:].copy()
        aligned: FloatArray = known[self._known]
        return aligned


def _at_least(least: int, period: int) -> int:
    if period < least:
        raise StrategyError(f"A period of {period} bars is too short for this indicator; use {least} or more.")
    return period


def _ratio(values: FloatArray, by: FloatArray) -> FloatArray:
    """The quotient, NaN where the divisor is 0."""
    result = np.full(len(values), np.nan)
    np.divide(values, by, out=result, where=by != 0.0)
    return result
