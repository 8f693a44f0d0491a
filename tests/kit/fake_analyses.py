"""Stored analyses of the made-up runs: a sheet, random paths and a comparison."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.control.views_analyses import AnalysisRow, AnalysisView
from tests.kit.fake_market import HOUR, NOW

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["analyses", "analysis"]


def _row(key: str, kind: str, run: str) -> AnalysisRow:
    return AnalysisRow(id=key, kind=kind, title=f"{kind} of {run}", run=run, created=NOW - HOUR, seconds=1.5)


def analyses(asked: Mapping[str, Any]) -> list[AnalysisRow]:
    """What is stored of a run: of the first everything, of all others nothing."""
    if asked.get("id") != "bt-0001":
        return []
    return [_row("an-0002", "montecarlo", "bt-0001"), _row("an-0001", "tearsheet", "bt-0001")]


def analysis(key: str) -> AnalysisView:
    """One of them as a whole."""
    kind, result = {"an-0001": ("tearsheet", _sheet()), "an-0002": ("montecarlo", _paths())}.get(
        key, ("comparison", _comparison())
    )
    return AnalysisView(row=_row(key, kind, "bt-0001"), params={"id": "bt-0001"}, result=result)


def _group(key: str, trades: int, pnl: float) -> dict[str, Any]:
    return {
        "key": key, "trades": trades, "pnl": pnl, "win_rate": 0.42, "mean_return": 0.001, "profit_factor": 1.31,
        "best": 412.5, "worst": -198.25, "fees": 31.4,
    }  # fmt: skip


def _sheet() -> dict[str, Any]:
    months = [
        {"month": f"{year}-{month:02d}", "return": round(0.011 * ((month * 5 + year) % 7 - 3), 4), "days": 30}
        for year in (2021, 2022, 2023)
        for month in range(1, 13)
    ]
    return {
        "months": months,
        "years": [{"year": str(year), "return": value} for year, value in ((2021, 0.31), (2022, -0.08), (2023, 0.52))],
        "breakdowns": {
            "side": [_group("long", 110, 5_120.75), _group("short", 74, -812.5)],
            "regime": [_group("high volatility, trending up", 31, 2_210.0), _group("not known", 4, -12.0)],
            "entry_tag": [_group("crossover up", 110, 5_120.75)],
            "exit_reason": [_group("stop", 90, -4_000.0), _group("opposite crossover", 94, 8_308.25)],
            "weekday": [_group("0 Monday", 30, 310.0), _group("1 Tuesday", 28, -55.0)],
        },
    }


def _spread(actual: float, width: float) -> dict[str, Any]:
    return {
        "actual": actual, "known": 1000, "mean": actual, "deviation": width, "median": actual - width / 10,
        "lowest": actual - 3 * width, "highest": actual + 4 * width,
        "intervals": {
            "95": [actual - 2 * width, actual + 2 * width],
            "99": [actual - 2.6 * width, actual + 2.6 * width],
        },
    }  # fmt: skip


def _paths() -> dict[str, Any]:
    scenarios = {
        name: {
            "metrics": {
                "total_return": _spread(0.8412, 0.3 * factor), "sharpe": _spread(1.31, 0.5 * factor),
                "max_drawdown": _spread(0.1172 * factor, 0.03), "trades": _spread(184.0, 12.0),
            },
            "drawdown": {"exceeds": [[0.1, 0.62], [0.15, 0.31 * factor / 4], [0.5, 0.001]]},
            "probabilities": {"loss": 0.04 * factor, "half_lost": 0.0, "drawdown_limit": 0.12 * factor},
            "worst": {"path": 7, "total_return": -0.31 * factor / 4, "max_drawdown": 0.2 * factor},
        }
        for name, factor in (("normal", 1.0), ("stress", 2.0), ("extreme", 4.0))
    }  # fmt: skip
    return {"iterations": 1000, "method": "prices", "seed": 42, "levels": [0.95, 0.99], "scenarios": scenarios}


def _comparison() -> dict[str, Any]:
    runs = [
        {"id": key, "name": name, "total_return": total, "sharpe": sharpe, "sortino": sharpe, "calmar": 1.2,
         "max_drawdown": 0.12}
        for key, name, total, sharpe in (("bt-0001", "trend_following bt-0001", 0.8412, 1.31),
                                         ("bt-0002", "mean_reversion bt-0002", -0.1266, -0.22))
    ]  # fmt: skip
    return {
        "runs": runs,
        "correlation": [[1.0, 0.12], [0.12, 1.0]],
        "portfolios": {
            "equal": {"weights": [0.5, 0.5], "sharpe": 0.9, "max_drawdown": 0.1},
            "maximum_sharpe": {"refusal": "No run has a return above the risk-free rate."},
        },
        "recommendation": {
            "choice": "Choose trend_following bt-0001.",
            "order": ["bt-0001", "bt-0002"],
            "reasons": [],
            "warnings": ["The runs did not pay the same costs; run them again with the same fees and slippage."],
        },
    }
