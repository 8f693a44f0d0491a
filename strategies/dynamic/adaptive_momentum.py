"""Adaptive momentum: hold what is strongest among several markets, by rules that move with volatility.

Momentum is the return over `fast`, `middle` and `slow` bars, each divided by the deviation that so many bars have by
the volatility of the last `slow` ones, and averaged. It is scored for this market and for those of `watch`, and they
are ranked: only the top `top_share` of them is bought at a score above `threshold`, only the bottom `top_share` sold
below -`threshold`. Where no other market is known the score decides alone.

Everything moves with the volatility regime of the market, which is ranked as risk management ranks it: lookbacks and
threshold are multiplied by `low_factor`, `medium_factor` or `high_factor`. While the regime cannot be told the medium
row holds, and the reason of an entry says so.

Size shrinks with the mean positive correlation to the watched markets, down to `size_floor`: what moves alike is one
bet (positions that are really held are weighed by risk besides). The stop widens with stress, from `stop_min` to
`stop_max` × ATR: stress is the mean rank of volatility over all markets that are known. The position is closed when
the score has turned, or when the market is no longer in the better half.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field, model_validator

from engine.model.watched import symbols_of
from engine.strategy.contract import StrategyParams, StrategyType
from engine.strategy.signals import PositionRules, SignalStrategy

if TYPE_CHECKING:
    from engine.model.candle import Bars, FloatArray
    from engine.strategy.toolkit import Toolkit

__all__ = ["AdaptiveMomentum"]


class MomentumParams(StrategyParams):
    """What can be set."""

    fast: int = Field(20, ge=2, le=500, description="Bars of the shortest return, in the medium regime.")
    middle: int = Field(50, ge=3, le=1000, description="Bars of the middle return.")
    slow: int = Field(100, ge=4, le=2000, description="Bars of the longest return.")
    threshold: float = Field(0.5, ge=0.0, le=10.0, description="Least score to enter, in deviations.")
    top_share: float = Field(0.2, gt=0.0, le=0.5, description="Share of the markets that is bought, and that is sold.")
    watch: str = Field(
        "BTC/USDT, ETH/USDT, SOL/USDT, XRP/USDT, BNB/USDT", description="Symbols that are ranked, with commas between."
    )
    regime_bars: int = Field(20, ge=2, le=500, description="Bars of the volatility that makes the regime.")
    regime_history: int = Field(250, ge=20, le=2000, description="Bars among which it is ranked.")
    low_percentile: float = Field(33.0, gt=0.0, lt=100.0, description="Rank up to which volatility is low.")
    high_percentile: float = Field(67.0, gt=0.0, lt=100.0, description="Rank beyond which volatility is high.")
    low_factor: float = Field(0.8, ge=0.1, le=10.0, description="Lookbacks and threshold in low volatility, times.")
    medium_factor: float = Field(1.0, ge=0.1, le=10.0, description="The same in medium volatility.")
    high_factor: float = Field(1.5, ge=0.1, le=10.0, description="The same in high volatility.")
    correlation_bars: int = Field(50, ge=5, le=500, description="Bars of the correlation of returns.")
    size_floor: float = Field(0.2, gt=0.0, le=1.0, description="Least size, as a factor of the whole one.")
    atr_period: int = Field(14, ge=1, le=200, description="Bars of the average true range (ATR).")
    stop_min: float = Field(1.0, gt=0.0, le=20.0, description="Distance of the stop without stress, in ATR.")
    stop_max: float = Field(4.0, gt=0.0, le=20.0, description="Distance of the stop at the highest stress, in ATR.")
    max_bars: int = Field(0, ge=0, le=100_000, description="Bars after which the position is closed; 0 means never.")
    allow_short: bool = Field(True, description="Whether the weakest markets are sold short.")

    @model_validator(mode="after")
    def _bounds_are_in_order(self) -> MomentumParams:
        for low, high in (("fast", "middle"), ("middle", "slow"), ("low_percentile", "high_percentile")):
            if getattr(self, low) >= getattr(self, high):
                raise ValueError(f"{low} ({getattr(self, low):g}) must be below {high} ({getattr(self, high):g})")
        if self.stop_min > self.stop_max:
            raise ValueError(f"stop_min ({self.stop_min:g}) must not be above stop_max ({self.stop_max:g})")
        return self


class AdaptiveMomentum(SignalStrategy):
    """Ranked, volatility-normalised momentum whose lookbacks, thresholds, size and stop follow the market's regime."""

    name = "adaptive_momentum"
    kind = StrategyType.DYNAMIC
    timeframe = "1h"
    Params = MomentumParams
    entry_tags = ("momentum, low volatility", "momentum, medium volatility", "momentum, high volatility",
                  "momentum, unknown volatility")  # fmt: skip
    exit_tags = ("momentum has turned", "no longer among the stronger")
    params: MomentumParams

    def watches(self) -> tuple[str, ...]:
        """The markets that are ranked."""
        return symbols_of(self.params.watch)

    def warmup(self, timeframe: str) -> int:
        """Bars until every score, the regime and the correlation are known."""
        p = self.params
        longest = max(round(p.slow * factor) for factor in self._factors)
        return 3 + max(longest, p.regime_bars + p.regime_history, p.correlation_bars, p.atr_period)

    @property
    def _factors(self) -> tuple[float, float, float]:
        return self.params.low_factor, self.params.medium_factor, self.params.high_factor

    def columns(self, bars: Bars, ta: Toolkit) -> dict[str, FloatArray]:
        """Score, rank, regime and what follows from them."""
        p = self.params
        rank = ta.percentile(ta.volatility(bars.close, p.regime_bars), p.regime_history)
        row = np.where(np.isnan(rank), 1.0, (rank > p.low_percentile) * 1.0 + (rank > p.high_percentile) * 1.0)
        score = self._score(ta, bars.close, row)
        threshold = p.threshold * np.choose(row.astype(int), self._factors)
        place, known, correlation, stress = self._market(bars, ta, row, score, rank)
        # As many of the markets as the share says, at least one.
        chosen = np.maximum(np.floor(p.top_share * known + 0.5), 1.0)
        alone = known < 2
        long = (score > threshold) & (alone | (place < chosen))
        short = (score < -threshold) & (alone | (known - 1 - place < chosen)) & p.allow_short
        atr = ta.atr(bars, p.atr_period)
        distance = (p.stop_min + (p.stop_max - p.stop_min) * stress) * atr
        # A market so wild that its stop would lie below zero is not entered, nor one that stands still.
        fit = (distance < bars.close) & (distance > 0)
        turned = np.where(score > 0, 1.0, -1.0)
        weak_long, weak_short = ~alone & (place >= known / 2), ~alone & (place < known / 2 - 0.5)
        return {
            "entry": (fit & long) * 1.0 - (fit & short) * 1.0,
            "exit_long": ((turned < 0) | weak_long) * 1.0,
            "exit_short": ((turned > 0) | weak_short) * 1.0,
            # The threshold itself is worth 0.6, one deviation beyond it makes it 1.
            "confidence": np.clip(0.6 + 0.4 * (np.abs(score) - threshold), 0.0, 1.0),
            "size": np.clip(1.0 - correlation, p.size_floor, 1.0),
            "stop_distance": distance,
            "entry_tag": np.where(np.isnan(rank), 3.0, row),
            "exit_tag": np.where((weak_long & (turned > 0)) | (weak_short & (turned < 0)), 1.0, 0.0),
            "score": score,
            "place": place + 1.0,
            "known": known,
            "stress": stress,
        }

    def _score(self, ta: Toolkit, close: FloatArray, row: FloatArray) -> FloatArray:
        """Momentum in deviations at each row, with the lookbacks of that row's regime; 0 for a market that rests."""
        p, steps = self.params, np.log(close)
        usual = ta.std(steps - ta.previous(steps), p.slow)
        moves = usual > 0
        scores = []
        for factor in self._factors:
            total = np.zeros(len(close))
            for bars in (p.fast, p.middle, p.slow):
                length = max(round(bars * factor), 2)
                total += (steps - ta.previous(steps, length)) / np.sqrt(length)
            # NaN stays NaN: what is not known yet is no rest.
            scores.append(np.where(moves, total / (3.0 * np.where(moves, usual, 1.0)), usual * total))
        return np.choose(row.astype(int), scores)

    def _market(
        self, bars: Bars, ta: Toolkit, row: FloatArray, score: FloatArray, rank: FloatArray
    ) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """How many markets are stronger, how many are known, the mean positive correlation, and the stress from 0 to 1.

        The others are one bar old, so this one is compared with them as it was one bar ago.
        """
        p = self.params
        mine, own = ta.previous(score), ta.previous(np.log(bars.close) - ta.previous(np.log(bars.close)))
        place, known, alike, pairs = (np.zeros(len(bars)) for _ in range(4))
        stress, ranked = np.where(np.isnan(rank), 50.0, rank), np.ones(len(bars))
        for symbol in self.watches():
            close = bars.other(symbol).close
            other = self._score(ta, close, row)
            there = ~np.isnan(other)
            place += there & (other > mine)
            known += there
            steps = np.log(close) - ta.previous(np.log(close))
            together = ta.correlation(own, steps, p.correlation_bars)
            measured = ~np.isnan(together)
            alike, pairs = alike + np.where(measured, np.maximum(together, 0.0), 0.0), pairs + measured
            wild = ta.percentile(ta.volatility(close, p.regime_bars), p.regime_history)
            stress, ranked = stress + np.where(np.isnan(wild), 0.0, wild), ranked + ~np.isnan(wild)
        correlation = np.where(pairs > 0, alike / np.maximum(pairs, 1.0), 0.0)
        return place, known + 1.0, correlation, stress / ranked / 100.0

    def rules(self) -> PositionRules:
        """Time alone: the stop is a column."""
        return PositionRules(max_bars=self.params.max_bars)

    def entry_reason(self, row: Any) -> str:
        """How strong it is, and among how many."""
        return f"score {row.score:+.2f}, {row.place:.0f} of {row.known:.0f}, stress {row.stress:.0%}"
