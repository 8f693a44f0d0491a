"""Bollinger reversion: buy a close back above the lower band, sell one back below the upper, and leave at the mean.

The bands lie `deviations` population deviations around the mean of `period` closes. The price must have been outside
and come back, which spares the first half of a fall. With `trend_adx` a market that trends stronger than that is left
alone. The stop lies `stop_atr` × ATR from the entry.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from engine.strategy.contract import StrategyParams
from engine.strategy.signals import PositionRules, SignalStrategy

if TYPE_CHECKING:
    from engine.model.candle import Bars, FloatArray
    from engine.strategy.toolkit import Toolkit

__all__ = ["BollingerReversion"]


class BollingerParams(StrategyParams):
    """What can be set."""

    period: int = Field(20, ge=2, le=500, description="Bars of the mean and its deviation.")
    deviations: float = Field(2.0, gt=0.0, le=10.0, description="Distance of the bands from the mean, in deviations.")
    trend_adx: float = Field(30.0, ge=0.0, le=100.0, description="ADX from which on nothing is entered; 100 for none.")
    adx_period: int = Field(14, ge=2, le=200, description="Bars of the average directional index (ADX).")
    atr_period: int = Field(14, ge=1, le=200, description="Bars of the average true range (ATR).")
    stop_atr: float = Field(2.5, gt=0.0, le=20.0, description="Distance of the stop, in ATR.")
    max_bars: int = Field(0, ge=0, le=100_000, description="Bars after which the position is closed; 0 means never.")
    allow_short: bool = Field(True, description="Whether the upper band is sold short.")


class BollingerReversion(SignalStrategy):
    """A close that comes back inside the Bollinger bands, held until the mean."""

    name = "bollinger_reversion"
    timeframe = "1h"
    Params = BollingerParams
    entry_tags = ("back above the lower band", "back below the upper band")
    exit_tags = ("at the mean",)
    params: BollingerParams

    def warmup(self, timeframe: str) -> int:
        """Bars until bands, ATR and ADX are known."""
        p = self.params
        return 1 + max(p.period, p.atr_period, 2 * p.adx_period)

    def columns(self, bars: Bars, ta: Toolkit) -> dict[str, FloatArray]:
        """Bands and what follows from them."""
        p = self.params
        lower, mean, upper = ta.bollinger(bars.close, p.period, p.deviations)
        strength, _, _ = ta.adx(bars, p.adx_period)
        stop = p.stop_atr * ta.atr(bars, p.atr_period)
        fit = (strength < p.trend_adx) & (stop < bars.close) & (upper > lower)
        up = ta.crossed_above(bars.close, lower) * (fit & (bars.close < mean))
        down = ta.crossed_below(bars.close, upper) * (fit & (bars.close > mean)) * float(p.allow_short)
        width = np.where(upper > lower, upper - lower, 1.0)
        return {
            "mean": mean,
            "entry": up - down,
            "exit_long": np.where(bars.close >= mean, 1.0, 0.0),
            "exit_short": np.where(bars.close <= mean, 1.0, 0.0),
            # A quarter of the band away from the mean is worth 0.8, its edge 1.
            "confidence": np.clip(0.6 + 0.8 * np.abs(bars.close - mean) / width, 0.0, 1.0),
            "stop_distance": stop,
            "entry_tag": down,
            "adx": strength,
        }

    def rules(self) -> PositionRules:
        """Time alone: the levels are columns."""
        return PositionRules(max_bars=self.params.max_bars)

    def entry_reason(self, row: Any) -> str:
        """How far the mean is, and how strong a trend."""
        return f"mean {row.mean:g}, ADX {row.adx:.0f}"
