"""Mine: buy when the fast average crosses above the slow one, sell when it crosses below, and trail a stop."""

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

    fast: int = Field(20, ge=2, le=200, description="Bars of the fast average.")
    slow: int = Field(50, ge=3, le=500, description="Bars of the slow average.")
    stop_atr: float = Field(3.0, gt=0, le=20, description="Distance of the trailing stop, in average true ranges.")


class Mine(SignalStrategy):
    """Follows two moving averages with a trailing stop."""

    name = "mine"
    timeframe = "1h"
    Params = MineParams
    entry_tags = ("fast above slow",)
    exit_tags = ("fast below slow",)
    params: MineParams

    def warmup(self, timeframe: str) -> int:
        """Bars that must have been seen before the first decision."""
        return max(self.params.fast, self.params.slow, 14) + 1

    def columns(self, bars: Bars, ta: Toolkit) -> dict[str, FloatArray]:
        """One number a bar each; every look at earlier bars goes through `ta`."""
        fast, slow = ta.sma(bars.close, self.params.fast), ta.sma(bars.close, self.params.slow)
        distance = self.params.stop_atr * ta.atr(bars, 14)
        return {
            # +1 opens a long at the next bar, -1 a short; it counts while nothing is held.
            "entry": ta.crossed_above(fast, slow),
            "exit_long": ta.crossed_below(fast, slow),
            # The stop lies so far below the close of the entry, then follows the best price.
            "stop_distance": distance,
            "trail_distance": distance,
        }
