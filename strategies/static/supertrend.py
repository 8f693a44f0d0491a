"""Supertrend: hold in the direction of the supertrend line, turn when a close leaves it.

The line trails the price at `factor` × ATR of `atr_period` bars and never moves away from it; a close beyond it turns
the direction. Enter at a turn, with the stop at the line as it is then; the turn back closes the position.
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

__all__ = ["Supertrend"]


class SupertrendParams(StrategyParams):
    """What can be set."""

    atr_period: int = Field(10, ge=1, le=200, description="Bars of the average true range (ATR).")
    factor: float = Field(3.0, gt=0.0, le=20.0, description="Distance of the line from the middle of the bar, in ATR.")
    trend_adx: float = Field(0.0, ge=0.0, le=100.0, description="Least ADX at an entry; 0 asks for none.")
    adx_period: int = Field(14, ge=2, le=200, description="Bars of the average directional index (ADX).")
    max_bars: int = Field(0, ge=0, le=100_000, description="Bars after which the position is closed; 0 means never.")
    allow_short: bool = Field(True, description="Whether turns downwards are sold short.")


class Supertrend(SignalStrategy):
    """Follows the supertrend line from turn to turn."""

    name = "supertrend"
    timeframe = "1h"
    Params = SupertrendParams
    entry_tags = ("turned up", "turned down")
    exit_tags = ("turned back",)
    params: SupertrendParams

    def warmup(self, timeframe: str) -> int:
        """Bars until the line, its last turn and ADX are known."""
        p = self.params
        return 2 + max(p.atr_period, 2 * p.adx_period)

    def columns(self, bars: Bars, ta: Toolkit) -> dict[str, FloatArray]:
        """Line, direction and what follows from them."""
        p = self.params
        line, side = ta.supertrend(bars, p.atr_period, p.factor)
        up, down = ta.crossed_above(side, 0.0), ta.crossed_below(side, 0.0)
        strength, _, _ = ta.adx(bars, p.adx_period)
        distance = np.abs(bars.close - line)
        fit = (strength >= p.trend_adx) & (distance > 0) & (distance < bars.close)
        return {
            "line": line,
            "entry": up * fit - down * fit * float(p.allow_short),
            "exit_long": (side < 0) * 1.0,
            "exit_short": (side > 0) * 1.0,
            "stop_distance": distance,
            "entry_tag": down,
            "adx": strength,
        }

    def rules(self) -> PositionRules:
        """Time alone: the levels are columns."""
        return PositionRules(max_bars=self.params.max_bars)

    def entry_reason(self, row: Any) -> str:
        """Where the line is."""
        return f"line {row.line:g}, ADX {row.adx:.0f}"
