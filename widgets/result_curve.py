"""What a simulated run was worth beside what holding would have been, and below it how deep it stood under its peak.

curve = ResultCurve()
curve.show([10_000.0, 10_120.0, ...], [10_000.0, 9_870.0, ...], first_label="2022-01-01", last_label="2025-06-30")
curve.drain()
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, ClassVar

from textual.content import Content

from widgets.axis import Scale, settle
from widgets.canvas import Canvas
from widgets.line_widget import LineBuilder, LineWidget
from widgets.text import clean, fit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.strip import Strip

    from widgets.glyphs import Glyphs
    from widgets.palette import Palette

__all__ = ["ResultCurve", "ResultView", "falls", "result_rows", "thinned"]

DOTS = 4
"""Dots of one cell from top to bottom."""
LEAST_FOR_FALLS = 8
"""Lines from which on the lower part is shown."""


@dataclass(frozen=True, slots=True)
class ResultView:
    """Two runs of values at the same times, and the labels below their ends."""

    values: tuple[float, ...] = ()
    benchmark: tuple[float, ...] = ()
    first_label: str = ""
    last_label: str = ""


def falls(values: Sequence[float]) -> list[float]:
    """Return how far each value lies below the highest before it, as a fraction of that."""
    return [1 - value / peak if peak > 0 else 0.0 for value, peak in zip(values, accumulate(values, max), strict=True)]


def thinned(values: Sequence[float], points: int) -> list[float]:
    """Return at most so many values, evenly picked, ends included, so that two runs of one length stay side by side."""
    count = len(values)
    if count <= points or points < 2:
        return list(values)
    return [values[round(index * (count - 1) / (points - 1))] for index in range(points)]


def _figure(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:,.2f}"


def _draw(canvas: Canvas, values: Sequence[float], columns: int, scale: Scale, ink: str, *, dashed: bool) -> None:
    points = thinned(values, columns * 2)
    spread = (columns * 2 - 1) / max(1, len(points) - 1)
    places = [(round(index * spread), scale.part(value)) for index, value in enumerate(points)]
    for before, here in zip([places[0], *places], places, strict=False):
        # What is only compared with is drawn with every third cell left out: colour alone would not tell the two apart.
        if not dashed:
            canvas.line(before, here, ink)
        elif here[0] // 2 % 3 != 2:
            canvas.line((here[0], before[1]), here, ink)


def _names(canvas: Canvas, ends: Sequence[tuple[int, str, str]], x: int, glyphs: Glyphs) -> None:
    """Write the last values where their lines end, apart from each other."""
    taken: set[int] = set()
    for row, text, ink in ends:
        spots = [row, *(row + step * sign for step in range(1, canvas.height) for sign in (1, -1))]
        place = next((spot for spot in spots if 0 <= spot < canvas.height and spot not in taken), row)
        taken.add(place)
        canvas.write(x, place, " " * (canvas.width - x), ink)
        canvas.write(x, place, glyphs.marker + fit(text, canvas.width - x - 1, "right"), ink)


def _falls_rows(view: ResultView, width: int, rows: int, room: int, palette: Palette, glyphs: Glyphs) -> list[Strip]:
    """Return the lines of the lower part, deepest fall at the bottom."""
    canvas = Canvas(width, rows, braille=glyphs.braille)
    depths = falls(view.values)
    worst = max(depths)
    columns = width - room
    for x in range(columns * 2):
        first = x * len(depths) // (columns * 2)
        last = max(first + 1, (x + 1) * len(depths) // (columns * 2))
        depth = max(depths[first:last])
        for y in range(round(depth / worst * rows * DOTS) if worst else 0):
            canvas.dot(x, y, "drawdown")
    if room:
        canvas.write(columns, 0, " " + fit("0 %", room - 1, "right"), "muted")
        canvas.write(columns, rows - 1, " " + fit(f"-{worst * 100:.1f} %", room - 1, "right"), "loss")
    return canvas.strips(palette, glyphs.body)


def result_rows(view: ResultView, width: int, height: int, palette: Palette, glyphs: Glyphs) -> list[Strip]:
    """Return the lines: both curves with their last values, the time below, then the falls from the peak."""
    lower = max(2, height // 4) if height >= LEAST_FOR_FALLS else 0
    rows = max(1, height - 1 - lower)
    both = [value for value in (*view.values, *view.benchmark) if math.isfinite(value)]
    scale = settle(None, min(both), max(both), rows * DOTS, 0.04)
    last = view.values[-1]
    ends = [(f"run {_figure(last)}", "gain" if last >= view.values[0] else "loss", last)]
    if view.benchmark:
        ends.append((f"hold {_figure(view.benchmark[-1])}", "overlay-2", view.benchmark[-1]))
    room = max(len(text) for text, _, _ in ends) + 2 if width > 30 else 0
    columns = width - room
    canvas = Canvas(width, rows, braille=glyphs.braille)
    _draw(canvas, view.values, columns, scale, ends[0][1], dashed=False)
    if view.benchmark:
        _draw(canvas, view.benchmark, columns, scale, "overlay-2", dashed=True)
    if room:
        _names(canvas, [(scale.part(value) // DOTS, text, ink) for text, ink, value in ends], columns, glyphs)
    lines = canvas.strips(palette, glyphs.overlay)
    half = columns // 2
    axis = fit(clean(view.first_label), half) + fit(clean(view.last_label), columns - half, "right")
    lines.append(LineBuilder(palette).add(axis, "muted").strip(width))
    return lines + (_falls_rows(view, width, lower, room, palette, glyphs) if lower else [])


class ResultCurve(LineWidget):
    """The result of a run as curves.

    Args:
        title: Shown in the border.
        empty: Shown while there is nothing to draw.
    """

    FRAMED = True
    DEFAULT_CSS: ClassVar[str] = """
    ResultCurve { padding: 0 1; }
    """

    def __init__(self, *, title: str = "Equity", empty: str = "Nothing to draw.", id: str | None = None) -> None:
        super().__init__(id=id)
        self._empty = empty
        self._view = ResultView()
        self.border_title = Content(clean(title))

    def show(
        self, values: Sequence[float], benchmark: Sequence[float], *, first_label: str = "", last_label: str = ""
    ) -> None:
        """Show what a run was worth and what holding would have been, at the same times, oldest first."""
        view = ResultView(tuple(values), tuple(benchmark), first_label, last_label)
        if view != self._view:
            self._view = view
            self.mark()

    def lines(self, width: int, height: int) -> Sequence[Strip]:
        """Return the lines."""
        if len(self._view.values) < 2 or width < 8:
            blank = LineBuilder(self.palette).strip(width)
            text = fit(clean(self._empty), width, "center", self.glyphs.ellipsis)
            return [*[blank] * (height // 2), LineBuilder(self.palette).add(text, "muted").strip(width)]
        return result_rows(self._view, width, height, self.palette, self.glyphs)
