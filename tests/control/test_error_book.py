"""Errors in the database: kept, counted, recognised as patterns, reported, removed in time; and while it is away."""

from __future__ import annotations

import asyncio
import shutil
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from engine.clock import SystemClock
from engine.control.error_book import ErrorBook
from engine.control.reports import Reports
from engine.errors import ExchangeConnectionError, StorageCircuitOpenError, StorageError, StrategyError
from engine.model.faults import BreakerState, Severity
from engine.resilience.handler import ErrorHandler
from engine.resilience.patterns import DAY_NS
from engine.resilience.settings import ErrorHandlingSettings
from storage.settings import DatabaseSettings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from storage.database import Database

NOON = int(datetime(2026, 3, 4, 12, tzinfo=UTC).timestamp()) * 1_000_000_000
"""A Wednesday."""
SECOND = 1_000_000_000


class Hands(SystemClock):
    """Tells the time that the test sets, and does not really wait."""

    def __init__(self) -> None:
        self.ns = NOON

    def now(self) -> int:
        return self.ns

    async def sleep(self, seconds: float) -> None:
        self.ns += int(seconds * SECOND)


class Desk:
    """A handler, a book and a real database, all on one clock."""

    def __init__(self, home: Path, **settings: Any) -> None:
        self.clock = Hands()
        self.home = home
        self.errors = ErrorHandler(self.clock, ErrorHandlingSettings.model_validate(settings))
        self.reports = Reports(DatabaseSettings(), home, self.clock, self.errors)
        self.book = ErrorBook(self.reports, self.errors, self.clock)

    def fail(self, component: str = "feeds", times: int = 1, error: Exception | None = None, **about: Any) -> None:
        for _ in range(times):
            self.errors.report(error or ExchangeConnectionError("away"), component=component, **about)

    def later(self, seconds: float) -> None:
        self.clock.ns += int(seconds * SECOND)

    async def rows(self, name: str) -> list[Any]:
        async def work(database: Database) -> list[Any]:
            import storage.tables as tables
            from storage.repositories.repository import Repository

            async with database.reading() as session:
                return list(await Repository(session, getattr(tables, name)).find())

        return await self.reports.run(work)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with its tables, made once and copied."""
    from storage.database import Database

    home = tmp_path_factory.mktemp("made")

    async def make() -> None:
        async with Database(DatabaseSettings(), home):
            pass

    asyncio.run(make())
    return home / "quarterdeck.db"


@pytest.fixture
async def on(tmp_path: Path, made: Path) -> AsyncIterator[Desk]:
    shutil.copy(made, tmp_path)
    desk = Desk(tmp_path)
    yield desk
    await desk.reports.close()


async def test_identical_errors_are_one_row_that_goes_on_counting(on: Desk) -> None:
    on.fail(times=3, order="Q1", bot="bot-1")
    await on.book.flush()
    on.later(10)
    on.fail(times=2)
    await on.book.flush()
    await on.book.flush()
    (row,) = await on.rows("ErrorRecordRow")
    assert (row.component, row.error_type, row.occurrences) == ("feeds", "exchange_connection", 5)
    assert row.last_seen - row.first_seen == timedelta(seconds=10)
    assert row.severity is Severity.HIGH, "five within five minutes"
    assert (row.context["order"], row.context["bot"]) == ("Q1", "bot-1")
    assert row.expires_at - row.last_seen == timedelta(days=90)


async def test_what_cannot_be_kept_waits_and_nobody_is_held_up(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    blocked = tmp_path / "quarterdeck.db"
    blocked.mkdir()
    try:
        desk.fail()
        with pytest.raises(StorageError):
            await desk.book.flush()
        blocked.rmdir()
        await desk.book.flush()
        assert {row.component for row in await desk.rows("ErrorRecordRow")} >= {"feeds"}
    finally:
        await desk.reports.close()


async def test_a_database_that_keeps_failing_is_left_alone_and_tried_again(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    blocked = tmp_path / "quarterdeck.db"
    blocked.mkdir()
    try:
        for _ in range(3):
            with pytest.raises(StorageError):
                await desk.rows("ErrorRecordRow")
        assert desk.reports.breaker.state is BreakerState.OPEN
        with pytest.raises(StorageCircuitOpenError, match="report database has failed 3 times"):
            await desk.rows("ErrorRecordRow")
        assert any(notice.severity is Severity.HIGH for notice in desk.errors.notices)
        blocked.rmdir()
        desk.later(15)
        assert await desk.rows("ErrorRecordRow") == []
        await desk.rows("ErrorRecordRow")
        assert desk.reports.breaker.standing.state is BreakerState.CLOSED
    finally:
        await desk.reports.close()


async def rising(on: Desk) -> None:
    """A day in which feeds fail more and more often, and bots a little with them."""
    on.clock.ns = NOON - DAY_NS + 600 * SECOND
    for times in (1, 1, 2, 4, 8, 12):
        on.fail(times=times)
        on.later(5)
        on.fail("bots", error=StrategyError("no bars"))
        on.later(14_395)
    on.clock.ns = NOON
    await on.book.flush()


async def test_patterns_are_kept_told_once_and_updated(on: Desk) -> None:
    await rising(on)
    await on.book.look()
    found = {row.pattern: row for row in await on.rows("ErrorPatternRow")}
    assert set(found) == {
        "repeating: feeds exchange_connection",
        "repeating: bots strategy",
        "rising: feeds exchange_connection",
        "together: feeds + bots",
    }
    assert found["rising: feeds exchange_connection"].details["rising"] is True
    told = [notice for notice in on.errors.notices if notice.component == "patterns"]
    assert len(told) == 1
    assert "feeds: Rising" in told[0].text
    on.later(3600)
    on.fail(times=9)
    await on.book.flush()
    await on.book.look()
    assert len(await on.rows("ErrorPatternRow")) == 4
    assert len([notice for notice in on.errors.notices if notice.component == "patterns"]) == 1
    again = {row.pattern: row for row in await on.rows("ErrorPatternRow")}
    assert again["repeating: feeds exchange_connection"].occurrences == 36, "the first is older than a day by now"


async def test_a_report_of_each_day_and_week_is_written_once(on: Desk) -> None:
    on.clock.ns = NOON - DAY_NS
    on.fail(times=4)
    on.clock.ns = NOON - 5 * DAY_NS
    on.fail("jobs", times=2)
    on.clock.ns = NOON
    await on.book.flush()
    await on.book.look()
    on.later(300)
    await on.book.look()
    reports = {str(row.kind): row for row in await on.rows("AnalyticsReportRow")}
    assert len(await on.rows("AnalyticsReportRow")) == len(reports) == 2
    daily, weekly = reports["daily"], reports["weekly"]
    assert (daily.period_start, daily.period_end) == (
        datetime(2026, 3, 3, tzinfo=UTC),
        datetime(2026, 3, 4, tzinfo=UTC),
    )
    assert daily.content["errors"] == 4
    assert (weekly.period_start, weekly.period_end) == (
        datetime(2026, 2, 23, tzinfo=UTC),
        datetime(2026, 3, 2, tzinfo=UTC),
    )
    assert weekly.content["errors"] == 2
    on.later(86_400)
    await on.book.look()
    assert len(await on.rows("AnalyticsReportRow")) == 3


async def test_each_kind_of_row_goes_when_its_time_is_over(on: Desk) -> None:
    await rising(on)
    await on.book.look()
    on.clock.ns = NOON + 29 * DAY_NS
    await on.book.look()
    assert await on.rows("ErrorPatternRow")
    on.clock.ns = NOON + 31 * DAY_NS
    await on.book.look()
    assert await on.rows("ErrorPatternRow") == []
    on.clock.ns = NOON + 89 * DAY_NS
    await on.book.look()
    assert await on.rows("ErrorRecordRow")
    on.clock.ns = NOON + 91 * DAY_NS
    await on.book.look()
    assert await on.rows("ErrorRecordRow") == []
    first = min(row.period_end for row in await on.rows("AnalyticsReportRow"))
    on.clock.ns = NOON + 360 * DAY_NS
    await on.book.look()
    assert min(row.period_end for row in await on.rows("AnalyticsReportRow")) == first
    on.clock.ns = NOON + 366 * DAY_NS
    await on.book.look()
    assert min(row.period_end for row in await on.rows("AnalyticsReportRow")) > first


async def test_retention_and_what_is_looked_for_are_settings(tmp_path: Path, made: Path) -> None:
    shutil.copy(made, tmp_path)
    desk = Desk(
        tmp_path,
        analytics={"error_logs_days": 1, "daily_summary": False, "weekly_analysis": False, "trend_alerts": False},
    )
    try:
        await rising(desk)
        await desk.book.look()
        assert await desk.rows("AnalyticsReportRow") == []
        desk.later(86_400 * 1.5)
        await desk.book.look()
        assert await desk.rows("ErrorRecordRow") == []
    finally:
        await desk.reports.close()
