"""Limits that a price, a loss or a stricter limit has crossed: said once, within the update, and healed below."""

from __future__ import annotations

from decimal import Decimal as D

import pytest

from engine import events as ev
from engine.model.asset_classes import AssetClasses
from engine.model.risk import RefusalCode
from engine.state import EngineState
from tests.kit.limits import loose
from tests.risk.house import BOT, BTC, BUY, ETH, PAPER, SELL, SOL, House


def held() -> House:
    """10 SOL at 100 of 10,000 USDT, a tenth, and limits of 12 % of a class and 11 % of a position."""
    made = House(loose(max_class_exposure=D("0.12"), max_position_size_pct=D("0.11"), max_positions_per_symbol=9))
    made.trade(BUY, "10", SOL, owner=BOT, price="100")
    made.risk.tick(made.now)
    return made


def move(made: House, price: str) -> None:
    """A price moves; the engine is told as it is of every market event."""
    made.later(1)
    made.refresh()
    made.price(SOL, price)
    made.risk.heard(SOL, made.now)


def said(made: House) -> list[tuple[str, str]]:
    return [(type(fact).__name__, fact.limit) for fact in made.facts(ev.LimitBreached, ev.LimitHealed)]


# 1,113.6 is 11 % of the 10,123.6 that the account is worth at 111.236; 111.23 is below, 111.24 above.
@pytest.mark.parametrize(("price", "breached"), [("111.23", False), ("111.24", True)])
def test_a_price_that_crosses_a_limit_is_said_within_the_update(price: str, breached: bool) -> None:
    made = held()
    move(made, price)
    assert said(made) == ([("LimitBreached", "max_position_size_pct")] if breached else [])
    assert made.codes(BUY, "0.01", SOL, owner=BOT, price=price) == [RefusalCode.POSITION_SIZE]
    assert made.codes(SELL, "1", SOL, owner=BOT) == []


def test_a_breach_is_said_once_blocks_increases_and_heals_a_little_below() -> None:
    made = held()
    for price in ("125", "126", "124"):
        move(made, price)
    assert said(made) == [("LimitBreached", "max_class_exposure"), ("LimitBreached", "max_position_size_pct")]
    assert sorted(limit for limit, _ in made.state.breaches) == ["max_class_exposure", "max_position_size_pct"]
    assert made.codes(BUY, "0.1", SOL, price="124") == [RefusalCode.POSITION_SIZE, RefusalCode.CLASS_EXPOSURE]
    assert made.codes(BUY, "0.01", ETH, price="2500") == []
    # Within the last hundredth below the limit it is still exceeded.
    move(made, "111")
    assert said(made)[2:] == [("LimitHealed", "max_class_exposure")]
    move(made, "109")
    assert said(made)[2:] == [("LimitHealed", "max_class_exposure"), ("LimitHealed", "max_position_size_pct")]
    assert made.state.breaches == {}


def test_a_breach_heals_when_nothing_is_held_any_more() -> None:
    made = held()
    move(made, "125")
    assert len(made.state.breaches) == 2
    made.trade(SELL, "10", SOL, owner=BOT)
    made.risk.tick(made.now)
    assert made.state.breaches == {}


def test_a_stricter_limit_is_crossed_at_the_next_look() -> None:
    made = held()
    made.risk.change_limits("anna", {"max_class_exposure": "0.05", "max_total_positions": 1})
    made.risk.tick(made.now)
    (fact,) = made.facts(ev.LimitBreached)
    assert (fact.limit, fact.scope, fact.used, fact.most) == ("max_class_exposure", "platform", D(1000), D(500))
    assert "nothing is added there until it is kept again" in fact.reason
    assert AssetClasses().of(made.state.instruments[SOL]) == "platform"


def test_breaches_are_part_of_the_state_and_said_once_over_a_restart() -> None:
    made = held()
    move(made, "125")
    again = EngineState.from_sections(made.state.sections())
    assert again.breaches == made.state.breaches
    assert again.state_hash() == made.state.state_hash()
    made.restart(made.risk.limits())
    move(made, "126")
    assert len(made.facts(ev.LimitBreached)) == 2


def test_prices_of_what_is_not_held_ask_for_no_look_and_those_of_new_orders_do() -> None:
    made = held()
    made.later(1)
    assert not made.risk.watch.due(BTC, made.now)
    made.submit(BUY, "0.001", BTC, price="50000")
    assert made.risk.watch.due(BTC, made.now)
    assert made.risk.watch.due(SOL, made.now)
    made.risk.watch.evaluate(made.now)
    assert not made.risk.watch.due(SOL, made.now)
    made.later(0.001)
    assert made.risk.watch.due(SOL, made.now)


def test_open_orders_count_for_the_account_they_are_in() -> None:
    made = held()
    made.submit(BUY, "0.9", SOL, price="100")
    move(made, "101")
    assert said(made) == []
    move(made, "103")
    (fact,) = made.facts(ev.LimitBreached)
    assert (fact.limit, fact.scope) == ("max_position_size_pct", f"{PAPER}|{SOL}")
