"""How far a Sharpe ratio can be trusted: probabilistic and deflated Sharpe ratio, and how long a record must be.

All ratios in formulas are per period (a day), not annualised. Sources: D. H. Bailey and M. Lopez de Prado, The Sharpe
Ratio Efficient Frontier, J. Risk 15 (2012), eq. 9 and 11; the same, The Deflated Sharpe Ratio: Correcting for Selection
Bias, Backtest Overfitting and Non-Normality, J. Portfolio Management 40 (2014), eq. 1 and 2.
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from engine.risk.measures import DAYS_PER_YEAR, moments

if TYPE_CHECKING:
    from engine.model.candle import FloatArray

__all__ = [
    "SharpeFacts",
    "deflated_sharpe",
    "expected_best",
    "minimum_record",
    "probabilistic_sharpe",
    "ratio_variance",
    "sharpe_facts",
]

_NORMAL = NormalDist()
_EULER = 0.5772156649015329
"""The Euler-Mascheroni constant."""


class SharpeFacts(NamedTuple):
    """What the formulas need of a series of returns."""

    ratio: float
    """Mean excess return over its sample deviation, a period."""
    periods: int
    skewness: float
    kurtosis: float
    """Fourth standardised moment, 3 for a normal distribution."""

    @property
    def variance(self) -> float:
        """Variance of the estimated ratio, times periods - 1 (Bailey and Lopez de Prado 2012, eq. 8); above 0."""
        return 1.0 - self.skewness * self.ratio + (self.kurtosis - 1.0) / 4.0 * self.ratio**2


def sharpe_facts(returns: FloatArray, risk_free_rate: float) -> SharpeFacts | None:
    """Ratio and moments of daily returns; None for fewer than 4 of them or a series that does not move.

    Args:
        returns: Of days.
        risk_free_rate: A year, as a fraction.
    """
    excess = returns - risk_free_rate / DAYS_PER_YEAR
    found = moments(excess)
    if found is None or found.deviation == 0.0:
        return None
    return SharpeFacts(found.mean / found.deviation, len(excess), found.skewness, found.kurtosis + 3.0)


def probabilistic_sharpe(facts: SharpeFacts, benchmark: float = 0.0) -> float | None:
    """Probability that the true ratio is above a benchmark, given the length and shape of the record.

    Phi((SR - SR*) sqrt(n - 1) / sqrt(1 - skewness SR + (kurtosis - 1) / 4 SR^2)).

    Args:
        facts: Of the record.
        benchmark: Ratio a period.

    Returns:
        The probability; None where the moments contradict each other (a variance that is not positive).
    """
    if facts.variance <= 0.0:
        return None
    return _NORMAL.cdf((facts.ratio - benchmark) * math.sqrt(facts.periods - 1) / math.sqrt(facts.variance))


def minimum_record(facts: SharpeFacts, benchmark: float = 0.0, confidence: float = 0.95) -> float | None:
    """Periods that a record must have before its ratio is above the benchmark with that confidence.

    1 + (1 - skewness SR + (kurtosis - 1) / 4 SR^2) (z / (SR - SR*))^2; None where the ratio is not above the benchmark,
    because no length suffices.

    Args:
        facts: Of the record.
        benchmark: Ratio a period.
        confidence: From 0.5 to below 1.
    """
    if facts.ratio <= benchmark or facts.variance <= 0.0:
        return None
    z = _NORMAL.inv_cdf(confidence)
    return 1.0 + facts.variance * (z / (facts.ratio - benchmark)) ** 2


def expected_best(trials: int, variance: float) -> float:
    """The ratio to be expected of the best of so many trials that are worth nothing.

    sqrt(V) ((1 - gamma) Phi^-1(1 - 1/N) + gamma Phi^-1(1 - 1/(N e))), gamma the Euler-Mascheroni constant; 0 for a
    single trial, which was not chosen among any.

    Args:
        trials: Independent trials.
        variance: Of the ratios (a period) of the trials.
    """
    if trials < 2:
        return 0.0
    first = _NORMAL.inv_cdf(1.0 - 1.0 / trials)
    second = _NORMAL.inv_cdf(1.0 - 1.0 / (trials * math.e))
    return math.sqrt(max(variance, 0.0)) * ((1.0 - _EULER) * first + _EULER * second)


def deflated_sharpe(facts: SharpeFacts, trials: int, variance: float | None = None) -> float | None:
    """Probability that the true ratio is above 0 when the record is the best of so many trials.

    Args:
        facts: Of the record.
        trials: Independent trials, this one included.
        variance: Of the trials' ratios a period; None takes what pure chance gives a record of this length,
            1 / (periods - 1).
    """
    spread = 1.0 / (facts.periods - 1) if variance is None else variance
    return probabilistic_sharpe(facts, expected_best(trials, spread))


def ratio_variance(ratios: FloatArray) -> float | None:
    """Sample variance of the ratios of trials; None for fewer than two."""
    return float(np.var(ratios, ddof=1)) if len(ratios) > 1 else None
