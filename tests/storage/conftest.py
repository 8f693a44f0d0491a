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
import pytest_asyncio
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

    async def run(self, *statements: str) -> None:
        connection = await asyncpg.connect(
            host=self.host, port=self.port, user=self.user, password=self.password, database="postgres", timeout=3
        )
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()

    async def make(self, name: str) -> None:
        """Make a database that need not survive a power cut."""
        await self.run(f'CREATE DATABASE "{name}"', f'ALTER DATABASE "{name}" SET synchronous_commit = off')

    async def drop(self, name: str) -> None:
        await self.run(f'DROP DATABASE "{name}" WITH (FORCE)')

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
    asyncio.run(server.make(name))
    settings = server.settings(name)
    try:
        asyncio.run(migrated(Database(settings, tmp_path_factory.mktemp("home"))))
        yield settings
    finally:
        asyncio.run(server.drop(name))


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated file that each test copies."""
    home = tmp_path_factory.mktemp("home")
    asyncio.run(migrated(Database(DatabaseSettings(), home)))
    return home / "quarterdeck.db"


async def migrated(database: Database) -> None:
    async with database:
        await runner.migrate(database)


@pytest.fixture(scope="module", params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def settings(
    backend: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> DatabaseSettings:
    """Settings of a migrated database whose file, if it is one, does not depend on the home folder."""
    if backend == "postgresql":
        found: DatabaseSettings = request.getfixturevalue("migrated_postgres")
        return found
    file = tmp_path_factory.mktemp("home") / "quarterdeck.db"
    shutil.copy(request.getfixturevalue("migrated_sqlite"), file)
    return DatabaseSettings(sqlite_file=file)


@pytest.fixture
def fresh_settings(backend: str, request: pytest.FixtureRequest) -> Iterator[DatabaseSettings]:
    """Settings of a database without any table."""
    if backend == "sqlite":
        yield DatabaseSettings()
        return
    server: Server = request.getfixturevalue("server")
    name = throwaway_name()
    asyncio.run(server.make(name))
    try:
        yield server.settings(name)
    finally:
        asyncio.run(server.drop(name))


@pytest.fixture(scope="module")
def clock() -> SimulatedClock:
    return SimulatedClock()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def opened(
    settings: DatabaseSettings, tmp_path_factory: pytest.TempPathFactory, clock: SimulatedClock
) -> AsyncIterator[Database]:
    """One database for the tests of a module: opening costs more than emptying."""
    found = Database(settings, tmp_path_factory.mktemp("home"), clock)
    await found.open(migrate=False)
    yield found
    await found.close()


@pytest_asyncio.fixture(loop_scope="module")
async def database(opened: Database) -> AsyncIterator[Database]:
    """An open database that holds the local operator and nothing else."""
    yield opened
    await empty(opened)


async def empty(database: Database) -> None:
    """Remove every row; deleting is far quicker than truncating when tables are nearly empty."""
    deletes = [f"DELETE FROM {table.name}" for table in reversed(METADATA.sorted_tables)]
    async with database.session() as session:
        if database.settings.backend == "postgresql":
            trigger = "ALTER TABLE audit_log {} TRIGGER USER"
            steps = "; ".join([trigger.format("DISABLE"), *deletes, trigger.format("ENABLE")])
            await session.execute(sa.text(f"DO $$ BEGIN {steps}; END $$"))
        else:
            trigger = "audit_log_refuse_delete"
            made = await session.scalar(sa.text(f"SELECT sql FROM sqlite_master WHERE name = '{trigger}'"))
            for step in (f"DROP TRIGGER {trigger}", *deletes, str(made)):
                await session.execute(sa.text(step))
        session.add(UserRow(id=LOCAL_OPERATOR_ID, username="operator"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the tests that share a database on the event loop that opened it."""
    for item in items:
        if "database" in getattr(item, "fixturenames", ()) and "tests/storage" in item.path.as_posix():
            item.add_marker(pytest.mark.asyncio(loop_scope="module"), append=False)
