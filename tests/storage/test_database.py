"""Sessions commit, roll back, take turns and never wait without end."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from engine.clock import SimulatedClock, SystemClock
from engine.errors import NotFoundError, StorageError
from storage import tables as t
from storage.database import Database, utc_from_ns
from storage.failures import StorageUnavailableError
from storage.repositories.repository import Repository
from storage.settings import DatabaseSettings
from tests.storage import rows

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy.ext.asyncio import AsyncSession


async def count(database: Database) -> int:
    async with database.reading() as session:
        return await Repository(session, t.TradeRow).count()


def file_modes(folder: Path) -> dict[str, int]:
    return {file.name: file.stat().st_mode & 0o777 for file in folder.iterdir()}


async def add_trade(session: AsyncSession) -> None:
    await Repository(session, t.TradeRow).add(rows.trade())


async def test_a_block_that_ends_is_kept_and_one_that_raises_is_not(database: Database) -> None:
    async with database.session() as session:
        await add_trade(session)
        await add_trade(session)

    async def fail() -> None:
        async with database.session() as session:
            await add_trade(session)
            raise ValueError("secret")

    with pytest.raises(StorageError) as failure:
        await fail()
    assert isinstance(failure.value.__cause__, ValueError)
    assert "secret" not in failure.value.message
    assert await count(database) == 2


async def test_a_product_exception_passes_as_it_is(database: Database) -> None:
    async def fail() -> None:
        async with database.session() as session:
            await add_trade(session)
            await Repository(session, t.TradeRow).require(rows.trade().id)

    with pytest.raises(NotFoundError, match="key"):
        await fail()
    assert await count(database) == 0


async def test_a_cancelled_block_is_rolled_back_and_lets_the_next_one_write(database: Database) -> None:
    inside = asyncio.Event()

    async def write() -> None:
        async with database.session() as session:
            await add_trade(session)
            inside.set()
            await asyncio.Event().wait()

    async with asyncio.TaskGroup() as group:
        task = group.create_task(write())
        await inside.wait()
        task.cancel()
    async with database.session() as session:
        await add_trade(session)
    assert await count(database) == 1


async def test_a_savepoint_undoes_only_what_is_inside(database: Database) -> None:
    async def fail(session: AsyncSession) -> None:
        async with session.begin_nested():
            await add_trade(session)
            raise RuntimeError

    async with database.session() as session:
        await add_trade(session)
        with pytest.raises(RuntimeError):
            await fail(session)
        await add_trade(session)
    assert await count(database) == 2


async def test_rows_are_stamped_by_the_databases_clock(database: Database, clock: SimulatedClock) -> None:
    made = utc_from_ns(clock.now())
    async with database.session() as session:
        first = await Repository(session, t.TradeRow).add(rows.trade())
        second = rows.trade()
        await Repository(session, t.TradeRow).add_many([second])
    assert first.created_at == first.updated_at == second.created_at == second.updated_at == made
    clock.set(clock.now() + 60_000_000_000)
    async with database.session() as session:
        trades = Repository(session, t.TradeRow)
        changed = await trades.update(first.id, symbol="ETH/USDT")
        await trades.update_many({second.id: {"symbol": "ETH/USDT"}})
    async with database.reading() as session:
        for row in await Repository(session, t.TradeRow).find():
            assert (row.created_at, row.updated_at) == (made, utc_from_ns(clock.now()))
    assert changed.updated_at == utc_from_ns(clock.now())


async def test_a_reading_session_refuses_to_write(database: Database) -> None:
    with pytest.raises(StorageError):
        async with database.reading() as session:
            await add_trade(session)
    async with database.session() as session:
        await add_trade(session)
    assert await count(database) == 1


async def test_readers_see_the_last_commit_while_a_writer_is_at_work(database: Database) -> None:
    async with database.session() as session:
        await add_trade(session)
        assert await count(database) == 0
    assert await count(database) == 1


async def test_many_tasks_write_and_read_at_once_without_losing_anything(database: Database) -> None:
    seen: list[int] = []

    async def write() -> None:
        async with database.session() as session:
            await add_trade(session)

    async def read() -> None:
        seen.append(await count(database))
        assert database.pool_use().in_use <= database.pool_use().ceiling <= 20

    async with asyncio.TaskGroup() as group:
        for _ in range(25):
            group.create_task(write())
            group.create_task(read())
    assert await count(database) == 25
    assert len(seen) == 25
    assert database.pool_use().in_use == 0


async def test_work_that_reads_then_writes_never_loses_an_update(database: Database) -> None:
    async with database.session() as session:
        row = await Repository(session, t.PendingOperationRow).add(
            rows.make(t.PendingOperationRow, operation="sync", payload={}, status="pending")
        )

    async def increase() -> None:
        async with database.session() as session:
            found = await session.get_one(t.PendingOperationRow, row.id, with_for_update=True)
            found.attempts += 1

    async with asyncio.TaskGroup() as group:
        for _ in range(15):
            group.create_task(increase())
    async with database.reading() as session:
        assert (await Repository(session, t.PendingOperationRow).require(row.id)).attempts == 15


async def test_waiting_for_a_connection_ends_with_a_report(settings: DatabaseSettings, tmp_path: Path) -> None:
    narrow = settings.model_copy(
        update={"pool_timeout": 0.02, "sqlite_readers": 1, "postgresql_pool_size": 1, "postgresql_max_overflow": 1}
    )
    database = Database(narrow, tmp_path, SystemClock())
    await database.open(migrate=False)
    async with database:
        async with database.reading() as first, database.reading() as second:
            for session in (first, second):
                await session.execute(sa.text("SELECT 1"))
            with pytest.raises(StorageUnavailableError, match="No database connection became free") as failure:
                await count(database)
            assert failure.value.retryable
            assert database.pool_use().in_use == database.pool_use().ceiling == 2
        assert await count(database) == 0


async def test_on_sqlite_a_second_writer_waits_its_turn_and_not_for_ever(tmp_path: Path) -> None:
    settings = DatabaseSettings(pool_timeout=0.02)
    async with Database(settings, tmp_path) as database, database.session() as session:
        await add_trade(session)
        with pytest.raises(StorageUnavailableError, match="busy with another transaction"):
            async with database.session():
                pytest.fail("two writers at once")


async def test_on_sqlite_another_process_that_writes_is_waited_for_and_reported(tmp_path: Path) -> None:
    settings = DatabaseSettings(sqlite_busy_timeout=0.01)
    async with Database(settings, tmp_path) as ours, Database(settings, tmp_path) as theirs:
        async with theirs.session() as session:
            await add_trade(session)
            with pytest.raises(StorageUnavailableError, match="Try again"):
                async with ours.session() as other:
                    await add_trade(other)
        async with ours.session() as session:
            await add_trade(session)
        assert await count(theirs) == 2


async def test_nobody_else_may_read_the_file(tmp_path: Path) -> None:
    async with Database(DatabaseSettings(), tmp_path / "home") as database, database.session() as session:
        await add_trade(session)
        modes = file_modes(tmp_path / "home")
    assert modes == {"quarterdeck.db": 0o600, "quarterdeck.db-shm": 0o600, "quarterdeck.db-wal": 0o600}


async def test_every_sqlite_connection_enforces_foreign_keys_and_uses_the_log(tmp_path: Path) -> None:
    async with (
        Database(DatabaseSettings(), tmp_path) as database,
        database.reading() as one,
        database.reading() as two,
        database.session() as three,
    ):
        for session in (one, two, three):
            found = [
                (await session.execute(sa.text(f"PRAGMA {name}"))).scalar_one()
                for name in ("foreign_keys", "journal_mode", "synchronous")
            ]
            assert found == [1, "wal", 2]


async def test_work_is_tried_again_when_the_database_was_briefly_unavailable(
    database: Database, clock: SimulatedClock
) -> None:
    tries: list[int] = []

    async def work(session: AsyncSession) -> str:
        await add_trade(session)
        tries.append(clock.now())
        if len(tries) < 3:
            raise StorageUnavailableError("gone")
        return "done"

    async with asyncio.TaskGroup() as group:
        task = group.create_task(database.run(work))
        while not task.done():
            await asyncio.sleep(0.001)
            if len(tries) < 3:
                await clock.advance(0.5)
    assert task.result() == "done"
    assert len(tries) == 3
    assert await count(database) == 1


async def test_work_that_is_wrong_is_not_tried_again(database: Database) -> None:
    tries: list[int] = []

    async def work(session: AsyncSession) -> None:
        tries.append(1)
        await Repository(session, t.TradeRow).require(rows.trade().id)

    with pytest.raises(NotFoundError):
        await database.run(work)
    assert tries == [1]


async def test_a_closed_database_says_so(database: Database) -> None:
    await database.close()
    with pytest.raises(StorageError, match="is not open"):
        await count(database)
    await database.open(migrate=False)
    assert await count(database) == 0


async def test_a_server_that_is_not_there_is_a_sentence_without_the_password(tmp_path: Path) -> None:
    settings = DatabaseSettings(
        backend="postgresql",
        postgresql_host="127.0.0.1",
        postgresql_port=1,
        postgresql_username="one",
        postgresql_password=SecretStr("hunter2"),
    )
    database = Database(settings, tmp_path)
    with pytest.raises(StorageUnavailableError, match="cannot be reached") as failure:
        await database.open()
    assert "hunter2" not in f"{failure.value} {failure.value.__cause__} {database!r} {settings!r}"
