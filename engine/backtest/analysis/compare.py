"""Several runs side by side on the same footing: one capital, the days that all have, costs as each paid them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from engine.backtest.analysis.breakdown import monthly_returns
from engine.backtest.analysis.weights import METHODS, portfolio, shrunk_covariance, weights_of
from engine.backtest.metrics import NS_PER_DAY, annual_return, drawdown, returns_of, sortino
from engine.errors import DataError
from engine.risk.measures import DAYS_PER_YEAR, sharpe

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.backtest.analysis.weights import Method
    from engine.model.candle import FloatArray, IntArray

__all__ = ["Contender", "common_days", "compare", "returns_table"]

LEAST_DAYS = 5
CLOSE = 0.9
"""Returns that are correlated more than this are one bet and not two."""
FEW = 30
"""Trades below which a figure says more about chance than about the strategy."""


class Contender:
    """One run of a comparison.

    Attributes:
        id, name, strategy, market: What it is and where it traded; the name is for a person.
        ts, equity: Its curve; the first point is the start.
        trades, fees: How many, and what they cost.
        required_sharpe, drawdown_limit: What it had to reach.
        costs: Fee rates and slippage in words.
    """

    def __init__(
        self,
        *,
        id: str,
        name: str,
        strategy: str,
        market: str,
        ts: IntArray,
        equity: FloatArray,
        trades: int,
        fees: float,
        required_sharpe: float,
        drawdown_limit: float,
        costs: str,
        regimes: dict[str, float] | None = None,
    ) -> None:
        self.id, self.name, self.strategy, self.market = id, name, strategy, market
        self.ts, self.equity, self.trades, self.fees = ts, equity, trades, fees
        self.required_sharpe, self.drawdown_limit, self.costs = required_sharpe, drawdown_limit, costs
        self.regimes = regimes or {}
        """Profit by the market's regime at entry."""

    def daily(self) -> tuple[int, FloatArray]:
        """The first UTC day, and the value at its beginning and at the end of each day."""
        day = (self.ts[1:] - 1) // NS_PER_DAY
        days = np.arange(day[0], day[-1] + 1)
        last = np.searchsorted(day, days, side="right") - 1
        return int(day[0]), np.concatenate((self.equity[:1], self.equity[1:][last]))


def common_days(runs: Sequence[Contender]) -> tuple[int, FloatArray]:
    """The first day that all runs have, and their daily values over the common days, shape (days + 1, runs).

    Raises:
        DataError: They have fewer than 5 days in common.
    """
    curves = [run.daily() for run in runs]
    first = max(day for day, _ in curves)
    last = min(day + len(values) - 2 for day, values in curves)
    if last - first + 1 < LEAST_DAYS:
        raise DataError(
            f"The runs have {max(0, last - first + 1)} days in common; {LEAST_DAYS} or more are needed to compare them."
        )
    return first, np.stack([values[first - day : last - day + 2] for day, values in curves], axis=1)


def compare(
    runs: Sequence[Contender], *, capital: float, risk_free_rate: float, weights: Method | None = None
) -> dict[str, Any]:
    """Put runs on the same capital and days and say which to choose.

    Args:
        runs: Two or more.
        capital: What each begins with.
        risk_free_rate: A year, as a fraction.
        weights: One way of weighting; None gives all.

    Returns:
        `period`, `runs` (figures by run), `correlation`, `attribution` (profit on that capital `by_market`,
        `by_strategy`, `by_month`, and of the whole runs `by_regime`), `portfolios` by method (or the `refusal` of one),
        `recommendation` with `order`, `reasons` and `warnings`.

    Raises:
        DataError: The runs have too few days in common, or one lost everything.
    """
    first, values = common_days(runs)
    if float(values.min()) <= 0:
        raise DataError("One of the runs lost everything; leave it out of the comparison.")
    levelled = values / values[0] * capital
    returns = levelled[1:] / levelled[:-1] - 1.0
    ts = (first + np.arange(len(levelled))) * NS_PER_DAY
    rows = [_figures(run, ts, levelled[:, k], returns[:, k], risk_free_rate) for k, run in enumerate(runs)]
    relation = _correlation(returns)
    return {
        "period": {"start": int(ts[0]), "end": int(ts[-1]), "days": len(returns)},
        "capital": capital,
        "risk_free_rate": risk_free_rate,
        "runs": rows,
        "correlation": relation,
        "attribution": _attribution(runs, ts, levelled, capital),
        "portfolios": _portfolios(returns, risk_free_rate, weights),
        "curves": {"ts": ts.tolist(), "equity": levelled.T.tolist()},
        "recommendation": _recommend(runs, rows, relation),
    }


def _figures(
    run: Contender, ts: IntArray, equity: FloatArray, returns: FloatArray, risk_free_rate: float
) -> dict[str, Any]:
    fall = drawdown(ts, equity)
    yearly = annual_return(float(equity[0]), float(equity[-1]), float(len(returns)))
    return {
        "id": run.id,
        "name": run.name,
        "strategy": run.strategy,
        "market": run.market,
        "total_return": float(equity[-1] / equity[0]) - 1.0,
        "annual_return": yearly,
        "annual_volatility": float(np.std(returns, ddof=1)) * float(np.sqrt(DAYS_PER_YEAR)),
        "sharpe": sharpe(returns, risk_free_rate),
        "sortino": sortino(returns, risk_free_rate),
        "calmar": yearly / fall.depth if yearly is not None and fall.depth > 0 else None,
        "max_drawdown": fall.depth,
        "best_day": float(returns.max()),
        "worst_day": float(returns.min()),
        "trades": run.trades,
        "fees": run.fees,
        "costs": run.costs,
    }


def _correlation(returns: FloatArray) -> list[list[float | None]]:
    """Pearson correlations of daily returns; null for a run that does not move."""
    count = returns.shape[1]
    moves = returns.std(axis=0) > 1e-15
    table: list[list[float | None]] = [[None] * count for _ in range(count)]
    for one in range(count):
        for other in range(count):
            if moves[one] and moves[other]:
                table[one][other] = float(np.corrcoef(returns[:, one], returns[:, other])[0, 1])
    return table


def _attribution(runs: Sequence[Contender], ts: IntArray, levelled: FloatArray, capital: float) -> dict[str, Any]:
    """Where the profit came from when every run has the same capital."""
    profits = levelled[-1] - capital
    markets: dict[str, float] = {}
    strategies: dict[str, float] = {}
    regimes: dict[str, float] = {}
    for run, profit in zip(runs, profits.tolist(), strict=True):
        markets[run.market] = markets.get(run.market, 0.0) + profit
        strategies[run.strategy] = strategies.get(run.strategy, 0.0) + profit
        for name, value in run.regimes.items():
            regimes[name] = regimes.get(name, 0.0) + value
    months = [monthly_returns(ts, levelled[:, k]) for k in range(len(runs))]
    return {
        "by_market": markets,
        "by_strategy": strategies,
        "by_month": [
            {"month": month["month"], "returns": [own[index]["return"] for own in months]}
            for index, month in enumerate(months[0])
        ],
        "by_regime": regimes,
    }


def _portfolios(returns: FloatArray, risk_free_rate: float, wanted: Method | None) -> dict[str, Any]:
    covariance = shrunk_covariance(returns)
    mean = returns.mean(axis=0) - risk_free_rate / DAYS_PER_YEAR
    found: dict[str, Any] = {}
    for method in METHODS if wanted is None else (wanted,):
        try:
            found[method] = portfolio(returns, weights_of(method, mean, covariance), risk_free_rate)
        except DataError as error:
            found[method] = {"refusal": error.message}
    return found


def _recommend(
    runs: Sequence[Contender], rows: list[dict[str, Any]], relation: list[list[float | None]]
) -> dict[str, Any]:
    """Order the runs: those that meet what is required first, then by Sharpe and Calmar ratio; say why."""

    def key(index: int) -> tuple[bool, float, float]:
        row = rows[index]
        return _meets(runs[index], row), _or_least(row["sharpe"]), _or_least(row["calmar"])

    order = sorted(range(len(runs)), key=key, reverse=True)
    best, row = order[0], rows[order[0]]
    reasons = [_standing(runs[index], rows[index]) for index in order]
    warnings = [
        f"{runs[index].name} has {rows[index]['trades']} trades, too few to tell skill from chance."
        for index in order
        if rows[index]["trades"] < FEW
    ]
    for place, one in enumerate(order):
        for other in order[place + 1 :]:
            value = relation[one][other]
            if value is not None and value > CLOSE:
                pair = f"{runs[one].name} and {runs[other].name}"
                warnings.append(f"{pair} move together (correlation {value:.2f}): one bet, not two.")
    if len({run.costs for run in runs}) > 1:
        warnings.append("The runs did not pay the same costs; run them again with the same fees and slippage.")
    if len(runs) > 2:
        warnings.append(f"The best of {len(runs)} looks better than it is; `backtest overfitting` says by how much.")
    words = f"Choose {runs[best].name}." if _meets(runs[best], row) else "Choose none: no run meets what is required."
    return {"choice": words, "order": [runs[index].id for index in order], "reasons": reasons, "warnings": warnings}


def _or_least(value: float | None) -> float:
    return -1e9 if value is None else value


def _meets(run: Contender, row: dict[str, Any]) -> bool:
    return (
        row["sharpe"] is not None and row["sharpe"] >= run.required_sharpe and row["max_drawdown"] <= run.drawdown_limit
    )


def _standing(run: Contender, row: dict[str, Any]) -> str:
    ratio = "no Sharpe ratio" if row["sharpe"] is None else f"a Sharpe ratio of {row['sharpe']:.2f}"
    faults = []
    if row["sharpe"] is None or row["sharpe"] < run.required_sharpe:
        faults.append(f"{run.required_sharpe:g} is required")
    if row["max_drawdown"] > run.drawdown_limit:
        faults.append(f"at most {run.drawdown_limit:.0%} drawdown is allowed")
    end = f"; {' and '.join(faults)}" if faults else ""
    return f"{run.name}: {ratio}, {row['total_return']:+.2%} with a drawdown of {row['max_drawdown']:.2%}{end}."


def returns_table(runs: Sequence[Contender]) -> FloatArray:
    """Daily returns of the common days, shape (days, runs).

    Raises:
        DataError: The runs have too few days in common.
    """
    _, values = common_days(runs)
    return np.stack([returns_of(values[:, k]) for k in range(len(runs))], axis=1)
