"""Operations on the state's soundness: the report of a start, a round of checks, the trail of all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from engine import events as ev
from engine.control.registry import Role, operation
from engine.control.requests import Empty
from engine.control.requests_research import moment
from engine.control.requests_state import RecoveryQuery, StateAuditQuery
from engine.control.views_state import FindingRow, RecoveryView, StateAuditEntry, StateAuditPage, StateCheckView
from engine.errors import ConflictError
from storage.journal import Query

if TYPE_CHECKING:
    from engine.control.context import Context
    from engine.model.verification import Finding
    from storage.database import Database
    from storage.tables import StateAuditRow


@operation("recovery.report", RecoveryQuery, emergency=True)
async def recovery_report(context: Context, request: RecoveryQuery) -> list[RecoveryView]:
    """What the last starts found and did before trading was allowed, the newest first."""
    if context.reader is None:
        return []
    records = await context.reader.latest(request.limit, Query(kinds=("RecoveryVerified",)))
    return [_recovery(record.ts, record.event) for record in records if isinstance(record.event, ev.RecoveryVerified)]


@operation("state.check", Empty, Role.TRADER, mutates=True)
async def check_state(context: Context, _: Empty) -> StateCheckView:
    """Compare memory, database and venue now, correct what differs as the settings say, and tell what was found."""
    engine = context.need_engine()
    if not engine.recovered:
        raise ConflictError("The engine is still starting; its state is being verified.")
    # The account that is meant where none is named comes first; what the others have is told with their names.
    first = await engine.default.monitor.check()
    findings, notes, duration = [finding_row(found) for found in first.findings], [*first.notes], first.duration_ms
    for unit in engine.venues.values():
        for account, keep in unit.upkeep.items():
            if account == engine.account:
                continue
            if not unit.recovered:
                notes.append(f"{account}: not compared, as it is not known yet what {unit.venue.id} says of it.")
                continue
            event = await keep.monitor.check()
            rows = map(finding_row, event.findings)
            findings += [msgspec.structs.replace(row, subject=f"{account}: {row.subject}") for row in rows]
            notes += [f"{account}: {note}" for note in event.notes]
            duration += event.duration_ms
    return StateCheckView(
        ts=engine.clock.now(),
        account=first.account,
        checks=first.checks,
        findings=tuple(findings),
        notes=tuple(notes),
        duration_ms=duration,
    )


@operation("state.audit", StateAuditQuery)
async def audit(context: Context, request: StateAuditQuery) -> StateAuditPage:
    """The trail of all checks of the state, with what was found and what was done, the newest first."""

    async def work(database: Database) -> StateAuditPage:
        from storage.repositories.repository import Repository
        from storage.tables import StateAuditRow

        async with database.reading() as session:
            table = Repository(session, StateAuditRow)
            query = table.query().sorted_by("-timestamp")
            if request.check is not None:
                query = query.equal(check_name=request.check)
            if request.findings:
                query = query.equal(passed=False)
            page = await table.page(query, number=request.page, size=request.size)
        rows = tuple(map(_entry, page.items))
        return StateAuditPage(rows=rows, page=page.number, pages=page.pages, total=page.total)

    return await context.need_reports().run(work)


def finding_row(finding: Finding) -> FindingRow:
    """A finding as it is shown."""
    return FindingRow(
        check=finding.check,
        subject=finding.subject,
        grade=finding.grade,
        text=finding.text,
        discrepancy=finding.discrepancy,
        correction=finding.correction,
        before=finding.before,
        after=finding.after,
        standing=finding.standing,
    )


def _recovery(ts: int, event: ev.RecoveryVerified) -> RecoveryView:
    return RecoveryView(
        ts=ts,
        account=event.account,
        verdict=event.verdict,
        snapshot=event.snapshot,
        replayed=event.replayed,
        asked=event.asked,
        adopted=event.adopted,
        canceled=event.canceled,
        ended=event.ended,
        fills=event.fills,
        strangers=event.strangers,
        duration_ms=event.duration_ms,
        findings=tuple(map(finding_row, event.findings)),
        notes=event.notes,
    )


def _entry(row: StateAuditRow) -> StateAuditEntry:
    return StateAuditEntry(
        ts=int(moment(row.timestamp)),
        check=row.check_name,
        account=row.account or "",
        subject=row.subject or "",
        passed=row.passed,
        discrepancy=row.discrepancy,
        finding=row.finding,
        correction=row.correction,
    )
