"""The portfolio screen: what is held, what it made, and closing, cancelling and changing with one question each."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec
import pytest

from engine.errors import ConflictError
from screens.formats import MASK
from screens.portfolio_dialogs import closing_words
from tests.kit import fake_data, fake_market
from tests.kit.deck import console
from tests.kit.fake_link import FakeLink
from widgets.live_table import LiveTable

if TYPE_CHECKING:
    from tests.kit.deck import Console

D = Decimal
REVERT = "bot-revert SIM:ETH/USDT paper"


def table(deck: Console, name: str) -> LiveTable:
    return deck.screen.query_one(f"#{name}", LiveTable)


async def choose(deck: Console, name: str, key: str) -> None:
    table(deck, name).focus()
    table(deck, name).cursor_key = key
    await deck.settle()


@pytest.mark.parametrize("size", [(80, 24), (100, 30), (120, 40), (200, 50), (300, 24)])
async def test_positions_balances_curve_and_orders_are_there_at_every_size(size: tuple[int, int]) -> None:
    async with console(size=size, screen="portfolio") as deck:
        page = deck.text()
        for what in ("10,040.44", "67,210.4", "▲ +13.24", "▼ -12.54", "trend-btc", "53.7 %", "Equity, 24 hours"):
            assert what in page
        assert "Open orders 5" in page


async def test_on_a_narrow_terminal_a_key_turns_to_the_fills() -> None:
    async with console(screen="portfolio") as deck:
        assert "Open orders 5, v shows fills" in deck.text()
        await deck.press("v")
        page = deck.text()
        assert "Fills 4, v shows open orders" in page
        assert "15:05:26" in page
        await deck.press("v")
        assert "Open orders 5" in deck.text()


async def test_on_a_wide_terminal_orders_and_fills_stand_side_by_side() -> None:
    async with console(size=(120, 40), screen="portfolio") as deck:
        page = deck.text()
        assert "Open orders 5 " in page
        assert "Fills 4 " in page
        await deck.press("v")
        assert deck.text() == page


async def test_turning_panes_keeps_the_focus_where_the_eye_is() -> None:
    async with console(screen="portfolio") as deck:
        table(deck, "orders").focus()
        await deck.press("v")
        assert deck.screen.focused is table(deck, "fills")
        await deck.press("v")
        assert deck.screen.focused is table(deck, "orders")


async def test_the_curve_goes_through_its_ranges_and_back() -> None:
    async with console(screen="portfolio") as deck:
        for name, words in (("week", "7 days"), ("month", "31 days"), ("all", "whole time"), ("day", "24 hours")):
            await deck.press("t")
            assert deck.link.called("portfolio.history")[-1].params == {"range": name}
            assert f"Equity, {words}" in deck.text()
        await deck.press("T")
        assert deck.link.called("portfolio.history")[-1].params == {"range": "all"}


async def test_an_answer_for_another_range_is_not_drawn() -> None:
    async with console(screen="portfolio") as deck:
        with deck.link.held("portfolio.history"):
            await deck.press("t", "t")
            assert "Equity, 31 days" in deck.text()
        await deck.settle()
        assert "Equity, 31 days: +1.51 %" in deck.text()


# --- closing


async def test_closing_ones_own_position_says_exactly_what_is_sent_and_sends_once() -> None:
    async with console(screen="portfolio") as deck:
        await deck.press("x")
        words = deck.words()
        assert "Sell 0.06 BTC/USDT at the market, reducing only." in words
        assert "long 0.06 BTC/USDT, yours" in words
        assert "+13.24 USDT" in words
        await deck.press("enter", "y")
        assert not deck.link.called("portfolio.close")
        deck.pass_guard()
        await deck.press("enter")
        assert not deck.link.called("portfolio.close")
        with deck.link.held("portfolio.close"):
            await deck.press("y", "y", "y")
        await deck.until(lambda: deck.dialog() == "")
        calls = deck.link.called("portfolio.close")
        assert [call.params for call in calls] == [
            {"instrument": "SIM:BTC/USDT", "owner": "manual", "account": "paper"}
        ]
        assert calls[0].request_id


async def test_closing_a_bots_position_names_the_bot() -> None:
    async with console(screen="portfolio") as deck:
        await choose(deck, "positions", REVERT)
        await deck.press("x")
        words = deck.words()
        assert "of the bot revert-eth" in words
        assert "goes on and may enter again" in words
        deck.pass_guard()
        await deck.press("y")
        await deck.until(lambda: bool(deck.link.called("portfolio.close")))
        asked = deck.link.called("portfolio.close")[0].params
        assert asked == {"instrument": "SIM:ETH/USDT", "owner": "bot-revert", "account": "paper"}


async def test_a_refused_closing_is_said_and_can_be_tried_again() -> None:
    async with console(screen="portfolio") as deck:
        deck.link.refuse("portfolio.close", ConflictError("The venue has not confirmed the cancels yet. Try again."))
        await deck.press("x")
        deck.pass_guard()
        await deck.press("y")
        await deck.until(lambda: "has not confirmed" in deck.words())
        deck.link.refuse("portfolio.close", None)
        await deck.press("y")
        await deck.until(lambda: deck.dialog() == "")


def test_what_is_less_than_a_lot_is_not_sent() -> None:
    row = msgspec.structs.replace(fake_data.positions()[0], quantity=D("-0.014985015"))
    assert closing_words(row, fake_market.instrument_rows()[0]).startswith("Buy 0.01498 BTC/USDT")
    assert closing_words(row, None).startswith("Buy 0.014985015 BTC/USDT")


# --- orders


async def test_the_chosen_order_is_cancelled_after_a_question() -> None:
    async with console(screen="portfolio") as deck:
        await choose(deck, "orders", "o1003")
        await deck.press("c")
        assert "belongs to trend-btc" in deck.words()
        deck.pass_guard()
        await deck.press("y")
        await deck.until(lambda: bool(deck.link.called("orders.cancel")))
        assert deck.link.called("orders.cancel")[0].params == {"client_id": "o1003"}
        await deck.settle()
        assert "Open orders 4" in deck.text()


async def test_the_chosen_order_is_changed_by_enter_or_r() -> None:
    async with console(screen="portfolio") as deck:
        await choose(deck, "orders", "o1001")
        await deck.press("enter")
        assert deck.dialog() == "ReplaceDialog"
        await deck.press("escape", "r")
        assert deck.dialog() == "ReplaceDialog"


@pytest.mark.parametrize(
    ("name", "key"), [("positions", REVERT), ("orders", "o1004"), ("fills", "9106")], ids=["position", "order", "fill"]
)
async def test_a_row_leads_to_its_market(name: str, key: str) -> None:
    async with console(size=(120, 40), screen="portfolio") as deck:
        await choose(deck, name, key)
        await deck.press("m")
        assert deck.app.current_mode == "market"
        assert "Book ETH/USDT" in deck.text()


# --- empty, lost, private


async def test_an_empty_portfolio_names_the_keys_that_fill_it_and_does_nothing() -> None:
    async with console(FakeLink("empty"), size=(120, 40), screen="portfolio") as deck:
        page = deck.text()
        for what in ("No open positions. 4 b = buy on Market", "No open orders. 4 b = buy", "No fills yet. 4 b = buy"):
            assert what in page
        await deck.press("x", "c", "r", "m")
        assert deck.dialog() == ""
        assert deck.app.current_mode == "portfolio"


async def test_a_lost_engine_gets_no_order() -> None:
    async with console(screen="portfolio") as deck:
        deck.link.lose()
        await deck.settle()
        await deck.press("x", "c", "r")
        assert deck.dialog() == ""
        assert "LINK LOST" in deck.text()


async def test_privacy_hides_every_amount() -> None:
    async with console(size=(200, 50), screen="portfolio") as deck:
        await deck.press("ctrl+o")
        page = deck.text()
        assert MASK in page
        for amount in ("10,040", "4,045", "13.24", "1,736", "5,394", "9,882", "0.06 "):
            assert amount not in page
        assert "67,210.4" in page


async def test_new_fills_are_asked_for_when_something_happened() -> None:
    async with console(size=(120, 40), screen="portfolio") as deck:
        before = len(deck.link.called("orders.fills"))
        deck.link.say("Bought 1 BNB/USDT at 571.20.", severity="info")
        await deck.settle()
        assert len(deck.link.called("orders.fills")) == before + 1


async def test_the_topics_are_left_with_the_screen() -> None:
    async with console(screen="portfolio") as deck:
        assert "portfolio.balances" in deck.link.topics()
        await deck.press("4")
        assert "portfolio.balances" not in deck.link.topics()
