"""More indicators of the toolkit: bands and channels, oscillators, trend strength, volume, swings, and a scan of rows.

All of them are causal and give the same float64 for a whole history, for chunks of it, and bar by bar; see
`engine.strategy.toolkit`.
"""

from __future__ import annotations

from itertools import accumulate
from operator import add
from typing import TYPE_CHECKING

import numpy as np

from engine.errors import StrategyError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from engine.model.candle import Bars, FloatArray

    Step = Callable[..., Sequence[float]]

__all__ = ["MoreIndicators"]

_DAY_NS = 86_400_000_000_000
_BLOCK = 4096
"""Rows whose windows are looked at together."""


class MoreIndicators:
    """Mixed into the toolkit; everything is made of its windows, averages and carry."""

    if TYPE_CHECKING:
        carry: dict[str, FloatArray]

        _slot: Callable[[str], tuple[str, FloatArray | None]]
        _recent: Callable[[str, FloatArray, int], FloatArray]
        sma: Callable[..., FloatArray]
        ema: Callable[..., FloatArray]
        wilder: Callable[..., FloatArray]
        std: Callable[..., FloatArray]
        highest: Callable[..., FloatArray]
        lowest: Callable[..., FloatArray]
        atr: Callable[..., FloatArray]
        true_range: Callable[[Bars], FloatArray]
        previous: Callable[..., FloatArray]

    # ---------------------------------------------------------------------------------------------- bands and channels

    def bollinger(
        self, values: FloatArray, period: int = 20, deviations: float = 2.0
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Lower band, mean and upper band. Source: TA-Lib BBANDS with a simple mean (default period there: 5)."""
        middle, reach = self.sma(values, period), deviations * self.std(values, period)
        return middle - reach, middle, middle + reach

    def donchian(self, bars: Bars, period: int = 20) -> tuple[FloatArray, FloatArray]:
        """Lowest low and highest high of the last bars, the present one included. Source: TA-Lib MIN and MAX."""
        return self.lowest(bars.low, period), self.highest(bars.high, period)

    def keltner(
        self, bars: Bars, period: int = 20, reach: float = 2.0, atr_period: int = 10
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Lower band, EMA of the close, and upper band at `reach` × ATR.

        Source: L. Raschke's form of C. Keltner's channel (StockCharts); the parts are TA-Lib EMA and ATR.
        """
        middle, width = self.ema(bars.close, period), reach * self.atr(bars, atr_period)
        return middle - width, middle, middle + width

    def supertrend(self, bars: Bars, period: int = 10, factor: float = 3.0) -> tuple[FloatArray, FloatArray]:
        """The line that trails the price at `factor` × ATR, and the direction: +1 while it lies below, -1 above.

        Source: O. Seban's supertrend as TradingView ta.supertrend: a band never moves away from the price, and a close
        beyond the band turns the direction; it begins downwards. NaN until the ATR is known.
        """
        width, middle = factor * self.atr(bars, period), (bars.high + bars.low) / 2.0

        def step(state: list[float], close: float, low: float, high: float) -> Sequence[float]:
            if low != low:
                return np.nan, np.nan
            lower, upper, side, last = state
            if side == 0.0:
                lower, upper, side = low, high, -1.0
            else:
                lower = low if low > lower or last < lower else lower
                upper = high if high < upper or last > upper else upper
                turned = close < lower if side > 0.0 else close > upper
                side = -side if turned else side
            state[:] = lower, upper, side, close
            return (lower if side > 0.0 else upper), side

        line, direction = self.scan(step, (0.0, 0.0, 0.0, 0.0), bars.close, middle - width, middle + width)
        return line, direction

    # ------------------------------------------------------------------------------------------------------ oscillators

    def macd(
        self, values: FloatArray, fast: int = 12, slow: int = 26, signal: int = 9
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Difference of two EMAs, its EMA, and what is between them. Source: TA-Lib MACD.

        Both averages begin at the same bar, so the fast one leaves out the first `slow` - `fast` values.
        """
        if fast >= slow:
            raise StrategyError(f"The fast average of MACD ({fast}) must be shorter than the slow one ({slow}).")
        begun = ~np.isnan(self.previous(values, slow - fast))
        line = self.ema(np.where(begun, values, np.nan), fast) - self.ema(values, slow)
        smooth = self.ema(line, signal)
        return np.where(np.isnan(smooth), np.nan, line), smooth, line - smooth

    def roc(self, values: FloatArray, period: int = 10) -> FloatArray:
        """Change over the last bars in percent. Source: TA-Lib ROC."""
        return 100.0 * (_ratio(values, self.previous(values, period)) - 1.0)

    def stochastic(
        self, bars: Bars, period: int = 14, smooth: int = 3, signal: int = 3
    ) -> tuple[FloatArray, FloatArray]:
        """%K and %D of the slow stochastic, 0 to 100. Source: TA-Lib STOCH with simple means (default period there: 5).

        Where the range is 0 the close counts as in its middle, 50 (TA-Lib: 0).
        """
        low, high = self.donchian(bars, period)
        fast = np.where(high == low, 50.0, 100.0 * _ratio(bars.close - low, high - low))
        k = self.sma(np.where(np.isnan(high), np.nan, fast), smooth)
        d = self.sma(k, signal)
        return np.where(np.isnan(d), np.nan, k), d

    def adx(self, bars: Bars, period: int = 14) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Average directional index, and the indicators of upward and downward direction, 0 to 100.

        Source: TA-Lib ADX, PLUS_DI, MINUS_DI; 0 where nothing has moved.
        """
        high, low = self.previous(bars.high), self.previous(bars.low)
        up, down = bars.high - high, low - bars.low
        # The first bar has no change; as TA-Lib does, it counts as none.
        plus = self.wilder(np.where((up > down) & (up > 0.0), up, 0.0), period)
        minus = self.wilder(np.where((down > up) & (down > 0.0), down, 0.0), period)
        reach = self.wilder(np.where(np.isnan(high), 0.0, self._ranges(bars)), period)
        known = ~np.isnan(self.previous(bars.close, period))
        plus_di, minus_di = _or_zero(100.0 * _ratio(plus, reach)), _or_zero(100.0 * _ratio(minus, reach))
        dx = _or_zero(100.0 * _ratio(np.abs(plus_di - minus_di), plus_di + minus_di))
        index = self.wilder(np.where(known, dx, np.nan), period)
        return index, np.where(known, plus_di, np.nan), np.where(known, minus_di, np.nan)

    def _ranges(self, bars: Bars) -> FloatArray:
        # NaN at the first bar, which the caller counts as 0.
        return _or_zero(self.true_range(bars))

    # ----------------------------------------------------------------------------------------------------------- volume

    def obv(self, bars: Bars) -> FloatArray:
        """On-balance volume: volume summed with the sign of the close's change. Source: TA-Lib OBV."""
        before = self.previous(bars.close)
        signed = np.where(np.isnan(before), bars.volume, np.sign(bars.close - before) * bars.volume)
        key, kept = self._slot("obv")
        # In the order of the rows: a sum of another order would round otherwise, and then the chunks would show.
        total = list(accumulate(signed.tolist(), add, initial=0.0 if kept is None else float(kept[0])))
        self.carry[key] = np.array(total[-1:])
        return np.array(total[1:])

    def mfi(self, bars: Bars, period: int = 14) -> FloatArray:
        """Money flow index, 0 to 100. Source: TA-Lib MFI; 50 where no money has flowed (TA-Lib: 0)."""
        price = (bars.high + bars.low + bars.close) / 3.0
        change, flow = price - self.previous(price), price * bars.volume
        known = ~np.isnan(change)
        gain = period * self.sma(np.where(known, np.where(change > 0.0, flow, 0.0), np.nan), period)
        loss = period * self.sma(np.where(known, np.where(change < 0.0, flow, 0.0), np.nan), period)
        total = gain + loss
        return np.where(total == 0.0, 50.0, 100.0 * _ratio(gain, total))

    def vwap(self, bars: Bars) -> FloatArray:
        """Volume-weighted mean of the typical price since the beginning of the UTC day; the close before any volume.

        Source: TradingView ta.vwap, session of a day.
        """
        price, day = (bars.high + bars.low + bars.close) / 3.0, (bars.ts // _DAY_NS).astype(np.float64)

        def step(state: list[float], day: float, price: float, volume: float, close: float) -> Sequence[float]:
            if day != state[0]:
                state[:] = day, 0.0, 0.0
            state[1] += price * volume
            state[2] += volume
            return (state[1] / state[2] if state[2] > 0.0 else close,)

        return self.scan(step, (-1.0, 0.0, 0.0), day, price, bars.volume, bars.close)[0]

    # ----------------------------------------------------------------------------------------------- swings and regimes

    def swing_high(self, values: FloatArray, reach: int = 2) -> FloatArray:
        """A value that is the largest of the `reach` before and after it, at the row where that is known; else NaN.

        So it is seen `reach` rows after it happened, never before. Of equal neighbours the first counts. Source:
        TradingView ta.pivothigh.
        """
        middle, after = self.previous(values, reach), self.highest(values, reach)
        before = self.previous(after, reach + 1)
        return np.where((middle > before) & (middle >= after), middle, np.nan)

    def swing_low(self, values: FloatArray, reach: int = 2) -> FloatArray:
        """As `swing_high`, the smallest. Source: TradingView ta.pivotlow."""
        return -self.swing_high(-values, reach)

    def touches(self, points: FloatArray, level: FloatArray, period: int, tolerance: float) -> FloatArray:
        """How many of the last `period` points (NaN for none) lie within a share `tolerance` of each row's level."""
        windows = self._windows(f"touches{period}", points, period)
        near = (
            np.abs(windows[rows] - level[rows, None]) <= tolerance * np.abs(level[rows, None])
            for rows in _blocks(level)
        )
        return np.concatenate([block.sum(axis=1) for block in near]).astype(np.float64)

    def percentile(self, values: FloatArray, period: int = 250) -> FloatArray:
        """Where each value stands among the last `period`, itself included, 0 to 100; half of what is equal counts."""
        windows, parts = self._windows(f"percentile{period}", values, period), []
        for rows in _blocks(values):
            present, past = values[rows, None], windows[rows]
            below = (past < present).sum(axis=1) + 0.5 * (past == present).sum(axis=1)
            parts.append(np.where(np.isnan(past).any(axis=1), np.nan, 100.0 * below / period))
        return np.concatenate(parts)

    def _windows(self, name: str, values: FloatArray, period: int) -> FloatArray:
        """The last `period` values at each row, of shape (n, period)."""
        joined = self._recent(name, values, period - 1)
        if not len(values):
            return np.zeros((0, period))
        return np.lib.stride_tricks.sliding_window_view(joined, period)

    def volatility(self, values: FloatArray, period: int = 20) -> FloatArray:
        """Standard deviation of the last `period` log returns, of a sample, as risk measures it."""
        steps = np.log(values) - np.log(self.previous(values))
        return self.std(steps, period, ddof=1)

    def correlation(self, values: FloatArray, other: FloatArray, period: int = 50) -> FloatArray:
        """Pearson correlation of the last `period` pairs, -1 to 1; NaN where one of them is constant.

        Source: TA-Lib CORREL.
        """
        deviation, companion = self.std(values, period), self.std(other, period)
        # Of standardised sums: the variance of a sum is that of both and twice what they share.
        scale, with_ = _ratio(np.ones(len(values)), deviation), _ratio(np.ones(len(values)), companion)
        mean, mean_of_other = self.sma(values, period), self.sma(other, period)
        shared = self._covariance(values, other, mean, mean_of_other, period)
        return np.clip(shared * scale * with_, -1.0, 1.0)

    def _covariance(
        self, values: FloatArray, other: FloatArray, mean: FloatArray, mean_of_other: FloatArray, period: int
    ) -> FloatArray:
        left = self._recent(f"pair{period}", values, period - 1)
        right = self._recent(f"mate{period}", other, period - 1)
        size, total = len(values), np.zeros(len(values))
        for shift in range(period):
            total += (left[shift : shift + size] - mean) * (right[shift : shift + size] - mean_of_other)
        return total / period

    # ------------------------------------------------------------------------------------------------------ row by row

    def scan(self, step: Step, initial: Sequence[float], *columns: FloatArray) -> tuple[FloatArray, ...]:
        """Go through the rows one by one with a small state, for what depends on what came of the row before.

        Args:
            step: Called as `step(state, *values)` with the state as a list of floats, to be changed in place, and one
                value of each column; returns one float for each column of the result.
            initial: The state before the first row.
            columns: What it is given.

        Returns:
            As many columns as `step` returns floats.
        """
        key, kept = self._slot("scan")
        state = list(initial) if kept is None else kept[: len(initial)].tolist()
        width = 0 if kept is None else int(kept[-1])
        rows = [step(state, *values) for values in zip(*(column.tolist() for column in columns), strict=True)]
        if rows:
            width = len(rows[0])
        elif not width:
            # No row has told yet how many columns there are; a row of NaN does, on a state that is thrown away.
            width = len(step(list(initial), *(np.nan for _ in columns)))
        self.carry[key] = np.array([*state, float(width)])
        result = np.array(rows, dtype=np.float64).reshape(len(rows), width)
        return tuple(result[:, place].copy() for place in range(width))


def _blocks(values: FloatArray) -> list[slice]:
    """The rows in pieces of a size that stays small in memory when each becomes a window; at least one piece."""
    return [slice(start, start + _BLOCK) for start in range(0, max(len(values), 1), _BLOCK)]


def _or_zero(values: FloatArray) -> FloatArray:
    return np.where(np.isnan(values), 0.0, values)


def _ratio(values: FloatArray, by: FloatArray) -> FloatArray:
    """The quotient, NaN where the divisor is 0."""
    result = np.full(len(values), np.nan)
    np.divide(values, by, out=result, where=by != 0.0)
    return result
