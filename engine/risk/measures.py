"""Risk measures of return series: value at risk and expected shortfall by three methods, drawdown, Sharpe ratio.

Returns are fractions (0.01 is 1 %), losses come out positive, days are UTC days, and a year has 365 of them because
these markets never close. What cannot be computed is None, never zero or infinity.

Sources: P. Jorion, Value at Risk, 3rd ed. 2006 (historical and parametric value at risk, scaling with the square root
of time); J.P. Morgan/Reuters, RiskMetrics Technical Document, 1996; D. Maillard, A User's Guide to the Cornish Fisher
Expansion, 2012 (its domain of validity, and expected shortfall); W. F. Sharpe, The Sharpe Ratio, 1994.
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from engine.model.candle import FloatArray

__all__ = [
    "DAYS_PER_YEAR",
    "Moments",
    "cornish_fisher",
    "drawdowns",
    "expected_shortfall",
    "is_valid_expansion",
    "moments",
    "parametric",
    "rolling_sums",
    "sharpe",
    "value_at_risk",
]

DAYS_PER_YEAR = 365.0
_NORMAL = NormalDist()
_FLAT = 1e-15
"""A standard deviation below this is that of rounding, not of a market."""


class Moments(NamedTuple):
    """The first four moments of a series."""

    mean: float
    deviation: float
    """Sample standard deviation (n - 1)."""
    skewness: float
    """Third standardised moment, biased (by n), as scipy's default."""
    kurtosis: float
    """Fourth standardised moment less 3, biased."""

    def over(self, days: int) -> Moments:
        """The moments of the sum of so many independent days: the deviation grows with the square root of time."""
        return Moments(
            self.mean * days, self.deviation * math.sqrt(days), self.skewness / math.sqrt(days), self.kurtosis / days
        )


def moments(values: FloatArray) -> Moments | None:
    """The moments of a series; None for fewer than 4 values. Skewness and kurtosis of a flat one are 0."""
    if len(values) < 4:
        return None
    mean = float(np.mean(values))
    centred = values - mean
    square = centred * centred
    variance = float(np.mean(square))
    deviation = math.sqrt(variance * len(values) / (len(values) - 1))
    if deviation < _FLAT:
        return Moments(mean, 0.0, 0.0, 0.0)
    skewness = float(np.mean(square * centred)) / variance**1.5
    kurtosis = float(np.mean(square * square)) / variance**2 - 3.0
    return Moments(mean, deviation, skewness, kurtosis)


def value_at_risk(returns: FloatArray, confidence: float) -> float | None:
    """Historical value at risk: the (1 - confidence) quantile of returns, negated; 0 where even that is no loss.

    Quantiles are linear between the two nearest values. None for fewer than 2 returns.
    """
    if len(returns) < 2:
        return None
    return max(0.0, -float(np.quantile(returns, 1.0 - confidence)))


def expected_shortfall(returns: FloatArray, confidence: float) -> float | None:
    """Historical expected shortfall: the mean loss at or beyond the value at risk, 0 where that is no loss."""
    if len(returns) < 2:
        return None
    limit = np.quantile(returns, 1.0 - confidence)
    return max(0.0, -float(np.mean(returns[returns <= limit])))


def rolling_sums(values: FloatArray, days: int) -> FloatArray:
    """Sums of every `days` consecutive values, overlapping; those with a NaN in them are left out."""
    if len(values) < days:
        return np.empty(0)
    sums = np.lib.stride_tricks.sliding_window_view(values, days).sum(axis=1)
    result: FloatArray = sums[~np.isnan(sums)]
    return result


def parametric(of: Moments, confidence: float) -> tuple[float, float]:
    """Value at risk and expected shortfall of a normal distribution with these moments, at least 0 each.

    VaR = -(mean + z deviation), ES = -(mean - deviation phi(z) / alpha), z the alpha quantile of the standard normal,
    phi its density, alpha = 1 - confidence (Jorion, ch. 5).
    """
    alpha = 1.0 - confidence
    z = _NORMAL.inv_cdf(alpha)
    shortfall = -(of.mean - of.deviation * _NORMAL.pdf(z) / alpha)
    return max(0.0, -(of.mean + z * of.deviation)), max(0.0, shortfall)


def is_valid_expansion(skewness: float, kurtosis: float) -> bool:
    """Whether the Cornish-Fisher expansion keeps the order of quantiles for these parameters (Maillard 2012, sec. 3).

    Beyond that domain its value at risk may fall while the confidence rises, so it means nothing.

    Args:
        skewness: Third standardised moment.
        kurtosis: Fourth standardised moment less 3.
    """
    square = skewness * skewness
    return square / 9.0 - 4.0 * (kurtosis / 8.0 - square / 6.0) * (1.0 - kurtosis / 8.0 + 5.0 * square / 36.0) <= 0.0


def cornish_fisher(of: Moments, confidence: float) -> tuple[float, float] | None:
    """Value at risk and expected shortfall from four moments, at least 0 each; None outside the expansion's domain.

    The quantile z of the standard normal becomes
    w(z) = z + (z^2 - 1) S / 6 + (z^3 - 3 z) K / 24 - (2 z^3 - 5 z) S^2 / 36.
    The shortfall is the mean of w over the tail, in closed form: the integral of the Hermite polynomial He_n against
    the normal density up to z is -He_(n-1)(z) phi(z) (Maillard 2012, sec. 5).
    """
    s, k = of.skewness, of.kurtosis
    if not is_valid_expansion(s, k):
        return None
    alpha = 1.0 - confidence
    z = _NORMAL.inv_cdf(alpha)
    square = z * z
    w = z + (square - 1.0) * s / 6.0 + (z**3 - 3.0 * z) * k / 24.0 - (2.0 * z**3 - 5.0 * z) * s * s / 36.0
    tail = _NORMAL.pdf(z) / alpha
    mean_w = -tail * (1.0 + z * s / 6.0 + (square - 1.0) * k / 24.0 - (2.0 * (square - 1.0) + 1.0) * s * s / 36.0)
    return max(0.0, -(of.mean + of.deviation * w)), max(0.0, -(of.mean + of.deviation * mean_w))


def drawdowns(returns: FloatArray) -> tuple[float, float] | None:
    """Deepest and present fall from a running peak, the beginning included, as fractions; None without returns."""
    if not len(returns):
        return None
    growth = np.concatenate(([1.0], np.cumprod(1.0 + returns)))
    falls = 1.0 - growth / np.maximum.accumulate(growth)
    return float(falls.max()), float(falls[-1])


def sharpe(returns: FloatArray, risk_free_rate: float) -> float | None:
    """Mean excess daily return over its sample standard deviation, annualised (Sharpe 1994).

    Args:
        returns: Of days.
        risk_free_rate: A year, as a fraction.
    """
    if len(returns) < 2:
        return None
    excess = returns - risk_free_rate / DAYS_PER_YEAR
    deviation = float(np.std(excess, ddof=1))
    if deviation < _FLAT:
        return None
    return float(np.mean(excess)) / deviation * math.sqrt(DAYS_PER_YEAR)
