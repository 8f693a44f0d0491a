"""What one set of parameters came to, and how such outcomes are ranked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np
import numpy.typing as npt

from engine.backtest.search.space import Value
from engine.errors import ValidationError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["KEPT", "OBJECTIVES", "TOO_FEW", "Outcome", "best_first", "check_objectives", "score", "value_of"]

OBJECTIVES: dict[str, int] = {
    "sharpe": 1,
    "sortino": 1,
    "calmar": 1,
    "total_return": 1,
    "annual_return": 1,
    "max_drawdown": -1,
    "annual_volatility": -1,
    "profit_factor": 1,
    "win_rate": 1,
    "expectancy": 1,
}
"""Figures that can be searched for -> 1 where more is better, -1 where less is."""
KEPT = (*OBJECTIVES, "trades", "exposure", "fees", "end_equity")
"""Figures that are kept of every set of parameters."""
TOO_FEW = -1e6
"""Score of a set without enough trades; each trade that it has lifts it by one, so that a search finds its way out."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """One set of parameters and its figures."""

    params: dict[str, Value]
    """Values of the varied parameters."""
    metrics: dict[str, float | None]
    """Those of `KEPT`; empty when the run failed."""
    failed: str = ""
    """Why it could not be run."""
    daily: npt.NDArray[np.float64] | None = None
    """Daily returns, float64 of shape (days,); kept while a study is worked out, and not stored."""

    @property
    def trades(self) -> int:
        """Closed trades."""
        return int(self.metrics.get("trades") or 0)


def check_objectives(names: Sequence[str], most: int = 2) -> tuple[str, ...]:
    """The objectives as asked.

    Raises:
        ValidationError: One is not known or given twice, or there are none or too many.
    """
    unknown = [name for name in names if name not in OBJECTIVES]
    if unknown:
        raise ValidationError(f"{unknown[0]!r} is no objective; there are: {', '.join(OBJECTIVES)}.")
    if not names or len(names) > most or len(set(names)) < len(names):
        raise ValidationError(f"Give one to {most} different objectives, such as sharpe,max_drawdown.")
    return tuple(names)


def value_of(metrics: Mapping[str, float | None], objective: str) -> float | None:
    """The figure of an objective, turned so that more is better; None where it could not be computed."""
    value = metrics.get(objective)
    return None if value is None else OBJECTIVES[objective] * value


def score(outcome: Outcome, objective: str, min_trades: int) -> float:
    """What an outcome is ranked by: more is better; what has too few trades, or no figure, is behind all others.

    A set with fewer trades than `min_trades` scores TOO_FEW plus its trades, whatever it earned: a few lucky trades
    are no evidence. One that failed scores TOO_FEW less one.
    """
    if outcome.failed:
        return TOO_FEW - 1.0
    value = value_of(outcome.metrics, objective)
    if outcome.trades < min_trades or value is None:
        return TOO_FEW + min(outcome.trades, min_trades)
    return value


def best_first(outcomes: Sequence[Outcome], objective: str, min_trades: int) -> list[int]:
    """Indices of outcomes, the best first; equal ones in the order given."""
    return sorted(range(len(outcomes)), key=lambda index: -score(outcomes[index], objective, min_trades))
