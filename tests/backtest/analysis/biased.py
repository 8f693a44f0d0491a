"""Strategies with one planted bias each, and clean ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from engine.strategy.contract import Holding, Strategy, StrategyMemory, Wish

if TYPE_CHECKING:
    from engine.model.candle import Bars, FloatArray
    from engine.strategy.toolkit import Toolkit

__all__ = ["BIASED", "CLEAN", "Clean", "ShortWarmUp", "TooShort"]


class Clean(Strategy):
    """Trades the distance from an average, through the toolkit."""

    name = "clean"

    def warmup(self, timeframe: str) -> int:
        return 20

    def value(self, bars: Bars, ta: Toolkit) -> FloatArray:
        """The column that decides."""
        return bars.close - ta.sma(bars.close, 20)

    def columns(self, bars: Bars, ta: Toolkit) -> dict[str, FloatArray]:
        value = self.value(bars, ta)
        return {"mean": ta.sma(bars.close, 20), "value": value, "wake": np.where(value > 0, 1.0, 0.0)}

    def decide(self, row: Any, memory: StrategyMemory, holding: Holding) -> Wish | None:
        if not holding.side:
            return Wish.enter(1, 1.0, "above", stop=row.close * 0.9) if row.value > 0 else None
        return Wish.exit("below") if row.value < 0 else None


class WithHistory(Clean):
    """Looks back through the toolkit in other ways."""

    name = "with_history"

    def value(self, bars: Bars, ta: Toolkit) -> FloatArray:
        return ta.ema(bars.close, 5) - ta.previous(bars.close, 3) + 0.0 * ta.highest(bars.high, 10)


class Shifted(Clean):
    """Takes the next close."""

    name = "shifted"

    def value(self, bars: Bars, ta: Toolkit) -> FloatArray:
        return np.append(bars.close[1:], np.nan) - bars.close


class Rolled(Clean):
    """Shifts the wrong way, the way that goes around the end."""

    name = "rolled"

    def value(self, bars: Bars, ta: Toolkit) -> FloatArray:
        return np.roll(bars.close, -2) - bars.close


class Centred(Clean):
    """A centred rolling mean."""

    name = "centred"

    def value(self, bars: Bars, ta: Toolkit) -> FloatArray:
        return bars.close - np.convolve(bars.close, np.ones(9) / 9, mode="same")


class Normalised(Clean):
    """Measures each close by the mean and deviation of all of them."""

    name = "normalised"

    def value(self, bars: Bars, ta: Toolkit) -> FloatArray:
        found: FloatArray = (bars.close - bars.close.mean()) / max(float(bars.close.std()), 1e-9)
        return found


class GlobalRange(Clean):
    """Places each close between the lowest and the highest of all."""

    name = "global_range"

    def value(self, bars: Bars, ta: Toolkit) -> FloatArray:
        low, high = bars.low.min(initial=np.inf), bars.high.max(initial=0.0)
        found: FloatArray = (bars.close - low) / (high - low) - 0.5
        return found


class Filled(Clean):
    """Fills unknown values from the future."""

    name = "filled"

    def value(self, bars: Bars, ta: Toolkit) -> FloatArray:
        sparse = np.where(bars.ts // 3_600_000_000_000 % 5 == 0, bars.close, np.nan)
        following = np.minimum.accumulate(np.where(np.isnan(sparse), len(sparse), np.arange(len(sparse)))[::-1])[::-1]
        found: FloatArray = np.append(sparse, np.nan)[following] - bars.close
        return found


class InDecide(Clean):
    """Keeps the closes aside and looks at the next one when it decides; its columns are clean."""

    name = "in_decide"

    def columns(self, bars: Bars, ta: Toolkit) -> dict[str, FloatArray]:
        self.aside = dict(zip(bars.ts.tolist(), bars.close.tolist(), strict=True))
        self.step = int(bars.ts[1] - bars.ts[0]) if len(bars) > 1 else 0
        return {"mean": ta.sma(bars.close, 20)}

    def decide(self, row: Any, memory: StrategyMemory, holding: Holding) -> Wish | None:
        after = self.aside.get(row.ts + self.step, row.close)
        if not holding.side:
            return Wish.enter(1, 1.0, "knew", stop=row.close * 0.5) if after > row.close * 1.001 else None
        return Wish.exit("knew") if after < row.close else None


class PastToolkit(Clean):
    """Looks back without the toolkit: right for a whole history, wrong when bars come one at a time."""

    name = "past_toolkit"

    def value(self, bars: Bars, ta: Toolkit) -> FloatArray:
        before: FloatArray = np.concatenate((np.full(1, np.nan), bars.close[:-1]))[: len(bars)]
        return bars.close - before


class TooShort(Clean):
    """Declares a warm-up shorter than its window."""

    name = "too_short"

    def warmup(self, timeframe: str) -> int:
        return 10


class ShortWarmUp(Clean):
    """Declares a warm-up that a slow exponential average does not forget in five times."""

    name = "short_warm_up"

    def warmup(self, timeframe: str) -> int:
        return 21

    def value(self, bars: Bars, ta: Toolkit) -> FloatArray:
        return bars.close - ta.ema(bars.close, 20) + ta.wilder(bars.close, 20) * 0.0 + self.slow(bars, ta)

    def slow(self, bars: Bars, ta: Toolkit) -> FloatArray:
        """An average of weight 1/400, begun with the first value."""
        return ta.wilder(ta.ema(bars.close, 1), 1) * 0.0 + ta._smooth("slow", bars.close, 1, 1 / 400)


CLEAN: tuple[type[Strategy], ...] = (Clean, WithHistory)
BIASED: dict[type[Strategy], str] = {
    Shifted: "value",
    Rolled: "value",
    Centred: "value",
    Normalised: "value",
    GlobalRange: "value",
    Filled: "value",
    InDecide: "signals",
    PastToolkit: "value",
}
"""Strategies and where their bias shows."""
