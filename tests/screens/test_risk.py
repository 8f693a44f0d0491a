"""The screen of risk: what orders may do, how near the limits are, and changes that say why."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from engine.control.views_emergency import HaltRow, StopRow, UnclosableRow
from engine.errors import ConflictError
from engine.model.entries import TradingState
from engine.model.ids import AccountId, InstrumentId, Owner
from engine.model.limits import RiskLimits
from screens.form import Form
from screens.limit_board import LimitBoard
from screens.pane import Pane
from screens.risk_figures import changed_limits, limit_fields, limit_states, trading_lines
from tests.kit import fake_data
from tests.kit.deck import console
from tests.kit.fake_link import FakeLink
from tests.kit.fake_market import MINUTE, NOW
from widgets.glyphs import UNICODE

if TYPE_CHECKING:
    from engine.control.views import RiskView
    from tests.kit.deck import Console


def tripped(**more: Any) -> RiskView:
    """Risk with its first breaker open."""
    view = fake_data.risk()
    first = msgspec.structs.replace(
        view.breakers[0], open=True, value="5.21 %", share=1.04, since=NOW - 3 * MINUTE, reason="loss of 5.21 %"
    )
    return msgspec.structs.replace(
        view,
        breakers=(first, *view.breakers[1:]),
        trading=TradingState.REDUCING,
        reason="a breaker opened",
        actor="breaker",
        since=NOW - 3 * MINUTE,
        level="critical",
        **more,
    )


async def show(deck: Console, view: RiskView) -> None:
    deck.link.publish("risk.state", view)
    await deck.settle()
    await deck.settle()


async def form_of(deck: Console, *keys: str) -> Form:
    await deck.press(*keys)
    await deck.settle()
    deck.pass_guard()
    return deck.app.screen.query_one(Form)


async def test_state_limits_and_breakers_are_said_in_words() -> None:
    async with console(screen="risk") as deck:
        page = deck.text()
        for what in ("✓ ACTIVE", "risk MEDIUM", "1 refused within an hour", "81.7 of 100.0 %", "▲ WARN", "✓ OK"):
            assert what in page
        assert "? UNKNOWN" in page
        assert "✓ closed" in page


async def test_a_halt_says_since_when_by_whom_and_why() -> None:
    async with console(size=(120, 40), screen="risk") as deck:
        await show(deck, tripped())
        page = deck.text()
        for what in ("▲ REDUCING", "by breaker: a breaker opened", "risk CRITICAL", "1 breaker open", "✗ OPEN"):
            assert what in page


async def test_an_emergency_stop_shows_how_far_it_is() -> None:
    async with console(screen="risk") as deck:
        await show(deck, tripped(emergency="2 orders and 1 position are left."))
        assert "Emergency stop: 2 orders and 1 position are left." in deck.text()


def stopped() -> RiskView:
    """A market is stopped and done, but for two positions."""
    row = UnclosableRow(
        account=AccountId("paper"),
        instrument=InstrumentId("SIM:BTC/USDT"),
        owner=Owner("manual"),
        owner_name="manual",
        quantity=Decimal("1.7"),
        value=Decimal("112370"),
        reason="the venue refuses to close it (no liquidity)",
        final=True,
    )
    dust = msgspec.structs.replace(row, quantity=Decimal("0.000004"), reason="below the smallest order of 0.00001")
    stop = StopRow(
        scope="symbol:SIM:BTC/USDT",
        reason="fire",
        actor="emergency:console",
        began=NOW - 60 * 10**9,
        done=True,
        orders=0,
        positions=0,
        unclosable=(row, dust),
        problems=(),
    )
    halt = HaltRow(scope=stop.scope, trading=TradingState.HALTED, reason="fire", actor=stop.actor, since=stop.began)
    return msgspec.structs.replace(tripped(), trading=TradingState.ACTIVE, halts=(halt,), stops=(stop,))


async def test_what_could_not_be_closed_is_said_with_amount_and_reason() -> None:
    async with console(size=(120, 40), screen="risk") as deck:
        await show(deck, stopped())
        assert "2 could not be closed: BTC/USDT, the venue refuses to close it" in deck.text()
        await deck.press("p")
        page = deck.text()
        for what in (
            "symbol:SIM:BTC/USDT  done",
            "1.7 SIM:BTC/USDT worth 112,370",
            "below the smallest order of 0.00001",
        ):
            assert what in page


async def test_a_part_that_is_held_is_resumed_by_its_name() -> None:
    async with console(size=(120, 40), screen="risk") as deck:
        await show(deck, stopped())
        await form_of(deck, "r")
        assert "symbol:SIM:BTC/USDT" in deck.text()
        await deck.press("down", *"over", "enter")
        calls = deck.link.called("risk.resume")
        assert [(call.params["scope"], call.params["reason"]) for call in calls] == [("symbol:SIM:BTC/USDT", "over")]


async def test_refusals_and_changes_are_listed_with_the_newest_first() -> None:
    async with console(size=(120, 40), screen="risk") as deck:
        deck.link.say("Refused: buy 3 BTC/USDT, exposure would be 241 %", "warning", "OrderRefused")
        deck.link.say("Filled", "good", "OrderFilled")
        deck.link.say("Risk limits changed by console", "info", "LimitsChanged")
        await deck.settle()
        lines = [line for line in deck.text().splitlines() if "15:09:26 ·" in line or "15:09:26 !" in line]
        assert "Risk limits changed" in lines[0]
        assert "Refused: buy 3" in lines[1]


async def test_breakers_and_facts_take_turns_where_both_do_not_fit() -> None:
    async with console(screen="risk") as deck:
        assert "Breakers" in deck.text()
        await deck.press("v")
        assert "What happened" in deck.text()
        assert "Opens at" not in deck.text()


async def test_what_happened_is_wrapped_for_the_width_that_its_pane_has_now() -> None:
    text = "Sell 0.01 BTC/USDT stop 66,105.0 refused: REDUCING lets only reductions and cancels pass."
    async with console(size=(60, 30), screen="risk") as deck:
        deck.link.say(text, "warning", kind="OrderRefused")
        await deck.press("v")
        await deck.settle()
        await deck.resize(140, 40)
        await deck.settle()
        pane = deck.screen.query_one("#facts", Pane)
        assert pane.content_size.width > 55
        widest = max(len("".join(part for part, _ in line)) for line in pane._content)
        assert pane.content_size.width - 12 < widest <= pane.content_size.width
        pane.styles.width = 40
        await deck.settle()
        await deck.settle()
        assert max(len("".join(part for part, _ in line)) for line in pane._content) <= pane.content_size.width < 40


async def test_limits_are_changed_in_percent_and_sent_as_fractions_after_one_question() -> None:
    async with console(screen="risk") as deck:
        form = await form_of(deck, "e")
        form.go("max_daily_loss_pct")
        await deck.press("ctrl+u", *"3", "full_stop", "5", "enter")
        page = deck.text()
        assert "Change 1 limit" in page
        assert "5 % → 3.5 %" in page
        await deck.press("enter")
        assert deck.link.called("risk.set_limits") == []
        deck.pass_guard()
        await deck.press("enter")
        assert deck.link.called("risk.set_limits") == []
        await deck.press("y")
        await deck.settle()
        (call,) = deck.link.called("risk.set_limits")
        assert call.params == {"limits": {"max_daily_loss_pct": "0.035"}}
        assert not deck.dialog()
        assert deck.link.data["risk.overview"].values["max_daily_loss_pct"] == "0.035"


async def test_limits_that_do_not_fit_together_are_refused_in_words() -> None:
    async with console(screen="risk") as deck:
        form = await form_of(deck, "e")
        form.go("position_size_pct")
        await deck.press("ctrl+u", *"20", "enter")
        assert "must not be above largest" in deck.text()
        assert deck.dialog() == "LimitsForm"


async def test_limits_without_a_change_ask_nothing() -> None:
    async with console(screen="risk") as deck:
        await form_of(deck, "e")
        await deck.press("enter")
        assert "nothing has changed yet" in deck.text()


async def test_halting_says_how_far_and_why() -> None:
    async with console(screen="risk") as deck:
        form = await form_of(deck, "x")
        await deck.press("right", "down")
        assert form.field.name == "reason"
        await deck.press("ctrl+u", *"flood", "enter")
        await deck.settle()
        (call,) = deck.link.called("risk.halt")
        assert call.params == {"reason": "flood", "reducing": False}
        assert "✗ HALTED" in deck.text()


async def test_resuming_needs_a_reason() -> None:
    async with console(screen="risk") as deck:
        await deck.press("r")
        assert not deck.dialog()
        await show(deck, tripped())
        await form_of(deck, "r")
        assert "needed" in deck.text()
        await deck.press("enter")
        assert "Why: must not be empty." in deck.text()
        await deck.press(*"ok", "enter")
        await deck.settle()
        (call,) = deck.link.called("risk.resume")
        assert call.params == {"reason": "ok"}
        assert "✓ ACTIVE" in deck.text()


async def test_what_keeps_trading_from_going_on_is_said_and_can_be_tried_again() -> None:
    async with console(screen="risk") as deck:
        await show(deck, tripped())
        deck.link.refuse("risk.resume", ConflictError("No market has been heard lately; wait for the connection."))
        await form_of(deck, "r")
        await deck.press(*"ok", "enter")
        await deck.settle()
        assert "No market has been heard lately" in deck.text()
        deck.link.refuse("risk.resume", None)
        await deck.press("enter")
        await deck.settle()
        assert not deck.dialog()


async def test_a_breaker_is_reset_with_a_reason_and_force_only_on_wish() -> None:
    async with console(screen="risk") as deck:
        await deck.press("b")
        assert not deck.dialog()
        await show(deck, tripped())
        await form_of(deck, "b")
        assert "It opened because loss of 5.21 %." in deck.text()
        await deck.press(*"seen", "enter")
        await deck.settle()
        (call,) = deck.link.called("risk.reset_breaker")
        assert call.params == {"breaker": "daily_loss", "account": "", "reason": "seen", "force": False}
        assert "✗ OPEN" not in deck.text()


async def test_breakers_of_two_accounts_stand_beside_each_other_and_the_open_one_is_reset() -> None:
    async with console(screen="risk") as deck:
        view = tripped()
        opened = next(row for row in view.breakers if row.open)
        mine = msgspec.structs.replace(opened, label="Daily loss (OKX)", account="okx")
        other = msgspec.structs.replace(opened, label="Daily loss (SIM)", account="paper", open=False, since=0)
        await show(deck, msgspec.structs.replace(view, breakers=(other, mine)))
        page = deck.text()
        assert "Daily loss (SIM)" in page
        assert "Daily loss (OKX)" in page
        await form_of(deck, "b")
        await deck.press(*"seen", "enter")
        await deck.settle()
        assert deck.link.called("risk.reset_breaker")[0].params["account"] == "okx"


async def test_enter_typed_ahead_halts_nothing() -> None:
    async with console(screen="risk") as deck:
        await deck.press("x", "enter", "enter")
        assert deck.link.called("risk.halt") == []


async def test_without_a_link_nothing_can_be_changed() -> None:
    async with console(screen="risk") as deck:
        deck.link.lose()
        await deck.press("e", "x", "r", "b")
        assert not deck.dialog()


async def test_nothing_known_is_said_calmly() -> None:
    async with console(FakeLink("empty"), screen="risk") as deck:
        assert "No limits are known yet." in deck.text()
        assert "No breakers are set." in deck.text()
        await deck.press("b", "v", "v")


async def test_amounts_are_hidden_and_shares_stay() -> None:
    rows = fake_data.risk().limits
    money = msgspec.structs.replace(rows[0], used="8,170.00 USDT", limit="10,000.00 USDT")
    states = limit_states([money, *rows[1:]], "USDT", hidden=True)
    assert "8,170" not in states[0].figures
    assert "10,000" not in states[0].figures
    assert states[0].share == pytest.approx(0.817)
    assert "3 of 10" in states[2].figures


async def test_a_hidden_screen_follows_nothing() -> None:
    async with console(screen="risk") as deck:
        assert "risk.state" in deck.link.topics()
        await deck.press("4")
        assert "risk.state" not in deck.link.topics()


def test_every_limit_has_its_field_with_the_declared_bounds() -> None:
    fields = {field.name: field for field in limit_fields(RiskLimits().model_dump(mode="json"))}
    assert set(fields) == set(RiskLimits.model_fields)
    loss = fields["max_daily_loss_pct"]
    assert (loss.value, loss.minimum, loss.maximum, loss.above, loss.unit) == ("5", "0", "100", True, "%")
    assert (fields["max_leverage"].minimum, fields["max_leverage"].maximum) == ("1", "10")


def test_limits_go_through_the_form_exactly() -> None:
    limits = RiskLimits(max_daily_loss_pct=Decimal("0.0333"), stale_market_s=2.5, allow_short=True)
    fields = limit_fields(limits.model_dump(mode="json"))
    texts = {field.name: field.value for field in fields}
    assert changed_limits(fields, texts) == {}
    assert texts["max_daily_loss_pct"] == "3.33"
    texts |= {"max_drawdown_pct": "12.5", "max_total_positions": "4", "allow_short": "no", "max_leverage": "1.5"}
    assert changed_limits(fields, texts) == {
        "max_drawdown_pct": "0.125",
        "max_total_positions": 4,
        "allow_short": False,
        "max_leverage": "1.5",
    }


@pytest.mark.parametrize(("state", "word"), [(TradingState.HALTED, "✗ HALTED"), (TradingState.ACTIVE, "✓ ACTIVE")])
def test_the_state_never_stands_by_colour_alone(state: TradingState, word: str) -> None:
    first, _ = trading_lines(msgspec.structs.replace(fake_data.risk(), trading=state), UNICODE, NOW)
    assert word in first[0][0]


async def test_where_not_all_limits_fit_the_most_used_come_first_and_the_rest_by_scrolling() -> None:
    async with console(size=(80, 24), screen="risk") as deck:
        assert "1–9 of 16 by use, j/k" in deck.text()
        words = deck.text()
        assert words.index("Asset class (bitcoin)") < words.index("Largest position") < words.index("Exposure ")
        assert "Order rate" not in words
        board = deck.app.screen.query_one(LimitBoard)
        board.focus()
        await deck.press("G")
        assert "8–16 of 16 by use, j/k" in deck.text()
        assert "Order rate" in deck.text()
    async with console(size=(120, 40), screen="risk") as deck:
        assert "by use" not in deck.text()
        assert all(word in deck.text() for word in ("Venue (SIM)", "Bot (bot1)", "Three largest", "Leverage"))
