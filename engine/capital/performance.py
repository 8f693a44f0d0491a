"""How a pool has done, from how it stood at the ends of the last days: returns, volatility, Sharpe ratio, Kelly share.

A day's return is what the pool made on it, open profit included, over the capital with which it began. Crypto trades on
all days, so a year has 365.
"""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING

import msgspec
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from engine.model.capital import DayMark
    from engine.model.ids import Owner

    Floats = npt.NDArray[np.float64]

__all__ = ["DAYS_A_YEAR", "LEAST_DAYS", "Performance", "correlations", "daily_returns", "performance_of"]

DAYS_A_YEAR = 365
LEAST_DAYS = 20
"""Days from which statistics are used at all."""
FULL_DAYS = 60
"""Days from which they are taken at their word; before, they are drawn towards nothing in proportion."""


class Performance(msgspec.Struct, frozen=True, kw_only=True):
    """One pool's figures; those that need history are None before `LEAST_DAYS` days."""

    days: int
    total: float
    """Product of all days' returns, less one."""
    volatility: float | None = None
    """Standard deviation of daily returns (sample), annualised."""
    sharpe: float | None = None
    """Mean over standard deviation of daily returns, annualised, without a risk-free rate (Sharpe 1994)."""
    drawdown: float = 0.0
    """Largest fall from a peak, as a fraction."""
    kelly: float | None = None
    """Share of capital that maximises its growth: mean over variance of daily returns (Thorp 2006), not bounded."""

    @property
    def trust(self) -> float:
        """How much of the figures is taken at its word, 0 to 1: none before `LEAST_DAYS`, all from `FULL_DAYS` on."""
        return 0.0 if self.days < LEAST_DAYS else min(1.0, self.days / FULL_DAYS)


def daily_returns(days: Sequence[DayMark]) -> dict[int, float]:
    """Return of each day that follows on the one before it, by UTC day number."""
    found = {}
    for before, now in itertools.pairwise(days):
        if now.day == before.day + 1 and before.capital > 0:
            found[now.day] = float(now.result - before.result) / float(before.capital)
    return found


def performance_of(days: Sequence[DayMark]) -> Performance:
    """A pool's figures from how it stood at the ends of days, oldest first."""
    returns = np.array(list(daily_returns(days).values()), dtype=np.float64)
    if not len(returns):
        return Performance(days=0, total=0.0)
    worth = np.cumprod(1.0 + np.maximum(returns, -1.0))
    peaks = np.maximum(np.maximum.accumulate(worth), 1.0)
    total, drawdown = float(worth[-1] - 1.0), float(np.max(1.0 - worth / peaks))
    if len(returns) < LEAST_DAYS:
        return Performance(days=len(returns), total=total, drawdown=drawdown)
    mean, deviation = float(np.mean(returns)), float(np.std(returns, ddof=1))
    steady = deviation <= 1e-12
    return Performance(
        days=len(returns),
        total=total,
        volatility=deviation * math.sqrt(DAYS_A_YEAR),
        sharpe=None if steady else mean / deviation * math.sqrt(DAYS_A_YEAR),
        drawdown=drawdown,
        kelly=None if steady else mean / deviation**2,
    )


def correlations(histories: Mapping[Owner, Sequence[DayMark]]) -> Floats:
    """Correlations of all pools' daily returns, in the order of the mapping.

    Two pools are compared over the days that both have; where these are fewer than `LEAST_DAYS`, or one of them never
    moved, they count as uncorrelated. What such a patchwork says is drawn towards no correlation until it is positive
    definite.
    """
    returns = [daily_returns(days) for days in histories.values()]
    size = len(returns)
    found = np.eye(size)
    for i in range(size):
        for j in range(i):
            common = sorted(returns[i].keys() & returns[j].keys())
            if len(common) < LEAST_DAYS:
                continue
            one = np.array([returns[i][day] for day in common])
            other = np.array([returns[j][day] for day in common])
            if np.std(one) > 1e-12 and np.std(other) > 1e-12:
                found[i, j] = found[j, i] = float(np.clip(np.corrcoef(one, other)[0, 1], -0.99, 0.99))
    identity = np.eye(size)
    while size and float(np.linalg.eigvalsh(found)[0]) < 1e-6:
        found = 0.9 * found + 0.1 * identity
    return found
