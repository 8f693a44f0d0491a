"""Weights of a portfolio of several runs: equal, minimum variance, maximum Sharpe ratio, risk parity.

Weights are at least 0 and add up to 1. The covariance is shrunk (O. Ledoit and M. Wolf, A Well-Conditioned Estimator
for Large-Dimensional Covariance Matrices, 2004), because a sample's is too trusting. Sources: H. Markowitz, Portfolio
Selection (1952); S. Maillard, T. Roncalli and J. Teiletche, The Properties of Equally Weighted Risk Contribution
Portfolios (2010), whose convex form by F. Spinu (2013) is solved: least 1/2 w'Cw - sum(ln w) / n, then scaled.

The optimiser is scipy's (SLSQP and L-BFGS-B), the covariance scikit-learn's.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from engine.errors import DataError
from engine.risk.measures import DAYS_PER_YEAR, sharpe

if TYPE_CHECKING:
    from engine.model.candle import FloatArray

__all__ = ["METHODS", "Method", "portfolio", "shrunk_covariance", "weights_of"]

Method = Literal["equal", "minimum_variance", "maximum_sharpe", "risk_parity"]
METHODS: tuple[Method, ...] = ("equal", "minimum_variance", "maximum_sharpe", "risk_parity")
_FLAT = 1e-20


def shrunk_covariance(returns: FloatArray) -> FloatArray:
    """Covariance of daily returns, shrunk towards equal variances, shape (runs, runs).

    Args:
        returns: One column a run, shape (days, runs), two days or more.
    """
    from sklearn.covariance import ledoit_wolf

    covariance: FloatArray = ledoit_wolf(returns)[0]
    return covariance


def weights_of(method: Method, mean: FloatArray, covariance: FloatArray) -> FloatArray:
    """Weights by one method.

    Args:
        method: How.
        mean: Mean excess return of each run, shape (runs,); only `maximum_sharpe` reads it.
        covariance: Of their returns, shape (runs, runs), positive definite.

    Raises:
        DataError: A run never moves, or, for the largest ratio, none has a positive mean excess return.
    """
    count = len(mean)
    if method == "equal" or count == 1:
        return np.full(count, 1.0 / count)
    if float(np.diag(covariance).min()) < _FLAT:
        raise DataError("One of the runs never moves, so weights by risk have no meaning; leave it out.")
    # The scale of a covariance is of no matter, and the optimiser's tolerances like numbers near 1.
    scaled = covariance / float(np.mean(np.diag(covariance)))
    if method == "risk_parity":
        return _risk_parity(scaled)
    if method == "minimum_variance":
        return _least(lambda w: (float(w @ scaled @ w), 2.0 * scaled @ w), count)
    if float(mean.max()) <= 0.0:
        raise DataError("No run has a return above the risk-free rate, so no weights have the largest Sharpe ratio.")
    gain = mean / float(np.abs(mean).max())

    def loss(w: FloatArray) -> tuple[float, FloatArray]:
        risk = math.sqrt(float(w @ scaled @ w))
        ratio = float(gain @ w) / risk
        return -ratio, -(gain / risk - ratio * (scaled @ w) / (risk * risk))

    # The ratio is not convex in the weights: the single runs are starts too.
    starts = [np.full(count, 1.0 / count), *(np.eye(count) * 0.98 + 0.02 / count)]
    return min((_least(loss, count, start) for start in starts), key=lambda w: loss(w)[0])


def _least(loss: Any, count: int, start: FloatArray | None = None) -> FloatArray:
    from scipy.optimize import minimize

    begin = np.full(count, 1.0 / count) if start is None else start
    found = minimize(
        loss,
        begin,
        jac=True,
        method="SLSQP",
        bounds=[(0.0, 1.0)] * count,
        constraints=[{"type": "eq", "fun": lambda w: w.sum() - 1.0, "jac": lambda w: np.ones_like(w)}],
        options={"ftol": 1e-12, "maxiter": 500},
    )
    return _tidy(found.x)


def _risk_parity(covariance: FloatArray) -> FloatArray:
    from scipy.optimize import minimize

    count = len(covariance)

    def loss(w: FloatArray) -> tuple[float, FloatArray]:
        return 0.5 * float(w @ covariance @ w) - float(np.log(w).sum()) / count, covariance @ w - 1.0 / (count * w)

    begin = 1.0 / np.sqrt(np.diag(covariance) * count)
    found = minimize(
        loss,
        begin,
        jac=True,
        method="L-BFGS-B",
        bounds=[(1e-9, None)] * count,
        options={"ftol": 1e-15, "gtol": 1e-10, "maxiter": 1000},
    )
    return _tidy(found.x)


def _tidy(weights: FloatArray) -> FloatArray:
    kept = np.where(weights < 1e-6, 0.0, weights)
    result: FloatArray = kept / kept.sum()
    return result


def portfolio(returns: FloatArray, weights: FloatArray, risk_free_rate: float) -> dict[str, Any]:
    """What the weighted runs would have been together, brought back to the weights every day, at no cost.

    Args:
        returns: Daily, one column a run.
        weights: Of the runs.
        risk_free_rate: A year, as a fraction.

    Returns:
        `weights`, `risk_shares` (each run's part of the variance), `total_return`, `annual_volatility`, `sharpe`,
        `max_drawdown`.
    """
    joined = returns @ weights
    sample = np.atleast_2d(np.cov(returns, rowvar=False))
    variance = float(weights @ sample @ weights)
    growth = np.concatenate(([1.0], np.cumprod(1.0 + joined)))
    shares = weights * (sample @ weights) / variance if variance > _FLAT else np.full(len(weights), np.nan)
    return {
        "weights": weights.tolist(),
        "risk_shares": shares.tolist(),
        "total_return": float(growth[-1]) - 1.0,
        "annual_volatility": float(np.std(joined, ddof=1)) * math.sqrt(DAYS_PER_YEAR),
        "sharpe": sharpe(joined, risk_free_rate),
        "max_drawdown": float((1.0 - growth / np.maximum.accumulate(growth)).max()),
    }
