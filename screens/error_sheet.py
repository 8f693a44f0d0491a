"""A page to read from any screen: what went wrong, what repeats, what was done about it, and the latest reports."""

from __future__ import annotations

from typing import TYPE_CHECKING

from screens.dialogs import SheetDialog
from screens.formats import at
from screens.sheet import wrap
from widgets.text import clean, fit

if TYPE_CHECKING:
    from datetime import tzinfo

    from console.app import QuarterdeckApp
    from engine.control.views_errors import ErrorPage, ErrorReport, ErrorRow, PatternRow, RecoveryRow
    from screens.sheet import Line

__all__ = ["error_lines", "show_errors"]

ERRORS = 100
REPORTS = 8
WIDTH = 96
"""Cells after which a sentence goes on in the next line."""
INKS = {"critical": "breach", "high": "breach", "medium": "warn", "low": "muted"}


def show_errors(app: QuarterdeckApp) -> None:
    """Ask for all of it, and show it; what cannot be had is left out."""

    def errors(page: ErrorPage) -> None:
        def recoveries(done: list[RecoveryRow]) -> None:
            if not page.stored:
                # Patterns and reports are in the database that is away.
                app.push_screen(SheetDialog("Errors", error_lines(page, done, [], [], app.zone)))
                return

            def patterns(found: list[PatternRow]) -> None:
                def reports(written: list[ErrorReport]) -> None:
                    app.push_screen(SheetDialog("Errors", error_lines(page, done, found, written, app.zone)))

                app.ask(app, "errors.reports", {"limit": REPORTS}, then=reports)

            app.ask(app, "errors.patterns", then=patterns)

        app.ask(app, "errors.recoveries", then=recoveries)

    app.ask(app, "errors.list", {"limit": ERRORS}, then=errors)


def error_lines(
    page: ErrorPage,
    recoveries: list[RecoveryRow],
    patterns: list[PatternRow],
    reports: list[ErrorReport],
    zone: tzinfo,
) -> list[Line]:
    """Recoveries, patterns, errors and reports, each under its heading."""
    lines: list[Line] = []
    if recoveries:
        lines += [[("Recoveries", "accent")], *_recoveries(recoveries, zone), []]
    if patterns:
        lines += [[("Patterns", "accent")], *_patterns(patterns), []]
    lines += [[("Errors", "accent")], *_errors(page, zone)]
    if reports:
        lines += [[], [("Reports", "accent")], *_reports(reports, zone)]
    return lines


def _recoveries(rows: list[RecoveryRow], zone: tzinfo) -> list[Line]:
    lines: list[Line] = []
    for row in rows:
        ink = "warn" if not row.outcome else "gain" if row.succeeded else "breach"
        state = row.outcome or "under way"
        what = f"{row.scenario.replace('_', ' ')} of {clean(row.subject)}"
        lines.append([
            (f"{at(row.began, zone)} ", "muted"),
            (f"{what}, {row.duration_ms / 1e3:.1f} s: ", "text"),
            (clean(state), ink),
        ])  # fmt: skip
        for step in (row.cause, *row.steps):
            lines += [[("    ", "text"), *line] for line in wrap(step, WIDTH, "muted")]
    return lines


def _patterns(rows: list[PatternRow]) -> list[Line]:
    lines: list[Line] = []
    for row in rows:
        lines.append([(clean(row.pattern), "warn" if row.rising else "text"), (f" {row.occurrences:,} times", "muted")])
        lines += [[("    ", "text"), *line] for line in wrap(row.words, WIDTH, "muted")]
    return lines


def _errors(page: ErrorPage, zone: tzinfo) -> list[Line]:
    lines: list[Line] = []
    if not page.stored:
        lines.append([("The report database is away: these are the errors that the engine remembers.", "warn")])
    if not page.rows:
        return [*lines, [("Nothing has gone wrong.", "muted")]]
    if page.total > len(page.rows):
        lines.append([(f"The last {len(page.rows):,} of {page.total:,}.", "muted")])
    for row in page.rows:
        lines += _error(row, zone)
    return lines


def _error(row: ErrorRow, zone: tzinfo) -> list[Line]:
    times = f" ×{row.count:,}" if row.count > 1 else ""
    where = clean(f"{row.component} {row.operation}".strip())
    about = ", ".join(
        f"{key} {clean(str(row.context[key]))}" for key in ("order", "position", "bot") if key in row.context
    )
    head: Line = [
        (f"{at(row.last, zone)} ", "muted"),
        (fit(row.severity, 9), INKS.get(row.severity, "text")),
        (f"{where}{times} ", "text"),
        (about, "muted"),
    ]
    return [head, *([("    ", "text"), *line] for line in wrap(row.message, WIDTH))]


def _reports(rows: list[ErrorReport], zone: tzinfo) -> list[Line]:
    lines: list[Line] = []
    for row in rows:
        head = f"{row.kind} {at(row.start, zone)} to {at(row.end, zone)}"
        if row.kind == "trend":
            lines.append([(head, "text")])
            said = [f"{name}: {words}" for name, words in row.content.items()]
        else:
            lines.append([(f"{head}: {row.content.get('errors', 0):,} errors", "text")])
            most = row.content.get("most_frequent", [])
            said = [f"{one['component']} {one['kind']}: {one['count']}, {one['trend']}" for one in most[:3]]
            said += list(row.content.get("suggestions", []))[:3]
        for text in said:
            lines += [[("    ", "text"), *line] for line in wrap(str(text), WIDTH, "muted")]
    return lines
