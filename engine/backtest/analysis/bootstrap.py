"""Random series made out of a history: blocks drawn with replacement, shuffled trades, fitted volatility with jumps.

Sources: D. N. Politis and J. P. Romano, The Stationary Bootstrap, JASA 89 (1994); T. Bollerslev, Generalized
Autoregressive Conditional Heteroskedasticity, J. Econometrics 31 (1986); C. Francq, L. Horvath and J.-M. Zakoian,
Merits and Drawbacks of Variance Targeting in GARCH Models, J. Fin. Econometrics 9 (2011); R. C. Merton, Option Pricing
when Underlying Stock Returns Are Discontinuous, J. Fin. Economics 3 (1976).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec
import numpy as np

if TYPE_CHECKING:
    from engine.model.candle import FloatArray, IntArray

__all__ = [
    "SCENARIOS",
    "Jumps",
    "Scenario",
    "VolatilityModel",
    "block_indices",
    "block_length",
    "find_jumps",
    "fit_volatility",
    "shuffled",
    "simulate",
    "stressed",
]

JUMP_AT = 4.0
"""Standardised moves beyond so many deviations are jumps and not volatility."""
_LEAST = 50
"""Returns that a volatility model needs."""


class Scenario(msgspec.Struct, frozen=True, kw_only=True):
    """How much worse than the past a path is."""

    name: str
    scale: float
    """Factor of every return's distance from the mean."""
    jumps: bool = False
    """Whether jumps come on top."""


SCENARIOS = {
    "normal": Scenario(name="normal", scale=1.0),
    "stress": Scenario(name="stress", scale=2.0),
    "extreme": Scenario(name="extreme", scale=4.0, jumps=True),
}


def block_length(count: int) -> int:
    """Mean length of a block for so many returns: their cube root, the order of what is best for a variance.

    Source: P. Hall, J. L. Horowitz and B.-Y. Jing, On Blocking Rules for the Bootstrap with Dependent Data (1995).
    """
    return max(1, round(math.cbrt(count)))


def block_indices(rng: np.random.Generator, count: int, length: int, paths: int, mean_block: float) -> IntArray:
    """Rows of a history in the order of a stationary bootstrap, shape (paths, length).

    A block goes on with the next row (the last is followed by the first) and ends at each step with probability
    1 / mean_block, so that blocks have geometric lengths.

    Args:
        rng: Source of chance.
        count: Rows of the history.
        length: Rows of a path.
        paths: How many paths.
        mean_block: Mean rows of a block, at least 1.
    """
    starts = rng.random((paths, length), dtype=np.float32) < 1.0 / mean_block
    starts[:, 0] = True
    flat = starts.ravel()
    places = np.flatnonzero(flat)
    lengths = np.diff(np.append(places, flat.size))
    # Within a block the row grows by one a step: what is repeated is the block's first row less its place.
    offset = rng.integers(0, count, len(places)) - places
    index = np.arange(flat.size)
    index += np.repeat(offset, lengths)
    index %= count
    result: IntArray = index.reshape(paths, length)
    return result


def shuffled(rng: np.random.Generator, values: FloatArray, paths: int) -> FloatArray:
    """The values in random orders, each once, shape (paths, len(values))."""
    return rng.permuted(np.broadcast_to(values, (paths, len(values))), axis=1)


# --- jumps -----------------------------------------------------------------------------------------------------------


class Jumps(msgspec.Struct, frozen=True, kw_only=True):
    """Jumps of a history, as a compound Poisson process with normal sizes (Merton 1976)."""

    rate: float
    """A step."""
    mean: float
    deviation: float
    """Of the sizes, as log returns."""


def find_jumps(returns: FloatArray) -> Jumps:
    """Jumps among log returns: those beyond `JUMP_AT` robust deviations (1.4826 x median absolute deviation).

    Where there are none, or fewer than three, one in 1,000 steps has the size of `JUMP_AT` deviations downwards: an
    extreme scenario without a single jump would be none.
    """
    centre = float(np.median(returns))
    spread = 1.4826 * float(np.median(np.abs(returns - centre)))
    if spread <= 0.0:
        spread = float(np.std(returns))
    beyond = returns[np.abs(returns - centre) > JUMP_AT * spread]
    if len(beyond) < 3:
        return Jumps(rate=0.001, mean=-JUMP_AT * spread, deviation=spread)
    return Jumps(rate=len(beyond) / len(returns), mean=float(beyond.mean()), deviation=float(beyond.std(ddof=1)))


def stressed(
    rng: np.random.Generator, returns: FloatArray, scenario: Scenario, jumps: Jumps, mean: float, variance: float
) -> FloatArray:
    """Log returns under a scenario: distances from the mean scaled, jumps added.

    The mean growth of the price stays, so that of its logarithm falls by half of what the variance gains: more
    volatility alone makes nobody richer.

    Args:
        rng: Source of chance.
        returns: Log returns, shape (paths, n).
        scenario: What to do to them.
        jumps: What jumps are like; their size is scaled as well.
        mean: The history's mean log return.
        variance: The variance of the history's log returns.
    """
    if scenario.scale == 1.0 and not scenario.jumps:
        return returns
    drift = mean - (scenario.scale**2 - 1.0) * variance / 2.0
    changed: FloatArray = drift + scenario.scale * (returns - mean)
    if scenario.jumps:
        places = np.flatnonzero(rng.random(returns.size, dtype=np.float32) < jumps.rate)
        sizes = rng.normal(jumps.mean, jumps.deviation, len(places))
        flat = changed.reshape(-1)
        flat[places] += sizes * scenario.scale
    return changed


# --- fitted volatility -----------------------------------------------------------------------------------------------


class VolatilityModel(msgspec.Struct, frozen=True, kw_only=True):
    """GARCH(1,1): the variance of a step is omega + alpha x last residual^2 + beta x last variance."""

    mean: float
    omega: float
    alpha: float
    beta: float

    @property
    def variance(self) -> float:
        """The long-run variance of a step."""
        return self.omega / (1.0 - self.alpha - self.beta)


def _variances(model: VolatilityModel, residuals: FloatArray) -> FloatArray:
    """Variance of each step, begun with the long-run one."""
    from scipy.signal import lfilter

    variance = model.variance
    drive = np.concatenate(([variance], model.omega + model.alpha * residuals[:-1] ** 2))
    result: FloatArray = lfilter([1.0], [1.0, -model.beta], drive)
    return result


def fit_volatility(returns: FloatArray) -> VolatilityModel | None:
    """Fit GARCH(1,1) by Gaussian quasi-likelihood with variance targeting; None where there is too little to fit.

    The long-run variance is the sample's (Francq et al. 2011), so only alpha and beta are sought: on a grid, then by
    Nelder and Mead's simplex.

    Args:
        returns: Log returns, oldest first.
    """
    if len(returns) < _LEAST:
        return None
    mean = float(returns.mean())
    residuals = returns - mean
    target = float(residuals.var())
    if target < 1e-24:
        return None
    from scipy.optimize import minimize

    def model(alpha: float, beta: float) -> VolatilityModel:
        return VolatilityModel(mean=mean, omega=target * (1.0 - alpha - beta), alpha=alpha, beta=beta)

    def loss(point: FloatArray) -> float:
        alpha, beta = float(point[0]), float(point[1])
        if alpha < 0.0 or beta < 0.0 or alpha + beta > 0.999:
            return math.inf
        variances = _variances(model(alpha, beta), residuals)
        return float(np.mean(np.log(variances) + residuals**2 / variances))

    grid = [(a, b) for a in (0.02, 0.05, 0.1, 0.2) for b in (0.5, 0.7, 0.85, 0.93) if a + b < 0.999]
    start = min(grid, key=lambda point: loss(np.array(point)))
    best = minimize(loss, np.array(start), method="Nelder-Mead", options={"xatol": 1e-3, "fatol": 1e-6, "maxiter": 80})
    return model(float(best.x[0]), float(best.x[1]))


def standardised(model: VolatilityModel, returns: FloatArray) -> FloatArray:
    """Residuals over their deviations: what is left when the volatility is taken out, of mean 0 and deviation 1."""
    residuals = returns - model.mean
    z = residuals / np.sqrt(_variances(model, residuals))
    deviation = float(z.std())
    result: FloatArray = (z - z.mean()) / (deviation if deviation > 0 else 1.0)
    return result


def simulate(
    rng: np.random.Generator, model: VolatilityModel, shocks: FloatArray, length: int, paths: int
) -> tuple[FloatArray, FloatArray]:
    """Log returns of a fitted model with shocks drawn from the history's own (filtered historical simulation).

    Source: G. Barone-Adesi, K. Giannopoulos and L. Vosper, VaR without Correlations for Nonlinear Portfolios (1999).

    Args:
        rng: Source of chance.
        model: What was fitted.
        shocks: Standardised residuals of the history.
        length: Steps of a path.
        paths: How many paths.

    Returns:
        Returns and the deviation of each step, both of shape (paths, length).
    """
    drawn = shocks[rng.integers(0, len(shocks), (length, paths))]
    returns, deviations = np.empty((length, paths)), np.empty((length, paths))
    variance = np.full(paths, model.variance)
    for step in range(length):
        deviation = np.sqrt(variance)
        move = deviation * drawn[step]
        deviations[step] = deviation
        returns[step] = move
        variance = model.omega + model.alpha * move * move + model.beta * variance
    return np.ascontiguousarray((returns + model.mean).T), np.ascontiguousarray(deviations.T)
