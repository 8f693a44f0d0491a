"""The screen of bots: what each does, and every step of a bot's life by keyboard alone."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec
import pytest

from engine.bots.execution import ENTRY_ALGORITHMS
from engine.errors import ConfigurationError, ConflictError
from engine.model.entries import BotState
from screens.bot_forms import ENTRIES, entries_field, execution_of, free_name
from screens.form import Form
from screens.form_fields import PARAM
from tests.kit import fake_data
from tests.kit.deck import console
from tests.kit.fake_link import FakeLink
from widgets.live_table import LiveTable

if TYPE_CHECKING:
    from tests.kit.deck import Console


async def choose_bot(deck: Console, name: str) -> None:
    """Put the cursor on a bot."""
    row = next(row for row in deck.link.data["bots.list"] if row.name == name)
    deck.screen.choose(row.id)
    await deck.settle()
    await deck.settle()


async def open_form(deck: Console, *keys: str) -> Form:
    await deck.press(*keys)
    await deck.settle()
    deck.pass_guard()
    return deck.app.screen.query_one(Form)


async def write(deck: Console, form: Form, name: str, text: str) -> None:
    """Go to a field and write into it as a person would."""
    for _ in range(len(form.fields)):
        if form.field.name == name:
            break
        await deck.press("down")
    await deck.press("ctrl+u", *text)


def state_of(deck: Console, name: str) -> BotState:
    found = next(row for row in deck.link.data["bots.list"] if row.name == name)
    assert isinstance(found.state, BotState)
    return found.state


async def test_every_bot_is_shown_with_state_position_and_profit_beyond_colour() -> None:
    async with console(size=(120, 40), screen="bots") as deck:
        page = deck.text()
        for what in ("● running", "✗ failed", "○ stopped", "▲ +28.11", "▼ -18.54", "4/1", "BTC/USDT", "2 of 4 running"):
            assert what in page


async def test_beside_the_chosen_bot_stand_its_orders_fills_parameters_and_events() -> None:
    async with console(size=(120, 40), screen="bots") as deck:
        deck.link.say("Signal enter long", owner="bot-trend")
        await deck.settle()
        page = deck.text()
        for what in ("trend_following 1", "66,100 stop", "66,890", "Bars of the slow average", "Signal enter long"):
            assert what in page


async def test_the_reason_of_a_failure_comes_first() -> None:
    async with console(screen="bots") as deck:
        await choose_bot(deck, "breakout-sol")
        assert "ZeroDivisionError in on_bar: float" in deck.text()


async def test_pages_turn_where_not_all_fit() -> None:
    async with console(screen="bots") as deck:
        assert "Open orders" in deck.text()
        await deck.press("v")
        assert "fast_ma" in deck.text()
        assert "Open orders" not in deck.text()
        await deck.press("v", "v", "v")
        assert "Open orders" in deck.text()


async def test_without_bots_the_table_names_the_key_that_makes_one() -> None:
    async with console(FakeLink("empty"), screen="bots") as deck:
        assert "No bots yet. n makes one." in deck.text()
        await deck.press("s", "x", "D", "e", "p", "P", "X")
        assert not deck.dialog()
        assert "There is no bot to" in deck.text()


async def test_a_bot_is_made_by_keyboard_alone_with_only_what_differs() -> None:
    async with console(screen="bots") as deck:
        form = await open_form(deck, "n")
        assert form.texts["name"] == "trend-btc-2"
        await write(deck, form, "name", "mine")
        await write(deck, form, "capital", "2,500")
        await write(deck, form, f"{PARAM}slow_ma", "80")
        await deck.press("enter")
        await deck.settle()
        (call,) = deck.link.called("bots.create")
        assert call.params == {
            "name": "mine",
            "strategy": "trend_following",
            "strategy_file": None,
            "instrument": "SIM:BTC/USDT",
            "timeframe": "1m",
            "capital": "2500",
            "params": {"slow_ma": 80},
            "autostart": False,
        }
        assert call.request_id
        assert not deck.dialog()
        assert "mine is made. s starts it." in deck.text()
        await deck.settle()
        await deck.press("s")
        deck.pass_guard()
        await deck.press("enter")
        assert state_of(deck, "mine") is BotState.RUNNING


async def test_another_strategy_brings_its_parameters_and_a_name_that_goes_with_it() -> None:
    async with console(screen="bots") as deck:
        form = await open_form(deck, "n")
        await deck.press("right")
        assert "Parameters of mean_reversion" in deck.text()
        assert "entry_z" in deck.text()
        assert form.texts["name"] == "mean-btc"
        await write(deck, form, "instrument", "")
        await deck.press("right")
        assert form.texts["name"] == "mean-eth"


async def test_what_was_typed_survives_another_strategy() -> None:
    async with console(screen="bots") as deck:
        form = await open_form(deck, "n")
        await write(deck, form, "name", "kept")
        form.go("strategy")
        await deck.press("right")
        assert form.texts["name"] == "kept"


async def test_a_wrong_value_is_said_at_once_and_nothing_is_sent() -> None:
    async with console(screen="bots") as deck:
        form = await open_form(deck, "n")
        await write(deck, form, f"{PARAM}fast_ma", "1")
        assert "✗ a whole number, 2 to 200" in deck.text()
        form.go("name")
        await deck.press("ctrl+u", "enter")
        assert "Name: must not be empty. 1 more to correct." in deck.text()
        assert deck.link.called("bots.create") == []


async def test_a_name_that_is_taken_is_refused_before_the_engine_is_asked() -> None:
    async with console(screen="bots") as deck:
        form = await open_form(deck, "n")
        await write(deck, form, "name", "TREND-BTC")
        await deck.press("enter")
        assert "another bot has this name" in deck.text()
        assert deck.link.called("bots.create") == []


async def test_what_the_engine_finds_wrong_is_marked_in_its_field_and_can_be_corrected() -> None:
    async with console(screen="bots") as deck:
        faults = {"fast_ma": "must be below slow_ma"}
        deck.link.refuse("bots.create", ConfigurationError("Parameters need a correction.", details={"faults": faults}))
        form = await open_form(deck, "n")
        await deck.press("enter")
        await deck.settle()
        page = deck.text()
        assert "Parameters need a correction." in page
        assert "✗ must be below slow_ma" in page
        assert form.field.name == f"{PARAM}fast_ma"
        deck.link.refuse("bots.create", None)
        await deck.press("ctrl+u", *"10", "enter")
        await deck.settle()
        first, second = deck.link.called("bots.create")
        assert first.request_id != second.request_id
        assert second.params["params"] == {"fast_ma": 10}


async def test_enter_typed_ahead_of_the_form_makes_no_bot() -> None:
    async with console(screen="bots") as deck:
        await deck.press("n", "enter", "enter")
        assert deck.link.called("bots.create") == []


async def test_enter_twice_makes_one_bot() -> None:
    async with console(screen="bots") as deck:
        await open_form(deck, "n")
        with deck.link.held("bots.create"):
            await deck.press("enter", "enter")
        await deck.settle()
        assert len(deck.link.called("bots.create")) == 1


async def test_a_strategy_file_is_loaded_for_its_parameters() -> None:
    async with console(screen="bots") as deck:
        form = await open_form(deck, "n")
        await deck.press("left")
        await write(deck, form, "file", "~/my_idea.py")
        deck.app.screen._look()  # type: ignore[attr-defined]  # what the timer does when typing has paused
        await deck.settle()
        assert "Parameters of my_idea" in deck.text()
        await deck.press("enter")
        await deck.settle()
        (call,) = deck.link.called("bots.create")
        assert (call.params["strategy"], call.params["strategy_file"]) == ("my_idea", "~/my_idea.py")


async def test_a_strategy_file_that_cannot_be_loaded_is_said() -> None:
    async with console(screen="bots") as deck:
        form = await open_form(deck, "n")
        await deck.press("left")
        await write(deck, form, "file", "/no/where")
        await deck.press("enter")
        await deck.settle()
        assert "cannot be read" in deck.text()
        assert deck.link.called("bots.create") == []


async def test_starting_says_what_will_happen_and_asks_once() -> None:
    async with console(screen="bots") as deck:
        await choose_bot(deck, "revert-bnb")
        await deck.press("s")
        assert "Start revert-bnb: mean_reversion on BNB/USDT" in deck.text()
        await deck.press("enter")
        assert deck.link.called("bots.start") == []
        deck.pass_guard()
        await deck.press("enter")
        assert state_of(deck, "revert-bnb") is BotState.RUNNING


async def test_pause_and_resume_share_a_key() -> None:
    async with console(screen="bots") as deck:
        await choose_bot(deck, "trend-btc")
        for state in (BotState.PAUSED, BotState.RUNNING):
            await deck.press("p")
            deck.pass_guard()
            await deck.press("enter")
            await deck.settle()
            assert state_of(deck, "trend-btc") is state


@pytest.mark.parametrize(("letter", "policy"), [("o", "cancel_orders"), ("l", "leave"), ("p", "close")])
async def test_stopping_asks_what_becomes_of_orders_and_position(letter: str, policy: str) -> None:
    async with console(screen="bots") as deck:
        await choose_bot(deck, "trend-btc")
        await deck.press("x")
        assert "trend-btc holds 0.02 BTC/USDT and has 1 open order." in deck.text()
        await deck.press(letter)
        assert deck.link.called("bots.stop") == []
        deck.pass_guard()
        await deck.press(letter)
        (call,) = deck.link.called("bots.stop")
        assert call.params["positions"] == policy


async def test_enter_on_the_stop_never_closes_a_position_by_itself() -> None:
    async with console(screen="bots") as deck:
        await choose_bot(deck, "trend-btc")
        await deck.press("x")
        deck.pass_guard()
        await deck.press("enter")
        (call,) = deck.link.called("bots.stop")
        assert call.params["positions"] == "cancel_orders"


async def test_a_running_bot_is_not_deleted_and_keeps_its_market_when_it_is_changed() -> None:
    async with console(screen="bots") as deck:
        await choose_bot(deck, "trend-btc")
        await deck.press("D", "s")
        assert not deck.dialog()
        assert "stop it before" in deck.text()
        form = await open_form(deck, "e")
        assert not {"instrument", "timeframe", "account"} & set(form.texts)
        assert (form.texts["priority"], form.texts["process"]) == ("7", "yes")
        await write(deck, form, "priority", "9")
        await deck.press("enter")
        await deck.settle()
        (call,) = deck.link.called("bots.configure")
        assert call.params["instrument"] == "SIM:BTC/USDT"
        assert (call.params["priority"], call.params["isolation"]) == (9, "process")
        assert call.params["risk"] == {"max_position_size_pct": "0.05"}, "what the form does not ask for stays"


async def test_a_running_bot_is_given_another_strategy_by_keyboard() -> None:
    async with console(screen="bots") as deck:
        await choose_bot(deck, "trend-btc")
        form = await open_form(deck, "w")
        assert form.texts["strategy"] == "trend_following"
        await deck.press("right")
        await deck.settle()
        other = form.texts["strategy"]
        assert other != "trend_following"
        await deck.press("enter")
        await deck.settle()
        (call,) = deck.link.called("bots.swap")
        assert call.params == {
            "bot": "bot-trend", "timeframe": "1m", "strategy": other, "strategy_file": None, "params": {},
        }  # fmt: skip
        assert f"goes on with {other}" in deck.text()
        assert state_of(deck, "trend-btc") is BotState.RUNNING


async def test_the_present_strategy_swapped_again_says_what_went_back_to_its_default() -> None:
    bots = [
        msgspec.structs.replace(row, params={"fast_ma": 30}) if row.name == "trend-btc" else row
        for row in fake_data.bots()
    ]
    link = FakeLink()
    link.data["bots.list"] = tuple(bots)
    async with console(link, screen="bots") as deck:
        await choose_bot(deck, "trend-btc")
        form = await open_form(deck, "w")
        assert form.texts[f"{PARAM}fast_ma"] == "30"
        await write(deck, form, f"{PARAM}fast_ma", "20")
        await deck.press("enter")
        await deck.settle()
        (call,) = deck.link.called("bots.swap")
        assert call.params["params"] == {"fast_ma": "20"}


async def test_an_earlier_version_comes_back_after_one_question() -> None:
    async with console(screen="bots") as deck:
        await choose_bot(deck, "trend-btc")
        await deck.press("V")
        await deck.settle()
        deck.pass_guard()
        assert "in force" in deck.text()
        await deck.press("2")
        await deck.settle()
        deck.pass_guard()
        assert "fast_ma 12" in deck.text()
        assert deck.link.called("bots.rollback") == []
        await deck.press("enter")
        await deck.settle()
        (call,) = deck.link.called("bots.rollback")
        assert call.params == {"bot": "bot-trend", "version": 1}
        assert "is back at version 1" in deck.text()


async def test_health_shows_what_a_bot_uses_its_restarts_and_its_report() -> None:
    async with console(size=(100, 40), screen="bots") as deck:
        await choose_bot(deck, "trend-btc")
        await deck.press("v", "v", "v")
        await deck.settle()
        page = deck.text()
        for words in ("its own process", "812 of 1,024 MB", "57 % won", "Sharpe 1.42", "max_position_size_pct"):
            assert words in page
        await choose_bot(deck, "breakout-sol")
        await deck.settle()
        page = deck.text()
        assert "2 this hour" in page
        assert "next in 40 s" in page
        assert "protected without the bot" in page
        assert len(deck.link.called("bots.report")) == 2


async def test_a_stopped_bot_is_edited_with_what_it_has_and_keeps_the_rest() -> None:
    bots = list(fake_data.bots())
    bots[-1] = msgspec.structs.replace(bots[-1], autostart=True, params={"window": 30})
    link = FakeLink()
    link.data["bots.list"] = tuple(bots)
    async with console(link, screen="bots") as deck:
        await choose_bot(deck, "revert-bnb")
        form = await open_form(deck, "e")
        assert form.texts[f"{PARAM}window"] == "30"
        await write(deck, form, "capital", "900")
        assert "was 2000" in deck.text()
        await deck.press("enter")
        await deck.settle()
        (call,) = deck.link.called("bots.configure")
        assert call.params["name"] == "revert-bnb"
        assert call.params["autostart"] is True
        assert call.params["params"] == {"window": 30}
        assert next(row for row in link.data["bots.list"] if row.name == "revert-bnb").capital == Decimal(900)


async def test_deleting_asks_and_enter_alone_does_not_delete() -> None:
    async with console(screen="bots") as deck:
        await choose_bot(deck, "revert-bnb")
        await deck.press("D")
        deck.pass_guard()
        await deck.press("enter")
        assert deck.link.called("bots.delete") == []
        await deck.press("y")
        await deck.settle()
        assert "revert-bnb" not in [row.name for row in deck.link.data["bots.list"]]
        assert "revert-bnb" not in deck.text()


async def test_a_refusal_of_the_engine_stays_in_the_dialog() -> None:
    async with console(screen="bots") as deck:
        deck.link.refuse("bots.delete", ConflictError("The bot revert-bnb still has a position."))
        await choose_bot(deck, "revert-bnb")
        await deck.press("D")
        deck.pass_guard()
        await deck.press("y")
        await deck.settle()
        assert "Not possible right now: The bot revert-bnb still has a" in deck.text()
        assert deck.dialog() == "ConfirmDialog"


async def test_all_bots_are_paused_or_stopped_at_once() -> None:
    async with console(screen="bots") as deck:
        await deck.press("P")
        deck.pass_guard()
        await deck.press("enter")
        await deck.settle()
        assert {call.params["bot"] for call in deck.link.called("bots.pause")} == {"bot-trend", "bot-revert"}
        await deck.press("X")
        deck.pass_guard()
        await deck.press("enter")
        assert deck.link.called("bots.stop") == []
        await deck.press("y")
        assert {call.params["positions"] for call in deck.link.called("bots.stop")} == {"cancel_orders"}


async def test_amounts_are_hidden_on_wish() -> None:
    async with console(size=(120, 40), screen="bots") as deck:
        deck.app.news._look_back()
        await deck.settle()
        assert "bought 0.02 BTC/USDT" in deck.text()
        await deck.press("ctrl+o")
        page = deck.text()
        assert "bought ••••• BTC/USDT" in page
        for secret in ("28.11", "2,000.00", "0.02 "):
            assert secret not in page
        assert "+1.41 %" in page


async def test_without_a_link_nothing_is_opened() -> None:
    async with console(screen="bots") as deck:
        deck.link.lose()
        await deck.press("n", "s", "x", "D", "e", "p", "P", "X")
        assert not deck.dialog()
        assert "✗ lost" in deck.text()
        assert [call for call in deck.link.calls if call.request_id] == []


async def test_a_hidden_screen_follows_nothing() -> None:
    async with console(screen="bots") as deck:
        assert {"bots.state", "orders.open"} <= set(deck.link.topics())
        await deck.press("4")
        assert "bots.state" not in deck.link.topics()
        await deck.press("2")
        assert "bots.state" in deck.link.topics()


async def test_hostile_names_neither_break_the_lines_nor_are_read_as_markup() -> None:
    link = FakeLink()
    wild = "[red]x[/] \x1b[31m漢字"
    link.data["bots.list"] = tuple(
        msgspec.structs.replace(row, name=wild, reason=wild, last_signal=wild, strategy=wild)
        for row in fake_data.bots()
    )
    async with console(link, screen="bots") as deck:
        assert "[red]x[/]" in deck.text()
        assert "\x1b" not in deck.text()
        await deck.press("x", "escape")


async def test_the_cursor_stays_with_its_bot_while_figures_move() -> None:
    async with console(screen="bots") as deck:
        await choose_bot(deck, "revert-eth")
        rows = [msgspec.structs.replace(row, pnl=Decimal(-99)) for row in reversed(deck.link.data["bots.list"])]
        deck.link.publish("bots.state", tuple(rows))
        await deck.settle()
        assert deck.screen.query_one(LiveTable).cursor_key == "bot-revert"
        assert "╭─ revert-eth" in deck.text()


@pytest.mark.parametrize(
    ("taken", "name"),
    [([], "trend-btc"), (["Trend-BTC"], "trend-btc-2"), (["trend-btc", "trend-btc-2"], "trend-btc-3")],
)
def test_a_name_that_nobody_has_is_proposed(taken: list[str], name: str) -> None:
    assert free_name("trend_following", "BTC/USDT", taken) == name


async def test_executions_older_than_the_newest_of_all_come_from_the_history() -> None:
    async with console(screen="bots") as deck:
        deck.link.data["orders.fills"] = []
        await deck.press("j", "k")
        await deck.settle()
        assert {"owner": "bot-trend", "size": 200} in [call.params for call in deck.link.called("orders.fill_history")]


async def test_a_loss_too_small_to_be_shown_is_no_loss() -> None:
    link = FakeLink()
    first, *others = link.data["bots.list"]
    link.data["bots.list"] = (msgspec.structs.replace(first, pnl=Decimal("-0.001")), *others)
    async with console(link, screen="bots") as deck:
        assert "-0.00" not in deck.text()


@pytest.mark.parametrize(
    ("before", "chosen", "after"),
    [
        ({}, "market", {}),
        ({}, "vwap", {"algorithm": "vwap"}),
        ({"algorithm": "twap", "slices": 20}, "vwap", {"slices": 20, "algorithm": "vwap"}),
        ({"algorithm": "twap", "max_slippage": "0.01"}, "market", {"max_slippage": "0.01"}),
    ],
)
def test_the_algorithm_of_entries_is_chosen_and_its_other_parameters_stay(
    before: dict[str, object], chosen: str, after: dict[str, object]
) -> None:
    assert entries_field(before).value == before.get("algorithm", "market")
    assert execution_of(before, {"entries": chosen}) == after


def test_every_algorithm_of_entries_can_be_chosen() -> None:
    assert {name for name, _ in ENTRIES} == set(ENTRY_ALGORITHMS)
