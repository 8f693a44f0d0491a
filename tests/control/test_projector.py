"""The history follows the journal: everything once, wherever it is stopped, and anew when the journal is another."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from contextlib import asynccontextmanager, closing
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from engine import events as ev
from engine.clock import SimulatedClock, SystemClock
from engine.control import projector as module
from engine.control.projector import Projector
from engine.control.reports import Reports
from engine.errors import StorageError
from engine.state import EngineState
from storage.settings import DatabaseSettings
from tests.kit.histories import session
from tests.kit.waiting import eventually
from tests.storage.journal.helpers import execute, store_async

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

RECORDS = session(900)
JOURNAL = "journal.db"


@asynccontextmanager
async def reports(home: Path) -> AsyncIterator[Reports]:
    opened = Reports(DatabaseSettings(), home, SystemClock())
    try:
        yield opened
    finally:
        await opened.close()


@asynccontextmanager
async def following(home: Path) -> AsyncIterator[Projector]:
    async with reports(home) as opened:
        yield Projector(opened, home / JOURNAL, SystemClock())


def rows(home: Path, statement: str) -> list[Any]:
    with closing(sqlite3.connect(home / "quarterdeck.db")) as connection:
        return connection.execute(statement).fetchall()


def told(home: Path) -> tuple[list[Any], list[Any], list[Any]]:
    """Orders, executions and audit, without what depends on when they were written."""
    return (
        rows(home, "SELECT id, client_order_id, status, filled, fees, closed_ns FROM order_history ORDER BY id"),
        rows(home, "SELECT id, client_order_id, owner, price, quantity, fee FROM fill_history ORDER BY id"),
        rows(home, "SELECT id, action, user_agent FROM audit_log ORDER BY id"),
    )


async def test_every_ended_order_and_every_execution_is_there(tmp_path: Path) -> None:
    await store_async(tmp_path / JOURNAL, RECORDS)
    state = EngineState()
    for record in RECORDS:
        state.apply(record)
    async with following(tmp_path) as projector:
        assert await projector.catch_up() == RECORDS[-1].seq
    orders, fills, _ = told(tmp_path)
    assert {(row[1], row[2], Decimal(row[3])) for row in orders} == {
        (order.client_id, str(order.status), order.filled) for order in state.recent.values()
    }
    booked = [r.event.fill for r in RECORDS if isinstance(r.event, ev.OrderFilled)]
    assert sorted((row[1], Decimal(row[3]), Decimal(row[4]), Decimal(row[5])) for row in fills) == sorted(
        (fill.client_id, fill.price, fill.quantity, fill.fee) for fill in {fill.key: fill for fill in booked}.values()
    )
    owners = {order.client_id: order.owner for order in [*state.orders.values(), *state.recent.values()]}
    assert all(owners[row[1]] == row[2] for row in fills)


async def test_it_goes_on_where_it_stopped_and_nothing_is_there_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    for home in (whole, parts):
        home.mkdir()
        await store_async(home / JOURNAL, RECORDS)
    async with following(whole) as projector:
        await projector.catch_up()
    monkeypatch.setattr(module, "PAGE", 40)
    more = True
    while more:
        async with reports(parts) as opened:
            more = await opened.run(Projector(opened, parts / JOURNAL, SystemClock()).step)
    assert told(parts) == told(whole)
    assert told(whole)[0]


async def test_a_page_and_its_cursor_are_one_transaction(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    await store_async(tmp_path / JOURNAL, RECORDS)

    async def broken(*_: object) -> None:
        raise StorageError("the power went")

    with monkeypatch.context() as patch:
        patch.setattr(module, "_move_cursor", broken)
        async with following(tmp_path) as projector:
            with pytest.raises(StorageError, match="power"):
                await projector.catch_up()
    assert rows(tmp_path, "SELECT seq FROM projection_cursors") == [(0,)]
    assert told(tmp_path) == ([], [], [])
    async with following(tmp_path) as projector:
        await projector.catch_up()
    assert told(tmp_path)[0]


async def test_a_fact_that_no_table_takes_is_passed_over_alone(tmp_path: Path) -> None:
    impossible = Decimal(10) ** 25
    fills = [r for r in RECORDS if isinstance(r.event, ev.OrderFilled)]
    async with following(tmp_path) as projector:
        await store_async(tmp_path / JOURNAL, RECORDS)
        from engine.control import history_rows

        real = history_rows.fill_row

        def spoilt(fill: Any, owner: str) -> Any:
            row = real(fill, owner)
            if fill.key == fills[5].event.fill.key:  # type: ignore[union-attr]
                row.quantity = impossible
            return row

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(history_rows, "fill_row", spoilt)
            assert await projector.catch_up() == RECORDS[-1].seq
    keys = {r.event.fill.key for r in fills}  # type: ignore[union-attr]
    assert len(told(tmp_path)[1]) == len(keys) - 1


async def test_another_instance_of_the_journal_makes_it_anew(tmp_path: Path) -> None:
    await store_async(tmp_path / JOURNAL, RECORDS)
    async with following(tmp_path) as projector:
        await projector.catch_up()
    before = told(tmp_path)
    execute(tmp_path / JOURNAL, "UPDATE meta SET instance = 'zrestored'")
    execute(tmp_path / "quarterdeck.db", "UPDATE order_history SET close_reason = 'stale', filled = '0'")
    async with following(tmp_path) as projector:
        await projector.catch_up()
    assert told(tmp_path) == before
    assert rows(tmp_path, "SELECT count(*) FROM order_history WHERE close_reason = 'stale'") == [(0,)]
    assert rows(tmp_path, "SELECT instance FROM projection_cursors") == [("zrestored",)]


async def test_a_journal_that_lost_its_end_makes_it_anew(tmp_path: Path) -> None:
    await store_async(tmp_path / JOURNAL, RECORDS[:200])
    async with following(tmp_path) as projector:
        await projector.catch_up()
    execute(tmp_path / "quarterdeck.db", "UPDATE projection_cursors SET seq = 10000")
    async with following(tmp_path) as projector:
        assert await projector.catch_up() == 200


async def test_it_runs_beside_an_engine_and_asks_only_when_there_is_something_new(tmp_path: Path) -> None:
    await store_async(tmp_path / JOURNAL, RECORDS[:300])
    newest, clock = [300], SimulatedClock()
    async with reports(tmp_path) as opened:
        projector = Projector(opened, tmp_path / JOURNAL, clock, lambda: newest[0])
        asked = 0
        real = projector.step

        async def counted(database: Any) -> bool:
            nonlocal asked
            asked += 1
            return await real(database)

        projector.step = counted  # type: ignore[method-assign]
        work = asyncio.create_task(projector.run())
        await eventually(lambda: projector.cursor == 300, 30)
        assert projector.behind == 0
        for _ in range(10):
            await clock.advance(1.0)
        assert asked == 1
        newest[0] = 301
        assert projector.behind == 1
        for _ in range(1_000):
            # It may not sleep yet when the time goes on.
            await clock.advance(1.0)
            if asked == 2:
                break
            await asyncio.sleep(0.001)
        assert asked == 2
        work.cancel()


async def test_a_database_that_is_away_is_asked_again(tmp_path: Path) -> None:
    await store_async(tmp_path / JOURNAL, RECORDS[:100])
    blocked = tmp_path / "quarterdeck.db"
    blocked.mkdir()
    clock = SimulatedClock()
    async with reports(tmp_path) as opened:
        projector = Projector(opened, tmp_path / JOURNAL, clock)
        work = asyncio.create_task(projector.run())
        await eventually(lambda: projector.problem, 30)
        assert opened.problem
        assert not opened.is_open
        blocked.rmdir()
        await clock.advance(module.RETRY_S + 1)
        await eventually(lambda: projector.cursor == 100, 30)
        await eventually(lambda: not projector.problem)
        work.cancel()


async def test_following_takes_little_of_the_loops_own_time(tmp_path: Path) -> None:
    """Measured in processor time of the loop's thread, which other work on the machine does not disturb."""
    await store_async(tmp_path / JOURNAL, RECORDS)
    async with following(tmp_path) as projector:
        await projector._reports.run(projector.step)
        before = time.thread_time_ns()
        work = asyncio.create_task(projector.catch_up())
        await eventually(work.done, 30)
        spent = time.thread_time_ns() - before
    assert spent < 500_000_000
