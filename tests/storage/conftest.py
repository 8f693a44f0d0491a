"""Every storage test runs on SQLite and, where a server answers, on PostgreSQL in a database of its own."""

from __future__ import annotations

import asyncio
import os
import shutil
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest
import sqlalchemy as sa

from engine.clock import SimulatedClock
from storage.database import Database
from storage.migrations import runner
from storage.settings import DatabaseSettings
from storage.tables import LOCAL_OPERATOR_ID, METADATA, UserRow

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

BACKENDS = ("sqlite", "postgresql")


@dataclass(frozen=True)
class Server:
    """A PostgreSQL server that lets us make databases."""

    host: str
    port: int
    user: str
    password: str | None

    async def run(self, statement: str) -> None:
        connection = await asyncpg.connect(
            host=self.host, port=self.port, user=self.user, password=self.password, database="postgres", timeout=3
        )
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    def settings(self, database: str, **more: Any) -> DatabaseSettings:
        return DatabaseSettings.model_validate(
            {
                "backend": "postgresql",
                "postgresql_host": self.host,
                "postgresql_port": self.port,
                "postgresql_database": database,
                "postgresql_username": self.user,
                "postgresql_password": self.password,
                "postgresql_pool_size": 5,
                **more,
            }
        )


def throwaway_name() -> str:
    return f"quarterdeck_test_{os.getpid()}_{uuid.uuid4().hex[:8]}"


@pytest.fixture(scope="session")
def server() -> Server:
    host = os.environ.get("QUARTERDECK_TEST_PG_HOST", "127.0.0.1")
    port = int(os.environ.get("QUARTERDECK_TEST_PG_PORT", "5432"))
    given = os.environ.get("QUARTERDECK_TEST_PG_USER")
    password = os.environ.get("QUARTERDECK_TEST_PG_PASSWORD")
    reason = ""
    for user in [given] if given else ["postgres", "root"]:
        found = Server(host, port, user, password)
        try:
            asyncio.run(found.run("SELECT 1"))
        except (OSError, TimeoutError, asyncpg.PostgresError) as error:
            reason = f"no PostgreSQL for the storage tests at {host}:{port}: {type(error).__name__}: {error}"
            continue
        return found
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def migrated_postgres(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DatabaseSettings]:
    """A migrated database that the tests of this process share; each test leaves it empty."""
    name = throwaway_name()
    asyncio.run(server.run(f'CREATE DATABASE "{name}"'))
    settings = server.settings(name)
    try:
        asyncio.run(migrated(Database(settings, tmp_path_factory.mktemp("home"))))
        yield settings
    finally:
        asyncio.run(server.run(f'DROP DATABASE "{name}" WITH (FORCE)'))


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated file that each test copies."""
    home = tmp_path_factory.mktemp("home")
    asyncio.run(migrated(Database(DatabaseSettings(), home)))
    return home / "quarterdeck.db"


async def migrated(database: Database) -> None:
    async with database:
        await runner.migrate(database)


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def settings(backend: str, request: pytest.FixtureRequest, tmp_path: Path) -> DatabaseSettings:
    """Settings of a migrated, empty database."""
    if backend == "postgresql":
        found: DatabaseSettings = request.getfixturevalue("migrated_postgres")
        return found
    shutil.copy(request.getfixturevalue("migrated_sqlite"), tmp_path / "quarterdeck.db")
    return DatabaseSettings()


@pytest.fixture
def fresh_settings(backend: str, request: pytest.FixtureRequest) -> Iterator[DatabaseSettings]:
    """Settings of a database without any table."""
    if backend == "sqlite":
        yield DatabaseSettings()
        return
    server: Server = request.getfixturevalue("server")
    name = throwaway_name()
    asyncio.run(server.run(f'CREATE DATABASE "{name}"'))
    try:
        yield server.settings(name)
    finally:
        asyncio.run(server.run(f'DROP DATABASE "{name}" WITH (FORCE)'))


@pytest.fixture
def clock() -> SimulatedClock:
    return SimulatedClock()


@pytest.fixture
async def database(settings: DatabaseSettings, tmp_path: Path, clock: SimulatedClock) -> AsyncIterator[Database]:
    """An open database that holds the local operator and nothing else."""
    found = Database(settings, tmp_path, clock)
    await found.open(migrate=False)
    yield found
    if settings.backend == "postgresql":
        await empty(found)
    await found.close()


async def empty(database: Database) -> None:
    """Remove every row; deleting is far quicker than truncating when tables are nearly empty."""
    deletes = "".join(f"DELETE FROM {table.name};" for table in reversed(METADATA.sorted_tables))
    trigger = "ALTER TABLE audit_log {} TRIGGER USER;"
    async with database.session() as session:
        await session.execute(
            sa.text(f"DO $$ BEGIN {trigger.format('DISABLE')} {deletes} {trigger.format('ENABLE')} END $$")
        )
        session.add(UserRow(id=LOCAL_OPERATOR_ID, username="operator"))
