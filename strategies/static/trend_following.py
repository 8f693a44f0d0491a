"""Trend following: trade the crossover of two moving averages, add while it runs, trail a stop behind it.

Enter long when the fast average crosses above the slow one while RSI shows momentum and volume is above its mean;
short the other way round. Add up to `max_levels` in all, each once the price has gained `add_atr` × ATR since the
level before. A stop follows the best price since entry at `trail_atr` × ATR and never moves back. The opposite
crossover, the stop, or `max_bars` bars close everything.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from pydantic import Field, model_validator

from engine.strategy.contract import Holding, Strategy, StrategyMemory, StrategyParams, Wish

if TYPE_CHECKING:
    from engine.model.candle import Bars, FloatArray
    from engine.strategy.toolkit import Toolkit

__all__ = ["TrendFollowing"]


class TrendParams(StrategyParams):
    """What can be set."""

    fast_ma: int = Field(20, ge=2, le=500, description="Bars of the fast simple moving average.")
    slow_ma: int = Field(50, ge=3, le=1000, description="Bars of the slow simple moving average.")
    rsi_period: int = Field(14, ge=2, le=200, description="Bars of the RSI.")
    rsi_long: float = Field(60.0, ge=0.0, le=100.0, description="A long needs an RSI above this.")
    rsi_short: float = Field(40.0, ge=0.0, le=100.0, description="A short needs an RSI below this.")
    volume_factor: float = Field(1.2, ge=0.0, le=20.0, description="Least volume at entry, as a multiple of its mean.")
    volume_period: int = Field(20, ge=1, le=500, description="Bars of the mean volume.")
    atr_period: int = Field(14, ge=1, le=200, description="Bars of the average true range (ATR).")
    trail_atr: float = Field(2.0, gt=0.0, le=20.0, description="Distance of the trailing stop, in ATR.")
    max_levels: int = Field(3, ge=1, le=10, description="Most entries in one direction, the first included.")
    add_atr: float = Field(1.0, gt=0.0, le=20.0, description="Gain since the last level before one is added, in ATR.")
    max_bars: int = Field(100, ge=0, le=100_000, description="Bars after which the position is closed; 0 means never.")
    allow_short: bool = Field(True, description="Whether falling markets are entered too.")

    @model_validator(mode="after")
    def _averages_differ(self) -> TrendParams:
        if self.fast_ma >= self.slow_ma:
            raise ValueError(f"fast_ma ({self.fast_ma}) must be below slow_ma ({self.slow_ma})")
        return self


class TrendMemory(StrategyMemory):
    """What is known of the present position.

    `level`, `best` and `stop` are prices times the side, so that more is always better and one rule serves both sides.
    """

    side: int = 0
    bars: int = 0
    quantity: float = 0.0
    entry: float = 0.0
    confidence: float = 1.0
    levels: int = 0
    asked: int = 1
    """Levels wished for; they count once the position has grown."""
    level: float = 0.0
    """Price of the newest level."""
    best: float = -math.inf
    stop: float = -math.inf


class TrendFollowing(Strategy):
    """Moving-average crossover with momentum and volume, pyramided and trailed by ATR."""

    name = "trend_following"
    timeframe = "1h"
    Params = TrendParams
    Memory = TrendMemory
    params: TrendParams

    def warmup(self, timeframe: str) -> int:
        """Bars until the slowest indicator and its last change are known."""
        p = self.params
        return 1 + max(p.slow_ma, p.rsi_period, p.atr_period, p.volume_period)

    def columns(self, bars: Bars, ta: Toolkit) -> dict[str, FloatArray]:
        """Averages, RSI and ATR; `cross` and `entry` are +1 up, -1 down, else 0."""
        p = self.params
        fast, slow = ta.sma(bars.close, p.fast_ma), ta.sma(bars.close, p.slow_ma)
        rsi, atr = ta.rsi(bars.close, p.rsi_period), ta.atr(bars, p.atr_period)
        up, down = ta.crossed_above(fast, slow), ta.crossed_below(fast, slow)
        # A market so wild that its stop would lie below zero is not entered.
        fit = (ta.volume_ratio(bars, p.volume_period) >= p.volume_factor) & (p.trail_atr * atr < bars.close)
        long = up * (fit & (rsi > p.rsi_long))
        short = down * (fit & (rsi < p.rsi_short)) * float(p.allow_short)
        return {
            "fast": fast,
            "slow": slow,
            "rsi": rsi,
            "atr": atr,
            "cross": up - down,
            "entry": long - short,
            "wake": long + short,
        }

    def decide(self, row: Any, memory: TrendMemory, holding: Holding) -> Wish | None:
        """Enter while flat; while not, leave, add a level, or move the stop, in this order."""
        if holding.side == 0:
            return self._enter(row, memory) if row.entry else None
        p, stop_before = self.params, memory.stop
        self._follow(row, memory, holding)
        reason = self._reason_to_leave(row, memory)
        if reason:
            return Wish.exit(reason)
        stop = abs(memory.stop)
        if memory.levels < p.max_levels and memory.side * row.close - memory.level >= p.add_atr * row.atr:
            memory.asked = memory.levels + 1
            return Wish.enter(memory.side, memory.confidence, f"level {memory.asked}", stop=stop)
        return Wish.protect("trailing stop", stop=stop) if memory.stop > stop_before else None

    def _enter(self, row: Any, memory: TrendMemory) -> Wish:
        memory.reset()
        memory.side = side = int(row.entry)
        memory.stop = side * row.close - self.params.trail_atr * row.atr
        # A confirmed crossover is worth 0.6, twenty points of RSI beyond its threshold make it 1.
        beyond = row.rsi - self.params.rsi_long if side > 0 else self.params.rsi_short - row.rsi
        memory.confidence = min(1.0, 0.6 + 0.02 * beyond)
        reason = f"crossover {'up' if side > 0 else 'down'}, RSI {row.rsi:.0f}"
        return Wish.enter(side, memory.confidence, reason, stop=abs(memory.stop))

    def _follow(self, row: Any, memory: TrendMemory, holding: Holding) -> None:
        """Bring the memory up to the position and the bar."""
        side, held, entry = holding.side, abs(holding.quantity), holding.entry_price
        if memory.side != side:
            memory.reset()
            memory.side = side
        if held > memory.quantity:
            # What was added cost the difference of the two positions' costs.
            added = (entry * held - memory.entry * memory.quantity) / (held - memory.quantity)
            memory.level, memory.levels = side * added, memory.asked
        memory.quantity, memory.entry = held, entry
        memory.bars += 1
        memory.best = max(memory.best, side * entry, side * (row.high if side > 0 else row.low))
        memory.stop = max(memory.stop, memory.best - self.params.trail_atr * row.atr)

    def _reason_to_leave(self, row: Any, memory: TrendMemory) -> str:
        if memory.side * row.close <= memory.stop:
            return "trailing stop"
        if row.cross == -memory.side:
            return "opposite crossover"
        return "time limit" if 0 < self.params.max_bars <= memory.bars else ""
