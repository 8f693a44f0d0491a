"""The ladder: asks over bids, own orders and the last trade marked, the cursor on a price and not on a line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.widgets.counting import FakeMarket
from tests.widgets.showing import ASCII, COLOURED, PLAIN, UNICODE, Showing, inks, seen, text
from widgets.ladder import LadderState, LastTrade, Level, OrderLadder, depth_bar, ladder_rows, visible_levels

if TYPE_CHECKING:
    from textual.geometry import Region


def level(price: int, size: str = "1.0000", depth: float = 0.5) -> Level:
    return Level(price, f"{price / 100:.2f}", size, "2.000", depth)


BIDS = [level(price) for price in (10000, 9990, 9980)]
ASKS = [level(price) for price in (10010, 10020, 10030)]
STATE = LadderState(BIDS, ASKS, {9990: "0.5"}, LastTrade(10000, "100.00", True), "0.10")


def test_the_best_prices_meet_at_the_spread_line() -> None:
    lines = text(ladder_rows(STATE, 44, 9, PLAIN, UNICODE))
    assert [line[2:11].strip() for line in lines] == [
        "Price",
        "100.30",
        "100.20",
        "100.10",
        "100.00",
        "100.00",
        "99.90",
        "99.80",
        "",
    ]
    assert "spread 0.10" in lines[4]


def test_a_short_side_leaves_its_far_lines_blank() -> None:
    entries = visible_levels(LadderState(BIDS[:1], ASKS[:2]), 10)
    assert [entry and entry[1].key for entry in entries] == [None, None, 10020, 10010, None, 10000, None, None, None]


def test_own_orders_and_the_last_trade_are_marked_by_signs() -> None:
    lines = text(ladder_rows(STATE, 44, 9, PLAIN, UNICODE))
    own, last = lines[6], lines[5]
    assert own[1] == "◆"
    assert own.endswith("◆0.5")
    assert last[1] == "●"
    assert "▲" in lines[4]
    assert "*0.5" in text(ladder_rows(STATE, 44, 9, PLAIN, ASCII))[6]


def test_bids_and_asks_have_their_inks() -> None:
    rows = ladder_rows(STATE, 44, 9, COLOURED, UNICODE)
    styles = {segment.style for segment in rows[3]} & {COLOURED["ask"], COLOURED["bid"]}
    assert styles == {COLOURED["ask"]}
    assert inks(rows[6], COLOURED)["own"] == "◆ ◆0.5"


@given(st.integers(1, 120), st.integers(1, 50), st.booleans())
def test_every_line_fills_its_cells_in_any_size(width: int, height: int, plain: bool) -> None:
    rows = ladder_rows(STATE, width, height, PLAIN, ASCII if plain else UNICODE, focused=True)
    assert all(row.cell_length == width for row in rows)


def test_when_narrow_the_total_leaves_before_the_size() -> None:
    lines = text(ladder_rows(STATE, 26, 9, PLAIN, UNICODE))
    assert "Total" not in lines[0]
    assert "1.0000" in lines[3]


@pytest.mark.parametrize(
    ("share", "expected"), [(0.0, "    "), (1.0, "████"), (0.5, "██  "), (0.53, "██▏ "), (-1.0, "    "), (7.0, "████")]
)
def test_a_depth_bar_is_filled_in_eighths(share: float, expected: str) -> None:
    assert depth_bar(share, 4, UNICODE) == expected


def test_a_depth_bar_of_ascii_is_filled_in_whole_cells() -> None:
    assert depth_bar(0.5, 4, ASCII) == "##  "


class Recording(Showing):
    """Keeps what the ladder reports."""

    def __init__(self, ladder: OrderLadder) -> None:
        super().__init__(ladder)
        self.highlighted: list[str | None] = []
        self.taken: list[tuple[str, str]] = []

    def on_order_ladder_level_highlighted(self, message: OrderLadder.LevelHighlighted) -> None:
        self.highlighted.append(message.level.price if message.level else None)
        assert message.control is message.ladder

    def on_order_ladder_level_selected(self, message: OrderLadder.LevelSelected) -> None:
        self.taken.append((message.level.price, message.side))
        assert message.control is message.ladder


async def test_the_cursor_walks_through_the_levels_and_enter_takes_the_price() -> None:
    ladder = OrderLadder()
    app = Recording(ladder)
    async with app.run_test(size=(44, 11)) as pilot:
        ladder.update(BIDS, ASKS)
        ladder.drain()
        await pilot.press("j", "j", "enter", "k", "k", "enter", "g", "G", "m")
        await pilot.pause()
    assert app.highlighted == ["100.00", "99.90", "100.00", "100.10", "100.30", "99.80", "100.00"]
    assert app.taken == [("99.90", "bid"), ("100.10", "ask")]


async def test_the_cursor_stays_on_its_price_while_the_book_moves() -> None:
    ladder = OrderLadder()
    async with Showing(ladder).run_test(size=(44, 11)) as pilot:
        ladder.update(BIDS, ASKS)
        ladder.drain()
        await pilot.press("j", "j")
        ladder.update(BIDS[1:], [level(10000), *ASKS])
        ladder.drain()
        assert ladder.cursor_level == (BIDS[1], "bid")
        ladder.update(BIDS[2:], ASKS)
        ladder.drain()
        assert ladder.cursor_level is None
        await pilot.press("enter", "j")
        assert ladder.cursor_level == (BIDS[2], "bid")


async def test_a_click_puts_the_cursor_on_a_price() -> None:
    ladder = OrderLadder()
    async with Showing(ladder).run_test(size=(44, 11)) as pilot:
        ladder.update(BIDS, ASKS)
        ladder.drain()
        await pilot.click(ladder, offset=(5, 4))
        assert ladder.cursor_level == (ASKS[0], "ask")


async def test_without_a_book_it_says_what_it_waits_for() -> None:
    ladder = OrderLadder(empty="Waiting for SIM.")
    async with Showing(ladder).run_test(size=(44, 11)) as pilot:
        await pilot.press("j", "G", "m", "enter")
        assert any("Waiting for SIM." in line for line in seen(ladder))
        ladder.update(BIDS, ASKS)
        ladder.drain()
        assert "Price" in seen(ladder)[0]
        ladder.clear()
        ladder.drain()
        assert any("Waiting for SIM." in line for line in seen(ladder))


async def test_one_changed_size_refreshes_one_stretch(monkeypatch: pytest.MonkeyPatch) -> None:
    ladder = OrderLadder()
    async with Showing(ladder).run_test(size=(44, 11)) as pilot:
        ladder.update(BIDS, ASKS)
        ladder.drain()
        await pilot.pause()
        regions: list[Region] = []
        monkeypatch.setattr(ladder, "refresh", lambda *given, **_: regions.extend(given))
        ladder.update([level(10000, "1.2345"), *BIDS[1:]], ASKS)
        ladder.drain()
        assert [region.y for region in regions] == [5]
        ladder.update([level(10000, "1.2345"), *BIDS[1:]], list(ASKS))
        assert not ladder.drain()


async def test_a_moving_market_is_drawn_without_a_fault() -> None:
    ladder = OrderLadder()
    market = FakeMarket()
    async with Showing(ladder).run_test(size=(44, 24)) as pilot:
        for _ in range(30):
            market.step()
            ladder.update(**market.book())
            ladder.drain()
        await pilot.pause()
        lines = seen(ladder)
        assert market.book()["asks"][0].price in lines[10]
