"""Keeps errors in the report database, looks for patterns in them, writes reports, and removes what is too old.

All of it happens in the thread of the reports. The engine hears nothing of it but the warnings about what rises; while
the database is away, what was counted waits in a bounded memory.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from engine.errors import QuarterdeckError
from engine.logs import get_logger
from engine.model.faults import Severity
from engine.resilience.patterns import DAY_NS, Occurrence, Pattern, find_patterns, summarise

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from engine.clock import Clock
    from engine.control.reports import Reports
    from engine.resilience.handler import ErrorBucket, ErrorHandler
    from storage.database import Database
    from storage.tables import ErrorRecordRow

__all__ = ["ErrorBook"]

log = get_logger(__name__)

FLUSH_S = 2.0
ROWS = 5_000
"""Most rows of errors that one look at the patterns reads, the newest ones."""
WEEK_NS = 7 * DAY_NS
MONDAY_NS = 4 * DAY_NS
"""The first Monday after the beginning of UTC time."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LONG, _NAME = 4096, 128


class ErrorBook:
    """Follows the error handler of one engine.

    Args:
        reports: The database, and the thread in which everything is done.
        errors: What is counted, and the figures.
        clock: Waits and dates.
    """

    def __init__(self, reports: Reports, errors: ErrorHandler, clock: Clock) -> None:
        self._reports = reports
        self._errors = errors
        self._settings = errors.settings.analytics
        self._clock = clock
        self.problem = ""
        """Why errors are not being kept; empty while all is well."""
        self._looked = 0

    async def run(self) -> None:
        """Keep what is counted and look for patterns now and then, until cancelled."""
        while True:
            await self._clock.sleep(FLUSH_S)
            try:
                await self.flush()
                if self._clock.now() - self._looked >= self._settings.interval * 1e9:
                    await self.look()
                self.problem = ""
            except Exception as error:  # errors that cannot be kept must not become errors of the engine
                problem = error.message if isinstance(error, QuarterdeckError) else repr(error)
                if problem != self.problem:
                    log.warning("errors are not being kept", problem=problem, exc_info=error)
                self.problem = problem

    async def flush(self) -> None:
        """Keep what was counted since the last time.

        Raises:
            QuarterdeckError: The database cannot be used; what was counted waits.
        """
        buckets = self._errors.drain()
        if not buckets:
            return
        days = timedelta(days=self._settings.error_logs_days)
        try:
            await self._reports.run(lambda database: _keep(database, buckets, days))
        except BaseException:
            self._errors.give_back(buckets)
            raise

    async def look(self) -> None:
        """Look for patterns, write the reports that are due, and remove what is too old.

        Raises:
            QuarterdeckError: The database cannot be used.
        """
        now = self._looked = self._clock.now()
        for text in await self._reports.run(lambda database: self._look(database, now)):
            self._errors.alert(Severity.MEDIUM, "patterns", text)

    async def _look(self, database: Database, now: int) -> list[str]:
        from storage.repositories.retention import purge_expired

        async with database.reading() as session:
            found = await _occurrences(session, now - 2 * WEEK_NS - DAY_NS)
        patterns = find_patterns(found, now, self._settings)
        async with database.session() as session:
            await self._keep_patterns(session, patterns)
            told = await self._trends(session, patterns, found, now)
            await self._periodic(session, found, now)
            removed = await purge_expired(session)
        if any(removed.values()):
            log.info("old errors were removed", **removed)
        return told

    async def _keep_patterns(self, session: AsyncSession, patterns: list[Pattern]) -> None:
        from storage.repositories.repository import Repository
        from storage.tables import ErrorPatternRow

        table = Repository(session, ErrorPatternRow)
        days = timedelta(days=self._settings.pattern_data_days)
        for pattern in patterns:
            known = await table.first(table.query().equal(pattern=pattern.name[:_NAME]))
            details = {"words": pattern.words, "rising": pattern.rising}
            first, last = _time(pattern.first), _time(pattern.last)
            if known is None:
                row = ErrorPatternRow(
                    pattern=pattern.name[:_NAME],
                    component=pattern.component[:_NAME],
                    details=details,
                    occurrences=pattern.occurrences,
                    first_seen=first,
                    last_seen=last,
                    expires_at=last + days,
                )
                await table.add(row)
            else:
                known.details, known.occurrences = details, pattern.occurrences
                known.last_seen = max(known.last_seen, last)
                known.expires_at = known.last_seen + days

    async def _trends(
        self, session: AsyncSession, patterns: list[Pattern], found: list[Occurrence], now: int
    ) -> list[str]:
        """Report each rising pattern once a day; returns what a person should be told."""
        rising = [pattern for pattern in patterns if pattern.rising]
        if not rising or not self._settings.trend_alerts:
            return []
        known = {name for _, content in await _reports_since(session, "trend", now - DAY_NS) for name in content}
        fresh = [pattern for pattern in rising if pattern.name not in known]
        if fresh:
            content = {pattern.name: pattern.words for pattern in fresh}
            await self._report(session, "trend", now - DAY_NS, now, content)
        return [f"{pattern.component}: {pattern.words}" for pattern in fresh]

    async def _periodic(self, session: AsyncSession, found: list[Occurrence], now: int) -> None:
        """Write yesterday's and last week's report where they are missing."""
        day, week = now // DAY_NS * DAY_NS, (now - MONDAY_NS) // WEEK_NS * WEEK_NS + MONDAY_NS
        wanted = (
            ("daily", day - DAY_NS, day, 24, self._settings.daily_summary),
            ("weekly", week - WEEK_NS, week, 7, self._settings.weekly_analysis),
        )
        for kind, start, end, spans, on in wanted:
            if on and not any(until == end for until, _ in await _reports_since(session, kind, end - 1)):
                window = int(self._settings.correlation_window * 1e9)
                await self._report(session, kind, start, end, summarise(found, start, end, window, spans))

    async def _report(self, session: AsyncSession, kind: str, start: int, end: int, content: dict[str, Any]) -> None:
        from storage.repositories.repository import Repository
        from storage.tables import AnalyticsReportRow
        from storage.tables.words import ReportKind

        row = AnalyticsReportRow(
            kind=ReportKind(kind),
            period_start=_time(start),
            period_end=_time(end),
            content=content,
            expires_at=_time(end) + timedelta(days=self._settings.analytics_reports_days),
        )
        await Repository(session, AnalyticsReportRow).add(row)


def _time(ns: int) -> datetime:
    return _EPOCH + timedelta(microseconds=ns // 1000)


def _ns(time: datetime) -> int:
    return (time - _EPOCH) // timedelta(microseconds=1) * 1000


async def _keep(database: Database, buckets: list[ErrorBucket], days: timedelta) -> None:
    from storage.repositories.repository import Repository
    from storage.tables import ErrorRecordRow

    async with database.session() as session:
        table = Repository(session, ErrorRecordRow)
        ids = [UUID(bucket.id) for bucket in buckets]
        known = {row.id: row for row in await table.find(table.query().one_of("id", ids))}
        for bucket in buckets:
            row = known.get(UUID(bucket.id))
            if row is None:
                session.add(_row(bucket, days))
            else:
                row.occurrences, row.severity = bucket.count, bucket.severity
                row.last_seen = _time(bucket.last)
                row.expires_at = row.last_seen + days


def _row(bucket: ErrorBucket, days: timedelta) -> ErrorRecordRow:
    from storage.tables import ErrorRecordRow

    return ErrorRecordRow(
        id=UUID(bucket.id),
        severity=bucket.severity,
        component=bucket.component[:_NAME],
        operation=bucket.operation[:_NAME] or None,
        error_type=bucket.error_type[:_NAME],
        message=bucket.message[:_LONG],
        context=bucket.context,
        correlation_id=bucket.correlation[:_NAME] or None,
        occurrences=bucket.count,
        first_seen=_time(bucket.first),
        last_seen=_time(bucket.last),
        expires_at=_time(bucket.last) + days,
    )


async def _occurrences(session: AsyncSession, since: int) -> list[Occurrence]:
    from storage.repositories.repository import Repository
    from storage.tables import ErrorRecordRow

    table = Repository(session, ErrorRecordRow)
    rows = await table.find(table.query().within("last_seen", _time(since)).sorted_by("-last_seen"), limit=ROWS)
    return [
        Occurrence(
            component=row.component,
            kind=row.error_type,
            severity=row.severity,
            count=row.occurrences,
            first=_ns(row.first_seen),
            last=_ns(row.last_seen),
            order=str(row.context.get("order", "")),
            bot=str(row.context.get("bot", "")),
        )
        for row in rows
    ]


async def _reports_since(session: AsyncSession, kind: str, since: int) -> list[tuple[int, dict[str, Any]]]:
    """End and content of the reports of a kind whose time ended after a moment."""
    from storage.repositories.repository import Repository
    from storage.tables import AnalyticsReportRow

    table = Repository(session, AnalyticsReportRow)
    rows = await table.find(table.query().equal(kind=kind).within("period_end", _time(since)))
    return [(_ns(row.period_end), row.content) for row in rows]
