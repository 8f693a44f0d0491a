"""The records of quality follow the journal: the same however often it is stopped, and found by any of their names."""

from __future__ import annotations

import random
import sqlite3
from contextlib import asynccontextmanager, closing
from typing import TYPE_CHECKING, Any

import pytest

from engine.clock import SystemClock
from engine.config import Settings
from engine.control import projector as module
from engine.control.context import Context
from engine.control.ops.quality import quality_summary, quality_trade, quality_trades
from engine.control.projector import Projector
from engine.control.quality_book import QualityBook
from engine.control.reports import Reports
from engine.control.requests_quality import QualityOf, QualitySummary, QualityTrades
from engine.errors import NotFoundError, StorageError
from storage.settings import DatabaseSettings
from tests.kit.histories import PROPERTY_MIX, HistoryMaker
from tests.kit.quality_story import story
from tests.storage.journal.helpers import execute, store_async

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

JOURNAL = "journal.db"


@asynccontextmanager
async def reports(home: Path) -> AsyncIterator[Reports]:
    opened = Reports(DatabaseSettings(), home, SystemClock())
    try:
        yield opened
    finally:
        await opened.close()


def rows(home: Path) -> list[Any]:
    with closing(sqlite3.connect(home / "quarterdeck.db")) as connection:
        found = connection.execute(
            "SELECT id, client_order_id, trade, record FROM order_quality ORDER BY id"
        ).fetchall()
        return (
            found + connection.execute("SELECT id, trade, closed_ns, record FROM trade_quality ORDER BY id").fetchall()
        )


async def test_it_comes_to_the_same_however_often_it_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = HistoryMaker(random.Random(3), bots=2, mix=PROPERTY_MIX, wanted_open=8).grow(500)
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    for home in (whole, parts):
        home.mkdir()
        await store_async(home / JOURNAL, records)
    async with reports(whole) as opened:
        await QualityBook(opened, whole / JOURNAL, SystemClock()).catch_up()
    monkeypatch.setattr(module, "PAGE", 40)
    for steps in (1, 3, 2, 5, 100):
        async with reports(parts) as opened:
            book = QualityBook(opened, parts / JOURNAL, SystemClock())
            for _ in range(steps):
                if not await opened.run(book.step):
                    break
    assert rows(parts) == rows(whole)
    assert len(rows(whole)) > 20


async def test_a_page_that_cannot_be_written_is_heard_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    await store_async(tmp_path / JOURNAL, story())

    async def broken(*_: object) -> None:
        raise StorageError("the power went")

    async with reports(tmp_path) as opened:
        book = QualityBook(opened, tmp_path / JOURNAL, SystemClock())
        with monkeypatch.context() as patch:
            patch.setattr(module, "_move_cursor", broken)
            with pytest.raises(StorageError, match="power"):
                await opened.run(book.step)
        await book.catch_up()
        context = context_of(tmp_path, opened)
        [trade] = (await quality_trades(context, QualityTrades())).rows
        assert (str(trade.pnl), trade.fills) == ("14.850", 3)


def context_of(home: Path, opened: Reports) -> Context:
    return Context(
        home=home, settings=Settings(), clock=SystemClock(), strategies=None, candles=None, reports=opened,  # type: ignore[arg-type]
    )  # fmt: skip


@asynccontextmanager
async def told(home: Path) -> AsyncIterator[Context]:
    """The story in the report database, its history included."""
    await store_async(home / JOURNAL, story())
    async with reports(home) as opened:
        await Projector(opened, home / JOURNAL, SystemClock()).catch_up()
        await QualityBook(opened, home / JOURNAL, SystemClock()).catch_up()
        yield context_of(home, opened)


@pytest.mark.parametrize("name", ["trade-10", "Q1", "Q2", "vQ3", "tQ2", "bot-1", "SIM:BTC/USDT"])
async def test_a_trade_is_found_by_any_of_its_names(tmp_path: Path, name: str) -> None:
    async with told(tmp_path) as context:
        found = await quality_trade(context, QualityOf(id=name))
    assert found.trade.id == "trade-10"
    assert [one.order.client_id for one in found.orders] == ["Q1", "Q2", "Q3"]
    assert [fill.client_id for fill in found.fills] == ["Q1", "Q2", "Q3"]
    assert found.orders[0].mark_outs["300"] is None
    assert found.complete
    parts = found.trade.attribution
    assert parts.signal + parts.timing + parts.execution + parts.fees + parts.funding == found.trade.pnl


async def test_what_is_not_known_is_said(tmp_path: Path) -> None:
    async with told(tmp_path) as context:
        with pytest.raises(NotFoundError, match="No trade is known under Q9"):
            await quality_trade(context, QualityOf(id="Q9"))


@pytest.mark.parametrize(
    ("asked", "names"),
    [
        ({"by": "venue"}, ["SIM"]),
        ({"by": "symbol"}, ["SIM:BTC/USDT"]),
        ({"by": "algorithm"}, ["market", "limit"]),
        ({"by": "strategy"}, ["trend_following@1"]),
        ({"by": "venue", "owner": "manual"}, []),
        ({"by": "venue", "instrument": "SIM:ETH/USDT"}, []),
        ({"by": "venue", "since": "2023-11-15"}, []),
        ({"by": "bot", "since": "2023-11-14"}, ["bot-1"]),
    ],
)
async def test_orders_are_put_together(tmp_path: Path, asked: dict[str, str], names: list[str]) -> None:
    async with told(tmp_path) as context:
        found = await quality_summary(context, QualitySummary(**asked))  # type: ignore[arg-type]
    assert [group.name for group in found.groups] == names
    assert found.complete


async def test_trades_are_listed_by_owner_market_and_whether_they_are_over(tmp_path: Path) -> None:
    async with told(tmp_path) as context:
        for asked, count in (
            ({}, 1), ({"open": False}, 1), ({"open": True}, 0), ({"owner": "manual"}, 0),
            ({"instrument": "SIM:ETH/USDT"}, 0), ({"page": 2}, 0),
        ):  # fmt: skip
            page = await quality_trades(context, QualityTrades(**asked))
            assert len(page.rows) == count, asked


async def test_another_journal_makes_it_begin_anew(tmp_path: Path) -> None:
    await store_async(tmp_path / JOURNAL, story())
    async with reports(tmp_path) as opened:
        await QualityBook(opened, tmp_path / JOURNAL, SystemClock()).catch_up()
        before = rows(tmp_path)
    execute(tmp_path / JOURNAL, "UPDATE meta SET instance = 'zzzzzzzz'")
    with closing(sqlite3.connect(tmp_path / "quarterdeck.db")) as connection, connection:
        connection.execute("UPDATE order_quality SET record = '{}'")
    async with reports(tmp_path) as opened:
        await QualityBook(opened, tmp_path / JOURNAL, SystemClock()).catch_up()
    assert rows(tmp_path) == before
