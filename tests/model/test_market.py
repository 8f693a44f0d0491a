"""A book is what its updates say, whatever their order of levels; a lost update is noticed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from engine.model.ids import InstrumentId
from engine.model.market import BookUpdate, OrderBook
from engine.model.order import OrderSide

KEY = InstrumentId("SIM:BTC/USDT")
LEVELS = st.lists(st.tuples(st.integers(1, 30), st.integers(0, 5)), max_size=12)


def update(seq: int, bids: list[tuple[int, int]], asks: list[tuple[int, int]], *, snapshot: bool = False) -> BookUpdate:
    return BookUpdate(KEY, seq, seq, snapshot, tuple(bids), tuple(asks))


@given(LEVELS, LEVELS, st.lists(st.tuples(LEVELS, LEVELS), max_size=8))
def test_a_book_is_the_sum_of_its_updates(
    bids: list[tuple[int, int]], asks: list[tuple[int, int]], more: list[tuple[list[tuple[int, int]], ...]]
) -> None:
    book = OrderBook(KEY)
    assert book.apply(update(5, bids, asks, snapshot=True))
    plain_bids, plain_asks = dict(bids), dict(asks)
    for number, (some_bids, some_asks) in enumerate(more, 6):
        assert book.apply(update(number, some_bids, some_asks))
        plain_bids |= dict(some_bids)
        plain_asks |= dict(some_asks)
    plain_bids = {price: size for price, size in plain_bids.items() if size}
    plain_asks = {price: size for price, size in plain_asks.items() if size}
    assert book.top_bids(100) == sorted(plain_bids.items(), reverse=True)
    assert book.top_asks(100) == sorted(plain_asks.items())
    assert book.best_bid == max(plain_bids, default=None)
    assert book.best_ask == min(plain_asks, default=None)
    assert book.crossed == bool(plain_bids and plain_asks and max(plain_bids) >= min(plain_asks))
    assert book.levels(OrderSide.BUY) == book.top_asks(100)
    assert book.levels(OrderSide.SELL) == book.top_bids(100)
    again = OrderBook(KEY)
    again.apply(book.to_snapshot())
    assert (again.bids, again.asks, again.seq) == (book.bids, book.asks, book.seq)
    assert len(book.to_snapshot(2).bids) <= 2


@given(st.integers(-3, 9).filter(lambda step: step != 1))
def test_an_update_that_does_not_follow_changes_nothing(step: int) -> None:
    book = OrderBook(KEY)
    book.apply(update(10, [(5, 1)], [(7, 1)], snapshot=True))
    assert not book.apply(update(10 + step, [(6, 1)], []))
    assert (book.seq, book.best_bid, book.ts) == (10, 5, 10)


def test_the_first_update_without_a_snapshot_is_a_gap() -> None:
    assert not OrderBook(KEY).apply(update(5, [(1, 1)], []))
