"""Mine: describe here when it buys, when it sells, and why that should earn anything."""

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

    period: int = Field(100, ge=2, le=1000, description="Bars of the average.")


class Mine(SignalStrategy):
    """Holds while the price closes above its average."""

    name = "mine"
    timeframe = "1h"
    Params = MineParams
    entry_tags = ("above the average",)
    exit_tags = ("below the average",)
    params: MineParams

    def warmup(self, timeframe: str) -> int:
        """Bars that must have been seen before the first decision."""
        return self.params.period + 1

    def columns(self, bars: Bars, ta: Toolkit) -> dict[str, FloatArray]:
        """One number a bar each; every look at earlier bars goes through `ta`."""
        average = ta.sma(bars.close, self.params.period)
        return {
            # +1 opens a long at the next bar, -1 a short; it counts while nothing is held.
            "entry": (bars.close > average).astype(float),
            "exit_long": (bars.close < average).astype(float),
        }
