"""A run against its benchmark: alpha, beta, tracking error, information ratio, capture, and what they mean.

Sources: M. C. Jensen, The Performance of Mutual Funds, J. Finance 23 (1968), for alpha; T. H. Goodwin, The Information
Ratio, Financial Analysts J. 54 (1998); Morningstar, Upside and Downside Capture Ratios (2011), whose compounded means
of the benchmark's up and down periods are used. Returns are of UTC days, a year has 365. What cannot be computed is
None.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from engine.backtest.metrics import beta, correlation
from engine.risk.measures import DAYS_PER_YEAR

if TYPE_CHECKING:
    import numpy.typing as npt

    from engine.model.candle import FloatArray

__all__ = ["relative_figures"]

_FLAT = 1e-15


def relative_figures(returns: FloatArray, benchmark: FloatArray, risk_free_rate: float) -> dict[str, float | None]:
    """Figures of daily returns against those of the benchmark on the same days.

    Args:
        returns: The run's, shape (days,).
        benchmark: The benchmark's, shape (days,).
        risk_free_rate: A year, as a fraction.

    Returns:
        `alpha` (a year, arithmetic: mean of the excess return less beta times the benchmark's, times 365), `beta`,
        `correlation`, `r_squared`, `tracking_error` and `information_ratio` (a year), `up_capture` and `down_capture`
        (fractions, 1 moves as the benchmark), `capture_ratio`, `up_days`, `down_days`, `better_days` (share of the
        days).
    """
    names = ("alpha", "tracking_error", "information_ratio", "up_capture", "down_capture", "capture_ratio")
    if len(returns) < 2 or len(returns) != len(benchmark):
        nothing: dict[str, float | None] = dict.fromkeys(
            (*names, "beta", "correlation", "r_squared", "better_days", "up_days", "down_days")
        )
        return nothing
    free = risk_free_rate / DAYS_PER_YEAR
    slope, relation = beta(returns, benchmark), correlation(returns, benchmark)
    active = returns - benchmark
    error = float(np.std(active, ddof=1))
    up, down = _capture(returns, benchmark, benchmark > 0), _capture(returns, benchmark, benchmark < 0)
    alpha = None
    if slope is not None:
        alpha = (float(returns.mean()) - free - slope * (float(benchmark.mean()) - free)) * DAYS_PER_YEAR
    return {
        "alpha": alpha,
        "beta": slope,
        "correlation": relation,
        "r_squared": None if relation is None else relation**2,
        "tracking_error": error * math.sqrt(DAYS_PER_YEAR),
        "information_ratio": float(active.mean()) / error * math.sqrt(DAYS_PER_YEAR) if error >= _FLAT else None,
        "up_capture": up,
        "down_capture": down,
        "capture_ratio": up / down if up is not None and down else None,
        "up_days": float((benchmark > 0).sum()),
        "down_days": float((benchmark < 0).sum()),
        "better_days": float((active > 0).mean()),
    }


def _capture(returns: FloatArray, benchmark: FloatArray, days: npt.NDArray[np.bool_]) -> float | None:
    """Geometric mean return on these days over the benchmark's; None without such days or after a total loss."""
    own, other = returns[days], benchmark[days]
    if not len(own) or float(own.min()) <= -1.0 or float(other.min()) <= -1.0:
        return None
    reference = math.expm1(float(np.log1p(other).mean()))
    return math.expm1(float(np.log1p(own).mean())) / reference if abs(reference) > _FLAT else None
