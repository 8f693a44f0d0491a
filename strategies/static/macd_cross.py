"""MACD cross: buy when the line crosses above its signal, sell when it crosses below.

The line is the difference of two exponential averages, the signal its own average (G. Appel). With `trend_ma` a long is
entered only above that average of the close, a short only below it. The stop lies `stop_atr` × ATR from the entry and
follows the best price at the same distance; the opposite cross closes the position.
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

__all__ = ["MacdCross"]


class MacdParams(StrategyParams):
    """What can be set."""

    fast: int = Field(12, ge=2, le=200, description="Bars of the fast exponential average.")
    slow: int = Field(26, ge=3, le=500, description="Bars of the slow exponential average.")
    signal: int = Field(9, ge=2, le=200, description="Bars of the signal, the average of their difference.")
    trend_ma: int = Field(200, ge=0, le=1000, description="Bars of the average that tells the trend; 0 asks for none.")
    atr_period: int = Field(14, ge=1, le=200, description="Bars of the average true range (ATR).")
    stop_atr: float = Field(3.0, gt=0.0, le=20.0, description="Distance of the stop that follows, in ATR.")
    max_bars: int = Field(0, ge=0, le=100_000, description="Bars after which the position is closed; 0 means never.")
    allow_short: bool = Field(True, description="Whether crosses downwards are sold short.")

    @model_validator(mode="after")
    def _averages_differ(self) -> MacdParams:
        if self.fast >= self.slow:
            raise ValueError(f"fast ({self.fast}) must be below slow ({self.slow})")
        return self


class MacdCross(SignalStrategy):
    """The MACD line crosses its signal, on the side of the longer trend."""

    name = "macd_cross"
    timeframe = "1h"
    Params = MacdParams
    entry_tags = ("cross up", "cross down")
    exit_tags = ("opposite cross",)
    params: MacdParams

    def warmup(self, timeframe: str) -> int:
        """Bars until the signal, its last change, the trend and ATR are known."""
        p = self.params
        return 1 + max(p.slow + p.signal, p.trend_ma, p.atr_period)

    def columns(self, bars: Bars, ta: Toolkit) -> dict[str, FloatArray]:
        """MACD and what follows from it."""
        p = self.params
        line, signal, between = ta.macd(bars.close, p.fast, p.slow, p.signal)
        up, down = ta.crossed_above(line, signal), ta.crossed_below(line, signal)
        stop = p.stop_atr * ta.atr(bars, p.atr_period)
        fit, trend = (stop < bars.close) & (stop > 0), np.zeros(len(bars))
        if p.trend_ma:
            trend = np.sign(bars.close - ta.sma(bars.close, p.trend_ma))
        short = down * (fit & (trend <= 0)) * float(p.allow_short)
        return {
            "macd": line,
            "signal": signal,
            "entry": up * (fit & (trend >= 0)) - short,
            "exit_long": down,
            "exit_short": up,
            # A cross is worth 0.7; how far the two are apart already, in ATR, adds to it.
            "confidence": np.clip(0.7 + p.stop_atr * np.abs(between) / np.where(stop > 0, stop, 1.0), 0.0, 1.0),
            "trail_distance": stop,
            "entry_tag": down,
        }

    def rules(self) -> PositionRules:
        """Time alone: the levels are columns."""
        return PositionRules(max_bars=self.params.max_bars)

    def entry_reason(self, row: Any) -> str:
        """Where the line is."""
        return f"MACD {row.macd:+.4g}"
