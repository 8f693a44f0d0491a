"""Mean reversion: buy what has fallen unusually far below its mean, sell what has risen as far above, and wait.

The measure is the z-score of the close over `lookback_period` bars. Enter long at z ≤ -`entry_threshold`, short at
z ≥ +`entry_threshold`; leave when z is back within `exit_threshold` of the mean or beyond it. The stop lies
`stop_atr` × ATR from the entry, the target `target_atr` × ATR. Entries need enough volume and an ATR within a band.

The higher timeframe must not contradict: a long is not entered while the last complete higher bar closed below its
moving average and that average fell (a downtrend), a short not in an uptrend, and neither until it is known.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field, model_validator

from engine.model.candle import timeframe_ns
from engine.strategy.contract import StrategyParams
from engine.strategy.signals import PositionRules, SignalStrategy

if TYPE_CHECKING:
    from engine.model.candle import Bars, FloatArray
    from engine.strategy.toolkit import Toolkit

__all__ = ["MeanReversion"]


class ReversionParams(StrategyParams):
    """What can be set."""

    lookback_period: int = Field(20, ge=2, le=1000, description="Bars of the rolling mean and deviation.")
    entry_threshold: float = Field(2.0, gt=0.0, le=10.0, description="Distance from the mean to enter, in deviations.")
    exit_threshold: float = Field(0.5, ge=0.0, le=10.0, description="Distance from the mean to leave, in deviations.")
    atr_period: int = Field(14, ge=1, le=200, description="Bars of the average true range (ATR).")
    stop_atr: float = Field(2.0, gt=0.0, le=20.0, description="Distance of the stop from the entry, in ATR.")
    target_atr: float = Field(3.0, gt=0.0, le=20.0, description="Distance of the target from the entry, in ATR.")
    volume_factor: float = Field(1.0, ge=0.0, le=20.0, description="Least volume at entry, as a multiple of its mean.")
    volume_period: int = Field(20, ge=1, le=500, description="Bars of the mean volume.")
    atr_min: float = Field(0.001, ge=0.0, le=1.0, description="Least ATR at entry, as a fraction of the price.")
    atr_max: float = Field(0.05, gt=0.0, le=1.0, description="Largest ATR at entry, as a fraction of the price.")
    confirm: bool = Field(True, description="Whether a higher timeframe must not contradict an entry.")
    confirm_timeframe: str = Field("1h", description="The higher timeframe, a multiple of the strategy's own.")
    confirm_ma: int = Field(50, ge=2, le=500, description="Bars of the higher timeframe's moving average.")
    max_bars: int = Field(0, ge=0, le=100_000, description="Bars after which the position is closed; 0 means never.")
    allow_short: bool = Field(True, description="Whether prices far above the mean are sold short.")

    @model_validator(mode="after")
    def _bounds_are_in_order(self) -> ReversionParams:
        if self.exit_threshold >= self.entry_threshold:
            raise ValueError(
                f"exit_threshold ({self.exit_threshold}) must be below entry_threshold ({self.entry_threshold})"
            )
        if self.atr_min >= self.atr_max:
            raise ValueError(f"atr_min ({self.atr_min}) must be below atr_max ({self.atr_max})")
        timeframe_ns(self.confirm_timeframe)
        return self


class MeanReversion(SignalStrategy):
    """Z-score against the rolling mean, with volume, volatility and higher-timeframe filters."""

    name = "mean_reversion"
    timeframe = "5m"
    Params = ReversionParams
    entry_tags = ("below the mean", "above the mean")
    exit_tags = ("back at the mean",)
    params: ReversionParams

    def warmup(self, timeframe: str) -> int:
        """Bars until the slowest indicator is known, that of the higher timeframe included."""
        p = self.params
        ratio = timeframe_ns(p.confirm_timeframe) // timeframe_ns(timeframe) if p.confirm else 0
        # One higher bar more for the average's change, one because the first may be incomplete.
        return max(p.lookback_period, p.atr_period + 1, p.volume_period, ratio * (p.confirm_ma + 2))

    def columns(self, bars: Bars, ta: Toolkit) -> dict[str, FloatArray]:
        """Z-score and what follows from it."""
        p = self.params
        z, atr = ta.zscore(bars.close, p.lookback_period), ta.atr(bars, p.atr_period)
        span = atr / bars.close
        fit = (ta.volume_ratio(bars, p.volume_period) >= p.volume_factor) & (span >= p.atr_min) & (span <= p.atr_max)
        # A market so wild that a stop or target would lie below zero is not entered.
        fit &= max(p.stop_atr, p.target_atr) * span < 1
        long, short = fit & (z <= -p.entry_threshold), fit & (z >= p.entry_threshold) & p.allow_short
        if p.confirm:
            trend = self._trend(bars, ta)
            long, short = long & (trend >= 0), short & (trend <= 0)
        return {
            "z": z,
            "entry": long * 1.0 - short * 1.0,
            "exit_long": (z >= -p.exit_threshold) * 1.0,
            "exit_short": (z <= p.exit_threshold) * 1.0,
            # The threshold itself is worth 0.6, one deviation beyond it makes it 1.
            "confidence": np.clip(0.6 + 0.4 * (np.abs(z) - p.entry_threshold), 0.0, 1.0),
            "stop_distance": p.stop_atr * atr,
            "target_distance": p.target_atr * atr,
            "entry_tag": short * 1.0,
        }

    def _trend(self, bars: Bars, ta: Toolkit) -> FloatArray:
        """+1 in an uptrend of the higher timeframe, -1 in a downtrend, 0 in neither, NaN while not known."""
        higher = ta.higher(bars, self.params.confirm_timeframe)
        close = higher.bars.close
        mean = higher.sma(close, self.params.confirm_ma)
        change = mean - higher.previous(mean)
        up, down = (close > mean) & (change > 0), (close < mean) & (change < 0)
        return higher.align(up * 1.0 - down * 1.0 + 0.0 * change)

    def rules(self) -> PositionRules:
        """Time alone: the levels are columns."""
        return PositionRules(max_bars=self.params.max_bars)

    def entry_reason(self, row: Any) -> str:
        """How far it has gone."""
        return f"z-score {row.z:+.2f}"
