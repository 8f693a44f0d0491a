"""Figures of many equity curves at once, each by the definition of `engine.backtest.metrics`, vectorised over paths.

What cannot be computed for a path is NaN here, where a single run says None.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from engine.backtest.metrics import NS_PER_DAY
from engine.risk.measures import DAYS_PER_YEAR

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.model.candle import FloatArray, IntArray

__all__ = ["curve_figures", "day_columns", "trade_figures"]

_FLAT = 1e-15


def day_columns(ts: IntArray) -> IntArray:
    """Columns of a curve that make its daily one: the start, then the last of each UTC day, shape (days + 1,).

    A day without a value repeats the one before, as `daily_equity` does.

    Args:
        ts: UTC nanoseconds, ascending, shape (n,), n >= 2; the first is the start.
    """
    day = (ts[1:] - 1) // NS_PER_DAY
    days = np.arange(day[0], day[-1] + 1)
    last = np.searchsorted(day, days, side="right") - 1
    return np.concatenate((np.zeros(1, dtype=np.int64), last + 1))


def curve_figures(
    equity: FloatArray, daily: IntArray, days: float, risk_free_rate: float, levels: Sequence[float]
) -> dict[str, FloatArray]:
    """Return, risk and ratios of every curve.

    Args:
        equity: One curve a row, shape (paths, n); the first column is the start, above 0.
        daily: Of `day_columns`.
        days: Length of the curves in days.
        risk_free_rate: A year, as a fraction.
        levels: Confidence levels of value at risk and expected shortfall.

    Returns:
        Arrays of shape (paths,) by name.
    """
    first, last = equity[:, 0], equity[:, -1]
    total = last / first - 1.0
    fall = _deepest(equity)
    returns = _daily_returns(equity[:, daily])
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        growth = np.log(np.maximum(last, 0.0) / first) * DAYS_PER_YEAR / days
        yearly = np.where((last > 0) & (growth < 100) & (days >= 1), np.expm1(np.minimum(growth, 100)), np.nan)
        figures = {
            "total_return": total,
            "annual_return": yearly,
            "max_drawdown": fall,
            "calmar": np.where(fall > 0, yearly / np.where(fall > 0, fall, 1.0), np.nan),
            **_ratios(returns, risk_free_rate),
        }
    for level in levels:
        name = f"{level * 100:g}"
        figures[f"value_at_risk_{name}"], figures[f"expected_shortfall_{name}"] = _tail(returns, level)
    return figures


def _deepest(equity: FloatArray) -> FloatArray:
    """Deepest fall from a running peak, as a fraction; at most 1 for each curve."""
    peaks = np.maximum.accumulate(equity, axis=1)
    share = equity / np.where(peaks > 0, peaks, 1.0)
    deepest: FloatArray = np.maximum(0.0, 1.0 - share.min(axis=1))
    return deepest


def _daily_returns(daily: FloatArray) -> FloatArray:
    """Simple daily returns, shape (paths, days); 0 from a value that is not positive on, where nothing is left."""
    before, after = daily[:, :-1], daily[:, 1:]
    return np.where(before > 0, after / np.where(before > 0, before, 1.0) - 1.0, 0.0)


def _ratios(returns: FloatArray, risk_free_rate: float) -> dict[str, FloatArray]:
    count = returns.shape[1]
    nothing = np.full(len(returns), np.nan)
    if count < 2:
        return {"annual_volatility": nothing, "sharpe": nothing, "sortino": nothing}
    year = math.sqrt(DAYS_PER_YEAR)
    excess = returns - risk_free_rate / DAYS_PER_YEAR
    mean, deviation = excess.mean(axis=1), returns.std(axis=1, ddof=1)
    downside = np.sqrt((np.minimum(excess, 0.0) ** 2).mean(axis=1))
    moves = deviation >= _FLAT
    return {
        "annual_volatility": deviation * year,
        "sharpe": np.where(moves, mean / np.where(moves, deviation, 1.0) * year, np.nan),
        "sortino": np.where(
            moves & (downside >= _FLAT), mean / np.where(downside >= _FLAT, downside, 1.0) * year, np.nan
        ),
    }


def _tail(returns: FloatArray, level: float) -> tuple[FloatArray, FloatArray]:
    """Historical value at risk and expected shortfall of each row, at least 0; NaN for fewer than 2 returns."""
    paths, count = returns.shape
    if count < 2:
        return np.full(paths, np.nan), np.full(paths, np.nan)
    ordered = np.sort(returns, axis=1)
    place = (count - 1) * (1.0 - level)
    below = int(place)
    above = min(below + 1, count - 1)
    limit = ordered[:, below] + (place - below) * (ordered[:, above] - ordered[:, below])
    within = ordered <= limit[:, None]
    shortfall = (ordered * within).sum(axis=1) / np.maximum(within.sum(axis=1), 1)
    return np.maximum(0.0, -limit), np.maximum(0.0, -shortfall)


def trade_figures(profits: FloatArray) -> dict[str, FloatArray]:
    """Figures of the trades of every path.

    Args:
        profits: Profit of each trade after fees, shape (paths, trades); NaN fills rows with fewer trades.
    """
    known = ~np.isnan(profits)
    wins, losses = np.where(profits > 0, profits, 0.0), np.where(profits < 0, profits, 0.0)
    count, won, lost = known.sum(axis=1), (profits > 0).sum(axis=1), (profits < 0).sum(axis=1)
    gain, loss = wins.sum(axis=1), -losses.sum(axis=1)

    def over(value: FloatArray, by: FloatArray | IntArray) -> FloatArray:
        return np.where(by > 0, value / np.where(by > 0, by, 1), np.nan)

    return {
        "trades": count.astype(np.float64),
        "win_rate": over(won.astype(np.float64), count),
        "profit_factor": over(gain, loss),
        "expectancy": over(gain - loss, count),
        "average_win": over(gain, won),
        "average_loss": over(-loss, lost),
    }
