"""A state that the fold made is sound, whatever happened; one that something else touched is not."""

from __future__ import annotations

from decimal import Decimal as D
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from engine.model.ids import AccountId, Currency, Owner
from engine.model.order import OrderStatus
from engine.model.position import Lot
from engine.model.verification import BALANCES, ORDERS, POSITIONS, Grade
from engine.state import EngineState
from engine.state.soundness import flaws
from tests.kit.histories import histories, session

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine import events as ev

PAPER, USDT = AccountId("paper"), Currency("USDT")


def replay(records: list[ev.Record]) -> EngineState:
    state = EngineState()
    for record in records:
        state.apply(record)
    return state


def told(state: EngineState) -> list[str]:
    """What is found; histories delete bots whose orders still work, which the bots' manager refuses to do."""
    return [flaw.text for flaw in flaws(state, owners=False)]


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
)
@given(histories())
def test_whatever_happened_the_state_is_sound(records: list[ev.Record]) -> None:
    assert told(replay(records)) == []


def test_a_whole_session_is_sound() -> None:
    assert told(replay(session(3_000, seed=5))) == []


def _open(state: EngineState) -> str:
    return next(iter(state.orders))


def _more_money(state: EngineState) -> None:
    state.balances[PAPER][USDT].total += D("0.01")


def _held_too_much(state: EngineState) -> None:
    state.balances[PAPER][USDT].reserved += 1


def _lot_lost(state: EngineState) -> None:
    next(p for p in state.positions.values() if p.lots).lots.pop()


def _lot_of_the_other_sign(state: EngineState) -> None:
    position = next(p for p in state.positions.values() if p.lots)
    for touched in (position, *(p for key, p in state.owned.items() if key[2] == position.instrument)):
        touched.lots.append(Lot(-touched.quantity * 2 if touched.quantity else D(0), D(1), 0))


def _unknown_bot(state: EngineState) -> None:
    state.orders[next(iter(state.orders))].owner = Owner("nobody")


def _ended_but_open(state: EngineState) -> None:
    state.orders[next(iter(state.orders))].status = OrderStatus.CANCELED


def _filled_by_nothing(state: EngineState) -> None:
    next(o for o in state.recent.values() if o.filled).fill_keys.clear()


def _more_than_ordered(state: EngineState) -> None:
    order = state.orders[next(iter(state.orders))]
    order.filled, order.fill_keys, order.overfilled = order.quantity * 2, {"x"}, False


def _under_another_id(state: EngineState) -> None:
    key, order = next(iter(state.recent.items()))
    state.recent[key] = order
    order.client_id = next(iter(state.orders))


@pytest.mark.parametrize(
    ("spoil", "check"),
    [
        (_more_money, BALANCES),
        (_held_too_much, BALANCES),
        (_lot_lost, POSITIONS),
        (_lot_of_the_other_sign, POSITIONS),
        (_unknown_bot, ORDERS),
        (_ended_but_open, ORDERS),
        (_filled_by_nothing, ORDERS),
        (_more_than_ordered, ORDERS),
        (_under_another_id, ORDERS),
    ],
)
def test_a_value_that_something_else_changed_is_found(spoil: Callable[[EngineState], None], check: str) -> None:
    state = replay(session(800, seed=3))
    assert state.orders
    assert flaws(state) == []
    spoil(state)
    found = flaws(state)
    assert check in {flaw.check for flaw in found}
    assert {flaw.grade for flaw in found} == {Grade.CORRUPT}
    assert all(flaw.text.endswith(".") for flaw in found)
