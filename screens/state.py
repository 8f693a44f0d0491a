"""A page to read about the state itself: what the last start found and did, and what the checks of the state found."""

from __future__ import annotations

from typing import TYPE_CHECKING

from screens.dialogs import SheetDialog
from screens.formats import at, exact
from screens.sheet import wrap
from widgets.text import clean, fit

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from console.app import QuarterdeckApp
    from engine.control.views_state import FindingRow, RecoveryView, StateAuditEntry, StateAuditPage
    from screens.sheet import Line

__all__ = ["show_state", "state_lines"]

WIDTH = 72
TRAIL = 100
"""Lines of the trail that are asked for."""
_INKS = {"logged": "muted", "reconciled": "warn", "forced": "breach", "corrupt": "breach", "failed": "breach"}


def show_state(app: QuarterdeckApp) -> None:
    """Ask for the report of the last start and for the trail, and show them."""

    def trail(reports: list[RecoveryView]) -> None:
        def show(page: StateAuditPage) -> None:
            app.push_screen(SheetDialog("State checks", state_lines(reports, page, app.zone)))

        app.ask(app, "state.audit", {"size": TRAIL}, then=show)

    app.ask(app, "recovery.report", then=trail)


def state_lines(reports: list[RecoveryView], trail: StateAuditPage, zone: ZoneInfo) -> list[Line]:
    """The last start, then what was checked since, the newest first."""
    lines: list[Line] = [[("The last start", "accent")]]
    if not reports:
        lines.append([("No start has been verified yet.", "muted")])
    for report in reports[:1]:
        lines += _report(report, zone)
    lines += [[], [("Checks of memory, database and venue", "accent")]]
    if not trail.rows:
        lines.append([("None has been made yet; they are made once a minute.", "muted")])
    for row in trail.rows:
        lines += _entry(row, zone)
    return lines


def _report(report: RecoveryView, zone: ZoneInfo) -> list[Line]:
    ink = "gain" if report.verdict == "verified" else "breach"
    lines: list[Line] = [
        [
            (f"{at(report.ts, zone)} ", "muted"),
            (clean(report.verdict), ink),
            (f" in {report.duration_ms:.0f} ms", "text"),
        ],
        [(f"State from the snapshot at fact {report.snapshot:,} and {report.replayed:,} facts after it.", "text")],
        [(
            f"{report.fills:,} executions booked, {report.asked:,} orders asked for, {report.ended:,} ended, "
            f"{report.adopted:,} taken over, {report.canceled:,} of them cancelled, {report.strangers:,} of others.",
            "text",
        )],
    ]  # fmt: skip
    for finding in report.findings:
        lines += _finding(finding)
    for note in report.notes:
        lines += wrap(note, WIDTH, "muted")
    return lines


def _finding(finding: FindingRow) -> list[Line]:
    return wrap(f"{finding.grade}: {finding.text} {finding.correction}", WIDTH, _INKS.get(finding.grade, "text"))


def _entry(row: StateAuditEntry, zone: ZoneInfo) -> list[Line]:
    head: Line = [(f"{at(row.ts, zone)} ", "muted"), (fit(clean(row.check), 24), "text")]
    if row.passed:
        return [[*head, ("passed", "gain")]]
    size = "" if row.discrepancy is None else f" ({exact(row.discrepancy * 100)} %)"
    grade = row.finding.partition(":")[0]
    told = wrap(f"{row.finding}{size} {row.correction}", WIDTH - 8, _INKS.get(grade, "warn"))
    return [[*head, (clean(row.subject), "text")], *([("    ", "text"), *line] for line in told)]
