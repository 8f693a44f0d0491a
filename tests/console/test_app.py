"""The console as a person meets it: screens by number, help, palette, leaving, stopping, news, and a lost engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from console.ending import ExitIntent
from engine.errors import OrderRejectionError
from engine.model.account import TradingMode
from engine.model.entries import TradingState
from screens.chrome import NavBar
from screens.dialogs import ErrorDialog
from tests.kit.deck import console
from tests.kit.fake_link import FakeLink
from widgets.live_table import LiveTable

if TYPE_CHECKING:
    from pathlib import Path

SCREENS = ["dashboard", "bots", "portfolio", "market", "risk", "backtests", "settings"]


async def test_each_number_shows_its_screen_and_the_status_line_is_on_all_of_them() -> None:
    async with console() as deck:
        for number, name in enumerate(SCREENS, 1):
            await deck.press(str(number))
            assert name == deck.screen.SCOPE
            first = deck.text().splitlines()[0]
            assert " PAPER " in first
            assert "embedded" in first
            assert "15:09:26 UTC" in first
            assert "10,040.44 USDT" in first


async def test_a_click_on_a_screens_name_shows_it() -> None:
    async with console() as deck:
        await deck.pilot.click(NavBar, offset=(30, 0))
        await deck.settle()
        assert deck.screen.SCOPE == "portfolio"


async def test_only_the_shown_screen_follows_its_topics() -> None:
    async with console(screen="market") as deck:
        assert "market.book" in deck.link.topics()
        await deck.press("5")
        assert [topic for topic in deck.link.topics() if topic.startswith("market.")] == []
        await deck.press("4")
        assert deck.link.topics().count("market.book") == 1
        await deck.press("question_mark")
        assert "market.book" in deck.link.topics(), "a screen behind a dialog is still seen"


async def test_the_clock_is_the_engines_and_goes_on_between_its_reports() -> None:
    async with console() as deck:
        deck.time.seconds += 3
        await deck.settle()
        assert "15:09:29 UTC" in deck.text()


async def test_times_are_shown_in_the_persons_zone() -> None:
    async with console(time_zone="Asia/Tokyo") as deck:
        assert "00:09:26 Tokyo" in deck.text()


async def test_an_unknown_zone_theme_or_key_is_no_reason_not_to_start() -> None:
    async with console(time_zone="Mars/Olympus", theme="pink", keys={"market.bye": "f5"}) as deck:
        assert "UTC" in deck.text()
        assert "pink" in deck.text()
        assert "no action 'market.bye'" in deck.text().replace("\n", "")


async def test_a_persons_own_key_works_and_is_shown() -> None:
    async with console(keys={"app.risk": "f5"}) as deck:
        await deck.press("5")
        assert deck.screen.SCOPE == "dashboard"
        await deck.press("f5")
        assert deck.screen.SCOPE == "risk"
        assert "f5 Risk" in deck.text()


async def test_help_names_the_keys_of_the_screen_and_of_the_focused_pane() -> None:
    async with console(size=(80, 60), screen="market") as deck:
        await deck.press("question_mark")
        page = deck.text()
        assert "Open a ticket to buy. (asks first)" in page
        assert "Return to the spread." in page
        assert "Emergency stop: block new orders" in page
        await deck.press("escape")
        assert deck.dialog() == ""


async def test_the_palette_finds_screens_instruments_bots_and_actions() -> None:
    async with console() as deck:
        await deck.press("ctrl+p", *"ethbtc", "enter")
        assert deck.screen.SCOPE == "market"
        assert "Book ETH/BTC" in deck.text()
        await deck.press("ctrl+p", *"trend-btc", "enter")
        assert deck.screen.SCOPE == "bots"
        await deck.press("colon", *"risk", "enter")
        assert deck.screen.SCOPE == "risk"
        await deck.press("colon", "q", "enter")
        assert deck.dialog() == "QuitDialog"


async def test_the_palette_does_an_action_of_another_screen_there() -> None:
    async with console() as deck:
        await deck.press("ctrl+p", *"open a ticket to sell", "enter")
        await deck.until(lambda: deck.dialog() == "TicketDialog")
        await deck.settle()
        assert "SELL BTC/USDT" in deck.text()


async def test_the_palette_says_when_nothing_fits() -> None:
    async with console() as deck:
        await deck.press("ctrl+p", *"zzzz")
        assert "Nothing of that name." in deck.text()
        await deck.press("enter")
        assert deck.dialog() == "PaletteDialog"
        await deck.press("escape")
        assert deck.dialog() == ""


# --- leaving


async def test_leaving_keeps_the_engine_running() -> None:
    async with console() as deck:
        await deck.press("q")
        assert "2 running bots, 5 open orders" in deck.text()
        deck.pass_guard()
        await deck.press("enter")
        assert deck.app.return_value is ExitIntent.DETACH
        assert deck.link.called("engine.stop") == []


@pytest.mark.parametrize(("letter", "policy"), [("o", "leave"), ("x", "cancel_orders"), ("X", "close")])
async def test_stopping_says_what_becomes_of_orders_and_positions_and_asks_once(letter: str, policy: str) -> None:
    async with console() as deck:
        await deck.press("q")
        deck.pass_guard()
        await deck.press(letter)
        said = deck.words()
        assert "5 open orders" in said
        assert "3 open positions" in said
        deck.pass_guard()
        await deck.press("enter")
        assert deck.link.called("engine.stop") == [], "Enter never destroys"
        await deck.press("y")
        assert [call.params for call in deck.link.called("engine.stop")] == [{"positions": policy}]
        assert deck.app.return_value is ExitIntent.STOP


async def test_a_stop_that_the_engine_refuses_does_not_end_the_console() -> None:
    link = FakeLink()
    link.refuse("engine.stop", OrderRejectionError("The venue is away. Try again."))
    async with console(link) as deck:
        await deck.press("q")
        deck.pass_guard()
        await deck.press("x")
        deck.pass_guard()
        await deck.press("y")
        assert deck.dialog() == "ConfirmDialog"
        assert "The venue is away. Try again." in deck.words()
        assert deck.app.return_value is None


async def test_ctrl_q_asks_from_within_a_dialog_and_only_once() -> None:
    async with console(screen="market") as deck:
        await deck.press("b", "ctrl+q", "ctrl+q")
        assert [type(screen).__name__ for screen in deck.app.screen_stack].count("QuitDialog") == 1


async def test_with_a_lost_engine_one_can_only_leave() -> None:
    async with console() as deck:
        deck.link.lose()
        await deck.press("q")
        assert "The link to the engine is lost" in deck.text()
        assert "Stop and cancel" not in deck.text()


# --- the emergency stop


@pytest.mark.parametrize("where", SCREENS)
async def test_the_emergency_stop_works_from_every_screen(where: str) -> None:
    async with console(screen=where) as deck:
        await deck.press("ctrl+x")
        deck.pass_guard()
        await deck.press("y")
        assert [call.params["close"] for call in deck.link.called("risk.emergency_stop")] == [True]
        assert deck.dialog() == ""
        assert "HALTED" in deck.text()


async def test_the_emergency_dialog_says_exactly_what_happens() -> None:
    async with console() as deck:
        await deck.press("ctrl+x")
        page = deck.text()
        assert "New orders are blocked until trading is resumed by hand." in page
        assert "5 open orders are cancelled." in page
        assert "3 open positions are closed at the market." in page
        assert "sell 0.02 BTC/USDT at 66,100" in page
        assert deck.link.called("risk.emergency_stop") == []


async def test_a_part_is_chosen_and_stopped_and_the_dialog_says_what_of_it_is_open() -> None:
    async with console() as deck:
        await deck.press("ctrl+x")
        deck.pass_guard()
        while "at SIM now, and nothing else" not in deck.text():
            await deck.press("down")
        page = deck.text()
        assert "New orders are blocked there until resumed by hand." in page
        assert "y: Stop this" in page
        await deck.press("y")
        assert deck.link.called("risk.emergency_stop") == [], "what is asked has changed: the guard begins anew"
        await deck.press("up", "down")
        deck.pass_guard()
        await deck.press("y")
        (call,) = deck.link.called("risk.emergency_stop")
        assert call.params["scope"].startswith("symbol:SIM:")
        assert deck.dialog() == ""


async def test_the_emergency_key_works_while_something_is_typed() -> None:
    async with console(screen="market") as deck:
        await deck.press("b", "1", "ctrl+x")
        assert deck.dialog() == "EmergencyDialog"


async def test_keys_typed_ahead_do_not_stop_everything() -> None:
    async with console() as deck:
        await deck.press("ctrl+x", "y", "y")
        assert deck.link.called("risk.emergency_stop") == []
        deck.pass_guard()
        await deck.press("enter")
        assert deck.link.called("risk.emergency_stop") == []
        await deck.press("y")
        assert len(deck.link.called("risk.emergency_stop")) == 1


async def test_with_real_money_a_word_is_typed() -> None:
    link = FakeLink()
    link.data["engine.status"] = msgspec.structs.replace(link.data["engine.status"], mode=TradingMode.LIVE)
    async with console(link) as deck:
        assert " LIVE " in deck.text().splitlines()[0]
        await deck.press("ctrl+x")
        deck.pass_guard()
        await deck.press(*"sto", "enter")
        assert link.called("risk.emergency_stop") == []
        await deck.press("p", "enter")
        assert len(link.called("risk.emergency_stop")) == 1


async def test_a_halt_is_shown_and_can_be_lifted() -> None:
    link = FakeLink()
    link.data["engine.status"] = msgspec.structs.replace(
        link.data["engine.status"], trading=TradingState.HALTED, trading_reason="daily loss"
    )
    async with console(link) as deck:
        assert "HALTED" in deck.text().splitlines()[0]
        await deck.press("ctrl+p", *"resume", "enter")
        assert "daily loss" in deck.text()
        deck.pass_guard()
        await deck.press("y")
        assert len(link.called("risk.resume")) == 1
        assert "HALTED" not in deck.text().splitlines()[0]


# --- news


async def test_ones_own_fills_and_refusals_are_toasts_and_stay_in_the_activity() -> None:
    async with console(screen="backtests") as deck:
        deck.link.say("Bought 0.1 BTC/USDT at 67,000.00.", "good")
        deck.link.say("Refused: too large [red]", "warning", "order_refused")
        deck.link.say("Ordered: buy 0.1", "info")
        await deck.settle()
        page = deck.text()
        assert "Bought 0.1 BTC/USDT" in page
        assert "too large [red]" in page
        assert "Ordered" not in page
        deck.app.clear_notifications()
        await deck.press("ctrl+l")
        page = deck.text()
        assert "Ordered: buy 0.1" in page
        assert "too large [red]" in page


async def test_many_fills_of_bots_are_one_toast_with_a_count() -> None:
    async with console(screen="backtests") as deck:
        for number in range(5):
            deck.link.say(f"Bought number {number}", "good", owner="trend-btc")
        await deck.settle()
        assert deck.text().count("Bought number") == 1
        deck.time.seconds += 6
        deck.link.say("Bought the last", "good", owner="trend-btc")
        await deck.settle()
        assert "and 4 more since" in deck.text()


async def test_a_fact_that_comes_twice_is_kept_once() -> None:
    async with console() as deck:
        deck.link.say("Once only", "good")
        deck.link.publish("facts.activity", deck.link.data["activity"][-1])
        await deck.settle()
        assert [fact.text for fact in deck.app.news.facts].count("Once only") == 1


async def test_what_happened_before_is_asked_for_once() -> None:
    async with console() as deck:
        await deck.until(lambda: len(deck.app.news.facts) == 7)
        assert len(deck.link.called("facts.since")) == 1


# --- a lost engine


async def test_a_lost_link_marks_everything_old_and_switches_actions_off() -> None:
    async with console(screen="market") as deck:
        deck.link.lose()
        await deck.settle()
        page = deck.text()
        assert "LINK LOST: old data, actions off" in page
        assert "lost" in page.splitlines()[0]
        assert deck.screen.has_class("-stale")
        calls = len(deck.link.calls)
        for key in ("b", "s", "c", "r"):
            await deck.press(key)
            assert deck.dialog() == ""
        assert len(deck.link.calls) == calls
        deck.link.restore()
        await deck.settle()
        assert "LINK LOST" not in deck.text()
        assert "attached" in deck.text().splitlines()[0]
        assert not deck.screen.has_class("-stale")


async def test_an_engine_that_says_nothing_is_called_silent() -> None:
    async with console() as deck:
        deck.time.seconds += 8
        await deck.settle()
        assert "THE ENGINE IS SILENT" in deck.text()


async def test_a_console_that_starts_without_an_engine_says_so() -> None:
    link = FakeLink()
    link.lose()
    async with console(link, screen="market") as deck:
        assert "LINK LOST" in deck.text()
        await deck.press("1", "2", "4", "b")
        link.restore()
        await deck.settle()
        assert "10,040.44" in deck.text()


# --- the rest


async def test_privacy_hides_what_one_owns() -> None:
    async with console(screen="market") as deck:
        await deck.press("ctrl+o")
        page = deck.text()
        assert "10,040.44" not in page
        assert "•••••" in page.splitlines()[0]
        deck.link.say("Bought 0.75 BTC/USDT", "good")
        await deck.settle()
        assert "Bought ••••• BTC/USDT" in deck.text(), "nor does a toast tell"
        await deck.press("ctrl+o")
        assert "10,040.44" in deck.text()


async def test_a_theme_is_previewed_and_given_back() -> None:
    async with console() as deck:
        before = deck.app.theme
        await deck.press("ctrl+p", *"theme", "enter", "j")
        assert deck.app.theme != before
        await deck.press("escape")
        assert deck.app.theme == before


async def test_a_chosen_theme_stays() -> None:
    async with console() as deck:
        await deck.press("ctrl+p", *"theme", "enter", "g")
        deck.pass_guard()
        await deck.press("enter")
        assert deck.app.theme == "ansi-dark"


async def test_a_picture_goes_into_its_folder_with_amounts_hidden(tmp_path: Path) -> None:
    async with console(pictures=tmp_path / "pictures", privacy=True) as deck:
        await deck.press("ctrl+p", *"picture", "enter")
        await deck.until(lambda: "Saved as" in deck.text())
        picture = next((tmp_path / "pictures").glob("*.svg")).read_text(encoding="utf-8")
        assert "10,040.44" not in picture
        assert "PAPER" in picture


async def test_zoom_keeps_the_status_line() -> None:
    async with console(screen="market") as deck:
        await deck.press("z")
        page = deck.text()
        assert " PAPER " in page
        assert "Orders BTC/USDT" not in page
        await deck.press("z")
        assert "Orders BTC/USDT" in deck.text()


@pytest.mark.parametrize("screen", ["dashboard", "bots", "portfolio", "market", "risk", "backtests", "settings"])
async def test_zoom_gives_every_pane_all_that_the_bars_leave(screen: str) -> None:
    async with console(size=(120, 40), screen=screen) as deck:
        panes = [pane for pane in deck.screen.focus_chain if pane.allow_maximize]
        assert panes
        for pane in panes:
            pane.focus()
            await deck.settle()
            await deck.press("z")
            assert deck.screen.maximized is pane
            assert (pane.outer_size.width, pane.outer_size.height) == (120, 40 - 3), pane
            await deck.press("z")
            assert pane.outer_size.height < 37, pane


async def test_a_mistake_of_the_console_is_shown_and_does_not_end_it() -> None:
    async with console(screen="market") as deck:

        def fail() -> None:
            raise ZeroDivisionError("on purpose [bold]")

        deck.screen.action_pane = fail  # type: ignore[attr-defined]  # a broken handler of any screen
        await deck.press("v")
        assert isinstance(deck.app.screen, ErrorDialog)
        assert "on purpose [bold]" in deck.text()
        assert "The engine is not affected." in deck.text()
        deck.pass_guard()
        await deck.press("enter", "2")
        assert deck.screen.SCOPE == "bots"
        deck.app.failures.clear()


async def test_a_widget_that_cannot_draw_does_not_end_the_console() -> None:
    async with console(screen="market") as deck:
        table = deck.app.screen.query_one("#orders", LiveTable)

        def fail(width: int, height: int) -> None:
            raise ZeroDivisionError("cannot draw")

        table.lines = fail  # type: ignore[method-assign, assignment]  # a broken widget
        table.mark()
        await deck.settle()
        assert isinstance(deck.app.screen, ErrorDialog)
        del table.lines
        await deck.press("escape", "1")
        assert deck.screen.SCOPE == "dashboard"
        deck.app.failures.clear()


async def test_nothing_is_bound_that_would_stop_the_process() -> None:
    async with console() as deck:
        assert "ctrl+z" not in deck.app.active_bindings
        await deck.press("ctrl+z")
        assert deck.app.is_running
