"""The recovery procedure: every step that can fail, and the care with which trading begins again."""

from __future__ import annotations

from decimal import Decimal as D

import pytest

from engine import events as ev
from engine.errors import ConflictError
from engine.model.entries import TradingState
from engine.model.risk import RefusalCode
from engine.risk.scopes import Scope
from tests.kit.limits import loose
from tests.risk.guarded import Guarded
from tests.risk.house import BTC, BUY, ETH, ETHBTC, PAPER, PERP, House

STEPS = ["connectivity", "positions", "balances", "limits", "breakers"]


def failing(house: House) -> list[str]:
    """Steps that have not passed."""
    return [step.name for step in house.risk.recovery() if step.problems]


def test_all_steps_pass_where_all_is_well() -> None:
    house = House()
    assert [step.name for step in house.risk.recovery()] == STEPS
    assert failing(house) == []


def test_each_step_names_what_it_found() -> None:
    house = House()
    house.risk.recovery_check.absent = lambda: ["SIM is offline; wait for it."]
    assert house.risk.recovery()[0].problems == ("SIM is offline; wait for it.",)
    house.risk.recovery_check.absent = tuple
    house.later(31)
    assert failing(house) == ["connectivity"]
    house.refresh()
    order = house.submit(BUY, "0.01", price="49000")
    house.ledger.record(ev.OrderSubmitted(client_id=order.client_id))
    house.ledger.record(ev.OrderOutcomeUnknown(client_id=order.client_id, reason="timeout"))
    assert failing(house) == ["positions"]
    house.risk.trip_breaker("anna", "drill", "drawdown")
    assert failing(house) == ["positions", "breakers"]


def test_an_unpriced_position_fails_the_balances_and_an_exceeded_limit_its_step() -> None:
    house = House(loose(stale_market_s=86_400, max_position_size_pct=D("0.103")))
    house.trade(BUY, "0.02")
    for gone in (BTC, ETHBTC, PERP):
        house.markets.pop(gone)
    assert failing(house) == ["balances"]
    house.price(BTC, "60000")
    assert failing(house) == ["limits"]
    assert "Largest position" in house.risk.recovery()[3].problems[0]
    house.price(BTC, "50000")
    assert failing(house) == []


def test_trading_does_not_resume_before_every_step_has_passed() -> None:
    house = House()
    house.risk.hold("anna", "a look", TradingState.HALTED)
    house.later(31)
    with pytest.raises(ConflictError, match="No market has been heard lately"):
        house.risk.release("anna", "go on")
    assert house.state.trading_state() is TradingState.HALTED


@pytest.mark.parametrize("actor", ["emergency:breaker", "engine", "recovery", "breaker:evaluation"])
def test_after_a_halt_that_nobody_chose_entries_are_smaller_for_a_quarter_of_an_hour(actor: str) -> None:
    house = Guarded(frozen_price_s=604_800)
    house.ledger.record(ev.TradingStateChanged(scope="engine", state="halted", reason="x", actor=actor))
    house.step()
    house.risk.release("anna", "all checked")
    (lock,) = house.facts(ev.LockPlaced)
    assert (lock.kind, lock.reduces, lock.actor) == ("recovery", True, "anna")
    # Half of 10 % of 10,000 USDT, where one BTC may cost 50,000 x 1.02 x 1.001.
    assert house.codes(BUY, "0.0097") == []
    assert house.codes(BUY, "0.0098") == [RefusalCode.POSITION_SIZE]
    house.begin_anew(from_journal=True)
    house.refresh()
    assert house.codes(BUY, "0.0098") == [RefusalCode.POSITION_SIZE]
    house.run(890)
    assert house.codes(BUY, "0.0098") == [RefusalCode.POSITION_SIZE]
    house.run(20)
    assert house.codes(BUY, "0.0098") == []


def test_after_a_hold_of_the_operator_everything_is_as_before() -> None:
    house = House()
    house.risk.hold("anna", "lunch", TradingState.HALTED)
    house.risk.release("anna", "back")
    assert house.facts(ev.LockPlaced) == []


def test_a_recovered_bot_begins_with_care_and_the_others_as_ever() -> None:
    house = House()
    house.ledger.record(ev.TradingStateChanged(scope="bot1", state="halted", reason="x", actor="emergency:anna"))
    house.risk.release("anna", "checked", Scope.parse("bot1"))
    factor = house.risk.caution.factor_of
    assert factor(BTC, PAPER, "bot1") == D("0.5")  # type: ignore[arg-type]
    assert factor(ETH, PAPER, "bot2") == 1  # type: ignore[arg-type]
