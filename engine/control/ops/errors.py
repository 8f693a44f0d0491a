"""Operations on what went wrong: errors, their patterns, reports on them, and recoveries."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, get_args

from engine.control.registry import operation
from engine.control.requests import Empty
from engine.control.requests_listing import SEVERITIES, ErrorQuery, ReportQuery
from engine.control.views_errors import ErrorPage, ErrorReport, ErrorRow, PatternRow, RecoveryRow
from engine.errors import StorageError
from engine.logs import get_logger
from engine.model.faults import Severity

if TYPE_CHECKING:
    from engine.control.context import Context
    from engine.resilience.scenario import Scenario
    from storage.database import Database
    from storage.tables import ErrorRecordRow

log = get_logger(__name__)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MOST = 500


@operation("errors.list", ErrorQuery, offline=True)
async def list_errors(context: Context, request: ErrorQuery) -> ErrorPage:
    """What went wrong, identical errors counted, the last seen first; from memory while the database is away."""

    async def work(database: Database) -> ErrorPage:
        from storage.repositories.repository import Repository
        from storage.tables import ErrorRecordRow

        async with database.reading() as session:
            table = Repository(session, ErrorRecordRow)
            query = _filtered(table.query(), request).sorted_by("-last_seen")
            page = await table.page(query, number=request.page, size=request.limit)
        rows = tuple(_stored(row) for row in page.items)
        return ErrorPage(rows=rows, page=page.number, pages=page.pages, total=page.total, stored=True)

    try:
        if context.error_book is not None:
            await context.error_book.flush()
        return await context.need_reports().run(work)
    except StorageError as error:
        if context.engine is None:
            raise
        log.warning("errors come from memory", problem=error.message)
        return _remembered(context, request)


@operation("errors.patterns", Empty, offline=True)
async def patterns(context: Context, _: Empty) -> list[PatternRow]:
    """Patterns recognised in errors: what repeats, what rises, what fails together; the last seen first."""

    async def work(database: Database) -> list[PatternRow]:
        from storage.repositories.repository import Repository
        from storage.tables import ErrorPatternRow

        async with database.reading() as session:
            table = Repository(session, ErrorPatternRow)
            rows = await table.find(table.query().sorted_by("-last_seen"), limit=MOST)
        return [
            PatternRow(
                pattern=row.pattern,
                component=row.component,
                words=str(row.details.get("words", "")),
                rising=bool(row.details.get("rising")),
                occurrences=row.occurrences,
                first=_ns(row.first_seen),
                last=_ns(row.last_seen),
            )
            for row in rows
        ]

    return await context.need_reports().run(work)


@operation("errors.reports", ReportQuery, offline=True)
async def reports(context: Context, request: ReportQuery) -> list[ErrorReport]:
    """Reports on errors: of each day, of each week, of trends; the newest first."""

    async def work(database: Database) -> list[ErrorReport]:
        from storage.repositories.repository import Repository
        from storage.tables import AnalyticsReportRow

        async with database.reading() as session:
            table = Repository(session, AnalyticsReportRow)
            query = table.query().sorted_by("-period_end")
            if request.kind is not None:
                query = query.equal(kind=request.kind)
            rows = await table.find(query, limit=request.limit)
        return [
            ErrorReport(
                kind=str(row.kind), start=_ns(row.period_start), end=_ns(row.period_end), content=dict(row.content)
            )
            for row in rows
        ]

    return await context.need_reports().run(work)


@operation("errors.recoveries", Empty)
async def recoveries(context: Context, _: Empty) -> list[RecoveryRow]:
    """What was done about failures outside since the engine started, the newest first; those under way before all."""
    scenarios = context.need_engine().scenarios
    rows = [*reversed(scenarios.under_way), *reversed(scenarios.history)]
    return [_recovery(row, scenarios.since(row)) for row in rows]


def _recovery(row: Scenario, so_far_ms: int) -> RecoveryRow:
    return RecoveryRow(
        scenario=str(row.kind),
        subject=row.subject,
        cause=row.cause,
        began=row.began,
        steps=tuple(row.steps),
        outcome=row.outcome,
        succeeded=row.succeeded,
        duration_ms=row.duration_ms if row.outcome else so_far_ms,
    )


def _least(request: ErrorQuery) -> tuple[str, ...]:
    words = get_args(SEVERITIES)
    return words if request.severity is None else words[words.index(request.severity) :]


def _filtered(query: Any, request: ErrorQuery) -> Any:
    if request.severity is not None:
        query = query.one_of("severity", _least(request))
    if request.component is not None:
        query = query.equal(component=request.component)
    if request.text:
        query = query.containing("message", request.text)
    return query


def _stored(row: ErrorRecordRow) -> ErrorRow:
    return ErrorRow(
        id=str(row.id),
        severity=str(row.severity),
        component=row.component,
        operation=row.operation or "",
        kind=row.error_type,
        message=row.message,
        count=row.occurrences,
        first=_ns(row.first_seen),
        last=_ns(row.last_seen),
        correlation=row.correlation_id or "",
        context=dict(row.context),
    )


def _remembered(context: Context, request: ErrorQuery) -> ErrorPage:
    wanted, text = _least(request), (request.text or "").lower()
    found = [
        ErrorRow(
            id="",
            severity=str(group.severity),
            component=group.component,
            operation=group.operation,
            kind=group.error_type,
            message=group.message,
            count=group.count,
            first=group.first,
            last=group.last,
            correlation=group.bucket.correlation,
            context=dict(group.bucket.context),
        )
        for group in context.need_engine().errors.groups()
        if Severity(group.severity) in wanted
        and request.component in (None, group.component)
        and text in group.message.lower()
    ]
    first, size = (request.page - 1) * request.limit, request.limit
    rows = tuple(found[first : first + size])
    return ErrorPage(rows=rows, page=request.page, pages=-(-len(found) // size), total=len(found), stored=False)


def _ns(time: datetime) -> int:
    return (time - _EPOCH) // timedelta(microseconds=1) * 1000
