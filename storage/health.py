"""Whether the database can be used, how fast it answers, how busy its pool is, which schema it has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from engine.errors import QuarterdeckError
from engine.logs import get_logger
from storage.database import Database, PoolUse, utc_from_ns
from storage.migrations.runner import schema_version

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from storage.timing import QueryStatistics

__all__ = ["DatabaseHealth", "check_health", "watch_health"]

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class DatabaseHealth:
    """One look at the database."""

    checked_at: datetime
    backend: str
    reachable: bool
    latency_ms: float | None
    """Duration of the smallest query, connection included; None when unreachable."""
    pool: PoolUse | None
    """None when the database is not open."""
    queries: QueryStatistics
    schema_current: str | None
    schema_target: str | None
    error: str = ""
    """Why it is unreachable, for a person; empty when all is well."""

    @property
    def is_healthy(self) -> bool:
        """True when it answers and has the schema that this program needs."""
        return self.reachable and self.schema_current == self.schema_target


async def check_health(database: Database) -> DatabaseHealth:
    """Look at the database. Never raises for a database that is down; that is what it reports."""
    clock = database.clock
    latency_ms: float | None = None
    pool: PoolUse | None = None
    current = target = None
    error = ""
    try:
        pool = database.pool_use()
        started = clock.monotonic()
        async with database.reading() as session:
            await session.execute(sa.text("SELECT 1"))
        latency_ms = (clock.monotonic() - started) / 1e6
        version = await schema_version(database)
        current, target = version.current, version.target
    except QuarterdeckError as failure:
        error = failure.message
    return DatabaseHealth(
        checked_at=utc_from_ns(clock.now()),
        backend=database.settings.backend,
        reachable=latency_ms is not None,
        latency_ms=latency_ms,
        pool=pool,
        queries=database.statistics,
        schema_current=current,
        schema_target=target,
        error=error,
    )


async def watch_health(database: Database, report: Callable[[DatabaseHealth], None], *, interval: float = 30.0) -> None:
    """Look again and again, and report each look; run it as a supervised task until it is cancelled.

    A lost connection is replaced by the look itself, so that work after an outage finds the pool ready.

    Args:
        database: An open database.
        report: Called with every result; it must not block.
        interval: Seconds between two looks, by the database's clock.
    """
    before: bool | None = None
    while True:
        health = await check_health(database)
        if before is not None and health.reachable != before:
            log.warning("The database was lost or is back", place=database.place, reachable=health.reachable)
        before = health.reachable
        report(health)
        await database.clock.sleep(interval)
