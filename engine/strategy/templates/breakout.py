"""Mine: buy a close above the highest high of the bars before, and trail a stop below."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from engine.strategy.contract import StrategyParams
from engine.strategy.signals import SignalStrategy

if TYPE_CHECKING:
    from engine.model.candle import Bars, FloatArray
    from engine.strategy.toolkit import Toolkit


class MineParams(StrategyParams):
    """What can be set; forms, options and checks come from these lines."""

    period: int = Field(40, ge=2, le=500, description="Bars of the range.")
    volume_factor: float = Field(1.0, ge=0, le=20, description="Least volume at entry, as a multiple of its mean.")
    stop_atr: float = Field(2.5, gt=0, le=20, description="Distance of the trailing stop, in average true ranges.")


class Mine(SignalStrategy):
    """A close above the range, with volume, and a trailing stop."""

    name = "mine"
    timeframe = "1h"
    Params = MineParams
    entry_tags = ("above the range",)
    exit_tags = ("below the range",)
    params: MineParams

    def warmup(self, timeframe: str) -> int:
        """Bars that must have been seen before the first decision."""
        return max(self.params.period, 20) + 1

    def columns(self, bars: Bars, ta: Toolkit) -> dict[str, FloatArray]:
        """One number a bar each; every look at earlier bars goes through `ta`."""
        top = ta.previous(ta.highest(bars.high, self.params.period))
        bottom = ta.previous(ta.lowest(bars.low, self.params.period))
        busy = ta.volume_ratio(bars, 20) >= self.params.volume_factor
        distance = self.params.stop_atr * ta.atr(bars, 14)
        return {
            # +1 opens a long at the next bar, -1 a short; it counts while nothing is held.
            "entry": ((bars.close > top) & busy).astype(float),
            "exit_long": (bars.close < bottom).astype(float),
            # The stop lies so far below the close of the entry, then follows the best price.
            "stop_distance": distance,
            "trail_distance": distance,
        }
