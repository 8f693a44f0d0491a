"""Studies in lines: the best sets, the most stable region, a heat map in colours, windows, the front, warnings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.model.ids import symbol_of
from screens.formats import DASH, age, number, percent
from screens.sheet import Line, wrap
from widgets.live_table import Cell, Column
from widgets.text import clean, fit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from engine.control.views_search import HeatMap, StudyRow, StudySet, StudyView
    from widgets.glyphs import Glyphs

__all__ = ["STUDY_COLUMNS", "figure_text", "study_cells", "study_lines"]

STUDY_COLUMNS = (
    Column("kind", "Kind", 12),
    Column("strategy", "Strategy", 15, flex=True),
    Column("symbol", "Market", 9),
    Column("timeframe", "Bar", 3, priority=3),
    Column("tried", "Tried", 6, align="right", priority=2),
    Column("objective", "By", 10, priority=4),
    Column("best", "Best", 8, align="right"),
    Column("stable", "Region", 8, align="right", priority=1),
    Column("state", "State", 10, priority=2),
    Column("created", "Run", 7, align="right", priority=5),
)
SHARES = frozenset({"total_return", "annual_return", "max_drawdown", "annual_volatility", "win_rate", "exposure"})
SHADES = ("loss", "faint", "muted", "text", "gain")
"""Inks of a heat map from the worst fifth of its cells to the best."""
SETS = 12
CELL = 8
LABEL = 9


def figure_text(name: str, value: float | None) -> str:
    """A figure as it is written; a dash where it could not be computed."""
    if value is None:
        return DASH
    if name in SHARES:
        return percent(value)
    return f"{value:,.0f}" if name == "trades" else number(value)


def _value(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else clean(str(value))


def _words(params: Mapping[str, object]) -> str:
    return " ".join(f"{clean(name)}={_value(value)}" for name, value in params.items())


def study_cells(row: StudyRow, now: int) -> tuple[Cell, ...]:
    """A stored study as a row of the table."""
    unknown = float("nan")
    stable = "ratio" if row.kind == "walk_forward" else row.objective
    state = Cell("finished", "muted") if row.complete else Cell(f"{row.tried:,}/{row.sets:,}", "warn")
    return (
        Cell(row.kind.replace("_", "-")),
        Cell(clean(row.strategy)),
        Cell(symbol_of(row.instrument)),
        Cell(row.timeframe),
        Cell(f"{row.tried:,}", value=float(row.tried)),
        Cell(row.objective.replace("_", " "), "muted"),
        Cell(figure_text(row.objective, row.best), value=unknown if row.best is None else row.best),
        Cell(figure_text(stable, row.stable), value=unknown if row.stable is None else row.stable),
        state,
        Cell(age(row.created, now), "muted", value=float(row.created)),
    )


def study_lines(view: StudyView, width: int, glyphs: Glyphs) -> list[Line]:
    """Everything of a study, warnings first."""
    lines: list[Line] = []
    if not view.row.complete:
        said = f"Unfinished: {view.row.tried:,} of {view.row.sets:,}; this is what was finished."
        lines += [[(f"{glyphs.breach} {said}", "warn")]]
    for name, text in view.assumptions.items():
        if name.startswith("warning_"):
            first, *rest = wrap(text, max(10, width - 2), "warn")
            lines += [[("! ", "warn"), *first], *([("  ", "warn"), *line] for line in rest)]
    if lines:
        lines.append([])
    if view.row.kind == "walk_forward":
        lines += _walk_lines(view, width)
    else:
        lines += _set_lines(view, width)
        if view.heat is not None:
            lines += [[], *_heat_lines(view.heat, width)]
    return [*lines, *_rest(view, width)]


def _set_lines(view: StudyView, width: int) -> list[Line]:
    if not view.sets:
        return [[("No set of parameters could be run.", "text")]]
    objective = view.objectives[0]
    figures = list(dict.fromkeys([*view.objectives, "total_return", "max_drawdown", "trades"]))
    room = max(12, width - 11 - 10 * (len(figures) + 1))
    head = f"{'':3} {fit('parameters', room)}" + "".join(f"{fit(_short(name), 10, 'right')}" for name in figures)
    lines: list[Line] = [[(head + fit("region", 10, "right"), "muted")]]
    for place, found in enumerate(view.sets[:SETS], 1):
        lines.append(_set_line(place, found, figures, objective, room))
    if view.stable_set is not None and view.stable is not None:
        mean = figure_text(objective, view.stable_set.region)
        said = f"Most stable region: {_words(view.stable_set.params)}, place {view.stable + 1}, mean {mean}"
        lines += [[], *wrap(said, width, "strong")]
    return lines


def _short(name: str) -> str:
    return {"total_return": "return", "max_drawdown": "drawdown", "annual_return": "a year"}.get(name, name)


def _set_line(place: int, found: StudySet, figures: list[str], objective: str, room: int) -> Line:
    ink = "faint" if found.few else "strong" if found.front else "text"
    line: Line = [(f"{place:>3} ", "muted"), (fit(_words(found.params), room), ink)]
    line += [(fit(figure_text(name, found.figures.get(name)), 10, "right"), ink) for name in figures]
    line.append((fit(figure_text(objective, found.region), 10, "right"), "muted"))
    if found.few:
        line.append(("  few", "warn"))
    elif found.front:
        line.append(("  front", "ok"))
    return line


def _heat_lines(heat: HeatMap, width: int) -> list[Line]:
    columns = max(1, (width - LABEL) // CELL)
    known = sorted(cell for row in heat.cells for cell in row if cell is not None)
    title = f"{heat.figure.replace('_', ' ')} over {clean(heat.x)} (across) and {clean(heat.y)} (down)"
    lines: list[Line] = [[(title, "title")]]
    lines.append([(" " * LABEL, "text"), *((fit(_value(v), CELL, "right"), "muted") for v in heat.columns[:columns])])
    for value, cells in zip(heat.rows, heat.cells, strict=True):
        lines.append([(fit(_value(value), LABEL), "muted"), *(_cell(heat, cell, known) for cell in cells[:columns])])
    return lines


def _cell(heat: HeatMap, value: float | None, known: list[float]) -> tuple[str, str]:
    if value is None:
        return " " * CELL, "text"
    # By rank, so that one outlier does not make all others look alike.
    below = sum(other < value for other in known) / max(1, len(known) - 1)
    share = below if heat.more_is_better else 1 - below
    return fit(figure_text(heat.figure, value), CELL, "right"), SHADES[min(int(share * len(SHADES)), len(SHADES) - 1)]


# --- walk-forward


def _walk_lines(view: StudyView, width: int) -> list[Line]:
    details, objective = view.details, view.objectives[0]
    figures = details.get("stitched", {}).get("figures", {})
    verdict = details.get("verdict", {})
    lines: list[Line] = [
        [
            ("Tests stitched  ", "muted"),
            (f"return {figure_text('total_return', figures.get('total_return'))}", "strong"),
            (f"  Sharpe {figure_text('sharpe', figures.get('sharpe'))}", "text"),
            (f"  drawdown {figure_text('max_drawdown', figures.get('max_drawdown'))}", "text"),
            (f"  holding {figure_text('total_return', figures.get('benchmark_return'))}", "muted"),
        ],
        [
            ("Test over training  ", "muted"),
            (figure_text("ratio", verdict.get("ratio")), "strong"),
            (f" over {verdict.get('compared', 0)} windows that count", "muted"),
        ],
        [],
    ]
    room = max(12, width - 58)
    head = f"{'':3} {fit('test from', 11)}{fit('training', 10, 'right')}{fit('validation', 11, 'right')}"
    lines.append([(f"{head}{fit('test', 10, 'right')}{fit('return', 9, 'right')}  {fit('chosen', room)}", "muted")])
    lines += [_window_line(row, objective, room) for row in reversed(details.get("windows", []))]
    movement = details.get("movement", [])
    if movement:
        lines += [[], [("How the best parameters move", "title")]]
        lines += [_moved_line(entry) for entry in movement]
    return lines


def _window_line(row: dict[str, Any], objective: str, room: int) -> Line:
    from datetime import UTC

    from screens.formats import day

    scores = row["scores"]
    ink = "faint" if row["flagged"] else "text"
    texts = (
        f"{row['number']:>3} ",
        fit(day(int(row["test"][0]), UTC), 11),
        fit(figure_text(objective, scores["training"]), 10, "right"),
        fit(figure_text(objective, scores["validation"]), 11, "right"),
        fit(figure_text(objective, scores["test"]), 10, "right"),
        fit(figure_text("total_return", row["test_return"]), 9, "right"),
        f"  {fit(_words(row['params']), room)}",
    )
    line: Line = [("".join(texts), ink)]
    return [*line, ("few", "warn")] if row["flagged"] else line


def _moved_line(entry: dict[str, Any]) -> Line:
    mean = DASH if entry["mean"] is None else _value(float(entry["mean"]))
    share = DASH if entry["share"] is None else f"{entry['share']:.0%} of its range"
    latest = _value(entry["values"][-1]) if entry["values"] else DASH
    said = f"mean {mean}, moves {share}, latest {latest}"
    return [(fit(clean(entry["name"]), 18), "muted"), (said, "warn" if entry["wanders"] else "text")]


# --- what stands below


def _rest(view: StudyView, width: int) -> list[Line]:
    lines: list[Line] = [[], [("Assumptions", "title")]]
    others = {key: text for key, text in view.assumptions.items() if not key.startswith("warning_") and text}
    label = max((len(key) for key in others), default=0) + 2
    for key, text in others.items():
        wrapped = wrap(text, max(10, width - label)) or [[]]
        lines.append([(fit(clean(key.replace("_", " ")), label), "muted"), *wrapped[0]])
        lines += [[(" " * label, "text"), *line] for line in wrapped[1:]]
    if view.left_out_count:
        lines += [[], [(f"Left out: {view.left_out_count:,}", "title")]]
        for params, reason in view.left_out[:5]:
            lines += wrap(f"{_words(params)}: {reason}", width, "muted")
    return [*lines, [], [("Hash ", "muted"), (clean(view.row.hash), "faint"), ("  equal hash, equal result", "faint")]]
