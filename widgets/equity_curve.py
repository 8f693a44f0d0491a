"""An equity curve in braille dots, with the drawdown below its peak shaded and lowest, highest and last labelled.

curve = EquityCurve(decimals=2)
curve.set_values([10_000.0, 10_012.5, ...], first_label="1 Jan", last_label="now")
curve.drain()
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
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

__all__ = ["CurveView", "EquityCurve", "curve_rows", "curve_scale", "resample"]


@dataclass(frozen=True, slots=True)
class CurveView:
    """All a curve shows: values at equal distances in time, and the labels below its ends."""

    values: Sequence[float] = ()
    decimals: int = 2
    first_label: str = ""
    last_label: str = ""
    scale: Scale | None = None


def resample(values: Sequence[float], points: int) -> list[float]:
    """Return at most ``points`` values that keep the first, the last and every extreme of a stretch in its order."""
    count = len(values)
    if count <= points:
        return list(values)
    out: list[float] = []
    buckets = max(1, points // 2)
    for bucket in range(buckets):
        part = values[bucket * count // buckets : (bucket + 1) * count // buckets]
        low, high = min(part), max(part)
        out += [low, high] if part.index(low) < part.index(high) else [high, low]
    out[0], out[-1] = values[0], values[-1]
    return out


def curve_scale(view: CurveView, height: int) -> Scale:
    """Return the vertical scale for a curve of so many lines, kept from before where it still serves."""
    finite = [value for value in view.values if math.isfinite(value)]
    rows = max(1, height - (1 if view.first_label or view.last_label else 0))
    return settle(view.scale, min(finite, default=0.0), max(finite, default=1.0), rows * 4)


def _label_room(view: CurveView) -> int:
    figures = [max(view.values), min(view.values), view.values[-1]]
    return max(len(f"{value:,.{view.decimals}f}") for value in figures if math.isfinite(value)) + 2


def _shade(canvas: Canvas, points: Sequence[float], scale: Scale, columns: int, braille: bool) -> None:
    """Shade the cells between the running peak and the curve."""
    peaks: list[int] = []
    peak = -math.inf
    for value in points:
        peak = max(peak, value)
        peaks.append(scale.part(peak) // 4)
    for column in range(columns):
        part = range(
            column * len(points) // columns,
            max(column * len(points) // columns + 1, (column + 1) * len(points) // columns),
        )
        top = min(peaks[index] for index in part if index < len(points))
        bottom = min(scale.part(points[index]) // 4 for index in part if index < len(points))
        for row in range(top + 1, bottom):
            canvas.shade(column, row, "░" if braille else ":", "drawdown")


def curve_rows(view: CurveView, width: int, height: int, palette: Palette, glyphs: Glyphs) -> list[Strip]:
    """Return the lines of a curve: dots and shade at the left, the labels of highest, last and lowest at the right."""
    rows = max(1, height - (1 if view.first_label or view.last_label else 0))
    scale = curve_scale(view, height)
    room = _label_room(view) if width > 24 else 0
    columns = width - room
    canvas = Canvas(width, rows, braille=glyphs.braille)
    points = resample([value for value in view.values if math.isfinite(value)], columns * 2)
    if points:
        spread = (columns * 2 - 1) / max(1, len(points) - 1)
        places = [(round(index * spread), scale.part(value)) for index, value in enumerate(points)]
        ink = "gain" if points[-1] >= points[0] else "loss"
        for before, here in zip([places[0], *places], places, strict=False):
            canvas.line(before, here, ink)
        _shade(canvas, points, scale, columns, glyphs.braille)
        if room:
            _labels(canvas, view, points, scale, columns, glyphs)
    lines = canvas.strips(palette, glyphs.overlay)
    if rows < height:
        line = fit(clean(view.first_label), columns // 2, "left") + fit(
            clean(view.last_label), columns - columns // 2, "right"
        )
        lines.append(LineBuilder(palette).add(line, "muted").strip(width))
    return lines


def _labels(canvas: Canvas, view: CurveView, points: Sequence[float], scale: Scale, x: int, glyphs: Glyphs) -> None:
    marks = [
        (max(points), glyphs.up, "muted"),
        (min(points), glyphs.down, "muted"),
        (points[-1], glyphs.marker, "last"),
    ]
    # The last value is drawn last: where two share a line, it is the one that is read.
    for value, sign, ink in marks:
        row = scale.part(value) // 4
        canvas.write(x, row, " " * (canvas.width - x), ink)
        canvas.write(x, row, sign + fit(f"{value:,.{view.decimals}f}", canvas.width - x - 1, "right"), ink)


class EquityCurve(LineWidget):
    """An equity curve that moves with its last value.

    Args:
        title: Shown in the border.
        decimals: Decimals of the labels.
        empty: Shown before there are two values.
    """

    FRAMED = True
    DEFAULT_CSS: ClassVar[str] = """
    EquityCurve { padding: 0 1; }
    """

    def __init__(
        self,
        *,
        title: str = "Equity",
        decimals: int = 2,
        empty: str = "No equity recorded yet.",
        name: str | None = None,
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        super().__init__(name=name, id=id, classes=classes)
        self.empty = empty
        self.border_title = Content(clean(title)) if title else None
        self._view = CurveView(decimals=decimals)

    def set_values(self, values: Sequence[float], *, first_label: str = "", last_label: str = "") -> None:
        """Show these values, oldest first, at equal distances in time."""
        view = replace(self._view, values=tuple(values), first_label=first_label, last_label=last_label)
        if view != self._view:
            self._view = view
            self.mark()

    def lines(self, width: int, height: int) -> Sequence[Strip]:
        """Return the curve's lines."""
        if len(self._view.values) < 2:
            blank = LineBuilder(self.palette).strip(width)
            text = fit(clean(self.empty), width, "center", self.glyphs.ellipsis)
            return [*[blank] * (height // 2), LineBuilder(self.palette).add(text, "muted").strip(width)]
        self._view = replace(self._view, scale=curve_scale(self._view, height))
        return curve_rows(self._view, width, height, self.palette, self.glyphs)
