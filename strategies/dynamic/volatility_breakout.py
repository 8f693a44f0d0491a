"""Volatility breakout: enter where the price leaves its reference by more than it usually moves.

The reference is the close at which a set-up begins; its thresholds lie `k` × ATR above and below. A close beyond one is
entered in its direction. While nothing happens the set-up ages: thresholds and confidence halve every `half_life` bars,
and after `expiry` half-lives it is dropped and a new one begins at the present close, as one does after each breakout.

The volatility regime filters: the volatility of the last `regime_bars` bars, ranked among the `regime_history` before
as risk management ranks it, is low, medium or high, and only the allowed ones are entered. Size is inversely
proportional to the ATR: the whole size at `target_volatility`, never more. A surge in the whole market, the mean over
this and the `watch`ed markets of ATR ÷ its average beyond `surge`, suppresses entries.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import Field, model_validator

from engine.model.watched import symbols_of
from engine.strategy.contract import StrategyParams, StrategyType
from engine.strategy.signals import PositionRules, SignalStrategy

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from engine.model.candle import Bars, FloatArray
    from engine.strategy.toolkit import Toolkit

__all__ = ["VolatilityBreakout"]

Regimes = Literal["low", "low and medium", "medium", "medium and high", "any"]
_RANKS: dict[str, tuple[float, float]] = {
    "low": (0, 0), "low and medium": (0, 1), "medium": (1, 1), "medium and high": (1, 2), "any": (0, 2),
}  # fmt: skip


class VolatilityParams(StrategyParams):
    """What can be set."""

    atr_period: int = Field(14, ge=1, le=200, description="Bars of the average true range (ATR).")
    k: float = Field(1.5, gt=0.0, le=20.0, description="Distance of the thresholds from the reference, in ATR.")
    regimes: Regimes = Field("low and medium", description="Volatility regimes in which it enters.")
    regime_bars: int = Field(20, ge=2, le=500, description="Bars of the volatility that makes the regime.")
    regime_history: int = Field(250, ge=20, le=2000, description="Bars among which it is ranked.")
    low_percentile: float = Field(33.0, gt=0.0, lt=100.0, description="Rank up to which volatility is low.")
    high_percentile: float = Field(67.0, gt=0.0, lt=100.0, description="Rank beyond which volatility is high.")
    target_volatility: float = Field(0.01, gt=0.0, le=1.0, description="ATR at which the size is whole, as a fraction.")
    least_size: float = Field(0.2, gt=0.0, le=1.0, description="Least size, as a factor of the whole one.")
    half_life: float = Field(24.0, gt=0.0, le=10_000.0, description="Bars in which thresholds and confidence halve.")
    expiry: float = Field(2.0, gt=0.0, le=20.0, description="Half-lives after which a set-up is dropped.")
    surge: float = Field(2.0, gt=0.0, le=100.0, description="Market-wide ATR ratio beyond which nothing is entered.")
    surge_bars: int = Field(50, ge=2, le=1000, description="Bars of the average that ATR is compared with.")
    stop_atr: float = Field(1.5, gt=0.0, le=20.0, description="Distance of the stop, in ATR.")
    target_atr: float = Field(3.0, gt=0.0, le=20.0, description="Distance of the target, in ATR.")
    max_bars: int = Field(0, ge=0, le=100_000, description="Bars after which the position is closed; 0 means never.")
    allow_short: bool = Field(True, description="Whether falling markets are entered too.")
    watch: str = Field("BTC/USDT, ETH/USDT", description="Symbols of the market-wide volatility, with commas between.")

    @model_validator(mode="after")
    def _percentiles_are_in_order(self) -> VolatilityParams:
        if self.low_percentile >= self.high_percentile:
            raise ValueError(
                f"low_percentile ({self.low_percentile:g}) must be below high_percentile ({self.high_percentile:g})"
            )
        return self


class VolatilityBreakout(SignalStrategy):
    """A move of more than k ATR away from the last reference, in a regime that allows it."""

    name = "volatility_breakout"
    kind = StrategyType.DYNAMIC
    timeframe = "1h"
    Params = VolatilityParams
    entry_tags = ("breakout up", "breakout down")
    exit_tags = ("opposite breakout",)
    params: VolatilityParams

    def watches(self) -> tuple[str, ...]:
        """The markets whose volatility counts."""
        return symbols_of(self.params.watch)

    def warmup(self, timeframe: str) -> int:
        """Bars until regime, ATR and its average are known."""
        p = self.params
        return 2 + max(p.regime_bars + p.regime_history, p.atr_period + p.surge_bars)

    def columns(self, bars: Bars, ta: Toolkit) -> dict[str, FloatArray]:
        """Breakouts, and what speaks for and against them."""
        p = self.params
        atr = ta.atr(bars, p.atr_period)
        rank = ta.percentile(ta.volatility(bars.close, p.regime_bars), p.regime_history)
        regime = (rank > p.low_percentile) * 1.0 + (rank > p.high_percentile) * 1.0
        low, high = _RANKS[p.regimes]
        ratio = self._market_ratio(bars, ta, atr)
        side, decay, reference = ta.scan(self._set_up(), (0.0, 0.0), bars.close, atr)
        fit = (regime >= low) & (regime <= high) & (ratio <= p.surge) & np.isfinite(rank)
        # A market so wild that stop or target would lie below zero is not entered.
        fit &= (max(p.stop_atr, p.target_atr) * atr < bars.close) & ((side > 0) | p.allow_short)
        with np.errstate(divide="ignore", invalid="ignore"):
            size = np.clip(p.target_volatility * bars.close / atr, p.least_size, 1.0)
        return {
            "entry": np.where(fit, side, 0.0),
            "exit_long": (side < 0) * 1.0,
            "exit_short": (side > 0) * 1.0,
            "confidence": np.clip(decay, 0.0, 1.0),
            "size": np.where(np.isfinite(size), size, p.least_size),
            "stop_distance": p.stop_atr * atr,
            "target_distance": p.target_atr * atr,
            "entry_tag": (side < 0) * 1.0,
            "reference": reference,
            "regime": regime,
            "market_ratio": ratio,
        }

    def _market_ratio(self, bars: Bars, ta: Toolkit, atr: FloatArray) -> FloatArray:
        """Mean over all markets that are known of ATR ÷ its average; 1 where none is."""
        p = self.params
        total, known = self._ratio(ta, atr), np.ones(len(bars))
        total = np.where(np.isfinite(total), total, 1.0)
        for symbol in self.watches():
            other = self._ratio(ta, ta.atr(bars.other(symbol), p.atr_period))
            there = np.isfinite(other)
            total, known = total + np.where(there, other, 0.0), known + there
        return total / known

    def _ratio(self, ta: Toolkit, atr: FloatArray) -> FloatArray:
        average = ta.sma(atr, self.params.surge_bars)
        ratio: FloatArray = np.divide(atr, average, out=np.full(len(atr), np.nan), where=average > 0)
        return ratio

    def _set_up(self) -> Callable[..., Sequence[float]]:
        """One bar of the set-up: side of a breakout at it or 0, the decay, and the reference it was measured from."""
        p = self.params

        def step(state: list[float], close: float, atr: float) -> Sequence[float]:
            reference, age = state
            if not atr > 0 or not reference > 0:
                state[:] = close, 0.0
                return 0.0, 1.0, close
            age += 1.0
            decay = 0.5 ** (age / p.half_life)
            reach = p.k * atr * decay
            side = 1.0 if close > reference + reach else -1.0 if close < reference - reach else 0.0
            if side or age >= p.expiry * p.half_life:
                state[:] = close, 0.0
            else:
                state[1] = age
            return side, decay, reference

        return step

    def rules(self) -> PositionRules:
        """Time alone: the levels are columns."""
        return PositionRules(max_bars=self.params.max_bars)

    def entry_reason(self, row: Any) -> str:
        """From where it moved, and in which market."""
        words = ("low", "medium", "high")[int(row.regime)]
        return f"from {row.reference:g}, {words} volatility, market at {row.market_ratio:.2f}"
