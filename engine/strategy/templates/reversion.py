"""Mine: buy when the price is unusually far below its mean, and leave when it is back or time is over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field

from engine.strategy.contract import Strategy, StrategyMemory, StrategyParams, Wish

if TYPE_CHECKING:
    from engine.model.candle import Bars, FloatArray
    from engine.strategy.contract import Holding
    from engine.strategy.toolkit import Toolkit


class MineParams(StrategyParams):
    """What can be set; forms, options and checks come from these lines."""

    period: int = Field(20, ge=2, le=500, description="Bars of the mean and the deviation.")
    entry: float = Field(2.0, gt=0, le=10, description="Distance below the mean to buy at, in deviations.")
    leave: float = Field(0.5, ge=0, le=10, description="Distance below the mean to sell at, in deviations.")
    stop_atr: float = Field(2.0, gt=0, le=20, description="Distance of the stop, in average true ranges.")
    max_bars: int = Field(48, ge=0, le=100000, description="Bars after which it leaves in any case; 0 means never.")


class MineMemory(StrategyMemory):
    """What is remembered from bar to bar; it survives a restart."""

    bars: int = 0


class Mine(Strategy):
    """Buys far below the mean and sells back at it."""

    name = "mine"
    timeframe = "1h"
    Params = MineParams
    Memory = MineMemory

    def warmup(self, timeframe: str) -> int:
        """Bars that must have been seen before the first decision."""
        return int(max(self.params.period, 14)) + 1

    def columns(self, bars: Bars, ta: Toolkit) -> dict[str, FloatArray]:
        """One number a bar each; every look at earlier bars goes through `ta`."""
        distance = ta.zscore(bars.close, self.params.period)
        # While flat, decide() is asked only where `wake` is not 0.
        return {"distance": distance, "atr": ta.atr(bars, 14), "wake": (distance <= -self.params.entry).astype(float)}

    def decide(self, row: Any, memory: MineMemory, holding: Holding) -> Wish | None:
        """What to do at the close of one bar."""
        if holding.side == 0:
            memory.bars = 0
            stop = max(row.close - self.params.stop_atr * row.atr, row.close * 0.01)
            return Wish.enter(1, 0.8, "far below the mean", stop=stop) if row.wake else None
        memory.bars += 1
        if row.distance >= -self.params.leave:
            return Wish.exit("back at the mean")
        return Wish.exit("time is over") if memory.bars == self.params.max_bars else None
