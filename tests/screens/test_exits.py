"""Stop and target of a position: proposed, judged by the engine, shown exactly, placed once."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from textual.widgets import Input

from screens.dialogs import GUARD_S
from screens.exits_dialog import outcome_words
from tests.kit import fake_data
from tests.kit.deck import FakeTime, console, make_app
from tests.kit.fake_link import FakeLink
from tests.kit.fake_places import spread
from tests.screens.test_account_snapshots import drawn
from widgets.live_table import LiveTable

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.pilot import Pilot

    from console.ending import ExitIntent
    from tests.kit.deck import Console

D = Decimal


def field(deck: Console, name: str) -> Input:
    return deck.app.screen.query_one(f"#{name}", Input)


async def open_exits(deck: Console) -> None:
    await deck.press("p")
    await deck.until(lambda: deck.dialog() == "ExitsDialog")
    deck.pass_guard()
    await deck.settle()


async def test_exits_are_proposed_and_sent_once_after_a_question_that_says_where_they_wait() -> None:
    async with console(screen="portfolio") as deck:
        await open_exits(deck)
        assert deck.link.called("orders.preview_exits")[0].params == {
            "instrument": "SIM:BTC/USDT", "account": "paper", "side": "sell",
        }  # fmt: skip
        words = deck.words()
        for told in (
            "Long 0.06 BTC/USDT, entry 67,210.4, now 67,431.05",
            "66,082.4",
            "70,128.2",
            "-2.0 %, -67.68 USDT",
        ):
            assert told in words
        assert "On this side one order works already." in words
        await deck.press("enter")
        await deck.until(lambda: deck.dialog() == "ConfirmDialog")
        words = deck.words()
        assert "SELL 0.06 BTC of BTC/USDT: stop at 66082.4, target at 70128.2." in words
        assert "Stop rests at the venue" in words
        assert "Target only while the engine lives" in words
        assert not deck.link.called("orders.place_exits")
        deck.pass_guard()
        with deck.link.held("orders.place_exits"):
            await deck.press("enter", "enter", "y")
        await deck.until(lambda: deck.dialog() == "")
        (sent,) = deck.link.called("orders.place_exits")
        assert sent.request_id
        assert sent.params == {
            "instrument": "SIM:BTC/USDT", "account": "paper", "side": "sell", "stop_price": D("66082.4"),
            "target_price": D("70128.2"), "quantity": D("0.06"),
        }  # fmt: skip


async def test_a_price_that_is_left_empty_is_not_sent_and_notes_follow_what_is_typed() -> None:
    async with console(screen="portfolio") as deck:
        await open_exits(deck)
        field(deck, "target_price").value = ""
        field(deck, "stop_price").value = "67,000"
        await deck.settle()
        words = deck.words()
        assert "-0.6 %, -12.62 USDT" in words
        assert "none" in words
        await deck.press("enter")
        await deck.until(lambda: deck.dialog() == "ConfirmDialog")
        deck.pass_guard()
        await deck.press("y")
        await deck.until(lambda: bool(deck.link.called("orders.place_exits")))
        assert "target_price" not in deck.link.called("orders.place_exits")[0].params


@pytest.mark.parametrize(
    ("stop", "target", "amount", "said"),
    [
        ("", "", "0.06", "Write a stop, a target, or both."),
        ("0", "", "0.06", "Stop: write a figure above zero, or nothing."),
        ("66000", "", "", "Amount: write how much the orders shall be about."),
        ("67100", "", "0.06", "The stop is too close to the market. Set it lower."),
    ],
)
async def test_what_cannot_be_sent_is_said_and_the_dialog_stays(stop: str, target: str, amount: str, said: str) -> None:
    async with console(screen="portfolio") as deck:
        await open_exits(deck)
        for name, text in (("stop_price", stop), ("target_price", target), ("quantity", amount)):
            field(deck, name).value = text
        await deck.press("enter")
        await deck.until(lambda: said in deck.words())
        assert deck.dialog() == "ExitsDialog"
        assert not deck.link.called("orders.place_exits")


async def test_the_position_of_a_bot_is_left_to_the_bot() -> None:
    async with console(screen="portfolio") as deck:
        deck.screen.query_one("#positions", LiveTable).cursor_key = "bot-revert SIM:ETH/USDT paper"
        await deck.settle()
        await deck.press("p")
        assert deck.dialog() == ""
        assert not deck.link.called("orders.preview_exits")


async def test_exits_go_to_the_account_that_has_the_position() -> None:
    async with console(spread(FakeLink()), screen="portfolio") as deck:
        deck.screen.query_one("#positions", LiveTable).cursor_key = "manual OKX:BTC/USDT hedge"
        await deck.settle()
        await open_exits(deck)
        asked = deck.link.called("orders.preview_exits")[0].params
        assert (asked["account"], asked["side"]) == ("hedge", "buy")
        assert "Short 0.02 BTC/USDT on OKX/hedge" in deck.words()


async def test_the_footer_and_the_palette_have_it() -> None:
    async with console(screen="portfolio") as deck:
        assert "p Protect" in deck.text()
        await deck.press("ctrl+p", *"protect")
        assert "Protect" in deck.words()
        assert "Place a stop, a target or both" in deck.words()


def test_an_outcome_is_hidden_with_the_amounts_and_counts_contracts() -> None:
    row = fake_data.positions()[0]
    assert outcome_words(row, None, None, hidden=False) == "none"
    assert outcome_words(row, None, D("67431.05"), hidden=False) == "0.0 %, +13.24 USDT"
    assert "13.24" not in outcome_words(row, None, D("67431.05"), hidden=True)


@pytest.mark.parametrize("asked", [False, True], ids=["filled in", "asked"])
def test_pictures_of_exits(snap_compare: Callable[..., bool], asked: bool) -> None:
    link, time = FakeLink(), FakeTime()
    app = make_app(link, time, screen="portfolio")

    async def before(pilot: Pilot[ExitIntent]) -> None:
        await drawn(link, time, "p")(pilot)
        if asked:
            time.seconds += GUARD_S * 1.1
            await drawn(link, time, "enter")(pilot)

    assert snap_compare(app, terminal_size=(80, 24), run_before=before)
