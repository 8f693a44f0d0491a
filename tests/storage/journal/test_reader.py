"""Facts are found again: by number, kind, owner, order and correlation, beside a running writer."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from engine import events as ev
from engine.model.ids import AccountId
from storage.journal import AsyncReader, Query, Reader
from tests.kit.histories import session
from tests.storage.journal.helpers import append, opened, store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from engine.events import Record

RECORDS = session(1_500)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("reader") / "journal.db"
    store(found, RECORDS)
    return found


@pytest.fixture
def reader(path: Path) -> Iterator[Reader]:
    found = Reader(path)
    yield found
    found.close()


def owners() -> dict[str, str]:
    return {r.event.client_id: r.event.owner for r in RECORDS if isinstance(r.event, ev.OrderIntended)}


def belongs_to(owner: str) -> Callable[[Record], bool]:
    orders = owners()

    def wanted(record: Record) -> bool:
        event = record.event
        if isinstance(event, ev.OrderFilled):
            return orders[event.fill.client_id] == owner
        if hasattr(event, "owner"):
            return bool(event.owner == owner)
        if hasattr(event, "bot"):
            return bool(event.bot == owner)
        return hasattr(event, "client_id") and orders[event.client_id] == owner

    return wanted


def test_records_between_two_numbers_come_in_order(reader: Reader) -> None:
    assert list(reader.records(after=100, until=900)) == RECORDS[100:900]
    assert reader.count() == reader.last_seq() == len(RECORDS)


def test_a_filter_by_kind_finds_exactly_these(reader: Reader) -> None:
    query = Query(kinds=("OrderFilled", "OrderRejected"))
    expected = [r for r in RECORDS if isinstance(r.event, ev.OrderFilled | ev.OrderRejected)]
    assert list(reader.records(query=query)) == expected
    assert reader.count(query) == len(expected)


@pytest.mark.parametrize("owner", ["trend-3", "manual"])
def test_a_filter_by_owner_finds_also_what_names_only_the_order(reader: Reader, owner: str) -> None:
    expected = list(filter(belongs_to(owner), RECORDS))
    assert {type(r.event).__name__ for r in expected} >= {"OrderIntended", "OrderAccepted", "OrderFilled"}
    assert list(reader.records(query=Query(owner=owner))) == expected
    assert reader.count(Query(owner=owner)) == len(expected)


def test_a_filter_by_correlation_and_by_order(reader: Reader) -> None:
    intent = next(r for r in RECORDS if isinstance(r.event, ev.OrderIntended))
    assert isinstance(intent.event, ev.OrderIntended)
    assert list(reader.records(query=Query(correlation=intent.correlation))) == [intent]
    history = reader.order_history(intent.event.client_id)
    assert history[0] == intent
    assert [r.seq for r in history] == sorted(r.seq for r in history)
    assert len(history) >= 3


@pytest.mark.parametrize("query", [Query(), Query(kinds=("OrderFilled",)), Query(owner="trend-7")])
@pytest.mark.parametrize("limit", [1, 7, 500])
def test_paging_by_cursor_sees_every_wanted_fact_once(reader: Reader, query: Query, limit: int) -> None:
    found: list[Record] = []
    cursor = 0
    while True:
        page = reader.since(cursor, limit, query)
        assert len(page.records) <= limit
        assert page.cursor >= cursor
        found += page.records
        cursor = page.cursor
        if cursor >= page.last:
            break
    assert found == list(reader.records(query=query))


def test_the_latest_facts_come_newest_first(reader: Reader) -> None:
    fills = [r for r in RECORDS if isinstance(r.event, ev.OrderFilled)]
    assert reader.latest(5, Query(kinds=("OrderFilled",))) == fills[:-6:-1]
    assert reader.latest(3, before=100) == RECORDS[98:95:-1]
    wanted = list(filter(belongs_to("trend-2"), RECORDS))
    assert reader.latest(10_000, Query(owner="trend-2")) == wanted[::-1]


def test_the_whole_chain_can_be_verified(reader: Reader) -> None:
    count, head = reader.verify()
    assert count == len(RECORDS)
    assert len(head) == 32


async def test_a_reader_beside_the_writer_sees_what_is_durable_and_holds_nothing_up(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    journal = opened(path)
    journal.start()
    reader = AsyncReader(path)
    cursor = 0
    for start in range(0, 600, 100):
        await append(journal, RECORDS[start : start + 100])
        page = await reader.since(cursor)
        assert page.records == RECORDS[start : start + 100]
        cursor = page.cursor
    assert await reader.count() == 600
    assert [r.seq for r in await reader.latest(2)] == [600, 599]
    pages = await asyncio.gather(*(reader.since(n, 1) for n in range(20)))
    assert [page.cursor for page in pages] == list(range(1, 21))
    assert (await reader.verify())[0] == 600
    assert len(await reader.order_history(next(iter(owners())))) >= 3
    await reader.close()
    await journal.close()


def test_a_long_curve_is_thinned_evenly_over_its_whole_time(tmp_path: Path) -> None:
    second, count = 10**9, 12_000
    facts = [
        ev.Record(n, n * second, 1, ev.EquityRecorded(account=AccountId("paper"), equity=Decimal(n), ts=n * second))
        for n in range(1, count + 1)
    ]
    path = tmp_path / "journal.db"
    store(path, facts)
    reader = Reader(path)
    whole = reader.thinned("EquityRecorded", 0, count * second, 999)
    assert 900 <= len(whole) <= 999
    assert whole[0].seq <= 13, "it begins where the facts begin"
    assert whole[-1].seq == count, "the last of a part stands for it"
    assert max(b.seq - a.seq for a, b in pairwise(whole)) <= 25
    part = reader.thinned("EquityRecorded", (count - 500) * second, count * second, 999)
    assert [record.seq for record in part] == list(range(count - 500, count + 1))
    assert reader.thinned("EquityRecorded", (count + 1) * second, (count + 9) * second, 999) == []
    assert reader.thinned("OrderFilled", 0, count * second, 999) == []
    reader.close()
