"""Breakout: wait for a narrow range to be left at a level that has held before, and go with the move.

Resistance is the highest swing high of the last `lookback` bars, support the lowest swing low; a level counts once
`touches` swings have come within `tolerance` of it. A breakout is a close beyond the level on `volume_factor` × the
mean volume, out of a range no wider than `range_width` over the `range_bars` bars before.

A breakout is believed once the close has stayed beyond the level for `confirm_bars` bars, itself included, or lies
`buffer_atr` × ATR beyond it. A close back inside before that cancels it, and for `cooldown_bars` bars none is looked
for.

The stop begins `stop_atr` × ATR on the far side of the level and follows the best price at `trail_atr` × ATR; the
target lies the height of the range beyond the level, times `target_height`. A breakout to the other side closes the
position.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field, model_validator

from engine.strategy.contract import StrategyParams
from engine.strategy.signals import PositionRules, SignalStrategy

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from engine.model.candle import Bars, FloatArray
    from engine.strategy.toolkit import Toolkit

__all__ = ["Breakout"]


class BreakoutParams(StrategyParams):
    """What can be set."""

    lookback: int = Field(20, ge=5, le=500, description="Bars in which swings make a level.")
    swing_bars: int = Field(2, ge=1, le=20, description="Bars on either side that a swing stands out from.")
    touches: int = Field(2, ge=1, le=10, description="Least swings at a level.")
    tolerance: float = Field(0.002, ge=0.0, le=0.05, description="How near a swing comes to touch, as a fraction.")
    volume_factor: float = Field(1.5, ge=0.0, le=20.0, description="Least volume of the breakout, in means.")
    volume_period: int = Field(20, ge=1, le=500, description="Bars of the mean volume.")
    range_width: float = Field(0.03, gt=0.0, le=1.0, description="Widest range before it, as a fraction of the price.")
    range_bars: int = Field(10, ge=2, le=500, description="Bars that the range must have lasted.")
    confirm_bars: int = Field(2, ge=1, le=50, description="Closes beyond the level that confirm it.")
    buffer_atr: float = Field(0.1, ge=0.0, le=10.0, description="Distance beyond it that confirms at once, in ATR.")
    cooldown_bars: int = Field(5, ge=0, le=500, description="Bars of rest after a false breakout.")
    atr_period: int = Field(14, ge=1, le=200, description="Bars of the average true range (ATR).")
    stop_atr: float = Field(1.0, gt=0.0, le=20.0, description="Distance of the first stop behind the level, in ATR.")
    trail_atr: float = Field(2.0, gt=0.0, le=20.0, description="Distance at which the stop follows, in ATR.")
    target_height: float = Field(1.0, gt=0.0, le=20.0, description="Target beyond the level, in heights of the range.")
    max_bars: int = Field(0, ge=0, le=100_000, description="Bars after which the position is closed; 0 means never.")
    allow_short: bool = Field(True, description="Whether breakouts downwards are sold short.")

    @model_validator(mode="after")
    def _swings_fit(self) -> BreakoutParams:
        if self.lookback <= 2 * self.swing_bars:
            raise ValueError(f"lookback ({self.lookback}) must be above twice swing_bars ({self.swing_bars})")
        return self


class Breakout(SignalStrategy):
    """A confirmed close beyond support or resistance, out of a narrow range and on volume."""

    name = "breakout"
    timeframe = "1h"
    Params = BreakoutParams
    entry_tags = ("breakout up", "breakout down")
    exit_tags = ("opposite breakout",)
    params: BreakoutParams

    def warmup(self, timeframe: str) -> int:
        """Bars until levels, range, volume and ATR of the bar before are known."""
        p = self.params
        return 2 + max(p.lookback + 2 * p.swing_bars, p.range_bars, p.volume_period, p.atr_period)

    def columns(self, bars: Bars, ta: Toolkit) -> dict[str, FloatArray]:
        """Levels of the bar before, and what this bar makes of them."""
        p = self.params
        top = self._level(ta, ta.swing_high(bars.high, p.swing_bars))
        bottom = -self._level(ta, ta.swing_high(-bars.low, p.swing_bars))
        low, high = ta.previous(ta.lowest(bars.low, p.range_bars)), ta.previous(ta.highest(bars.high, p.range_bars))
        atr, volume = ta.atr(bars, p.atr_period), ta.volume_ratio(bars, p.volume_period)
        before = ta.previous(bars.close)
        quiet = (high - low <= p.range_width * before) & (volume >= p.volume_factor)
        up = quiet & (before <= top) & (bars.close > top)
        down = quiet & (before >= bottom) & (bars.close < bottom)
        side, level = up * 1.0 - down * 1.0, np.where(up, top, bottom)
        begun = side != 0
        level, height = np.where(begun, level, 0.0), np.where(begun, high - low, 0.0)
        side, level, height = ta.scan(self._believe(), (0.0,) * 5, side, level, height, bars.close, atr)
        stop = side * (bars.close - level) + p.stop_atr * atr
        target = p.target_height * height - side * (bars.close - level)
        # What has gone as far as the target already is not followed, nor a market so wild that its stop is no price.
        fit = (target > 0) & (stop < bars.close) & (target < bars.close) & ((side > 0) | p.allow_short)
        trail = p.trail_atr * atr
        return {
            "entry": np.where(fit, side, 0.0),
            "exit_long": (side < 0) * 1.0,
            "exit_short": (side > 0) * 1.0,
            # The least volume is worth 0.6, three times as much makes it 1.
            "confidence": np.clip(0.6 + 0.2 * (volume / max(p.volume_factor, 1e-9) - 1.0), 0.6, 1.0),
            "stop_distance": np.where(side != 0, stop, np.nan),
            "target_distance": np.where(side != 0, target, np.nan),
            # At the entry itself the stop on the far side of the level counts.
            "trail_distance": np.where(side != 0, np.maximum(trail, stop), trail),
            "entry_tag": (side < 0) * 1.0,
            "level": level,
        }

    def _level(self, ta: Toolkit, swings: FloatArray) -> FloatArray:
        """The highest swing that enough others have touched, as it was one bar ago; NaN for none."""
        p = self.params
        level = ta.highest(np.where(np.isnan(swings), -np.inf, swings), p.lookback)
        touched = ta.touches(swings, level, p.lookback, p.tolerance) >= p.touches
        return ta.previous(np.where(touched & np.isfinite(level), level, np.nan))

    def _believe(self) -> Callable[..., Sequence[float]]:
        """One bar of the filter of false breakouts: side, level and height of what is confirmed at it, else zeros."""
        p = self.params
        nothing = (0.0, 0.0, 0.0)

        def step(
            state: list[float], side: float, level: float, height: float, close: float, atr: float
        ) -> Sequence[float]:
            waiting, at, tall, seen, rest = state
            if rest > 0:
                state[4] = rest - 1
                return nothing
            if waiting:
                if waiting * (close - at) <= 0:
                    state[:] = 0.0, 0.0, 0.0, 0.0, float(p.cooldown_bars)
                    return nothing
                seen += 1
            elif side:
                waiting, at, tall, seen = side, level, height, 1.0
            else:
                return nothing
            if seen >= p.confirm_bars or waiting * (close - at) >= p.buffer_atr * atr:
                state[:] = 0.0, 0.0, 0.0, 0.0, 0.0
                return waiting, at, tall
            state[:] = waiting, at, tall, seen, 0.0
            return nothing

        return step

    def rules(self) -> PositionRules:
        """Time alone: the levels are columns."""
        return PositionRules(max_bars=self.params.max_bars)

    def entry_reason(self, row: Any) -> str:
        """The level that was left."""
        return f"level {row.level:g}"
