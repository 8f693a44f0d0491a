"""Mine: describe here when it buys, when it sells, and why that should earn anything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field

from engine.strategy.contract import Strategy, StrategyParams, Wish

if TYPE_CHECKING:
    from engine.model.candle import Bars, FloatArray
    from engine.strategy.contract import Holding
    from engine.strategy.toolkit import Toolkit


class MineParams(StrategyParams):
    """What can be set; forms, options and checks come from these lines."""

    period: int = Field(100, ge=2, le=1000, description="Bars of the average.")


class Mine(Strategy):
    """Holds while the price closes above its average."""

    name = "mine"
    timeframe = "1h"
    Params = MineParams

    def warmup(self, timeframe: str) -> int:
        """Bars that must have been seen before the first decision."""
        return int(self.params.period)

    def columns(self, bars: Bars, ta: Toolkit) -> dict[str, FloatArray]:
        """One number a bar each; every look at earlier bars goes through `ta`."""
        return {"average": ta.sma(bars.close, self.params.period)}

    def decide(self, row: Any, memory: Any, holding: Holding) -> Wish | None:
        """What to do at the close of one bar."""
        if holding.side == 0:
            return Wish.enter(1, 0.8, "above the average") if row.close > row.average else None
        return Wish.exit("below the average") if row.close < row.average else None
