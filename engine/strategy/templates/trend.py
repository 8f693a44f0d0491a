"""Mine: buy when the fast average crosses above the slow one, sell when it crosses below, and trail a stop."""

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

    fast: int = Field(20, ge=2, le=200, description="Bars of the fast average.")
    slow: int = Field(50, ge=3, le=500, description="Bars of the slow average.")
    stop_atr: float = Field(3.0, gt=0, le=20, description="Distance of the trailing stop, in average true ranges.")


class MineMemory(StrategyMemory):
    """What is remembered from bar to bar; it survives a restart."""

    stop: float = 0.0


class Mine(Strategy):
    """Follows two moving averages with a trailing stop."""

    name = "mine"
    timeframe = "1h"
    Params = MineParams
    Memory = MineMemory

    def warmup(self, timeframe: str) -> int:
        """Bars that must have been seen before the first decision."""
        return int(max(self.params.fast, self.params.slow, 14)) + 1

    def columns(self, bars: Bars, ta: Toolkit) -> dict[str, FloatArray]:
        """One number a bar each; every look at earlier bars goes through `ta`."""
        fast, slow = ta.sma(bars.close, self.params.fast), ta.sma(bars.close, self.params.slow)
        up, down = ta.crossed_above(fast, slow), ta.crossed_below(fast, slow)
        # While flat, decide() is asked only where `wake` is not 0.
        return {"up": up, "down": down, "atr": ta.atr(bars, 14), "wake": up}

    def decide(self, row: Any, memory: MineMemory, holding: Holding) -> Wish | None:
        """What to do at the close of one bar."""
        stop = row.close - self.params.stop_atr * row.atr
        if holding.side == 0:
            memory.stop = max(stop, row.close * 0.01)
            return Wish.enter(1, 0.8, "fast above slow", stop=memory.stop) if row.up else None
        if row.down or row.close <= memory.stop:
            return Wish.exit("fast below slow" if row.down else "below the stop")
        if stop > memory.stop:
            memory.stop = stop
            return Wish.protect("trailing stop", stop=stop)
        return None
