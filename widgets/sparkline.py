"""A line of small columns: where a value came from, in the space of a word.

Sparkline().set_values([1.0, 1.2, 0.9])       # a widget of one line
spark([1.0, 1.2, 0.9], 12, UNICODE)           # the same as text, for a table cell
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar

from widgets.equity_curve import resample
from widgets.line_widget import LineBuilder, LineWidget

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.strip import Strip

    from widgets.glyphs import Glyphs
    from widgets.palette import Palette

__all__ = ["Sparkline", "direction_ink", "spark", "spark_rows"]


def spark(values: Sequence[float], width: int, glyphs: Glyphs) -> str:
    """Return at most ``width`` columns of the given values, oldest first, lowest value lowest."""
    points = [value for value in values if math.isfinite(value)]
    if not points or width <= 0:
        return ""
    points = resample(points, width) if len(points) > 2 * width else points[-width:]
    low, high = min(points), max(points)
    levels = len(glyphs.column) - 2
    span = high - low
    # Even the lowest value shows: an empty column would read as a missing one.
    return "".join(
        glyphs.column[1 + (round((value - low) / span * levels) if span else levels // 2)] for value in points
    )[:width]


def direction_ink(values: Sequence[float]) -> str:
    """Return the ink for a run of values by where it ended against where it began."""
    if len(values) < 2 or values[-1] == values[0]:
        return "neutral"
    return "gain" if values[-1] > values[0] else "loss"


def spark_rows(values: Sequence[float], width: int, palette: Palette, glyphs: Glyphs) -> list[Strip]:
    """Return the one line of a sparkline, right-aligned, with the direction's sign before it."""
    sign = {"gain": glyphs.up, "loss": glyphs.down, "neutral": glyphs.flat}[direction_ink(values)]
    text = spark(values, width - 2, glyphs)
    line = LineBuilder(palette).add(" " * max(0, width - 2 - len(text)))
    return [line.add(f"{sign} {text}" if text else "", direction_ink(values)).strip(width)]


class Sparkline(LineWidget):
    """A sparkline of one line."""

    DEFAULT_CSS: ClassVar[str] = """
    Sparkline { height: 1; }
    """

    def __init__(self, *, name: str | None = None, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(name=name, id=id, classes=classes)
        self._values: tuple[float, ...] = ()

    def set_values(self, values: Sequence[float]) -> None:
        """Show these values, oldest first."""
        fresh = tuple(values)
        if fresh != self._values:
            self._values = fresh
            self.mark()

    def lines(self, width: int, height: int) -> Sequence[Strip]:
        """Return the sparkline."""
        return spark_rows(self._values, width, self.palette, self.glyphs)
