"""One row or thousands: created, read, changed, removed, paged and streamed."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from engine.errors import DataValidationError, NotFoundError, StorageError
from storage import tables as t
from storage.database import Database, utc_from_ns
from storage.repositories.query import Query
from storage.repositories.repository import Repository
from storage.repositories.retention import RETENTION, purge_expired
from tests.storage import rows

if TYPE_CHECKING:
    from engine.clock import SimulatedClock


async def test_a_row_is_made_read_changed_and_removed(database: Database) -> None:
    async with database.session() as session:
        made = await Repository(session, t.TradeRow).add(rows.trade())
    async with database.session() as session:
        trades = Repository(session, t.TradeRow)
        assert (await trades.require(made.id)).price == Decimal("61234.56789")
        changed = await trades.update(made.id, executed_price=Decimal("61234.5"), status="filled")
        assert changed.executed_price == Decimal("61234.5")
        assert await trades.first(trades.query().equal(side="sell")) is None
        assert await trades.first() == changed
        assert await trades.delete(made.id)
        assert not await trades.delete(made.id)
        assert await trades.get(made.id) is None


async def test_what_does_not_exist_or_may_not_change_is_named(database: Database) -> None:
    async with database.session() as session:
        trades = Repository(session, t.TradeRow)
        with pytest.raises(NotFoundError, match="There is no Trade with the key"):
            await trades.update(uuid4(), symbol="X")
        made = await trades.add(rows.trade())
        for changes in ({"prise": 1}, {"id": uuid4()}, {"created_at": rows.NOON}):
            with pytest.raises(DataValidationError):
                await trades.update(made.id, **changes)
            with pytest.raises(DataValidationError):
                await trades.update_many({made.id: changes})
        with pytest.raises(NotFoundError):
            await trades.update_many({made.id: {"symbol": "A"}, uuid4(): {"symbol": "B"}})
        assert (await trades.require(made.id)).symbol == "BTC/USDT"


async def test_thousands_of_rows_are_written_and_changed_at_once(database: Database) -> None:
    new = [rows.trade(quantity=Decimal(n + 1) / 8, client_order_id=f"q{n}") for n in range(3000)]
    async with database.session() as session:
        before = database.statistics.count
        assert await Repository(session, t.TradeRow).add_many(new) == 3000
        assert database.statistics.count - before <= 5
    async with database.session() as session:
        trades = Repository(session, t.TradeRow)
        before = database.statistics.count
        assert await trades.update_many({row.id: {"pnl": row.quantity, "status": "canceled"} for row in new}) == 3000
        assert database.statistics.count - before <= 20
        changed = await trades.find(trades.query().sorted_by("-pnl"), limit=2)
        assert [row.pnl for row in changed] == [Decimal(375), Decimal("374.875")]
        assert await trades.count(trades.query().equal(status="canceled")) == 3000
        assert await trades.delete_where(trades.query().between("pnl", low=Decimal(1))) == 2993
        assert await trades.count() == 7


async def test_one_bad_row_among_many_keeps_none(database: Database) -> None:
    for bad, error in ((rows.trade(quantity=Decimal(-1)), StorageError), (rows.trade(side="up"), DataValidationError)):
        with pytest.raises(error):
            async with database.session() as session:
                await Repository(session, t.TradeRow).add_many([rows.trade(), bad, rows.trade()])
    async with database.reading() as session:
        assert await Repository(session, t.TradeRow).count() == 0
        assert await Repository(session, t.TradeRow).add_many([]) == 0


async def test_pages_follow_each_other_without_gap_or_overlap(database: Database) -> None:
    async with database.session() as session:
        await Repository(session, t.TradeRow).add_many([rows.trade(symbol="AB"[n % 2]) for n in range(23)])
    async with database.reading() as session:
        trades = Repository(session, t.TradeRow)
        pages = [await trades.page(trades.query().sorted_by("symbol"), number=n, size=5) for n in range(1, 7)]
        assert [len(page.items) for page in pages] == [5, 5, 5, 5, 3, 0]
        assert {(page.total, page.pages) for page in pages} == {(23, 5)}
        assert [page.has_next for page in pages] == [True, True, True, True, False, False]
        seen = [row for page in pages for row in page.items]
        assert len({row.id for row in seen}) == 23
        assert [row.symbol for row in seen] == ["A"] * 12 + ["B"] * 11
        empty = await trades.page(trades.query().equal(symbol="C"))
        assert (empty.items, empty.total, empty.pages, empty.has_next) == ([], 0, 0, False)
        for number, size in ((0, 5), (1, 0), (1, 1001)):
            with pytest.raises(DataValidationError, match="cannot be read"):
                await trades.page(number=number, size=size)


async def test_a_large_result_is_streamed(database: Database) -> None:
    async with database.session() as session:
        await Repository(session, t.TradeRow).add_many([rows.trade(quantity=Decimal(n + 1)) for n in range(250)])
    async with database.reading() as session:
        trades = Repository(session, t.TradeRow)
        found = [row.quantity async for row in trades.stream(trades.query().sorted_by("quantity"), batch=100)]
    assert found == [Decimal(n + 1) for n in range(250)]


async def test_a_table_is_not_emptied_by_a_query_without_condition(database: Database) -> None:
    async with database.session() as session:
        with pytest.raises(DataValidationError, match="needs a condition"):
            await Repository(session, t.TradeRow).delete_where(Query(t.TradeRow))


async def test_only_expired_rows_are_purged(database: Database, clock: SimulatedClock) -> None:
    now = utc_from_ns(clock.now())

    def record(model: type[t.Record], expires_in: timedelta) -> t.Record:
        seen: dict[str, Any] = {"first_seen": now, "last_seen": now, "expires_at": now + expires_in}
        if model is t.ErrorRecordRow:
            return rows.make(
                t.ErrorRecordRow, severity="low", component="c", error_type="E", message="", context={}, **seen
            )
        if model is t.ErrorPatternRow:
            return t.ErrorPatternRow(pattern=str(expires_in), component="c", details={}, **seen)
        return rows.make(
            t.AnalyticsReportRow,
            kind="trend",
            period_start=now,
            period_end=now,
            content={},
            expires_at=seen["expires_at"],
        )

    async with database.session() as session:
        for model in RETENTION:
            for moment in (timedelta(seconds=-1), timedelta(0), RETENTION[model]):
                session.add(record(model, moment))
        for age in (timedelta(days=90, seconds=1), timedelta(days=89)):
            session.add(rows.make(t.StateAuditRow, check_name="order_status_sync", passed=True, timestamp=now - age))
    async with database.session() as session:
        assert await purge_expired(session) == {
            "error_records": 1,
            "error_patterns": 1,
            "analytics_reports": 1,
            "state_audit": 1,
        }
        assert [await Repository(session, model).count() for model in RETENTION] == [2, 2, 2]
    assert [period.days for period in RETENTION.values()] == [90, 30, 365]
