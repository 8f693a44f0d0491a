"""Performance figures of an equity curve and its trades.

Ratios use daily returns (UTC days, last equity of each day) annualised on 365 days, since these markets never close.
A figure that cannot be computed (no trades, no variance, no loss) is None, never zero or infinity.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from engine.risk.measures import DAYS_PER_YEAR, expected_shortfall, sharpe, value_at_risk

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.backtest.trades import ClosedTrade
    from engine.model.candle import FloatArray, IntArray

__all__ = [
    "Drawdown",
    "MetricSettings",
    "annual_return",
    "beta",
    "compute_metrics",
    "correlation",
    "daily_equity",
    "drawdown",
    "sortino",
]

NS_PER_DAY = 86_400_000_000_000


class MetricSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What figures are computed with, and what a run must reach."""

    risk_free_rate: float = 0.02
    """A year, as a fraction."""
    required_sharpe: float = 1.0
    max_drawdown_limit: float = 0.15
    confidence_levels: tuple[float, ...] = (0.95, 0.99)


class Drawdown(msgspec.Struct, frozen=True, kw_only=True):
    """The deepest fall of an equity curve."""

    depth: float
    """Fraction of the peak, 0 when it never fell."""
    start: int
    """UTC nanoseconds of the peak before it."""
    trough: int
    recovery: int | None
    """When the peak was reached again; None when it never was."""
    duration_days: float
    """From the peak to the recovery, or to the end."""


def daily_equity(ts: IntArray, equity: FloatArray) -> FloatArray:
    """The starting equity followed by the last equity of each UTC day, shape (days + 1,).

    A day without a value, such as one in a gap of the data, keeps that of the day before: its return is 0.

    Args:
        ts: UTC nanoseconds, ascending, shape (n,), n >= 1; the first is the start.
        equity: Value at each time, shape (n,).
    """
    if len(ts) < 2:
        return equity[:1]
    # A close exactly at midnight belongs to the day that ends with it.
    day = (ts[1:] - 1) // NS_PER_DAY
    days = np.arange(day[0], day[-1] + 1)
    last = np.searchsorted(day, days, side="right") - 1
    return np.concatenate((equity[:1], equity[1:][last]))


def returns_of(values: FloatArray) -> FloatArray:
    """Simple returns between consecutive values, shape (n - 1,); steps from values <= 0 are dropped."""
    before, after = values[:-1], values[1:]
    usable = before > 0
    result: FloatArray = after[usable] / before[usable] - 1.0
    return result


def sortino(returns: FloatArray, risk_free_rate: float) -> float | None:
    """Mean excess daily return over the downside deviation (root mean square of shortfalls), annualised."""
    # A curve that does not move has no ratio, although it falls short of the risk-free rate day by day.
    if len(returns) < 2 or float(np.std(returns)) < 1e-15:
        return None
    excess = returns - risk_free_rate / DAYS_PER_YEAR
    downside = math.sqrt(float(np.mean(np.minimum(excess, 0.0) ** 2)))
    if downside < 1e-15:
        return None
    return float(np.mean(excess)) / downside * math.sqrt(DAYS_PER_YEAR)


def drawdown(ts: IntArray, equity: FloatArray) -> Drawdown:
    """The deepest fall from a running peak; the first of equally deep ones.

    Args:
        ts: UTC nanoseconds, ascending, shape (n,), n >= 1.
        equity: Value at each time, shape (n,).
    """
    peaks = np.maximum.accumulate(equity)
    falls = np.where(peaks > 0, 1.0 - equity / np.where(peaks > 0, peaks, 1.0), 0.0)
    trough = int(np.argmax(falls))
    depth = float(falls[trough])
    # Equity may stay at its peak for long; the fall begins where it leaves it.
    start = int(np.flatnonzero(equity[: trough + 1] == peaks[trough])[-1])
    regained = np.flatnonzero(equity[trough:] >= peaks[trough]) if depth > 0 else np.array([0])
    recovery = int(ts[trough + int(regained[0])]) if len(regained) else None
    end = recovery if recovery is not None else int(ts[-1])
    return Drawdown(
        depth=depth,
        start=int(ts[start]),
        trough=int(ts[trough]),
        recovery=recovery,
        duration_days=(end - int(ts[start])) / NS_PER_DAY if depth > 0 else 0.0,
    )


def annual_return(first: float, last: float, days: float) -> float | None:
    """Compound return a year; None for less than a day or a value that is not positive."""
    if days < 1 or first <= 0 or last <= 0:
        return None
    growth = math.log(last / first) * DAYS_PER_YEAR / days
    # A few days of a fast market can compound beyond what a float or a reader can hold.
    return math.expm1(growth) if growth < 100 else None


def beta(returns: FloatArray, benchmark: FloatArray) -> float | None:
    """Covariance with the benchmark over its variance; both of the same days."""
    if len(returns) < 2 or len(returns) != len(benchmark):
        return None
    variance = float(np.var(benchmark, ddof=1))
    if variance < 1e-30:
        return None
    return float(np.cov(returns, benchmark, ddof=1)[0, 1]) / variance


def correlation(returns: FloatArray, benchmark: FloatArray) -> float | None:
    """Pearson correlation with the benchmark; both of the same days."""
    if len(returns) < 2 or len(returns) != len(benchmark):
        return None
    if float(np.std(returns)) < 1e-15 or float(np.std(benchmark)) < 1e-15:
        return None
    return float(np.corrcoef(returns, benchmark)[0, 1])


def _trade_figures(trades: Sequence[ClosedTrade]) -> dict[str, float | None]:
    profits = [float(trade.pnl) for trade in trades]
    wins = [p for p in profits if p > 0]
    losses = [p for p in profits if p < 0]
    gross_loss = -sum(losses)
    hours = [(trade.exit_time - trade.entry_time) / 3.6e12 for trade in trades]
    return {
        "trades": float(len(trades)),
        "winning_trades": float(len(wins)),
        "losing_trades": float(len(losses)),
        "win_rate": len(wins) / len(trades) if trades else None,
        "profit_factor": sum(wins) / gross_loss if gross_loss > 0 else None,
        "average_win": sum(wins) / len(wins) if wins else None,
        "average_loss": sum(losses) / len(losses) if losses else None,
        "expectancy": sum(profits) / len(profits) if profits else None,
        "best_trade": max(profits, default=None),
        "worst_trade": min(profits, default=None),
        "average_holding_hours": sum(hours) / len(hours) if hours else None,
        "fees": sum(float(trade.fees) for trade in trades),
        "slippage": sum(float(trade.slippage) for trade in trades),
    }


def compute_metrics(
    ts: IntArray,
    equity: FloatArray,
    benchmark: FloatArray,
    trades: Sequence[ClosedTrade],
    exposed_share: float,
    settings: MetricSettings,
) -> dict[str, float | None]:
    """All figures of a run.

    Args:
        ts: UTC nanoseconds of each equity value, ascending, shape (n,), n >= 1.
        equity: Account value, shape (n,).
        benchmark: Value of the same capital in the benchmark, shape (n,).
        trades: Closed trades.
        exposed_share: Share of the bars at which a position was held.
        settings: Rates and requirements.
    """
    days = (int(ts[-1]) - int(ts[0])) / NS_PER_DAY
    own, other = returns_of(daily_equity(ts, equity)), returns_of(daily_equity(ts, benchmark))
    fall = drawdown(ts, equity)
    first, last = float(equity[0]), float(equity[-1])
    yearly = annual_return(first, last, days)
    ratio = sharpe(own, settings.risk_free_rate)
    figures: dict[str, float | None] = {
        "start_equity": first,
        "end_equity": last,
        "total_return": last / first - 1.0 if first > 0 else None,
        "annual_return": yearly,
        "annual_volatility": float(np.std(own, ddof=1)) * math.sqrt(DAYS_PER_YEAR) if len(own) > 1 else None,
        "sharpe": ratio,
        "sortino": sortino(own, settings.risk_free_rate),
        "calmar": yearly / fall.depth if yearly is not None and fall.depth > 0 else None,
        "max_drawdown": fall.depth,
        "max_drawdown_start": float(fall.start),
        "max_drawdown_trough": float(fall.trough),
        "max_drawdown_recovery": None if fall.recovery is None else float(fall.recovery),
        "max_drawdown_days": fall.duration_days,
        "exposure": exposed_share,
        "days": days,
        "benchmark_return": float(benchmark[-1]) / float(benchmark[0]) - 1.0 if benchmark[0] > 0 else None,
        "beta": beta(own, other),
        "correlation": correlation(own, other),
    }
    for level in settings.confidence_levels:
        name = f"{level * 100:g}"
        figures[f"value_at_risk_{name}"] = value_at_risk(own, level)
        figures[f"expected_shortfall_{name}"] = expected_shortfall(own, level)
    figures.update(_trade_figures(trades))
    meets = ratio is not None and ratio >= settings.required_sharpe and fall.depth <= settings.max_drawdown_limit
    figures["required_sharpe"] = settings.required_sharpe
    figures["max_drawdown_limit"] = settings.max_drawdown_limit
    figures["passed"] = float(meets)
    return figures
