"""Charts in the terminal: the one place that knows plotext."""

from __future__ import annotations

from typing import TYPE_CHECKING

from console.offline_call import utc

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["NARROWEST", "bar_chart", "time_chart"]

NARROWEST = 60
"""Columns that a chart needs at least."""
WIDEST = 110
MARKERS = ("braille", "dot", "fhd")


def time_chart(
    ts: Sequence[int], series: dict[str, Sequence[float | None]], *, width: int, height: int = 16, title: str = ""
) -> str:
    """Lines over time.

    Args:
        ts: UTC nanoseconds.
        series: Values by label; what is not known is left out.
        width: Columns there are.
        height: Lines.
        title: Above the chart.
    """
    import plotext

    _begin(plotext, width, height, title)
    for marker, (label, values) in zip(MARKERS, series.items(), strict=False):
        known = [(at / 1e9, value) for at, value in zip(ts, values, strict=True) if value is not None]
        if known:
            plotext.plot(*(list(part) for part in zip(*known, strict=True)), label=label or None, marker=marker)
    first, last = ts[0], ts[-1]
    ticks = [first + (last - first) * step // 4 for step in range(5)]
    plotext.xticks([tick / 1e9 for tick in ticks], [utc(tick)[:10] for tick in ticks])
    return str(plotext.build())


def bar_chart(labels: Sequence[str], values: Sequence[float], *, width: int, height: int = 14, title: str = "") -> str:
    """Upright bars.

    Args:
        labels: Below the bars; an empty one is not written.
        values: Their heights.
        width: Columns there are.
        height: Lines.
        title: Above the chart.
    """
    import plotext

    _begin(plotext, width, height, title)
    places = list(range(len(values)))
    plotext.bar(places, list(values), width=0.8)
    shown = [(place, label) for place, label in zip(places, labels, strict=True) if label]
    plotext.xticks([place for place, _ in shown], [label for _, label in shown])
    return str(plotext.build())


def _begin(plotext: object, width: int, height: int, title: str) -> None:
    plotext.clear_figure()  # type: ignore[attr-defined]
    plotext.theme("clear")  # type: ignore[attr-defined]
    plotext.plotsize(min(width, WIDEST), height)  # type: ignore[attr-defined]
    if title:
        plotext.title(title)  # type: ignore[attr-defined]
