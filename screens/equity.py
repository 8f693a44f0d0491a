"""Equity over time as a curve at equal distances, grown at its end by the present value.

Equity is recorded while something is held and not at rest, so the record has gaps; between two records the last value
held. The steps are of round length and begin at round times: a picture at rest stays the same picture.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING

from screens.formats import clock, day, percent

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import tzinfo

    from engine.control.views import EquityPoint

__all__ = ["RANGES", "EquityHistory", "EquityLine", "equity_line", "range_words", "start_label"]

SECOND = 1_000_000_000
DAY = 86_400 * SECOND
RANGES: dict[str, int | None] = {"day": DAY, "week": 7 * DAY, "month": 31 * DAY, "all": None}
"""Range -> how far back, nanoseconds; None for everything."""
POINTS = 240
STEPS = tuple(
    seconds * SECOND
    for seconds in (5, 10, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 28_800, 86_400, 604_800, 2_592_000)
)
LIVE_EVERY = 10 * SECOND
"""Distance of the values that the console adds to the record by itself."""


@dataclass(frozen=True, slots=True)
class EquityLine:
    """Values at equal distances, oldest first; `start` is the first one's time."""

    values: tuple[float, ...] = ()
    start: int = 0

    @property
    def change(self) -> float | None:
        """Last against first value as a fraction; None when there is nothing to compare."""
        if len(self.values) < 2 or not self.values[0]:
            return None
        return self.values[-1] / self.values[0] - 1

    @property
    def drawdown(self) -> float | None:
        """Deepest fall below a peak before it, as a fraction; None for an empty line."""
        peak, deepest = -math.inf, 0.0
        for value in self.values:
            peak = max(peak, value)
            if peak > 0:
                deepest = max(deepest, 1 - value / peak)
        return deepest if self.values else None


def equity_line(points: Sequence[tuple[int, float]], now: int, span: int | None) -> EquityLine:
    """Spread recorded values over equal steps.

    Args:
        points: Time in UTC nanoseconds and equity, oldest first.
        now: Where the line ends.
        span: How far back it may begin; it begins later when nothing older is recorded. None for everything.
    """
    if not points or now <= 0:
        return EquityLine()
    begin = points[0][0] if span is None else max(points[0][0], now - span)
    length = max(SECOND, now - begin)
    step = next((step for step in STEPS if length / step <= POINTS), STEPS[-1])
    times = [ts for ts, _ in points]
    values = [points[0][1] if begin <= points[0][0] else points[bisect_right(times, begin) - 1][1]]
    for at in range(begin // step * step + step, now, step):
        values.append(points[bisect_right(times, at) - 1][1])
    values.append(points[-1][1])
    return EquityLine(tuple(values), begin)


class EquityHistory:
    """Recorded equity of one range, and what the console has seen since.

    `asked_at` is when it was asked for, in the app's steady seconds.
    """

    def __init__(self, name: str = "day") -> None:
        self.name = name
        self.asked_at = -math.inf
        self._points: list[tuple[int, float]] = []
        self._present: tuple[int, float] | None = None

    def choose(self, name: str) -> None:
        """Turn to another range; what was recorded of this one is forgotten."""
        self.name = name
        self.asked_at = -math.inf
        self._points.clear()

    def take(self, points: Iterable[EquityPoint]) -> None:
        """Take what is recorded."""
        self._points = [(point.ts, point.equity) for point in points]

    def live(self, now: int, equity: float) -> bool:
        """Take the present value; returns whether it differs. One in ten seconds is kept for the line."""
        before = self._present
        if now <= 0 or (before is not None and now < before[0]):
            return False
        if before is not None and (not self._points or before[0] - self._points[-1][0] >= LIVE_EVERY):
            self._points.append(before)
        self._present = (now, equity)
        return before is None or before[1] != equity

    def line(self, now: int) -> EquityLine:
        """Return the line up to now."""
        points = self._points
        if self._present is not None and (not points or self._present[0] >= points[-1][0]):
            points = [*points, self._present]
        return equity_line(points, now, RANGES[self.name])


def range_words(name: str, line: EquityLine, room: int) -> str:
    """Return the heading of a curve: its range, the change over it and the deepest fall in it, as far as they fit."""
    words = {"day": "24 hours", "week": "7 days", "month": "31 days", "all": "whole time"}[name]
    text = f"Equity, {words}"
    if line.change is None:
        return text
    text += f": {percent(line.change, signed=True)}"
    for fall in (f", max drawdown {percent(line.drawdown)}", f", max dd {percent(line.drawdown)}"):
        if line.drawdown and len(text + fall) <= room:
            return text + fall
    return text


def start_label(line: EquityLine, zone: tzinfo, now: int) -> str:
    """Return when a line begins, for the label below it."""
    if not line.values:
        return ""
    time = clock(line.start, zone)[:5]
    return time if now - line.start <= DAY else f"{day(line.start, zone)} {time}"
