"""How restless a market is at present, from the prices that are looked at while an order is traded."""

from __future__ import annotations

import itertools
import math
from collections import deque

__all__ = ["Weather"]

EVERY_NS = 10_000_000_000
"""Distance of two prices: far enough that the bounce between bid and ask tells little."""
KEPT = 31
"""Prices that are looked at: five minutes."""
LEAST = 13
"""Prices without which nothing is said: two minutes."""
DAY_NS = 86_400_000_000_000


class Weather:
    """Volatility of the last minutes; lost with the process, and known again two minutes later."""

    def __init__(self) -> None:
        self._prices: deque[tuple[int, float]] = deque(maxlen=KEPT)
        self.sigma: float | None = None
        """Standard deviation of the relative price change of a day; None while too little was seen."""

    def look(self, now: int, price: float) -> None:
        """See a price, the middle of the book if there is one; `now` in UTC nanoseconds."""
        if price <= 0 or (self._prices and now - self._prices[-1][0] < EVERY_NS):
            return
        self._prices.append((now, math.log(price)))
        if len(self._prices) < LEAST:
            return
        seen = list(self._prices)
        moves = sum((b - a) ** 2 for (_, a), (_, b) in itertools.pairwise(seen))
        self.sigma = math.sqrt(moves / (seen[-1][0] - seen[0][0]) * DAY_NS)
