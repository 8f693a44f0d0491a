"""The health report tells the truth about a database that answers, one that is gone, and one that is old."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import sqlalchemy as sa

from storage.database import Database, utc_from_ns
from storage.health import DatabaseHealth, check_health, watch_health
from storage.settings import DatabaseSettings

if TYPE_CHECKING:
    from pathlib import Path

    from engine.clock import SimulatedClock
    from tests.storage.conftest import Server


async def test_a_database_that_answers_is_healthy(database: Database, clock: SimulatedClock) -> None:
    health = await check_health(database)
    assert health.is_healthy
    assert health.reachable
    assert health.latency_ms == 0.0
    assert health.checked_at == utc_from_ns(clock.now())
    assert (health.schema_current, health.schema_target) == ("004", "004")
    assert health.backend == database.settings.backend
    assert health.error == ""
    assert health.queries.count >= 1
    assert health.pool is not None
    assert (health.pool.in_use, health.pool.ceiling) == (0, 20 if database.settings.backend == "postgresql" else 5)


async def test_a_closed_database_is_reported_and_not_raised(tmp_path: Path) -> None:
    health = await check_health(Database(DatabaseSettings(), tmp_path))
    assert (health.reachable, health.is_healthy, health.latency_ms, health.pool) == (False, False, None, None)
    assert "not open" in health.error


async def test_an_older_schema_is_reachable_and_not_healthy(database: Database) -> None:
    async with database.session() as session:
        await session.execute(sa.text("UPDATE alembic_version SET version_num = '000'"))
    try:
        health = await check_health(database)
        assert (health.reachable, health.is_healthy, health.schema_current) == (True, False, "000")
    finally:
        async with database.session() as session:
            await session.execute(sa.text("UPDATE alembic_version SET version_num = '004'"))


async def test_the_watch_reports_at_every_interval_until_it_is_cancelled(
    database: Database, clock: SimulatedClock
) -> None:
    seen: list[DatabaseHealth] = []
    looked = asyncio.Event()

    def report(health: DatabaseHealth) -> None:
        seen.append(health)
        looked.set()

    async with asyncio.TaskGroup() as group:
        task = group.create_task(watch_health(database, report, interval=30))
        for looks in range(1, 4):
            await looked.wait()
            looked.clear()
            await asyncio.sleep(0)
            assert len(seen) == looks
            await clock.advance(30)
        task.cancel()
    assert [(look.checked_at - seen[0].checked_at).seconds for look in seen[:3]] == [0, 30, 60]
    assert all(look.is_healthy for look in seen)


async def test_a_lost_connection_is_replaced(
    server: Server, migrated_postgres: DatabaseSettings, tmp_path: Path
) -> None:
    database = Database(migrated_postgres, tmp_path)
    await database.open(migrate=False)
    async with database:
        async with database.reading() as one, database.reading() as two:
            for session in (one, two):
                await session.execute(sa.text("SELECT 1"))
        name = migrated_postgres.postgresql_database
        await server.run(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
        health = await check_health(database)
        assert health.is_healthy
