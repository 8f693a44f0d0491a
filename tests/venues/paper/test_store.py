"""The paper venue's file: what is committed is there again, whole or not at all."""

from __future__ import annotations

import sqlite3
import stat
from typing import TYPE_CHECKING

import pytest

from engine.errors import StorageError
from engine.model.ids import AccountId, ClientOrderId
from engine.venues.paper.fill_model import FillKind
from engine.venues.paper.store import Batch, PaperStore
from tests.venues.paper.helpers import PAPER, START, make_exchange, order, snapshot, trade

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from engine.venues.paper.exchange import PaperExchange


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "paper.db"


@pytest.fixture
def store(path: Path) -> Iterator[PaperStore]:
    store = PaperStore(path)
    yield store
    store.close()


@pytest.fixture
def exchange() -> PaperExchange:
    exchange = make_exchange(FillKind.BOOK, track=True, balances={"USDT": "1000", "BTC": "1"})
    exchange.on_book(snapshot([("99", "5")], [("101", "5")]))
    return exchange


def save(store: PaperStore, exchange: PaperExchange, market: bytes = b"market") -> None:
    batch = Batch.of(exchange.take_changes(), exchange.queues(), market)
    store.submit(lambda: store.commit(batch)).result()


def test_a_new_file_is_an_empty_venue(store: PaperStore, path: Path) -> None:
    stored = store.submit(store.open).result()
    assert stored.market is None
    assert stored.image.accounts == ()
    assert path.exists()


def test_what_was_committed_is_read_again(store: PaperStore, path: Path, exchange: PaperExchange) -> None:
    store.submit(store.open).result()
    exchange.place(order("buy", "limit", "2", price="99", client_id="rests"), START)
    exchange.place(order("buy", "market", "1", client_id="done"), START)
    save(store, exchange, b"first")
    exchange.on_trade(trade("99", "3", "sell"))
    save(store, exchange, b"second")
    store.close()
    again = PaperStore(path)
    stored = again.submit(again.open).result()
    again.close()
    assert stored.market == b"second"
    (rests,), (done,) = stored.image.open_orders, stored.image.ended_orders
    assert (rests.command.client_id, rests.ahead) == ("rests", 2 * 10**8)
    assert done.command.client_id == "done"
    assert [f.fill.client_id for f in stored.image.fills] == ["done"]
    assert stored.image.counters.order == 2
    (account,) = stored.image.accounts
    assert {c: str(t.normalize()) for c, t in account.totals.items()} == {"USDT": "899", "BTC": "2"}


def test_old_orders_and_fills_are_found_in_the_file(store: PaperStore, exchange: PaperExchange) -> None:
    store.submit(store.open).result()
    for number in range(3):
        exchange.place(order("buy", "market", "1", client_id=f"o{number}"), START)
    save(store, exchange)
    found = store.submit(lambda: store.find_order(PAPER, ClientOrderId("o1"))).result()
    assert found is not None
    assert found.command.client_id == "o1"
    assert store.submit(lambda: store.find_order(PAPER, ClientOrderId("o9"))).result() is None
    assert store.submit(lambda: store.find_order(AccountId("other"), ClientOrderId("o1"))).result() is None
    page = store.submit(lambda: store.find_fills(PAPER, 1, 1)).result()
    assert [(f.number, f.fill.client_id) for f in page] == [(2, "o1")]


def test_a_batch_is_stored_whole_or_not_at_all(store: PaperStore, exchange: PaperExchange, path: Path) -> None:
    store.submit(store.open).result()
    save(store, exchange)
    exchange.place(order("buy", "market", "1", client_id="o"), START)
    batch = Batch.of(exchange.take_changes(), exchange.queues(), b"later")
    # a fill number that exists already makes the third of five statements fail
    twice = Batch(batch.accounts, batch.orders, batch.fills * 2, batch.funding, batch.meta)
    with pytest.raises(StorageError, match="cannot be written"):
        store.submit(lambda: store.commit(twice)).result()
    assert store.submit(lambda: store.find_order(PAPER, ClientOrderId("o"))).result() is None
    store.submit(lambda: store.commit(batch)).result()
    assert store.submit(lambda: store.find_order(PAPER, ClientOrderId("o"))).result() is not None


def test_it_writes_ahead_and_syncs_every_commit(store: PaperStore) -> None:
    store.submit(store.open).result()

    def pragmas() -> tuple[object, object]:
        connection = store._ready()
        return tuple(connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous"))

    assert store.submit(pragmas).result() == ("wal", 2)


def test_a_file_of_the_first_version_gets_the_table_of_funding(
    store: PaperStore, exchange: PaperExchange, path: Path
) -> None:
    store.submit(store.open).result()
    save(store, exchange)
    store.close()
    with sqlite3.connect(path) as connection:
        connection.executescript(
            "DROP TABLE funding; DELETE FROM meta WHERE name = 'perpetuals'; PRAGMA user_version = 1"
        )
    connection.close()
    old = PaperStore(path)
    stored = old.submit(old.open).result()
    assert stored.image.payments == ()
    assert {image.account for image in stored.image.accounts} == {PAPER}
    assert old.submit(lambda: old.find_payments(PAPER, 0, 10)).result() == []
    old.close()


def test_a_file_of_a_newer_release_is_refused(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    store = PaperStore(path)
    with pytest.raises(StorageError, match="version 99"):
        store.submit(store.open).result()
    store.close()


def test_a_file_that_is_none_is_refused(path: Path) -> None:
    path.write_bytes(b"this is not a database, but it is long enough to look like one" * 20)
    store = PaperStore(path)
    with pytest.raises(StorageError, match="cannot be opened"):
        store.submit(store.open).result()
    store.close()


def test_a_closed_store_says_so(path: Path) -> None:
    store = PaperStore(path)
    with pytest.raises(StorageError, match="not open"):
        store.submit(lambda: store.find_order(PAPER, ClientOrderId("o"))).result()
    store.close()
    store.close()
    with pytest.raises(StorageError, match="closed"):
        store.submit(store.open)


def test_nobody_but_the_owner_reads_the_file_even_one_that_was_open_to_all(path: Path) -> None:
    path.touch(mode=0o644)
    store = PaperStore(path)
    try:
        store.submit(store.open).result()
        assert {stat.S_IMODE(file.stat().st_mode) for file in path.parent.glob("paper.db*")} == {0o600}
    finally:
        store.close()
