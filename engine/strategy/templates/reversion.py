"""Mine: buy when the price is unusually far below its mean, and leave when it is back or time is over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from engine.strategy.contract import StrategyParams
from engine.strategy.signals import PositionRules, SignalStrategy

if TYPE_CHECKING:
    from engine.model.candle import Bars, FloatArray
    from engine.strategy.toolkit import Toolkit


class MineParams(StrategyParams):
    """What can be set; forms, options and checks come from these lines."""

    period: int = Field(20, ge=2, le=500, description="Bars of the mean and the deviation.")
    entry: float = Field(2.0, gt=0, le=10, description="Distance below the mean to buy at, in deviations.")
    leave: float = Field(0.5, ge=0, le=10, description="Distance below the mean to sell at, in deviations.")
    stop_atr: float = Field(2.0, gt=0, le=20, description="Distance of the stop, in average true ranges.")
    max_bars: int = Field(48, ge=0, le=100000, description="Bars after which it leaves in any case; 0 means never.")


class Mine(SignalStrategy):
    """Buys far below the mean and sells back at it."""

    name = "mine"
    timeframe = "1h"
    Params = MineParams
    entry_tags = ("far below the mean",)
    exit_tags = ("back at the mean",)
    params: MineParams

    def warmup(self, timeframe: str) -> int:
        """Bars that must have been seen before the first decision."""
        return max(self.params.period, 14) + 1

    def columns(self, bars: Bars, ta: Toolkit) -> dict[str, FloatArray]:
        """One number a bar each; every look at earlier bars goes through `ta`."""
        distance = ta.zscore(bars.close, self.params.period)
        return {
            # +1 opens a long at the next bar, -1 a short; it counts while nothing is held.
            "entry": (distance <= -self.params.entry).astype(float),
            "exit_long": (distance >= -self.params.leave).astype(float),
            "stop_distance": self.params.stop_atr * ta.atr(bars, 14),
        }

    def rules(self) -> PositionRules:
        """What holds for every position; `roi`, `trail_pct` and others may be named here too."""
        return PositionRules(max_bars=self.params.max_bars)
