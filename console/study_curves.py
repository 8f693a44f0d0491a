"""What studies show beside tables: the front of two objectives, and everything of a walk-forward analysis."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import click

from console.offline_call import table, utc
from console.plain import say
from console.study_words import figure_text, set_words, value_text

if TYPE_CHECKING:
    from engine.control.views_search import StudyView

__all__ = ["show_front", "show_walk"]

NARROWEST = 60
"""Columns that a drawing needs at least."""
HEIGHT = 16


def _canvas() -> Any:
    """A drawing that fits the terminal; None where that is too narrow."""
    width = shutil.get_terminal_size((100, 30)).columns
    if width < NARROWEST:
        return None
    import plotext

    plotext.clear_figure()
    plotext.theme("clear")
    plotext.plotsize(min(width, 110), HEIGHT)
    return plotext


def show_front(view: StudyView) -> None:
    """Draw the sets of a study with two objectives, those of the front apart."""
    if len(view.objectives) < 2:
        return
    x, y = view.objectives[:2]
    points = [
        found for found in view.sets if not found.few and None not in (found.figures.get(x), found.figures.get(y))
    ]
    canvas = _canvas() if points else None
    if canvas is None:
        return
    for label, marker, wanted in (("sets", "dot", False), ("front", "hd", True)):
        some = [found for found in points if found.front is wanted]
        if some:
            canvas.scatter(
                [found.figures[x] for found in some], [found.figures[y] for found in some], label=label, marker=marker
            )
    canvas.xlabel(x.replace("_", " "))
    canvas.ylabel(y.replace("_", " "))
    say(f"\nFront: {sum(found.front for found in view.sets)} of {len(view.sets)} shown sets are beaten by none in both")
    click.echo(str(canvas.build()))


def show_walk(details: dict[str, Any], objective: str, rows: int) -> None:
    """Print a walk-forward analysis.

    Args:
        details: Those of its view.
        objective: What was searched for.
        rows: Most windows to print; the newest ones.
    """
    _show_windows(details.get("windows", []), objective, rows)
    stitched = details.get("stitched", {})
    if stitched.get("equity"):
        _show_curve(stitched)
    _show_movement(details.get("movement", []))
    verdict = details.get("verdict", {})
    ratio, better = verdict.get("ratio"), verdict.get("better")
    say(f"\nTest over training: {figure_text('ratio', ratio)} over {verdict.get('compared', 0)} windows that count")
    if better is not None:
        say(f"Tests above zero: {better:.0%}")


def _show_windows(windows: list[dict[str, Any]], objective: str, rows: int) -> None:
    shown = windows[-rows:]
    say(f"\nWindows by {objective.replace('_', ' ')} (the last {len(shown)} of {len(windows)})")
    head = (" #", "test", " training", " region", " validation", " test", " test return", " trades", "chosen", "")
    table(
        head,
        (
            (
                str(row["number"]),
                f"{utc(row['test'][0])[:10]} to {utc(row['test'][1])[:10]}",
                *(figure_text(objective, row["scores"][name]) for name in ("training", "region", "validation", "test")),
                figure_text("total_return", row["test_return"]),
                " ".join(str(row["trades"][name]) for name in ("training", "validation", "test")),
                set_words(row["params"]),
                "too few trades" if row["flagged"] else "",
            )
            for row in shown
        ),
    )


def _show_curve(stitched: dict[str, Any]) -> None:
    figures = stitched["figures"]
    names = ("total_return", "annual_return", "sharpe", "max_drawdown", "benchmark_return")
    words = ", ".join(f"{name.replace('_', ' ')} {figure_text(_share(name), figures.get(name))}" for name in names)
    say(f"\nAll tests stitched together, {figures.get('days') or 0:,.0f} days: {words}")
    canvas = _canvas()
    if canvas is None:
        return
    times = [ts / 1e9 for ts in stitched["ts"]]
    canvas.plot(times, stitched["equity"], label="out of sample", marker="braille")
    canvas.plot(times, stitched["benchmark"], label="bought and held", marker="dot")
    first, last = stitched["ts"][0], stitched["ts"][-1]
    ticks = [first + (last - first) * step // 4 for step in range(5)]
    canvas.xticks([tick / 1e9 for tick in ticks], [utc(tick)[:10] for tick in ticks])
    click.echo(str(canvas.build()))


def _share(name: str) -> str:
    return "total_return" if name == "benchmark_return" else name


def _show_movement(movement: list[dict[str, Any]]) -> None:
    if not movement:
        return
    say("\nHow the best parameters move")
    table(
        ("parameter", " mean", " deviation", " of its range", " changes", "latest", ""),
        (
            (
                entry["name"],
                "—" if entry["mean"] is None else value_text(float(entry["mean"])),
                "—" if entry["deviation"] is None else value_text(float(entry["deviation"])),
                "—" if entry["share"] is None else f"{entry['share']:.0%}",
                str(entry["changes"]),
                value_text(entry["values"][-1]),
                "wanders" if entry["wanders"] else "",
            )
            for entry in movement
            if entry["values"]
        ),
    )
