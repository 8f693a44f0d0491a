"""Studies as text in a terminal: the best sets, the most stable region, a heat map, what was left out, assumptions."""

from __future__ import annotations

import shutil
import textwrap
from typing import TYPE_CHECKING

from console.offline_call import table, utc
from console.plain import say
from console.study_curves import show_front, show_walk
from console.study_words import figure_text, set_words, value_text

if TYPE_CHECKING:
    from engine.control.views_search import HeatMap, StudySet, StudyView

__all__ = ["heat_lines", "show_study"]

SHADES = "·░▒▓█"
"""From the worst cell of a heat map to the best."""
SHOWN = ("sharpe", "total_return", "max_drawdown", "win_rate", "profit_factor", "trades")
LEFT_OUT = 5
CELL = 8
LABEL = 12


def show_study(view: StudyView, rows: int) -> None:
    """Print a study."""
    row = view.row
    kind = row.kind.replace("_", "-")
    say(f"{kind} of {row.strategy} on {row.instrument} {row.timeframe}, {utc(row.start)} to {utc(row.end)} UTC")
    say(f"id {row.id[:8]}, hash {row.hash}, {row.seconds:,.1f} s")
    if not row.complete:
        say(f"! Unfinished: {row.tried:,} of {row.sets:,}; what follows is what was finished.")
    _show_assumptions(view)
    if row.kind == "walk_forward":
        show_walk(view.details, view.objectives[0], rows)
    else:
        _show_sets(view, rows)
        _show_stable(view)
        show_front(view)
    if view.heat is not None:
        say()
        for line in heat_lines(view.heat):
            say(line)
    _show_left_out(view)


def _show_assumptions(view: StudyView) -> None:
    say("\nAssumptions")
    width = max(shutil.get_terminal_size((100, 30)).columns, 60)
    for name, text in view.assumptions.items():
        label = name.removeprefix("warning_").replace("_", " ")
        label = f"! {label}" if name.startswith("warning_") else f"  {label}"
        lines = textwrap.wrap(text, width - 20) or [""]
        say(f"{label:<18}  {lines[0]}")
        for line in lines[1:]:
            say(f"{'':<18}  {line}")


def _show_sets(view: StudyView, rows: int) -> None:
    if not view.sets:
        say("\nNo set of parameters could be run.")
        return
    objective = view.objectives[0]
    figures = list(dict.fromkeys([*view.objectives, *SHOWN]))
    names = list(view.sets[0].params)
    shown = view.sets[:rows]
    say(f"\nSets by {objective.replace('_', ' ')} (the best {len(shown)} of {view.row.tried:,})")
    head = (" #", *(f" {name}" for name in names), *(f" {name.replace('_', ' ')}" for name in figures), " region", "")
    table(
        head,
        (
            (
                str(place),
                *(value_text(found.params[name]) for name in names),
                *(figure_text(name, found.figures.get(name)) for name in figures),
                figure_text(objective, found.region),
                _marks(found),
            )
            for place, found in enumerate(shown, 1)
        ),
    )


def _marks(found: StudySet) -> str:
    return "too few trades" if found.few else "front" if found.front else ""


def _show_stable(view: StudyView) -> None:
    stable, objective = view.stable_set, view.objectives[0]
    if stable is None or view.stable is None:
        return
    own = figure_text(objective, stable.figures.get(objective))
    mean = figure_text(objective, stable.region)
    say(f"\nMost stable region: {set_words(stable.params)} (place {view.stable + 1})")
    say(f"  its own {objective.replace('_', ' ')} is {own}, the mean of its region {mean}")


def heat_lines(heat: HeatMap) -> list[str]:
    """A heat map: each cell its figure and a shade, the best darkest.

    Args:
        heat: What to draw.
    """
    width = shutil.get_terminal_size((100, 30)).columns
    fitting = max(1, (max(width, 40) - LABEL - 2) // CELL)
    columns = heat.columns[:fitting]
    known = sorted(cell for line in heat.cells for cell in line if cell is not None)
    lines = [f"{heat.figure.replace('_', ' ')} over {heat.x} (across) and {heat.y} (down)"]
    lines.append(" " * LABEL + "".join(f"{value_text(value):>{CELL}}" for value in columns))
    for value, cells in zip(heat.rows, heat.cells, strict=True):
        drawn = "".join(_cell(heat, cell, known) for cell in cells[:fitting])
        lines.append(f"{value_text(value):>{LABEL}}{drawn}".rstrip())
    if len(columns) < len(heat.columns):
        lines.append(f"({len(heat.columns) - len(columns)} more columns do not fit; a wider terminal shows them)")
    return lines


def _cell(heat: HeatMap, value: float | None, known: list[float]) -> str:
    if value is None:
        return " " * CELL
    # By rank, so that one outlier does not make all others look alike.
    below = sum(other < value for other in known) / max(1, len(known) - 1)
    share = below if heat.more_is_better else 1 - below
    shade = SHADES[min(int(share * len(SHADES)), len(SHADES) - 1)]
    text = figure_text(heat.figure, value)
    return f"{text:>{CELL - 1}}{shade}" if len(text) < CELL else f"{text[: CELL - 2]}…{shade}"


def _show_left_out(view: StudyView) -> None:
    if not view.left_out_count:
        return
    say(f"\nLeft out: {view.left_out_count:,}")
    for params, reason in view.left_out[:LEFT_OUT]:
        say(f"  {set_words(params)}: {reason}")
    if view.left_out_count > LEFT_OUT:
        say(f"  … and {view.left_out_count - LEFT_OUT:,} more")
