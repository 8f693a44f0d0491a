"""Trend following: trade the crossover of two moving averages, add while it runs, trail a stop behind it.

Enter long when the fast average crosses above the slow one while RSI shows momentum and volume is above its mean;
short the other way round. Add up to `max_levels` in all, each once the price has gained `add_atr` × ATR since the
level before. A stop follows the best price since entry at `trail_atr` × ATR and never moves back. The opposite
crossover, the stop, or `max_bars` bars close everything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field, model_validator

from engine.strategy.contract import StrategyParams
from engine.strategy.signals import PositionRules, SignalStrategy

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


class TrendFollowing(SignalStrategy):
    """Moving-average crossover with momentum and volume, pyramided and trailed by ATR."""

    name = "trend_following"
    timeframe = "1h"
    Params = TrendParams
    entry_tags = ("crossover up", "crossover down")
    exit_tags = ("opposite crossover",)
    params: TrendParams

    def warmup(self, timeframe: str) -> int:
        """Bars until the slowest indicator and its last change are known."""
        p = self.params
        return 1 + max(p.slow_ma, p.rsi_period, p.atr_period, p.volume_period)

    def columns(self, bars: Bars, ta: Toolkit) -> dict[str, FloatArray]:
        """Averages, RSI, ATR and what follows from them."""
        p = self.params
        fast, slow = ta.sma(bars.close, p.fast_ma), ta.sma(bars.close, p.slow_ma)
        rsi, atr = ta.rsi(bars.close, p.rsi_period), ta.atr(bars, p.atr_period)
        up, down = ta.crossed_above(fast, slow), ta.crossed_below(fast, slow)
        # A market so wild that its stop would lie below zero is not entered.
        fit = (ta.volume_ratio(bars, p.volume_period) >= p.volume_factor) & (p.trail_atr * atr < bars.close)
        short = down * (fit & (rsi < p.rsi_short)) * float(p.allow_short)
        # A confirmed crossover is worth 0.6, twenty points of RSI beyond its threshold make it 1.
        beyond = np.where(down > 0, p.rsi_short - rsi, rsi - p.rsi_long)
        return {
            "fast": fast,
            "slow": slow,
            "rsi": rsi,
            "entry": up * (fit & (rsi > p.rsi_long)) - short,
            "exit_long": down,
            "exit_short": up,
            "confidence": np.clip(0.6 + 0.02 * beyond, 0.0, 1.0),
            "trail_distance": p.trail_atr * atr,
            "add_distance": p.add_atr * atr,
            "entry_tag": down,
        }

    def rules(self) -> PositionRules:
        """Levels and time."""
        return PositionRules(max_levels=self.params.max_levels, max_bars=self.params.max_bars)

    def entry_reason(self, row: Any) -> str:
        """How strong the momentum is."""
        return f"RSI {row.rsi:.0f}"
