"""The SQL database: an asynchronous engine whose sessions commit on success and roll back on any error."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Self, TypeVar

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import Session
from sqlalchemy.pool import QueuePool

from engine.clock import Clock, SystemClock
from engine.errors import StorageError
from engine.resilience.policy import RetryPolicy
from engine.resilience.settings import DatabaseRetrySettings
from storage.connections import ACCESS, build_engine, sqlite_path
from storage.failures import StorageUnavailableError, translate
from storage.tables import Record, StampedRecord
from storage.timing import QueryTimer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path
    from types import TracebackType

    from storage.migrations.runner import MigrationReport
    from storage.settings import DatabaseSettings
    from storage.timing import QueryStatistics

__all__ = ["Database", "PoolUse", "session_time", "stamp_new", "utc_from_ns"]

_Result = TypeVar("_Result")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_CLOCK = "quarterdeck_clock"


def utc_from_ns(ns: int) -> datetime:
    """Turn UTC nanoseconds into an aware time, cut to the microsecond."""
    return _EPOCH + timedelta(microseconds=ns // 1000)


def session_time(session: AsyncSession | Session) -> datetime:
    """The time by the clock of the database that made the session."""
    clock: Clock = session.info[_CLOCK]
    return utc_from_ns(clock.now())


class _StampingSession(Session):
    """A session that fills time stamps and verifies rows when it writes."""


@event.listens_for(_StampingSession, "before_flush")
def _stamp(session: Session, _context: Any, _instances: Any) -> None:
    now = session_time(session)
    for row in session.new:
        if isinstance(row, Record):
            stamp_new(row, now)
            row.verify()
    for row in session.dirty:
        if isinstance(row, Record) and session.is_modified(row):
            if isinstance(row, StampedRecord):
                row.updated_at = now
            row.verify()


def stamp_new(row: Record, now: datetime) -> None:
    """Fill the empty time stamps of a row that is about to be written."""
    for name in ("created_at", "updated_at", "timestamp"):
        if name in type(row).model_fields and getattr(row, name) is None:
            setattr(row, name, now)


@dataclass(frozen=True, slots=True)
class PoolUse:
    """How many connections there may be, are open and are in use."""

    ceiling: int
    open: int
    in_use: int


class Database:
    """The product's tables on SQLite or PostgreSQL.

    Open it once, inside the event loop that uses it. Sessions are safe for concurrent tasks, one session a task.
    On SQLite one task writes at a time and the others wait their turn, bounded by `pool_timeout`.

    Args:
        settings: Which backend and where.
        home: The home folder.
        clock: Gives time stamps and measures queries.
    """

    def __init__(self, settings: DatabaseSettings, home: Path, clock: Clock | None = None) -> None:
        self.settings = settings
        self.home = home
        self.clock: Clock = clock or SystemClock()
        self.migration: MigrationReport | None = None
        """What bringing the schema up to date did when the database was opened."""
        self._timer = QueryTimer(self.clock.monotonic, settings.slow_query_ms)
        self._engine: AsyncEngine | None = None
        self._turn = asyncio.Lock()

    def __repr__(self) -> str:
        return f"Database({self.place})"

    @property
    def place(self) -> str:
        """Where the data is, for messages; without user or password."""
        if self.settings.backend == "sqlite":
            return str(sqlite_path(self.settings, self.home))
        one = self.settings
        return f"postgresql at {one.postgresql_host}:{one.postgresql_port}/{one.postgresql_database}"

    @property
    def statistics(self) -> QueryStatistics:
        """Counts and durations of the queries so far."""
        return self._timer.statistics

    @property
    def engine(self) -> AsyncEngine:
        """The engine.

        Raises:
            StorageError: The database is not open.
        """
        if self._engine is None:
            raise StorageError(f"The database {self.place} is not open; open it before using it.")
        return self._engine

    async def open(self, *, migrate: bool | None = None) -> None:
        """Connect, and bring the schema up to date.

        Args:
            migrate: True migrates, False refuses an older schema, None does what the settings say.

        Raises:
            StorageUnavailableError: The database cannot be reached.
            StorageError: The schema is newer than the program, or older and may not be migrated.
        """
        if self._engine is not None:
            return
        from storage.migrations import runner

        if self.settings.backend == "sqlite":
            await asyncio.to_thread(_make_file, sqlite_path(self.settings, self.home))
        self._engine = build_engine(self.settings, self.home)
        self._timer.attach(self._engine.sync_engine)
        try:
            if self.settings.migrate_at_start if migrate is None else migrate:
                self.migration = await runner.migrate(self)
            else:
                await runner.require_current(self)
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Close every connection; an open session loses its own and fails."""
        engine, self._engine = self._engine, None
        if engine is not None:
            await engine.dispose()

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @asynccontextmanager
    async def session(self) -> AsyncIterator[AsyncSession]:
        """One transaction that may write: commits when the block ends, rolls back when it raises.

        Several operations in one block succeed or fail together; `session.begin_nested()` is a savepoint inside.
        A cancelled block is rolled back.

        Raises:
            StorageUnavailableError: No connection (on SQLite: no turn to write) became free in time, or it was lost.
            StorageError: The database refused a row, or anything else went wrong; the cause is attached.
            QuarterdeckError: Whatever product exception the block raised, as it is.
        """
        if self.settings.backend == "sqlite":
            async with self._writing(), self._session("write") as session:
                yield session
        else:
            async with self._session("write") as session:
                yield session

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncSession]:
        """One transaction that only reads, and never waits for a writer; a write inside it is refused.

        Raises:
            StorageUnavailableError: No connection became free in time, or it was lost.
            StorageError: A write was tried, or anything else went wrong.
        """
        async with self._session("read") as session:
            yield session

    async def run(self, work: Callable[[AsyncSession], Awaitable[_Result]]) -> _Result:
        """Do work in a writing session, and again in a new one when the database was briefly unavailable.

        At most 3 attempts with pauses from 0.5 s doubling up to 10 s. The work must have no effect outside the session.
        """

        async def once() -> _Result:
            async with self.session() as session:
                return await work(session)

        return await RetryPolicy(DatabaseRetrySettings(), self.clock).run(once)

    def pool_use(self) -> PoolUse:
        """Tell how busy the pool is."""
        pool = self.engine.pool
        if not isinstance(pool, QueuePool):
            return PoolUse(ceiling=0, open=0, in_use=0)
        overflow = self.settings.overflow if self.settings.backend == "postgresql" else 0
        in_use = pool.checkedout()
        return PoolUse(ceiling=pool.size() + overflow, open=in_use + pool.checkedin(), in_use=in_use)

    @asynccontextmanager
    async def _writing(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self.settings.pool_timeout):
                await self._turn.acquire()
        except TimeoutError as error:
            raise StorageUnavailableError(
                f"The database {self.place} stayed busy with another transaction for {self.settings.pool_timeout:g} s; "
                "try again.",
                error_code="busy",
            ) from error
        try:
            yield
        finally:
            self._turn.release()

    @asynccontextmanager
    async def _session(self, access: str) -> AsyncIterator[AsyncSession]:
        options: dict[str, Any] = {ACCESS: access}
        if self.settings.backend == "postgresql" and access == "read":
            options["postgresql_readonly"] = True
        session = AsyncSession(
            self.engine.execution_options(**options),
            sync_session_class=_StampingSession,
            expire_on_commit=False,
            info={_CLOCK: self.clock},
        )
        try:
            async with session, session.begin():
                yield session
        except Exception as error:
            known = translate(error)
            if known is error:
                raise
            raise known from error


def _make_file(path: Path) -> None:
    """Let nobody else read the data; SQLite gives its log files the mode of the database file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
