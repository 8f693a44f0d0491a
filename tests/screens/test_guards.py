"""Breakers in all their states and locks on the screen of risk, and what is done about them by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from engine.control.views_guards import BreakerRow, LockRow
from screens.formats import DASH
from screens.guard_figures import breaker_cells, left, lock_cells
from tests.kit import fake_data
from tests.kit.deck import console
from tests.kit.fake_market import MINUTE, NOW
from tests.screens.test_risk import form_of, show
from widgets.glyphs import UNICODE

if TYPE_CHECKING:
    from engine.control.views import RiskView

SHOCK = BreakerRow(
    name="price_shock", label="Price shock (SIM:BTC/USDT)", open=True, value="7.10 %", threshold="5.00 %", share=1.42,
    since=NOW - 3 * MINUTE, reason="the price moved", state="open", scope="instrument:SIM:BTC/USDT",
)  # fmt: skip
COOLDOWN = LockRow(
    lock="cooldown:trend-btc:SIM:BTC/USDT", kind="cooldown", scope="trend-btc in SIM:BTC/USDT", reduces=False,
    since=NOW - MINUTE, until=NOW + 4 * MINUTE, reason="trend-btc has just left SIM:BTC/USDT.", actor="",
)  # fmt: skip
GUARD = LockRow(
    lock="stop_guard", kind="stop_guard", scope="all trading", reduces=False, since=NOW - MINUTE,
    until=NOW + 90 * MINUTE, reason="10 losing stops within 24.0 h.", actor="",
)  # fmt: skip


def guarded() -> RiskView:
    """Risk with a breaker of each state and two locks."""
    view = fake_data.risk()
    rows = (
        SHOCK,
        msgspec.structs.replace(SHOCK, name="stale_feed", label="Stale feed", state="half_open", open=False,
                                ends=NOW + 8 * MINUTE),
        msgspec.structs.replace(SHOCK, name="weekly_loss", label="Loss of the week", state="reduced", open=False,
                                account="paper", scope="paper", ends=NOW + 50 * 60 * MINUTE),
        msgspec.structs.replace(SHOCK, name="error_rate", label="Errors a minute", state="held", scope="engine"),
        msgspec.structs.replace(view.breakers[0], state="closed", scope="paper", ends=NOW + 300 * MINUTE),
        msgspec.structs.replace(view.breakers[1], name="SIM api", label="SIM api"),
    )  # fmt: skip
    return msgspec.structs.replace(view, breakers=rows, locks=(COOLDOWN, GUARD))


@pytest.mark.parametrize(
    ("state", "word"),
    [("open", "OPEN"), ("held", "HELD"), ("half_open", "TRIAL"), ("reduced", "REDUCED"), ("closed", "closed")],
)
def test_every_state_of_a_breaker_has_its_word(state: str, word: str) -> None:
    cells = breaker_cells(msgspec.structs.replace(SHOCK, state=state), UNICODE, NOW)
    assert cells[1].text.endswith(word)


@pytest.mark.parametrize(("until", "words"), [(NOW, DASH), (NOW - 1, DASH), (0, DASH), (NOW + 90 * MINUTE, "90m")])
def test_what_is_left_of_a_time_is_counted_down(until: int, words: str) -> None:
    assert left(until, NOW) == words


def test_a_lock_says_what_it_does_to_bots() -> None:
    assert lock_cells(GUARD, NOW)[3].text == "no entries"
    assert lock_cells(msgspec.structs.replace(GUARD, reduces=True), NOW)[3].text == "smaller"


async def test_breakers_show_state_value_threshold_and_countdown() -> None:
    async with console(size=(160, 40), screen="risk") as deck:
        await show(deck, guarded())
        page = deck.text()
        for word in ("OPEN", "TRIAL", "REDUCED", "HELD", "8m", "2d", "7.10 %", "5.00 %"):
            assert word in page, word


async def test_locks_are_a_page_of_their_own_beside_the_breakers() -> None:
    async with console(size=(160, 40), screen="risk") as deck:
        await show(deck, guarded())
        assert "Locks · 2" not in deck.text()
        await deck.press("v")
        await deck.settle()
        page = deck.text()
        assert "Locks · 2" in page
        assert "trend-btc in SI" in page
        assert "Breakers · 2 open" in page
        await deck.press("v")
        await deck.settle()
        assert "Locks · 2" not in deck.text()


async def test_a_lock_is_lifted_with_a_reason() -> None:
    async with console(size=(160, 40), screen="risk") as deck:
        await deck.press("w")
        assert not deck.dialog()
        await show(deck, msgspec.structs.replace(guarded(), locks=(GUARD,)))
        await form_of(deck, "w")
        assert "10 losing stops" in deck.text()
        await deck.press(*"seen", "enter")
        await deck.settle()
        (call,) = deck.link.called("risk.unlock")
        assert call.params == {"lock": "stop_guard", "reason": "seen"}


async def test_a_breaker_is_opened_by_hand_with_a_reason() -> None:
    async with console(size=(160, 40), screen="risk") as deck:
        await show(deck, guarded())
        await form_of(deck, "i")
        assert "until it is reset" in deck.text()
        await deck.press(*"rumours", "enter")
        await deck.settle()
        (call,) = deck.link.called("risk.trip_breaker")
        assert call.params == {"breaker": "price_shock", "scope": "instrument:SIM:BTC/USDT", "reason": "rumours"}


async def test_a_breaker_on_trial_may_be_closed_by_hand_for_its_market() -> None:
    async with console(size=(160, 40), screen="risk") as deck:
        await show(deck, guarded())
        await form_of(deck, "down", "b")
        await deck.press(*"fine", "enter")
        await deck.settle()
        (call,) = deck.link.called("risk.reset_breaker")
        assert call.params["breaker"] == "stale_feed"
        assert call.params["scope"] == "instrument:SIM:BTC/USDT"
