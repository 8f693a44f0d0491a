"""Random price paths of whole bars: blocks of the history, a fitted volatility, or the history with noise.

A bar is told by four numbers that any order of bars can be built from again: the step from the last close to its own,
the gap to its open, and how far high and low lie beyond open and close. So every path has possible bars.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from engine.backtest.analysis.bootstrap import (
    Jumps,
    Scenario,
    VolatilityModel,
    block_indices,
    block_length,
    find_jumps,
    fit_volatility,
    simulate,
    standardised,
    stressed,
)
from engine.errors import DataError
from engine.model.candle import Bars

if TYPE_CHECKING:
    from engine.model.candle import FloatArray, IntArray

__all__ = ["PriceModel", "PricePaths", "Way"]

Way = Literal["prices", "parametric", "noise"]
LEAST_BARS = 50
_SMALLEST = 1e-9
_HIGHEST = 9.0
"""Largest logarithm of what a path gains: 8,000 times its start."""


class PricePaths:
    """Bars of many paths, float64 of shape (paths, n) each, with the history's own times.

    Attributes:
        ts: UTC nanoseconds of the bars' opens, shape (n,).
        timeframe: Of the bars.
    """

    __slots__ = ("close", "high", "low", "open", "timeframe", "ts", "volume")

    def __init__(
        self,
        timeframe: str,
        ts: IntArray,
        opened: FloatArray,
        high: FloatArray,
        low: FloatArray,
        close: FloatArray,
        volume: FloatArray,
    ) -> None:
        self.timeframe, self.ts = timeframe, ts
        self.open, self.high, self.low, self.close, self.volume = opened, high, low, close, volume

    def __len__(self) -> int:
        return len(self.close)

    def bars(self, path: int) -> Bars:
        """One path."""
        return Bars(
            self.timeframe,
            self.ts,
            self.open[path],
            self.high[path],
            self.low[path],
            self.close[path],
            self.volume[path],
        )


class PriceModel:
    """The statistics of a history, from which paths are drawn.

    Args:
        bars: The history, at least 50 bars.
        way: `prices` draws blocks of whole bars, `parametric` a fitted volatility with the history's shocks, `noise`
            takes the history itself and moves each close.
        block: Mean bars of a block; None takes the cube root of their number.
        noise: For `noise`: the deviation of what is added, as a share of the returns' own.
        least: No close falls below it, such as what an exchange can still quote.

    Raises:
        DataError: There are too few bars, or they never move.
    """

    def __init__(
        self, bars: Bars, way: Way, *, block: float | None = None, noise: float = 0.25, least: float = _SMALLEST
    ) -> None:
        if len(bars) < LEAST_BARS:
            raise DataError(
                f"Random paths need {LEAST_BARS} bars of history or more, not {len(bars)}; choose a longer range."
            )
        self._bars, self.way, self.noise, self.least = bars, way, noise, least
        self.block = block or float(block_length(len(bars)))
        before = np.concatenate((bars.open[:1], bars.close[:-1]))
        self.steps: FloatArray = np.log(bars.close / before)
        self._gaps = np.log(bars.open / before)
        self._up = np.log(bars.high / np.maximum(bars.open, bars.close))
        self._down = np.log(np.minimum(bars.open, bars.close) / bars.low)
        self.mean, self.variance = float(self.steps.mean()), float(self.steps.var())
        if self.variance < 1e-24:
            raise DataError("The prices of that range never move; there is nothing to draw random paths from.")
        self.jumps: Jumps = find_jumps(self.steps)
        self.volatility: VolatilityModel | None = fit_volatility(self.steps) if way == "parametric" else None
        self._shocks = standardised(self.volatility, self.steps) if self.volatility is not None else self.steps

    def draw(self, rng: np.random.Generator, paths: int, scenario: Scenario) -> PricePaths:
        """Draw paths as long as the history, which begin where it began.

        Args:
            rng: Source of chance.
            paths: How many.
            scenario: How much worse than the history.
        """
        if self.way == "noise":
            return self._noisy(rng, paths, scenario)
        if self.volatility is None:
            rows = block_indices(rng, len(self._bars), len(self._bars), paths, self.block)
            steps, scale = self.steps[rows], np.float64(scenario.scale)
        else:
            steps, deviations = simulate(rng, self.volatility, self._shocks, len(self._bars), paths)
            rows = block_indices(rng, len(self._bars), len(self._bars), paths, 1.0)
            # A bar's shape grows with the volatility in which it is drawn.
            scale = scenario.scale * deviations / np.sqrt(self.volatility.variance)
        steps = stressed(rng, steps, scenario, self.jumps, self.mean, self.variance)
        return self._build(steps, rows, scale)

    def _noisy(self, rng: np.random.Generator, paths: int, scenario: Scenario) -> PricePaths:
        """The history with independent noise on the logarithm of each close; it does not add up over time."""
        shape = (paths, len(self._bars))
        moved = rng.standard_normal(shape) * (self.noise * scenario.scale * np.sqrt(self.variance))
        steps = self.steps + np.diff(moved, axis=1, prepend=0.0)
        return self._build(steps, np.broadcast_to(np.arange(len(self._bars)), shape), np.float64(1.0))

    def _build(self, steps: FloatArray, rows: IntArray, scale: FloatArray | np.float64) -> PricePaths:
        start = float(self._bars.open[0])
        close = np.cumsum(steps, axis=1)
        np.exp(np.clip(close, -40.0, _HIGHEST, out=close), out=close)
        np.maximum(close * start, self.least, out=close)
        opened = np.empty_like(close)
        opened[:, 0] = start
        opened[:, 1:] = close[:, :-1]
        opened *= np.exp(self._gaps[rows] * scale)
        high = np.maximum(opened, close) * np.exp(self._up[rows] * scale)
        low = np.minimum(opened, close) * np.exp(-self._down[rows] * scale)
        return PricePaths(self._bars.timeframe, self._bars.ts, opened, high, low, close, self._bars.volume[rows])
