"""Executions since a cursor: each once, and those listed late too."""

from __future__ import annotations

import random

from engine.venues.coinbase.executions import OVERLAP_NS, FillCursor, placed_at
from engine.venues.coinbase.values import iso_text
from engine.venues.coinbase.wire import FillRow

T = 1_790_000_000_000_000_000
S = 1_000_000_000


def row(name: str, ts: int, order: str = "o") -> FillRow:
    return FillRow(
        trade_id=name,
        entry_id=f"e{name}{order}",
        order_id=order,
        product_id="BTC-USD",
        side="BUY",
        price="1",
        size="1",
        commission="0",
        trade_time=iso_text(ts),
        sequence_timestamp=iso_text(ts),
    )


def names(rows: list[FillRow]) -> list[str]:
    return [r.trade_id for r in rows]


def test_all_are_given_oldest_first_and_then_none() -> None:
    cursor = FillCursor(1)
    assert cursor.start("") is None
    found, after = cursor.news("", [row("b", T + S), row("a", T)])
    assert names(found) == ["a", "b"]
    assert cursor.news(after, [row("b", T + S), row("a", T)]) == ([], after)
    start = cursor.start(after)
    assert start == T + S - OVERLAP_NS


def test_one_that_is_listed_late_is_given_too_and_only_once() -> None:
    cursor = FillCursor(1)
    _, after = cursor.news("", [row("a", T), row("c", T + 2 * S)])
    found, later = cursor.news(after, [row("a", T), row("b", T + S), row("c", T + 2 * S)])
    assert names(found) == ["b"]
    assert later != after
    assert cursor.news(later, [row("a", T), row("b", T + S), row("c", T + 2 * S)])[0] == []


def test_whoever_asks_again_from_before_is_given_again() -> None:
    cursor = FillCursor(1)
    _, first = cursor.news("", [row("a", T)])
    rows = [row("a", T), row("b", T + S)]
    once, _ = cursor.news(first, rows)
    twice, _ = cursor.news(first, rows)
    assert names(once) == names(twice) == ["b"]
    assert names(cursor.news("", rows)[0]) == ["a", "b"]


def test_a_cursor_of_an_earlier_process_gives_the_last_ones_again() -> None:
    _, after = FillCursor(1).news("", [row("a", T)])
    found, _ = FillCursor(2).news(after, [row("a", T), row("b", T + S)])
    assert names(found) == ["a", "b"]


def test_both_sides_of_a_self_trade_are_given() -> None:
    found, _ = FillCursor(1).news("", [row("a", T, "buy"), row("a", T, "sell")])
    assert len(found) == 2


def test_time_in_the_sequence_stands_in_for_itself_by_the_trades_time() -> None:
    from msgspec.structs import replace

    assert placed_at(replace(row("a", T), sequence_timestamp="")) == T


def test_whatever_order_and_lateness_all_come_exactly_once() -> None:
    for seed in range(50):
        rng = random.Random(seed)
        rows = [row(str(n), T + n * S) for n in range(60)]
        # Each becomes visible up to a minute after it happened.
        visible = {r.trade_id: placed_at(r) + rng.randrange(60) * S for r in rows}
        cursor, at, given = FillCursor(seed), "", []
        for now in range(T, T + 130 * S, 7 * S):
            start = cursor.start(at)
            listed = [r for r in rows if visible[r.trade_id] <= now and (start is None or placed_at(r) >= start)]
            rng.shuffle(listed)
            found, at = cursor.news(at, listed)
            given += names(found)
        assert sorted(given, key=int) == [str(n) for n in range(60)]
