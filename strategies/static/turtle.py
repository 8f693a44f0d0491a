"""Turtle: buy a new high of `entry_bars` bars, leave at a new low of `exit_bars`, and add while it runs.

The rules of the turtle traders in their faster form (C. Faith, "Way of the Turtle", 2007): N is the ATR of 20 bars, the
stop lies 2 N from the entry, up to four units are entered half an N apart. Short the other way round.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field

from engine.strategy.contract import StrategyParams
from engine.strategy.signals import PositionRules, SignalStrategy

if TYPE_CHECKING:
    from engine.model.candle import Bars, FloatArray
    from engine.strategy.toolkit import Toolkit

__all__ = ["Turtle"]


class TurtleParams(StrategyParams):
    """What can be set."""

    entry_bars: int = Field(20, ge=2, le=500, description="Bars whose highest high or lowest low is an entry.")
    exit_bars: int = Field(10, ge=2, le=500, description="Bars whose opposite extreme is an exit.")
    atr_period: int = Field(20, ge=1, le=200, description="Bars of the average true range, N.")
    stop_n: float = Field(2.0, gt=0.0, le=20.0, description="Distance of the stop, in N.")
    max_units: int = Field(4, ge=1, le=10, description="Most entries in one direction, the first included.")
    add_n: float = Field(0.5, gt=0.0, le=20.0, description="Gain since the last unit before one is added, in N.")
    max_bars: int = Field(0, ge=0, le=100_000, description="Bars after which the position is closed; 0 means never.")
    allow_short: bool = Field(True, description="Whether new lows are sold short.")


class Turtle(SignalStrategy):
    """Donchian breakout with a stop in N and units added while it runs."""

    name = "turtle"
    timeframe = "4h"
    Params = TurtleParams
    entry_tags = ("new high", "new low")
    exit_tags = ("opposite extreme",)
    params: TurtleParams

    def warmup(self, timeframe: str) -> int:
        """Bars until both channels of the bar before and N are known."""
        p = self.params
        return 1 + max(p.entry_bars, p.exit_bars, p.atr_period)

    def columns(self, bars: Bars, ta: Toolkit) -> dict[str, FloatArray]:
        """Channels as they were one bar ago, and what this bar makes of them."""
        p = self.params
        low, high = (ta.previous(side) for side in ta.donchian(bars, p.entry_bars))
        exit_low, exit_high = (ta.previous(side) for side in ta.donchian(bars, p.exit_bars))
        n = ta.atr(bars, p.atr_period)
        fit = (p.stop_n * n < bars.close) & (n > 0)
        up, down = fit & (bars.close > high), fit & (bars.close < low) & p.allow_short
        return {
            "upper": high,
            "lower": low,
            "entry": up * 1.0 - down * 1.0,
            "exit_long": (bars.close < exit_low) * 1.0,
            "exit_short": (bars.close > exit_high) * 1.0,
            "stop_distance": p.stop_n * n,
            "add_distance": p.add_n * n,
            "entry_tag": down * 1.0,
        }

    def rules(self) -> PositionRules:
        """Units and time."""
        return PositionRules(max_levels=self.params.max_units, max_bars=self.params.max_bars)

    def entry_reason(self, row: Any) -> str:
        """The extreme that was passed."""
        return f"beyond {row.lower if row.entry < 0 else row.upper:g}"
