"""Mine: buy a close above the highest high of the bars before, and trail a stop below."""

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

    period: int = Field(40, ge=2, le=500, description="Bars of the range.")
    volume_factor: float = Field(1.0, ge=0, le=20, description="Least volume at entry, as a multiple of its mean.")
    stop_atr: float = Field(2.5, gt=0, le=20, description="Distance of the trailing stop, in average true ranges.")


class MineMemory(StrategyMemory):
    """What is remembered from bar to bar; it survives a restart."""

    stop: float = 0.0


class Mine(Strategy):
    """A close above the range, with volume, and a trailing stop."""

    name = "mine"
    timeframe = "1h"
    Params = MineParams
    Memory = MineMemory

    def warmup(self, timeframe: str) -> int:
        """Bars that must have been seen before the first decision."""
        return int(max(self.params.period, 20)) + 1

    def columns(self, bars: Bars, ta: Toolkit) -> dict[str, FloatArray]:
        """One number a bar each; every look at earlier bars goes through `ta`."""
        top = ta.previous(ta.highest(bars.high, self.params.period))
        busy = ta.volume_ratio(bars, 20) >= self.params.volume_factor
        # While flat, decide() is asked only where `wake` is not 0.
        return {"atr": ta.atr(bars, 14), "wake": ((bars.close > top) & busy).astype(float)}

    def decide(self, row: Any, memory: MineMemory, holding: Holding) -> Wish | None:
        """What to do at the close of one bar."""
        stop = row.close - self.params.stop_atr * row.atr
        if holding.side == 0:
            memory.stop = max(stop, row.close * 0.01)
            return Wish.enter(1, 0.8, "above the range", stop=memory.stop) if row.wake else None
        if row.close <= memory.stop:
            return Wish.exit("below the stop")
        if stop > memory.stop:
            memory.stop = stop
            return Wish.protect("trailing stop", stop=stop)
        return None
