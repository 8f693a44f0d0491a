"""The market screen: book, trades and chart of the chosen instrument, and what can be done with one's orders."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING

import msgspec
import pytest

from engine.errors import NotFoundError
from engine.model.ids import InstrumentId
from engine.model.order import OrderSide, OrderStatus, OrderType
from screens.market_figures import ORDER_COLUMNS, order_cells
from tests.kit import fake_data, fake_market
from tests.kit.deck import console
from tests.kit.fake_link import FakeLink
from widgets.candle_chart import CandleChart
from widgets.glyphs import UNICODE
from widgets.live_table import LiveTable
from widgets.palette import Palette
from widgets.table_cells import place_columns, row_strip

if TYPE_CHECKING:
    from tests.kit.deck import Console


async def choose_order(deck: Console, client_id: str) -> None:
    """Put the cursor of the orders table on an order."""
    table = deck.app.screen.query_one("#orders", LiveTable)
    table.focus()
    table.cursor_key = client_id
    await deck.settle()


async def test_everything_of_the_chosen_instrument_is_shown() -> None:
    async with console(size=(120, 40), screen="market") as deck:
        page = deck.text()
        for what in ("Book BTC/USDT", "67,431.1", "spread 0.1", "BTC/USDT 1m", "Trades", "15:09:25", "▲ +1.24 %"):
            assert what in page
        assert "vol 1.28k BTC" in page


async def test_ones_own_orders_are_marked_in_the_book() -> None:
    async with console(size=(120, 40), screen="market") as deck:
        line = next(line for line in deck.text().splitlines() if "67,430.6 0.5" in line)
        assert "◆ 67,430.6" in line
        assert "◆0.05" in line


async def test_another_instrument_brings_its_own_book_trades_chart_and_orders() -> None:
    async with console(screen="market") as deck:
        await deck.press("right_square_bracket")
        page = deck.text()
        assert "Book ETH/USDT" in page
        assert "3,512.42" in page
        assert "ETH/USDT 1m" in page
        assert "3,480.00" in page
        assert "67,431" not in page
        filters = [row.filters.get("instrument") for row in deck.link.subscriptions if row.topic == "market.book"]
        assert filters == ["SIM:ETH/USDT"]
        await deck.press("left_square_bracket", "left_square_bracket")
        assert "Book BNB/USDT" in deck.text()


async def test_an_instrument_is_found_by_a_few_letters() -> None:
    async with console(screen="market") as deck:
        await deck.press("slash", *"sol", "enter")
        assert "Book SOL/USDT" in deck.text()
        await deck.press("i", "escape")
        assert "Book SOL/USDT" in deck.text()


async def test_the_chosen_instrument_is_kept_over_a_visit_elsewhere() -> None:
    async with console(screen="market") as deck:
        await deck.press("right_square_bracket", "1", "4")
        assert "Book ETH/USDT" in deck.text()


async def test_the_timeframe_changes_the_chart() -> None:
    async with console(screen="market") as deck:
        await deck.press("t", "t")
        assert "BTC/USDT 15m" in deck.text()
        await deck.press("T")
        assert "BTC/USDT 5m" in deck.text()
        assert deck.link.called("market.candles")[-1].params["timeframe"] == "5m"


async def test_a_late_answer_for_another_chart_is_dropped() -> None:
    async with console(screen="market") as deck:
        with deck.link.held("market.candles"):
            await deck.press("t")
            await deck.press("right_square_bracket")
        await deck.settle()
        assert "ETH/USDT 5m" in deck.text()
        bars = deck.app.screen.query_one(CandleChart)._bars
        assert 3000 < bars[-1].close < 4000


async def test_a_new_candle_moves_the_chart() -> None:
    async with console(screen="market") as deck:
        last = fake_market.candles("BTC/USDT", "1m", 300)[-1]
        grown = msgspec.structs.replace(last, close=67_500.0, high=67_500.0)
        view = deck.link._snapshot("market.candles", {"instrument": "SIM:BTC/USDT", "timeframe": "1m"})
        deck.link.publish("market.candles", msgspec.structs.replace(view, candles=(grown,)), timeframe="1m")
        await deck.settle()
        assert "67,500" in deck.text()


async def test_chart_and_tape_change_places_where_both_do_not_fit() -> None:
    async with console(screen="market") as deck:
        assert "15:09:25" not in deck.text()
        await deck.press("v")
        assert "15:09:25" in deck.text()
        assert "BTC/USDT 1m" not in deck.text()
    async with console(size=(120, 40), screen="market") as deck:
        await deck.press("v")
        assert "BTC/USDT 1m" in deck.text()


async def test_a_silent_market_is_marked_as_old() -> None:
    async with console(screen="market") as deck:
        deck.time.seconds += 12
        await deck.settle()
        assert "OLD: 12s" in deck.text()


async def test_bars_that_were_missed_while_the_link_was_lost_are_asked_for() -> None:
    async with console(screen="market") as deck:
        asked = len(deck.link.called("market.candles"))
        deck.link.lose()
        await deck.settle()
        deck.link.restore()
        await deck.settle()
        assert len(deck.link.called("market.candles")) == asked + 1


async def test_a_market_that_has_no_price_yet_is_said_to_have_none() -> None:
    async with console(FakeLink("empty"), screen="market") as deck:
        page = deck.text()
        assert "no price yet" in page
        assert "No book yet. Waiting for the feed." in page
        assert "No candles yet. Waiting for the feed." in page
        await deck.press("b")
        assert "BUY BTC/USDT" in deck.words()


@pytest.mark.parametrize("size", [(100, 30), (60, 15), (20, 6)], ids=str)
async def test_other_sizes_of_a_terminal_are_no_reason_to_fail(size: tuple[int, int]) -> None:
    async with console(size=size, screen="market") as deck:
        for keys in ("b escape", "question_mark escape", "ctrl+p escape", "ctrl+x escape", "v z z", "q"):
            await deck.press(*keys.split())
            deck.text()


async def test_a_resize_moves_the_panes() -> None:
    async with console(screen="market") as deck:
        assert "Trades" not in deck.text()
        await deck.resize(200, 50)
        assert "Trades" in deck.text()
        assert "Markets" in deck.text()


# --- orders


async def test_the_table_shows_this_instruments_orders_or_all() -> None:
    async with console(screen="market") as deck:
        assert "Orders BTC/USDT (2 elsewhere)" in deck.text()
        assert "40 %" in deck.text()
        await deck.press("a")
        assert "Orders all markets" in deck.text()


async def test_an_order_is_cancelled_after_one_question() -> None:
    async with console(screen="market") as deck:
        await choose_order(deck, "o1001")
        await deck.press("c")
        assert "Cancel: buy 0.05 BTC/USDT limit at 67,430.6." in deck.words()
        deck.pass_guard()
        await deck.press("enter")
        assert deck.link.called("orders.cancel") == [], "Enter never destroys"
        await deck.press("y", "y")
        assert [call.params for call in deck.link.called("orders.cancel")] == [{"client_id": "o1001"}]
        assert "0.05 " not in deck.text()


async def test_an_order_of_a_bot_is_named_as_such_before_it_is_cancelled() -> None:
    async with console(screen="market") as deck:
        await choose_order(deck, "o1003")
        await deck.press("c")
        assert "It belongs to trend-btc, which may send another." in deck.words()


async def test_an_order_that_has_just_ended_cannot_be_cancelled_and_the_reason_is_said() -> None:
    link = FakeLink()
    async with console(link, screen="market") as deck:
        await choose_order(deck, "o1001")
        await deck.press("c")
        link.refuse("orders.cancel", NotFoundError("There is no open order o1001. It may have ended just now."))
        deck.pass_guard()
        await deck.press("y")
        assert "It may have ended just now." in deck.words()
        await deck.press("escape")
        assert deck.dialog() == ""


async def test_all_of_ones_own_orders_here_are_cancelled_after_one_question() -> None:
    async with console(screen="market") as deck:
        await deck.press("C")
        said = deck.words()
        assert "Cancel your 2 open orders of BTC/USDT" in said
        assert "stop" not in said, "the bot's order is not among them"
        deck.pass_guard()
        await deck.press("y")
        assert [call.params for call in deck.link.called("orders.cancel_all")] == [
            {"instrument": "SIM:BTC/USDT", "owner": "manual"}
        ]


async def test_an_order_is_changed_after_a_question_that_shows_the_difference() -> None:
    async with console(screen="market") as deck:
        await choose_order(deck, "o1001")
        await deck.press("r")
        await deck.press("ctrl+up")
        await deck.press("tab", "ctrl+down", "ctrl+down")
        deck.pass_guard()
        await deck.press("enter")
        said = deck.words()
        assert "amount 0.05 → 0.05001" in said
        assert "price 67,430.6 → 67,430.4" in said
        deck.pass_guard()
        await deck.press("enter", "enter")
        assert [
            {name: str(value) for name, value in call.params.items()} for call in deck.link.called("orders.replace")
        ] == [{"client_id": "o1001", "quantity": "0.05001", "price": "67430.4"}]
        assert "67,430.4" in deck.text()


async def test_a_change_of_nothing_or_to_nothing_is_not_asked() -> None:
    async with console(screen="market") as deck:
        await choose_order(deck, "o1001")
        await deck.press("enter")
        assert deck.dialog() == "ReplaceDialog"
        deck.pass_guard()
        await deck.press("enter")
        assert "Nothing has changed yet." in deck.words()
        await deck.press(*["backspace"] * 6, "enter")
        assert "write a figure above zero" in deck.words()
        assert deck.link.called("orders.replace") == []


async def test_without_orders_the_keys_say_so() -> None:
    async with console(FakeLink("empty"), screen="market") as deck:
        assert "No open orders. b = buy, s = sell" in deck.text()
        await deck.press("c", "r", "C")
        assert deck.dialog() == ""
        assert "no order to choose" in deck.text()


# --- text from outside

HOSTILE = (
    "[red]BOLD[/red]",
    "[/x][",
    "\x1b[31mANSI\x1b[0m",
    "\x1b]0;title\x07",
    "漢字かな交じり",
    "עברית\u202eسلام",
    "x" * 60,
    "é\u0301\u0301",
    "line\nbreak\ttab",
    "👩‍👩‍👧‍👦",
    "$gain",
    "",
)


@pytest.mark.parametrize("size", [(80, 24), (200, 50)], ids=["small", "large"])
async def test_text_from_outside_neither_breaks_nor_misaligns_anything(size: tuple[int, int]) -> None:
    link = FakeLink()
    replace = msgspec.structs.replace
    instrument, ticker = link.data["instruments.list"][0], link.data["market.tickers"][0]
    order = fake_data.order("o1001", "BTC/USDT", OrderSide.BUY, OrderType.LIMIT, "0.05", price="67430.60")
    link.data["instruments.list"] += [
        replace(instrument, id=InstrumentId(f"SIM:{text}"), symbol=text) for text in HOSTILE
    ]
    link.data["market.tickers"] += tuple(
        replace(ticker, instrument=InstrumentId(f"SIM:{text}"), symbol=text) for text in HOSTILE
    )
    link.data["orders.open"] = tuple(
        replace(order, client_id=f"{text}{number}", owner_name=text, reason=text, status=OrderStatus.UNKNOWN)
        for number, text in enumerate(HOSTILE)
    )
    async with console(link, size=size, screen="market") as deck:
        # `text()` checks that every line has exactly the terminal's width.
        for text in HOSTILE:
            link.say(text, "critical", owner=text)
        for keys in (
            "a",
            "tab tab z",
            "z c",
            "escape r",
            "escape b 0 ctrl+x",
            "escape escape slash",
            "escape ctrl+p",
            "escape ctrl+l",
        ):
            await deck.press(*keys.split())
            assert "\x1b" not in deck.text()
            assert "\u202e" not in deck.text()


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_a_row_of_an_order_has_its_columns_whatever_is_in_it(text: str) -> None:
    order = fake_data.order("o1", "BTC/USDT", OrderSide.BUY, OrderType.LIMIT, "0.05", price="1", owner_name=text)
    order = msgspec.structs.replace(order, instrument=InstrumentId(f"SIM:{text}"), reason=text)
    placed = place_columns(ORDER_COLUMNS, 120)
    strip = row_strip(order_cells(order, None, UNICODE, UTC), placed, 120, Palette.plain(), UNICODE)
    assert strip.cell_length == 120
    assert "buy" in strip.text
    assert strip.text.index("0.05") == 12
