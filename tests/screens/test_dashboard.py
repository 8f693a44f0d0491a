"""The dashboard: everything at one look, the first run's welcome, and keys that lead on."""

from __future__ import annotations

from datetime import UTC
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec
import pytest

from console.actions import SCREENS, find_action
from engine.control import views
from engine.errors import ConflictError
from engine.model.entries import BotState, TradingState
from screens.dashboard import MARKETS_EVERY_S, TRIES, DashboardScreen
from screens.dashboard_figures import activity_line, market_strip_cells, state_cell, told
from screens.formats import MASK
from tests.kit import fake_data, fake_market
from tests.kit.deck import console
from tests.kit.fake_link import FakeLink
from tests.kit.fake_market import NOW, NS
from widgets.glyphs import ASCII, UNICODE
from widgets.live_table import LiveTable

if TYPE_CHECKING:
    from tests.kit.deck import Console

D = Decimal
KINDS = ("OperatorActed", "OrderIntended", "OrderAccepted", "OrderFilled")


async def hear(deck: Console) -> None:
    """Let the facts of before arrive as the engine brings them to whoever begins to listen."""
    for subscription in deck.link.subscriptions:
        if subscription.topic == "facts.activity":
            subscription.deliver(tuple(deck.link.data["activity"]), snapshot=True)
    await deck.settle()


def moved(link: FakeLink, **changes: object) -> None:
    """Let the account move."""
    link.publish("portfolio.overview", msgspec.structs.replace(link.data["portfolio.overview"], **changes))


def table(deck: Console, name: str) -> LiveTable:
    return deck.screen.query_one(f"#{name}", LiveTable)


async def choose(deck: Console, name: str, key: str) -> None:
    table(deck, name).focus()
    table(deck, name).cursor_key = key
    await deck.settle()


@pytest.mark.parametrize("size", [(80, 24), (100, 30), (120, 40), (200, 50), (300, 24)])
async def test_the_overview_is_there_at_every_size(size: tuple[int, int]) -> None:
    async with console(size=size) as deck:
        await hear(deck)
        page = deck.text()
        for what in ("10,040.44", "▲ +31.20", "8,204.42", "0.41 %", "MEDIUM", "1 failed", "Equity, 24 hours"):
            assert what in page
        for what in ("BTC/USDT", "▲ +1.24 %", "▼ -0.87 %", "trend-btc", "● running", "▲ +13.24", "Bought 0.06"):
            assert what in page


async def test_what_is_ones_own_is_drawn_at_once() -> None:
    async with console() as deck:
        moved(deck.link, equity=D("10123.45"), day_change=D("114.21"))
        await deck.settle()
        page = deck.text()
        assert "▲ +114.21" in page
        assert page.splitlines()[0].count("10,123.45") == 1
        assert page.splitlines()[3].count("10,123.45") == 1
        assert "◂ 10,123.45" in page


async def test_markets_are_drawn_once_a_second_and_the_heading_says_so() -> None:
    async with console() as deck:
        assert "once a second" in deck.text()
        rows = deck.link.data["market.tickers"]
        deck.link.publish("market.tickers", (msgspec.structs.replace(rows[0], last=D("67999.90")), *rows[1:]))
        await deck.settle()
        assert "67,999.9" not in deck.text()
        deck.time.seconds += MARKETS_EVERY_S
        await deck.settle()
        assert "67,999.9" in deck.text()


async def test_a_market_that_fell_silent_shows_its_age() -> None:
    row = msgspec.structs.replace(fake_market.tickers()[0], ts=NOW - 14 * NS)
    texts = [cell.text for cell in market_strip_cells(row, None, UNICODE, NOW, 6)]
    assert "14s old" in texts
    assert "▲ +1.24 %" not in texts


def test_a_change_too_small_to_show_has_no_direction() -> None:
    row = msgspec.structs.replace(fake_market.tickers()[0], change_pct=-0.00004)
    assert market_strip_cells(row, None, UNICODE, NOW, 6)[3].text == "· 0.00 %"


@pytest.mark.parametrize("glyphs", [UNICODE, ASCII])
def test_every_state_of_a_bot_has_a_sign_and_a_word(glyphs: object) -> None:
    said = {state_cell(state, ASCII if glyphs is ASCII else UNICODE).text for state in BotState}
    assert len(said) == len(BotState)
    assert all(len(text.split()) == 2 for text in said)


def test_facts_say_time_severity_kind_and_whose_they_are() -> None:
    fact = views.Activity(
        seq=1, ts=NOW, severity="critical", kind="BotStateChanged", text="stopped \x1b[31mitself", owner="bot-broken"
    )
    line = activity_line(fact, {"bot-broken": "breakout-sol"}, UNICODE, UTC)
    assert (line.time, line.kind, line.ink) == ("15:09:26", "✗ bot", "breach")
    assert line.text == "breakout-sol: stopped itself"
    known = msgspec.structs.replace(fact, text="Bot breakout-sol is error")
    assert activity_line(known, {"bot-broken": "breakout-sol"}, UNICODE, UTC).text == known.text


def test_facts_that_another_says_better_are_left_out() -> None:
    facts = [views.Activity(seq=n, ts=NOW, severity="info", kind=kind, text="") for n, kind in enumerate(KINDS)]
    assert [fact.kind for fact in told(facts)] == ["OrderAccepted", "OrderFilled"]


# --- the first run


async def test_the_first_run_is_welcomed_with_what_runs_and_three_keys() -> None:
    async with console(FakeLink("empty"), size=(120, 40)) as deck:
        page = deck.text()
        assert "Welcome aboard" in page
        assert "A simulated market trades here" in page
        assert "Nothing is real" in page
        assert "10,000.00 USDT" in page
        for action, words in TRIES:
            assert f" {deck.app.keymap.label(action)}  {words}" in page
        assert "Equity, 24 hours" not in page


async def test_the_welcome_gives_way_once_there_is_a_bot() -> None:
    async with console(FakeLink("empty")) as deck:
        deck.link.publish("bots.state", fake_data.bots()[:1])
        await deck.settle()
        page = deck.text()
        assert "Welcome aboard" not in page
        assert "Equity, 24 hours" in page


async def test_an_empty_dashboard_names_the_keys_that_fill_it() -> None:
    async with console(FakeLink("empty")) as deck:
        page = deck.text()
        assert "No bots. n = new bot" in page
        assert "No open positions. b = buy" in page


# --- old data, hidden amounts, hidden screens


async def test_a_lost_engine_is_said_and_nothing_is_sent() -> None:
    async with console() as deck:
        deck.link.lose()
        await deck.settle()
        assert "LINK LOST" in deck.text()
        assert deck.screen.has_class("-stale")
        for key in ("p", "H"):
            await deck.press(key)
            assert deck.dialog() == ""
        assert not [call for call in deck.link.calls if call.operation.startswith(("bots.p", "bots.s", "risk.h"))]


async def test_privacy_hides_every_amount() -> None:
    async with console(size=(200, 50)) as deck:
        await deck.press("ctrl+o")
        lines = deck.text().splitlines()
        page = "\n".join(line for line in lines if "Amounts are" not in line and "fill" not in line)
        assert MASK in page
        for amount in ("10,040", "31.20", "8,204", "13.24", "28.11", "9,882"):
            assert amount not in page
        assert "67,431" in page


async def test_the_topics_are_left_with_the_screen() -> None:
    async with console() as deck:
        assert "portfolio.overview" in deck.link.topics()
        await deck.press("4")
        assert "portfolio.overview" not in deck.link.topics()
        assert "bots.state" not in deck.link.topics()
        await deck.press("1")
        assert deck.link.topics().count("portfolio.overview") == 1


async def test_the_record_is_asked_for_once_a_minute_at_most() -> None:
    async with console() as deck:
        await deck.press("4", "1", "4", "1")
        assert len(deck.link.called("portfolio.history")) == 1
        deck.time.seconds += 61
        await deck.press("4", "1")
        assert len(deck.link.called("portfolio.history")) == 2


# --- keys that lead on


def test_every_key_leads_to_an_action_there_is() -> None:
    for action in ("bots.new", "backtests.new", "market.buy", "market.sell", "app.halt", "app.resume"):
        assert find_action(action).scope in {*SCREENS, "app"}


async def test_buying_opens_the_ticket_of_the_chosen_market() -> None:
    async with console() as deck:
        await choose(deck, "markets", "SIM:SOL/USDT")
        await deck.press("b")
        await deck.until(lambda: deck.dialog() == "TicketDialog")
        assert deck.app.current_mode == "market"
        assert "BUY SOL/USDT" in deck.text()
        assert "148.36" in deck.words()
        assert deck.link.topics().count("market.book") == 1


@pytest.mark.parametrize(("key", "mode"), [("n", "bots"), ("t", "backtests")])
async def test_a_new_bot_and_a_backtest_begin_on_their_own_screens(key: str, mode: str) -> None:
    async with console() as deck:
        await deck.press(key)
        await deck.until(lambda: deck.dialog() != "")
        assert deck.app.current_mode == mode


async def test_the_chosen_bot_is_paused_after_a_question() -> None:
    async with console() as deck:
        await choose(deck, "bots", "bot-trend")
        await deck.press("p")
        assert deck.dialog() == "ConfirmDialog"
        assert "Pause trend-btc: trend_following on BTC/USDT 1m" in deck.words()
        deck.pass_guard()
        await deck.press("y")
        await deck.until(lambda: bool(deck.link.called("bots.pause")))
        call = deck.link.called("bots.pause")[0]
        assert call.params == {"bot": "bot-trend"}
        assert call.request_id
        await deck.settle()
        assert "‖ paused" in deck.text()


async def test_a_bot_at_rest_is_started_with_its_capital_named() -> None:
    async with console() as deck:
        await choose(deck, "bots", "bot-idle")
        await deck.press("p")
        assert "with 2,000 USDT" in deck.words()
        deck.pass_guard()
        await deck.press("enter")
        await deck.until(lambda: bool(deck.link.called("bots.start")))


async def test_a_refused_start_is_said_in_the_question() -> None:
    async with console() as deck:
        deck.link.refuse("bots.start", ConflictError("There is too little free capital. Give it less."))
        await choose(deck, "bots", "bot-idle")
        await deck.press("p")
        deck.pass_guard()
        await deck.press("y")
        await deck.until(lambda: "too little free capital" in deck.words())
        assert deck.dialog() == "ConfirmDialog"


async def test_without_bots_there_is_nothing_to_start() -> None:
    async with console(FakeLink("empty")) as deck:
        await deck.press("p")
        assert deck.dialog() == ""


async def test_halting_asks_and_the_way_back_is_the_same_key() -> None:
    async with console() as deck:
        await deck.press("H")
        await deck.until(lambda: "Halt trading" in deck.text())
        await deck.press("escape")
        status = deck.link.data["engine.status"]
        deck.link.publish("engine.status", msgspec.structs.replace(status, trading=TradingState.HALTED))
        await deck.settle()
        await deck.press("H")
        await deck.until(lambda: "Resume trading" in deck.text())
        assert not deck.link.called("risk.halt")


@pytest.mark.parametrize(
    ("name", "key", "mode"),
    [
        ("markets", "SIM:ETH/USDT", "market"),
        ("bots", "bot-revert", "bots"),
        ("positions", "bot-revert SIM:ETH/USDT paper", "portfolio"),
    ],
)
async def test_enter_opens_a_row_on_its_own_screen(name: str, key: str, mode: str) -> None:
    async with console() as deck:
        await choose(deck, name, key)
        await deck.press("enter")
        assert deck.app.current_mode == mode
        if mode == "market":
            assert "Book ETH/USDT" in deck.text()
        if mode == "portfolio":
            assert table(deck, "positions").cursor_key == key


async def test_hostile_names_do_not_reach_the_terminal() -> None:
    rows = [msgspec.structs.replace(row, name="[red]\x1b]0;x\x07漢字 " + row.name) for row in fake_data.bots()]
    async with console() as deck:
        deck.link.publish("bots.state", tuple(rows))
        await deck.settle()
        page = deck.text()
        assert "\x1b" not in page
        assert "[red]漢字" in page
        assert isinstance(deck.screen, DashboardScreen)
