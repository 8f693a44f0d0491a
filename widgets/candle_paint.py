"""Draws candles, volume, overlays, markers and crosshair on a fixed grid. Pure: a view in, lines out."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC
from typing import TYPE_CHECKING, Literal, NamedTuple

from widgets.axis import Scale, settle, ticks, time_marks
from widgets.canvas import Canvas
from widgets.line_widget import LineBuilder
from widgets.text import clean, fit, width_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import tzinfo

    from textual.strip import Strip

    from widgets.glyphs import Glyphs
    from widgets.palette import Palette

__all__ = ["Bar", "CandleView", "Grid", "Marker", "Overlay", "candle_rows", "grid_of", "readout"]


class Bar(NamedTuple):
    """One candle to draw: opening instant (nanoseconds UTC) and prices and volume as floats."""

    time_ns: int
    open: float
    high: float
    low: float
    close: float
    volume: float


@dataclass(frozen=True, slots=True)
class Overlay:
    """A line over the candles: one value a bar of the same index, None where there is none."""

    name: str
    values: Sequence[float | None]
    ink: str = "overlay-1"


@dataclass(frozen=True, slots=True)
class Marker:
    """A trade on the chart: when (nanoseconds UTC) and whether it bought, entered or left."""

    time_ns: int
    kind: Literal["entry", "exit"]
    buy: bool = True


@dataclass(frozen=True, slots=True)
class CandleView:
    """Everything a candle chart shows.

    ``decimals`` formats prices, ``step`` is the columns a candle takes (1, 2 or 3), ``crosshair`` the index of a bar
    or None, ``scale`` and ``volume_top`` what was drawn with before (they make the grid stay still).
    """

    bars: Sequence[Bar] = ()
    overlays: Sequence[Overlay] = ()
    markers: Sequence[Marker] = ()
    title: str = ""
    decimals: int = 2
    step: int = 1
    crosshair: int | None = None
    scale: Scale | None = None
    volume_top: float = 0.0
    zone: tzinfo = UTC


@dataclass(frozen=True, slots=True)
class Grid:
    """Where things are drawn: bars ``first`` and on, price and volume rows, columns left of the axis."""

    first: int
    columns: int
    price_rows: int
    volume_rows: int
    axis: int
    scale: Scale
    volume_top: float


def grid_of(view: CandleView, width: int, height: int) -> Grid:
    """Work out the grid for a chart of so many cells (readout line above and time axis below included)."""
    axis = 2 + max([6, *(len(f"{bar.high:,.{view.decimals}f}") for bar in view.bars[-1:])])
    columns = max(1, width - axis)
    rows = max(1, height - 2)
    volume_rows = 0 if rows < 8 else max(1, min(4, rows // 6))
    first = max(0, len(view.bars) - columns // view.step)
    shown = view.bars[first:]
    low = min((bar.low for bar in shown), default=0.0)
    high = max((bar.high for bar in shown), default=1.0)
    price_rows = rows - volume_rows
    scale = settle(view.scale, low, high, price_rows * 2)
    most = max((bar.volume for bar in shown), default=0.0)
    top = view.volume_top if view.volume_top / 3 <= most <= view.volume_top else most * 1.25
    return Grid(first, columns, price_rows, volume_rows, axis, scale, top)


# A cell's halves are in one of three states: 0 nothing, 1 wick, 2 body.
def _cell_glyph(upper: int, lower: int, glyphs: Glyphs, hollow: bool) -> str:
    if upper == 2 and lower == 2:
        return glyphs.hollow if hollow else glyphs.body
    if upper == 2 or lower == 2:
        return glyphs.body_top if upper == 2 else glyphs.body_bottom
    if upper and lower:
        return glyphs.wick
    return glyphs.stub_top if upper else glyphs.stub_bottom


def _thin_glyph(upper: int, lower: int, glyphs: Glyphs, hollow: bool) -> str:
    return (glyphs.thin_hollow if hollow else glyphs.thin)[upper * 3 + lower]


def _draw_bar(canvas: Canvas, x: int, bar: Bar, grid: Grid, step: int, glyphs: Glyphs, signs_only: bool) -> None:
    part = grid.scale.part
    top, bottom = part(bar.high), part(bar.low)
    body_top, body_bottom = part(max(bar.open, bar.close)), part(min(bar.open, bar.close))
    rising = bar.close >= bar.open
    ink = "candle-up" if rising else "candle-down"

    def state(half: int) -> int:
        if body_top <= half <= body_bottom:
            return 2
        return 1 if top <= half <= bottom else 0

    wide = step >= 3
    draw = _cell_glyph if wide else _thin_glyph
    for row in range(top // 2, bottom // 2 + 1):
        upper, lower = state(row * 2), state(row * 2 + 1)
        flat = bar.open == bar.close and 2 in (upper, lower)
        char = glyphs.doji if flat else draw(upper, lower, glyphs, rising and signs_only)
        canvas.put(x, row, char, ink)
        if wide and 2 in (upper, lower):
            canvas.put(x + 1, row, glyphs.rule if flat else char, ink)


def _draw_volume(canvas: Canvas, x: int, bar: Bar, grid: Grid, step: int, glyphs: Glyphs) -> None:
    levels = len(glyphs.column) - 1
    share = bar.volume / grid.volume_top if grid.volume_top > 0 else 0.0
    filled = round(max(0.0, min(1.0, share)) * grid.volume_rows * levels)
    if bar.volume > 0:
        filled = max(1, filled)
    for row in range(grid.volume_rows):
        amount = max(0, min(levels, filled - row * levels))
        if amount:
            y = grid.price_rows + grid.volume_rows - 1 - row
            for offset in range(2 if step >= 3 else 1):
                canvas.put(x + offset, y, glyphs.column[amount], "volume")


def _draw_overlays(canvas: Canvas, view: CandleView, grid: Grid) -> None:
    quarter = Scale(grid.scale.low, grid.scale.high, grid.price_rows * 4)
    for overlay in view.overlays:
        before: tuple[int, int] | None = None
        for index in range(grid.first, min(len(view.bars), len(overlay.values))):
            value = overlay.values[index]
            if value is None or not math.isfinite(value) or not grid.scale.covers(value, value):
                before = None
                continue
            here = ((index - grid.first) * view.step * 2, quarter.part(value))
            canvas.line(before or here, here, overlay.ink)
            before = here


def _draw_markers(canvas: Canvas, view: CandleView, grid: Grid, glyphs: Glyphs) -> None:
    shown = view.bars[grid.first :]
    if not view.markers or not shown:
        return
    pace = shown[1].time_ns - shown[0].time_ns if len(shown) > 1 else 0
    for marker in view.markers:
        place = next(
            (i for i, bar in enumerate(shown) if bar.time_ns <= marker.time_ns < bar.time_ns + max(1, pace)), None
        )
        if place is None:
            continue
        bar = shown[place]
        # A purchase points up from below its candle, a sale down from above it.
        row = grid.scale.part(bar.low) // 2 + 1 if marker.buy else grid.scale.part(bar.high) // 2 - 1
        row = max(0, min(grid.price_rows - 1, row))
        canvas.put(place * view.step, row, glyphs.entry if marker.buy else glyphs.exit, "own")


def _draw_crosshair(canvas: Canvas, view: CandleView, grid: Grid, glyphs: Glyphs) -> None:
    if view.crosshair is None or not grid.first <= view.crosshair < len(view.bars):
        return
    x = (view.crosshair - grid.first) * view.step
    for row in range(grid.price_rows + grid.volume_rows):
        if canvas.is_blank(x, row):
            canvas.put(x, row, glyphs.cross_vertical, "crosshair")


def _draw_axis(canvas: Canvas, view: CandleView, grid: Grid, glyphs: Glyphs) -> None:
    x = grid.columns
    values, decimals = ticks(grid.scale, max(2, grid.price_rows // 3))
    for row in range(grid.price_rows + grid.volume_rows):
        canvas.put(x, row, glyphs.axis, "faint")
    room = grid.axis - 2
    for value in values:
        row = grid.scale.part(value) // 2
        canvas.put(x, row, glyphs.tick, "faint")
        canvas.write(x + 2, row, fit(f"{value:,.{min(decimals, view.decimals)}f}", room, "right"), "muted")
    if view.bars:
        last = view.bars[-1]
        row = grid.scale.part(last.close) // 2
        ink = "candle-up" if last.close >= last.open else "candle-down"
        canvas.write(x + 1, row, glyphs.marker, ink)
        canvas.write(x + 2, row, fit(f"{last.close:,.{view.decimals}f}", room, "right", glyphs.ellipsis), "last")


def _time_strip(view: CandleView, grid: Grid, width: int, palette: Palette) -> Strip:
    canvas = Canvas(width, 1)
    times = [bar.time_ns for bar in view.bars[grid.first :]]
    for index, label in time_marks(times, max(2, 12 // view.step), view.zone):
        x = index * view.step
        if x + len(label) <= grid.columns:
            canvas.write(x, 0, label, "muted")
    return canvas.strips(palette)[0]


def readout(view: CandleView, width: int, palette: Palette, glyphs: Glyphs) -> Strip:
    """Return the line of figures: of the bar under the crosshair, else of the last one.

    When the line is short, volume, overlays, open and the extremes leave in that order; the close stays.
    """
    chosen = view.crosshair is not None and 0 <= view.crosshair < len(view.bars)
    parts: list[tuple[int, str, str, str]] = [(1, clean(view.title) + " " if view.title else "", "strong", "")]
    if view.bars:
        index = view.crosshair if chosen and view.crosshair is not None else len(view.bars) - 1
        parts += _figures(view, index, glyphs)
    while len(parts) > 1 and sum(width_of(label + figure) for _, label, _, figure in parts) > width + 1:
        parts.remove(max(parts, key=lambda part: part[0]))
    line = LineBuilder(palette)
    for _, label, ink, figure in parts:
        line.add(label, ink).add(figure)
    return line.strip(width)


def _figures(view: CandleView, index: int, glyphs: Glyphs) -> list[tuple[int, str, str, str]]:
    """Return priority, label, its ink and figure for each part of the readout of one bar."""
    bar, price = view.bars[index], f",.{view.decimals}f"
    change = (bar.close / bar.open - 1) * 100 if bar.open else 0.0
    ink = "gain" if change > 0 else "loss" if change < 0 else "neutral"
    sign = glyphs.up if change > 0 else glyphs.down if change < 0 else glyphs.flat
    parts = [
        (5, "O ", "muted", f"{bar.open:{price}} "),
        (4, "H ", "muted", f"{bar.high:{price}} "),
        (3, "L ", "muted", f"{bar.low:{price}} "),
        (0, "C ", "muted", f"{bar.close:{price}} "),
        (2, f"{sign}{change:+.2f}% ", ink, ""),
        (7, "V ", "muted", f"{bar.volume:,.2f} "),
    ]
    for overlay in view.overlays:
        level = overlay.values[index] if index < len(overlay.values) else None
        if level is not None:
            parts.append((6, f"{glyphs.overlay}{clean(overlay.name)} ", overlay.ink, f"{level:{price}} "))
    return parts


def candle_rows(view: CandleView, width: int, height: int, palette: Palette, glyphs: Glyphs) -> list[Strip]:
    """Return the chart's lines: readout, price and volume rows with the axis at the right, time axis."""
    grid = grid_of(view, width, height)
    canvas = Canvas(width, grid.price_rows + grid.volume_rows, braille=glyphs.braille)
    signs_only = palette.colourless or not glyphs.braille
    for place, bar in enumerate(view.bars[grid.first :]):
        _draw_bar(canvas, place * view.step, bar, grid, view.step, glyphs, signs_only)
        _draw_volume(canvas, place * view.step, bar, grid, view.step, glyphs)
    _draw_overlays(canvas, view, grid)
    _draw_markers(canvas, view, grid, glyphs)
    _draw_crosshair(canvas, view, grid, glyphs)
    _draw_axis(canvas, view, grid, glyphs)
    body = canvas.strips(palette, glyphs.overlay)
    return [readout(view, width, palette, glyphs), *body, _time_strip(view, grid, width, palette)][:height]
