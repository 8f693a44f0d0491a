"""The report database works in a thread of its own: opened once, when first needed, closed whatever is under way."""

from __future__ import annotations

import asyncio
import os
import threading
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from engine.clock import SystemClock
from engine.control import reports as module
from engine.control.reports import Reports
from engine.errors import NotFoundError, StorageError
from storage.settings import DatabaseSettings
from tests.kit.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from storage.database import Database


@asynccontextmanager
async def opened(home: Path) -> AsyncIterator[Reports]:
    reports = Reports(DatabaseSettings(), home, SystemClock())
    try:
        yield reports
    finally:
        await reports.close()


async def count(database: Database) -> int:
    async with database.reading() as session:
        return int((await session.execute(sa.text("SELECT count(*) FROM users"))).scalar_one())


async def test_nothing_is_made_before_somebody_asks(tmp_path: Path) -> None:
    async with opened(tmp_path) as reports:
        assert not reports.is_open
    assert os.listdir(tmp_path) == []


async def test_many_who_ask_at_once_find_one_database(tmp_path: Path) -> None:
    async with opened(tmp_path) as reports:
        reports.warm_up()
        assert await asyncio.gather(*(reports.run(count) for _ in range(5))) == [1] * 5
        assert reports.is_open
        threads: set[str] = set()

        async def where(_: Database) -> None:
            threads.add(threading.current_thread().name)

        await asyncio.gather(*(reports.run(where) for _ in range(3)))
        assert threads == {"reports"}


async def test_what_the_work_raises_reaches_who_asked(tmp_path: Path) -> None:
    async def refuse(_: Database) -> None:
        raise NotFoundError("There is none.")

    async with opened(tmp_path) as reports:
        with pytest.raises(NotFoundError, match="There is none"):
            await reports.run(refuse)
        assert await reports.run(count) == 1


async def test_a_database_that_cannot_be_opened_is_tried_again(tmp_path: Path) -> None:
    blocked = tmp_path / "quarterdeck.db"
    blocked.mkdir()
    async with opened(tmp_path) as reports:
        reports.warm_up()
        with pytest.raises(StorageError):
            await reports.run(count)
        assert reports.problem
        blocked.rmdir()
        assert await reports.run(count) == 1
        assert reports.problem == ""


async def test_giving_up_cancels_the_work_and_closing_whatever_is_left(tmp_path: Path) -> None:
    began, ended = threading.Semaphore(0), []

    async def forever(_: Database) -> None:
        began.release()
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(1)

    reports = Reports(DatabaseSettings(), tmp_path, SystemClock())
    waits = [asyncio.create_task(reports.run(forever)) for _ in range(2)]
    await eventually(lambda: began.acquire(blocking=False), 30)
    await eventually(lambda: began.acquire(blocking=False), 30)
    waits[0].cancel()
    await eventually(lambda: len(ended) == 1)
    await reports.close()
    assert len(ended) == 2
    with pytest.raises(asyncio.CancelledError):
        await waits[1]
    with pytest.raises(StorageError, match="closed"):
        await reports.run(count)
    await reports.close()


async def test_a_connection_that_never_closes_does_not_hold_up_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CLOSE_S", 0.05)
    never: list[asyncio.Task[None]] = []

    async def close_for_ever() -> None:
        # The driver's own way: cancelled, it goes on waiting for a thread that has ended.
        waiting = asyncio.get_running_loop().create_future()
        with suppress(asyncio.CancelledError):
            await waiting
        await asyncio.get_running_loop().create_future()

    async def begin(_: Database) -> None:
        never.append(asyncio.create_task(close_for_ever()))

    async with opened(tmp_path) as reports:
        await reports.run(begin)
        async with asyncio.timeout(10):
            await reports.close()
    assert not never[0].done()
