"""Which bars of a run must be visited: those at which the strategy may want something, or anything else may happen."""

from __future__ import annotations

import enum
import math
from bisect import bisect_left
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.model.candle import Bars
    from engine.risk.calm import Calm
    from engine.strategy.runner import Batch

__all__ = ["Pace", "Walk"]

_FIRST, _MOST = 32, 8192
"""Bars looked at in one go for what a price could set off: few at first, since most positions are short."""

_NOTHING = (-math.inf, math.inf, -math.inf, math.inf)


class Pace(enum.Enum):
    """What a run does at bars at which nothing can happen. The facts are the same either way."""

    SKIP = "skip"
    """Leaves them out."""
    EVERY_BAR = "every_bar"
    """Visits each, asks the strategy, matches orders, and looks at risk where its ranges are left."""
    EVERY_STEP = "every_step"
    """Visits each and takes every step of risk in full."""


class Walk:
    """Finds the next bar to visit.

    Args:
        bars: All bars of the run.
        batch: The same with the strategy's columns.
        length: Of a bar, nanoseconds.
    """

    def __init__(self, bars: Bars, batch: Batch, length: int) -> None:
        self._bars = bars
        self._length = length
        self._wakes = (batch.wake, batch.wake_held)
        self._calm: Calm | None = None
        self._bounds = _NOTHING
        self._clear = self._end = 0

    def ask_at(self, index: int, *, held: bool) -> int:
        """The first bar from `index` on at which the strategy may want something; the number of bars for none."""
        rows = self._wakes[held]
        at = bisect_left(rows, index)
        return rows[at] if at < len(rows) else len(self._bars)

    def event_at(
        self, index: int, until: int, calm: Calm, keeps: tuple[float, float], reach: tuple[float, float]
    ) -> int:
        """The first bar from `index` on, before `until`, at which something may happen by itself; else `until`.

        Args:
            index: The bar after the one that was visited last.
            until: Where to stop looking.
            calm: How long and between which closes risk is calm.
            keeps: Between which closes the strategy is calm.
            reach: A low at or under the first price, or a high at or over the second, reaches a working order.
        """
        bounds = (*reach, max(calm.low, keeps[0]), min(calm.high, keeps[1]))
        if calm is not self._calm or bounds != self._bounds:
            self._calm, self._bounds, self._clear = calm, bounds, index
            # A tick comes one nanosecond before the end of its bar.
            self._end = int(self._bars.ts.searchsorted(calm.until - self._length + 1))
        # A bar that was visited because of what it reached is not visited again when nothing came of it.
        self._clear = max(self._clear, index)
        until = min(until, max(self._end, index))
        if bounds == _NOTHING:
            return until
        width = _FIRST
        while self._clear < until:
            stop = min(self._clear + width, until)
            found = self._first(self._clear, stop)
            self._clear = found
            if found < stop:
                return found
            width = min(4 * width, _MOST)
        return until

    def _first(self, start: int, stop: int) -> int:
        """The first bar of a stretch whose prices reach something; `stop` for none."""
        part = slice(start, stop)
        bars, (below, above, low, high) = self._bars, self._bounds
        if stop - start <= _FIRST:
            columns = (bars.low[part].tolist(), bars.high[part].tolist(), bars.close[part].tolist())
            for at, (lowest, highest, close) in enumerate(zip(*columns, strict=True), start):
                if lowest <= below or highest >= above or not low < close < high:
                    return at
            return stop
        close = bars.close[part]
        reached = (bars.low[part] <= below) | (bars.high[part] >= above) | (close <= low) | (close >= high)
        first = int(reached.argmax())
        return start + first if reached[first] else stop
