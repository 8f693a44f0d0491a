"""Pictures as SVG text: lines, areas, bars and bands, drawn with the page's own colours (`var(--…)`)."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["bands", "bars", "lines"]

WIDTH, HEIGHT = 900, 260
LEFT, RIGHT, TOP, BOTTOM = 64, 12, 10, 24
Value = float | None


class _Plane:
    """From values to places on the picture."""

    def __init__(self, xs: Sequence[float], ys: Sequence[float], height: int) -> None:
        self.height = height
        self.x0, self.x1 = min(xs), max(xs)
        low, high = min(ys), max(ys)
        room = (high - low) * 0.05 or abs(high) * 0.05 or 1.0
        self.y0, self.y1 = low - room, high + room

    def x(self, value: float) -> float:
        span = self.x1 - self.x0 or 1.0
        return LEFT + (value - self.x0) / span * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        return TOP + (self.y1 - value) / (self.y1 - self.y0) * (self.height - TOP - BOTTOM)


def _ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers between two values."""
    raw = (high - low) / about
    power = 10.0 ** math.floor(math.log10(raw)) if raw > 0 else 1.0
    step = next((power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= raw), power * 10)
    first = math.ceil(low / step)
    return [number * step for number in range(first, math.floor(high / step) + 1)]


def _grid(plane: _Plane, text: Callable[[float], str]) -> str:
    parts = []
    for tick in _ticks(plane.y0, plane.y1):
        y = plane.y(tick)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{escape(text(tick))}</text>')
    return "".join(parts)


def _days(plane: _Plane) -> str:
    parts = []
    for step in range(5):
        ts = plane.x0 + (plane.x1 - plane.x0) * step / 4
        anchor = ("start", "middle", "middle", "middle", "end")[step]
        day = f"{datetime.fromtimestamp(ts / 1e9, UTC):%Y-%m-%d}"
        parts.append(f'<text x="{plane.x(ts):.1f}" y="{plane.height - 6}" text-anchor="{anchor}">{day}</text>')
    return "".join(parts)


def _wrap(content: str, title: str, height: int) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(title, quote=True)}">'
        f"<title>{escape(title)}</title>{content}</svg>"
    )


def _path(plane: _Plane, xs: Sequence[float], ys: Sequence[Value]) -> str:
    """A line with gaps where values are not known."""
    parts, pen = [], "M"
    for x, y in zip(xs, ys, strict=True):
        if y is None or not math.isfinite(y):
            pen = "M"
            continue
        parts.append(f"{pen}{plane.x(x):.1f} {plane.y(y):.1f}")
        pen = "L"
    return "".join(parts)


def lines(
    title: str,
    ts: Sequence[float],
    series: dict[str, Sequence[Value]],
    text: Callable[[float], str],
    *,
    filled: bool = False,
    height: int = HEIGHT,
) -> str:
    """One or more lines over time; empty text where there is nothing to draw.

    Args:
        title: What it is, for readers that do not see it.
        ts: UTC nanoseconds.
        series: Values by the name of a colour class (`first`, `second`, `bad`).
        text: Writes a value of the axis.
        filled: Fill the space to zero.
        height: Of the picture.
    """
    known = [value for values in series.values() for value in values if value is not None and math.isfinite(value)]
    if len(ts) < 2 or not known:
        return ""
    plane = _Plane(ts, [*known, 0.0] if filled else known, height)
    parts = [_grid(plane, text), _days(plane)]
    for name, values in series.items():
        path = _path(plane, ts, values)
        if filled:
            end, begin, zero = plane.x(ts[-1]), plane.x(ts[0]), plane.y(0.0)
            parts.append(f'<path class="area {name}" d="{path}L{end:.1f} {zero:.1f}L{begin:.1f} {zero:.1f}Z"/>')
        parts.append(f'<path class="line {name}" d="{path}"/>')
    return _wrap("".join(parts), title, height)


def bands(title: str, ts: Sequence[float], rows: Sequence[Sequence[float]], text: Callable[[float], str]) -> str:
    """A fan: bands between the outer rows and inwards, the middle row as a line.

    Args:
        title: What it is.
        ts: UTC nanoseconds.
        rows: An odd number of rows from the lowest to the highest.
        text: Writes a value of the axis.
    """
    if len(ts) < 2 or not rows:
        return ""
    plane = _Plane(ts, [value for row in rows for value in row], HEIGHT)
    parts = [_grid(plane, text), _days(plane)]
    for place in range(len(rows) // 2):
        low, high = _path(plane, ts, rows[place]), _path(plane, ts[::-1], rows[-1 - place][::-1])
        parts.append(f'<path class="band" d="{low}L{high[1:]}Z"/>')
    parts.append(f'<path class="line first" d="{_path(plane, ts, rows[len(rows) // 2])}"/>')
    return _wrap("".join(parts), title, HEIGHT)


def bars(title: str, edges: Sequence[float], counts: Sequence[float], text: Callable[[float], str]) -> str:
    """A histogram.

    Args:
        title: What it is.
        edges: Of the bins, one more than `counts`.
        counts: Of each bin.
        text: Writes a value of the axis below.
    """
    if not len(counts) or max(counts) <= 0:
        return ""
    plane = _Plane(edges, [0.0, *counts], HEIGHT)
    plane.y0 = 0.0
    parts = [_grid(plane, lambda value: f"{value:g}")]
    for left, right, count in zip(edges[:-1], edges[1:], counts, strict=True):
        x, width, y = plane.x(left), plane.x(right) - plane.x(left), plane.y(count)
        kind = "bad" if (left + right) / 2 < 0 else "first"
        height = plane.y(0.0) - y
        parts.append(
            f'<rect class="bar {kind}" x="{x:.1f}" y="{y:.1f}" width="{max(width - 1, 0.5):.1f}" '
            f'height="{height:.1f}"/>'
        )
    for tick in _ticks(plane.x0, plane.x1, 8):
        parts.append(f'<text x="{plane.x(tick):.1f}" y="{HEIGHT - 6}" text-anchor="middle">{escape(text(tick))}</text>')
    return _wrap("".join(parts), title, HEIGHT)
