"""What people and crashes do to parent orders: they go on from the state alone and never do a thing twice."""

from __future__ import annotations

from decimal import Decimal as D
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine import events as ev
from engine.errors import ConflictError, EngineError, NotFoundError
from engine.execution.algos.machine import decide
from engine.execution.algos.plans import even_slices
from engine.execution.effects import PlaceEffect
from engine.model.algos import (
    BracketPlan,
    IcebergPlan,
    LimitPlan,
    MarketPlan,
    ParentStatus,
    ParticipationPlan,
    SchedulePlan,
    Trail,
    TrailingPlan,
)
from engine.model.order import OrderStatus, OrderType
from engine.model.schedule import Slice
from engine.state.soundness import flaws
from tests.execution.algos.yard import NS, SELL, Yard

if TYPE_CHECKING:
    from engine.execution.algos.contract import Action, View
    from engine.execution.effects import Effect
    from engine.model.algos import Parent, Plan

TWAP = SchedulePlan(name="twap", slices=tuple(Slice(n * 60 * NS, D(n + 1) / 4) for n in range(4)))


def wait(yard: Yard, seconds: int) -> None:
    for _ in range(seconds):
        yard.step(1)


# --- pause, resume, accelerate, cancel -------------------------------------------------------------------------------


def test_a_paused_parent_withdraws_and_waits_and_its_schedule_is_later_by_the_pause() -> None:
    yard = Yard()
    parent = yard.open(TWAP)
    wait(yard, 30)
    yard.algos.pause(parent, "lunch")
    wait(yard, 300)
    assert (parent.executed, parent.status) == (D("2.5"), ParentStatus.PAUSED)
    yard.algos.resume(parent)
    wait(yard, 29)
    assert parent.executed == D("2.5")
    wait(yard, 1)
    assert parent.executed == 5


def test_a_pause_takes_back_what_rests() -> None:
    yard = Yard()
    parent = yard.open(LimitPlan(price=D(99)))
    assert yard.children(parent)
    yard.algos.pause(parent, "asked")
    assert not yard.children(parent)
    wait(yard, 20)
    assert len(yard.told()) == 1
    yard.algos.resume(parent)
    assert yard.told() == ["buy limit 10@99"] * 2


def test_an_accelerated_parent_is_that_much_faster() -> None:
    yard = Yard()
    parent = yard.open(TWAP)
    yard.algos.accelerate(parent, D(4))
    wait(yard, 45)
    assert parent.status is ParentStatus.DONE or parent.executed == 10
    with pytest.raises(ConflictError):
        yard.algos.accelerate(yard.open(TWAP), D(1000))


def test_what_is_not_possible_is_said() -> None:
    yard = Yard()
    with pytest.raises(NotFoundError, match="running are: none"):
        yard.algos.find("twap-1")
    parent = yard.open(MarketPlan())
    with pytest.raises(ConflictError, match="only a paused one"):
        yard.algos.resume(parent)
    yard.step()
    with pytest.raises(ConflictError, match="already done"):
        yard.algos.find(parent.id)


def test_a_cancelled_parent_ends_once_its_orders_have() -> None:
    yard = Yard()
    parent = yard.open(LimitPlan(price=D(99)))
    yard.algos.cancel(parent, "asked")
    yard.step()
    assert (parent.status, parent.reason) == (ParentStatus.CANCELLED, "asked")
    assert not yard.state.orders
    wait(yard, 20)
    assert len(yard.told()) == 1


def test_a_parent_ends_when_somebody_else_cancels_an_order_of_it() -> None:
    yard = Yard()
    parent = yard.open(IcebergPlan(price=D(99), display=D(1)))
    (child,) = yard.children(parent)
    yard.desk.cancel(child.client_id, "the bot is stopped")
    assert parent.status is ParentStatus.ENDING
    yard.step()
    assert parent.reason == "an order of it was cancelled: the bot is stopped"
    assert str(parent.status) == "cancelled"


def test_a_halt_lets_nothing_be_entered_and_an_emergency_ends_a_parent() -> None:
    yard = Yard()
    parent = yard.open(TWAP)
    yard.blocked = "all trading is halted"
    wait(yard, 120)
    assert parent.executed == D("2.5")
    assert yard.algos.words(parent.id) == "all trading is halted"
    yard.blocked = ""
    yard.step()
    assert parent.executed == D("7.5")
    yard.over = "emergency stop: test"
    yard.step()
    yard.step()
    assert (parent.status, parent.reason) == (ParentStatus.CANCELLED, "emergency stop: test")


@pytest.mark.parametrize("by", ["halt", "kill"])
@pytest.mark.parametrize("passive", [False, True])
def test_a_schedule_that_was_held_back_catches_up_slice_by_slice_at_twice_its_speed(by: str, passive: bool) -> None:
    yard = Yard()
    plan = SchedulePlan(name="twap", slices=even_slices(3600 * NS, 100), passive=passive)
    parent_id = yard.open(plan, quantity="100").id
    yard.step(1)
    before = len(yard.wire.places)
    if by == "kill":
        yard.clock.set(yard.clock.now() + 1800 * NS)
        yard = yard.again()
        before = 0
    else:
        yard.blocked = "a halt"
        wait(yard, 1800)
        yard.blocked = ""
    parent = yard.state.parents[parent_id]
    wait(yard, 360)
    # Ten slices have become due meanwhile; twice as many are taken, and what is due last may rest.
    assert parent.executed in (20, 21, 22)
    assert all(place.command.quantity == 1 for place in yard.wire.places[before:])
    assert "behind and catches up slice by slice" in yard.algos.words(parent_id)
    for _ in range(720):
        yard.step(5)
    assert parent.status is ParentStatus.DONE
    assert max(place.command.quantity for place in yard.wire.places) <= 2


def test_a_schedule_catches_up_in_a_thin_book_by_parts_of_a_slice() -> None:
    yard = Yard()
    parent = yard.open(SchedulePlan(name="twap", slices=even_slices(3600 * NS, 100)), quantity="100")
    yard.blocked = "a halt"
    wait(yard, 1800)
    yard.blocked = ""
    before = parent.executed
    for _ in range(90):
        yard.market("99.99", "100.01", size="0.4")
        yard.step(1)
    # Half of 0.4 at a time, in a fifth of the time that a whole slice would need.
    assert {place.command.quantity for place in yard.wire.places[1:]} == {D("0.2")}
    assert D("4.4") <= parent.executed - before <= D("5.2")


@pytest.mark.parametrize("pace", [1, 2, 10, 100])
def test_an_accelerated_schedule_keeps_its_speed_however_many_slices_a_step_has(pace: int) -> None:
    yard = Yard()
    parent = yard.open(SchedulePlan(name="twap", slices=even_slices(60 * NS, 60)), quantity="60")
    yard.algos.accelerate(parent, D(pace))
    for _ in range(4 * 60 // pace + 4):
        yard.step()
    assert parent.executed == 60
    assert max(place.command.quantity for place in yard.wire.places) <= max(D(2), D("0.5") * pace)


def test_a_cap_that_is_not_used_up_does_not_let_a_schedule_catch_up_faster() -> None:
    yard = Yard()
    plan = SchedulePlan(name="twap", slices=even_slices(3600 * NS, 100), participation=D("0.1"))
    parent = yard.open(plan, quantity="100")
    yard.traded("100", "5000")
    wait(yard, 10)
    assert parent.executed == 1
    yard.blocked = "a halt"
    wait(yard, 1800)
    yard.blocked = ""
    wait(yard, 36)
    assert parent.executed in (3, 4)


@pytest.mark.parametrize("how", ["pause", "halt", "price"])
def test_volume_that_passes_a_parent_by_gives_no_right_to_catch_up(how: str) -> None:
    yard = Yard()
    plan = ParticipationPlan(rate=D("0.1"), every_ns=NS, price=D("100.5"))
    parent = yard.open(plan, quantity="400")
    yard.traded("100", "10")
    yard.step(2)
    assert parent.executed == 1
    if how == "pause":
        yard.algos.pause(parent, "lunch")
    elif how == "halt":
        yard.blocked = "a halt"
    else:
        yard.market("101", "101.1")
    for _ in range(60):
        yard.traded("101", "50")
        yard.step(60)
    if how == "pause":
        yard.algos.resume(parent)
    yard.blocked = ""
    yard.market("99.99", "100.01")
    wait(yard, 3)
    assert parent.executed == 1
    yard.traded("100", "20")
    wait(yard, 3)
    assert parent.executed == 3


def test_the_cap_of_a_schedule_counts_no_volume_of_a_pause() -> None:
    yard = Yard()
    parent = yard.open(SchedulePlan(name="twap", slices=TWAP.slices, participation=D("0.1")))
    yard.algos.pause(parent, "lunch")
    for _ in range(60):
        yard.traded("100", "50")
        yard.step(1)
    yard.algos.resume(parent)
    wait(yard, 130)
    assert parent.executed == 0
    yard.traded("100", "5")
    wait(yard, 10)
    assert parent.executed == D("0.5")


# --- faults ----------------------------------------------------------------------------------------------------------


def failing(monkeypatch: pytest.MonkeyPatch, *parents: Parent) -> None:
    """Let the step machine raise for some parents."""
    names = {parent.id for parent in parents}

    def failed(view: View) -> list[Action]:
        if view.parent.id in names:
            raise ZeroDivisionError("by nothing")
        return decide(view)

    monkeypatch.setattr("engine.execution.algos.supervisor.decide", failed)


def test_a_fault_in_one_parent_stops_it_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    yard = Yard().holding("1")
    first = yard.open(LimitPlan(price=D(99)))
    trails = yard.open(TrailingPlan(trail=Trail(amount=D(1))), side=SELL, quantity="1")
    failing(monkeypatch, first)
    yard.market("104.99", "105.01")
    wait(yard, 3)
    assert trails.level == D("103.99")
    assert (str(first.status), first.reason) == ("stopped", "a fault of the engine (ZeroDivisionError: by nothing)")
    assert [order.parent for order in yard.state.orders.values()] == [trails.id]
    (error,) = yard.stopped
    assert isinstance(error, EngineError)
    assert error.message.startswith(f"{first.id} (buy 10 ")
    assert flaws(yard.state) == []


def test_a_fault_in_a_bracket_leaves_its_exits_and_withdraws_what_enters(monkeypatch: pytest.MonkeyPatch) -> None:
    yard = Yard().holding("1")
    bracket = yard.open(BracketPlan(price=D("99.99"), stop=D(95)))
    trails = yard.open(TrailingPlan(trail=Trail(amount=D(1))), side=SELL, quantity="1")
    yard.traded("99.99", "504")
    wait(yard, 2)
    with monkeypatch.context() as patch:
        failing(patch, bracket, trails)
        wait(yard, 5)
        assert {(order.parent, order.type) for order in yard.state.orders.values()} == {
            (bracket.id, OrderType.STOP_LOSS),
            (trails.id, OrderType.STOP_LOSS),
        }
        assert (bracket.status, trails.status) == (ParentStatus.PAUSED, ParentStatus.RUNNING)
        assert "a fault of the engine" in bracket.reason
        assert "a fault of the engine" in yard.algos.words(trails.id)
        assert len(yard.stopped) == 2
    # What protects is tried again at every step.
    yard.market("104.99", "105.01")
    wait(yard, 1)
    assert trails.level == D("103.99")
    yard.market("94", "94.1")
    wait(yard, 3)
    assert (str(bracket.status), bracket.exited) == ("done", D(4))


def test_a_parent_that_fails_while_it_ends_ends_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    yard = Yard()
    bracket = yard.open(BracketPlan(stop=D(95)))
    wait(yard, 1)
    failing(monkeypatch, bracket)
    yard.algos.cancel(bracket, "asked")
    wait(yard, 1)
    assert not yard.state.orders
    assert (bracket.reason, str(bracket.status)) == ("asked", "cancelled")


# --- crashes ---------------------------------------------------------------------------------------------------------


def test_a_killed_engine_goes_on_in_the_middle_from_the_journal_alone() -> None:
    yard = Yard()
    parent = yard.open(TWAP)
    wait(yard, 90)
    assert parent.executed == 5
    yard = yard.again()
    found = yard.parent(parent)
    wait(yard, 29)
    assert found.executed == 5
    wait(yard, 2)
    assert found.executed == D("7.5")
    yard = yard.again()
    wait(yard, 90)
    assert yard.parent(parent).status is ParentStatus.DONE
    assert yard.parent(parent).executed == 10


def test_an_order_whose_outcome_is_not_known_holds_everything_back_until_it_is() -> None:
    yard = Yard()
    yard.wire.lose = lambda effect: isinstance(effect, PlaceEffect)
    parent = yard.open(TWAP)
    (child,) = yard.children(parent)
    assert child.status is OrderStatus.UNKNOWN
    wait(yard, 130)
    assert len(yard.told()) == 1
    again = yard.again()
    wait(again, 10)
    assert not again.told()
    again.wire.tell(yard.wire.kept)
    found = again.parent(parent)
    assert found.executed == D("2.5")
    wait(again, 1)
    assert found.executed == D("7.5")


def test_a_rejected_order_gives_its_quantity_back() -> None:
    yard = Yard()
    yard.wire.refuse = "busy"
    parent = yard.open(MarketPlan())
    assert (parent.futile, parent.executed) == (1, D(0))
    yard.wire.refuse = ""
    wait(yard, 3)
    assert parent.status is ParentStatus.DONE
    assert yard.told() == ["buy market 10"] * 2


def test_a_late_execution_of_a_cancelled_order_counts_and_is_not_ordered_again() -> None:
    yard = Yard()
    parent = yard.open(IcebergPlan(price=D("99.99"), display=D(4)))
    yard.traded("99.98", "1000")
    yard.step(1)
    again = yard.again()
    assert again.parent(parent).executed == 4
    assert [order.quantity for order in again.children(again.parent(parent))] == [4]
    assert flaws(again.state) == []


def test_volume_that_nobody_heard_gives_no_right_to_trade() -> None:
    yard = Yard()
    parent = yard.open(ParticipationPlan(rate=D("0.1"), every_ns=NS))
    yard.traded("100", "30")
    wait(yard, 2)
    assert parent.executed == 3
    again = yard.again()
    wait(again, 5)
    assert again.parent(parent).executed == 3
    again.traded("100", "10")
    wait(again, 2)
    assert again.parent(parent).executed == 4


def test_an_order_that_outlives_its_parent_is_cancelled() -> None:
    yard = Yard()
    yard.wire.refuse = "busy"
    parent = yard.open(LimitPlan(price=D(99)))
    client_id = yard.wire.places[0].command.client_id
    yard.wire.refuse = ""
    yard.algos.cancel(parent, "asked")
    yard.step()
    assert not parent.is_open
    # The venue had it after all.
    yard.wire.tell(yard.exchange.place(yard.wire.places[0].command, yard.clock.now()))
    assert yard.state.orders[client_id].status is OrderStatus.ACCEPTED
    yard.step()
    assert not yard.state.orders


# --- whatever happens ------------------------------------------------------------------------------------------------

PLANS: list[Plan] = [
    MarketPlan(),
    LimitPlan(every_ns=NS),
    TWAP,
    SchedulePlan(name="twap", slices=TWAP.slices, participation=D("0.1")),
    SchedulePlan(name="twap", slices=TWAP.slices, passive=True),
    ParticipationPlan(rate=D("0.1"), every_ns=NS),
    IcebergPlan(price=D(100), display=D(3), jitter=D("0.3")),
    TrailingPlan(trail=Trail(fraction=D("0.01"))),
]
CAPS = {3: D("0.1"), 5: D("0.1")}
STEPS = ("wait", "wait", "up", "down", "trade", "lose", "answer", "refuse", "accept", "kill", "pause", "resume", "fast")


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    which=st.integers(0, len(PLANS) - 1),
    sells=st.booleans(),
    steps=st.lists(st.sampled_from(STEPS), min_size=10, max_size=60),
)
def test_in_flight_and_executed_never_exceed_the_parent_and_caps_hold(
    which: int, sells: bool, steps: list[str]
) -> None:
    plan = PLANS[which]
    yard = Yard().holding("10") if isinstance(plan, TrailingPlan) else Yard()
    side = {"side": SELL} if sells or isinstance(plan, TrailingPlan) else {}
    parent_id = yard.open(plan, quantity="10", **side).id
    price, heard = D(100), D(0)
    for step in steps:
        if step in ("up", "down"):
            price += D("0.3") if step == "up" else -D("0.3")
            yard.market(str(price - D("0.01")), str(price + D("0.01")))
        elif step == "trade":
            heard += 9
            yard.traded(str(price), "9")
        elif step == "lose":
            yard.wire.lose = lambda effect: isinstance(effect, PlaceEffect)
        elif step == "answer":
            yard.wire.lose = _never
            kept, yard.wire.kept = yard.wire.kept, []
            yard.wire.tell(kept)
        elif step in ("refuse", "accept"):
            yard.wire.refuse = "busy" if step == "refuse" else ""
        elif step == "kill":
            kept, places = yard.wire.kept, yard.wire.places
            yard = yard.again()
            yard.wire.kept, yard.wire.places = kept, places
        _ask(yard, parent_id, step)
        yard.step(7)
        parent = yard.state.parent(parent_id)
        assert parent is not None
        working = sum((o.working for o in yard.state.children(parent_id)), D(0))
        assert parent.executed + working <= parent.quantity
        assert not (parent.status in ("done", "cancelled", "stopped") and working)
        if which in CAPS:
            assert parent.executed + working <= CAPS[which] * heard
        filled = [r.event.fill for r in yard.journal.records if isinstance(r.event, ev.OrderFilled)]
        fills = [fill for fill in filled if fill.side is parent.side]
        assert parent.executed == sum((fill.quantity for fill in fills), D(0))
        assert flaws(yard.state) == []


def _never(effect: Effect) -> bool:
    return False


def _ask(yard: Yard, parent_id: str, step: str) -> None:
    parent = yard.state.parents.get(parent_id)  # type: ignore[call-overload]
    if parent is None:
        return
    if step == "pause" and parent.status is ParentStatus.RUNNING:
        yard.algos.pause(parent, "asked")
    elif step == "resume" and parent.status is ParentStatus.PAUSED:
        yard.algos.resume(parent)
    elif step == "fast" and parent.pace < 1000 and parent.status is not ParentStatus.ENDING:
        yard.algos.accelerate(parent, D(2))
