"""Everything about a run on one sheet, in plain values: curves, months, drawdowns, distribution, breakdowns."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.backtest.analysis.breakdown import breakdowns, monthly_returns
from engine.backtest.analysis.relative import relative_figures
from engine.backtest.analysis.sharpe import minimum_record, probabilistic_sharpe, sharpe_facts
from engine.backtest.metrics import NS_PER_DAY, daily_equity, returns_of
from engine.risk.measures import DAYS_PER_YEAR, moments

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from engine.backtest.analysis.breakdown import TradeFacts
    from engine.model.candle import FloatArray, IntArray

__all__ = ["Record", "deepest_falls", "rolling_sharpe", "tear_sheet"]

POINTS = 400
"""Most points of a curve on the sheet."""
WINDOW = 90
"""Days of a rolling Sharpe ratio; a third of the run where that is shorter."""
BINS = 30
FALLS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What a sheet is made of."""

    ts: IntArray
    """UTC nanoseconds, ascending; the first is the start, and every UTC day's last value is there."""
    equity: FloatArray
    benchmark: FloatArray
    trades: Sequence[TradeFacts]
    regimes: Sequence[str] = ()
    """The market's regime at the entry of each trade; empty where it is not known."""
    risk_free_rate: float = 0.02


def tear_sheet(record: Record) -> dict[str, Any]:
    """Make the sheet.

    Returns:
        `curve` (`ts`, `equity`, `benchmark`, `drawdown`), `months`, `years`, `rolling_sharpe` (`ts`, `values`, `days`),
        `distribution` (`edges`, `counts`, `mean`, `deviation`, `skewness`, `kurtosis`, `best`, `worst`, `up_days`),
        `drawdowns` (the five deepest), `relative`, `sharpe` (`probabilistic`, `minimum_record_days`), `breakdowns`.
        What is not known is None.
    """
    ts, equity = record.ts, record.equity
    daily, other = daily_equity(ts, equity), daily_equity(ts, record.benchmark)
    returns = returns_of(daily)
    first = (int(ts[1]) - 1) // NS_PER_DAY if len(ts) > 1 else int(ts[0]) // NS_PER_DAY
    day_ends = (first + np.arange(len(daily))) * NS_PER_DAY
    months = monthly_returns(ts, equity)
    facts = sharpe_facts(returns, record.risk_free_rate)
    labels = dict(zip(map(id, record.trades), record.regimes, strict=False))
    ways: dict[str, Callable[[TradeFacts], str]] = {}
    if record.regimes:
        ways["regime"] = lambda trade: labels.get(id(trade), "not known")
    return {
        "curve": _curve(ts, equity, record.benchmark),
        "months": months,
        "years": _years(months),
        "rolling_sharpe": _rolling(day_ends, returns, record.risk_free_rate),
        "distribution": _distribution(returns),
        "drawdowns": deepest_falls(day_ends, daily),
        "relative": relative_figures(returns, returns_of(other), record.risk_free_rate),
        "sharpe": {
            "probabilistic": None if facts is None else probabilistic_sharpe(facts),
            "minimum_record_days": None if facts is None else minimum_record(facts),
        },
        "breakdowns": breakdowns(record.trades, ways),
    }


def _curve(ts: IntArray, equity: FloatArray, benchmark: FloatArray) -> dict[str, list[Any]]:
    peaks = np.maximum.accumulate(equity)
    falls = np.where(peaks > 0, equity / np.where(peaks > 0, peaks, 1.0) - 1.0, 0.0)
    # The lowest point of every stretch is kept, so that no drawdown looks smaller than it was.
    if len(ts) <= POINTS:
        kept = np.arange(len(ts))
    else:
        edges = np.linspace(0, len(ts), POINTS // 2 + 1).astype(np.int64)
        pairs = zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)
        deepest = [begin + int(falls[begin:end].argmin()) for begin, end in pairs]
        kept = np.union1d(np.append(edges[:-1], len(ts) - 1), deepest)
    return {
        "ts": ts[kept].tolist(),
        "equity": equity[kept].tolist(),
        "benchmark": benchmark[kept].tolist(),
        "drawdown": falls[kept].tolist(),
    }


def _years(months: list[dict[str, Any]]) -> list[dict[str, Any]]:
    years: dict[str, float] = {}
    for month in months:
        year = month["month"][:4]
        years[year] = (1.0 + years.get(year, 0.0)) * (1.0 + (month["return"] or 0.0)) - 1.0
    return [{"year": year, "return": value} for year, value in years.items()]


def rolling_sharpe(returns: FloatArray, days: int, risk_free_rate: float) -> FloatArray:
    """Sharpe ratio (a year) of each `days` consecutive daily returns; NaN where they do not move.

    Args:
        returns: Of days.
        days: At least 2.
        risk_free_rate: A year, as a fraction.
    """
    if len(returns) < days:
        return np.empty(0)
    windows = np.lib.stride_tricks.sliding_window_view(returns - risk_free_rate / DAYS_PER_YEAR, days)
    deviation = windows.std(axis=1, ddof=1)
    moves = deviation > 1e-15
    ratios: FloatArray = np.where(moves, windows.mean(axis=1) / np.where(moves, deviation, 1.0), np.nan)
    return ratios * math.sqrt(DAYS_PER_YEAR)


def _rolling(day_ends: IntArray, returns: FloatArray, risk_free_rate: float) -> dict[str, Any]:
    days = min(WINDOW, max(2, len(returns) // 3))
    values = rolling_sharpe(returns, days, risk_free_rate)
    ts = day_ends[days:][: len(values)]
    step = max(1, len(values) // POINTS)
    return {"days": days, "ts": ts[::step].tolist(), "values": values[::step].tolist()}


def _distribution(returns: FloatArray) -> dict[str, Any]:
    found = moments(returns)
    if not len(returns) or found is None:
        return {"edges": [], "counts": []}
    counts, edges = np.histogram(returns, bins=BINS)
    return {
        "edges": edges.tolist(),
        "counts": counts.tolist(),
        "mean": found.mean,
        "deviation": found.deviation,
        "skewness": found.skewness,
        "kurtosis": found.kurtosis,
        "best": float(returns.max()),
        "worst": float(returns.min()),
        "up_days": float((returns > 0).mean()),
    }


def deepest_falls(ts: IntArray, values: FloatArray, most: int = FALLS) -> list[dict[str, Any]]:
    """The deepest falls that do not overlap, each from a peak to the time when it was reached again.

    Args:
        ts: UTC nanoseconds.
        values: At each time.
        most: How many.

    Returns:
        `depth`, `start`, `trough`, `recovery` (None when it never was), `days`; the deepest first.
    """
    peaks = np.maximum.accumulate(values)
    below = np.flatnonzero(values < peaks)
    if not len(below):
        return []
    ends = np.flatnonzero(np.diff(below) > 1)
    found: list[dict[str, Any]] = []
    for begin, end in zip(np.append(0, ends + 1).tolist(), np.append(ends, len(below) - 1).tolist(), strict=True):
        first, last = int(below[begin]), int(below[end])
        trough = first + int(values[first : last + 1].argmin())
        over = last + 1 < len(values)
        found.append(
            {
                "depth": 1.0 - float(values[trough]) / float(peaks[trough]) if peaks[trough] > 0 else 0.0,
                "start": int(ts[first - 1]),
                "trough": int(ts[trough]),
                "recovery": int(ts[last + 1]) if over else None,
                "days": (int(ts[last + 1] if over else ts[last]) - int(ts[first - 1])) / NS_PER_DAY,
            }
        )
    return sorted(found, key=lambda fall: float(fall["depth"]), reverse=True)[:most]
