"""Each algorithm on the paper exchange, order by order: what it sends, when, and how it ends."""

from __future__ import annotations

from decimal import Decimal as D

import pytest

from engine.errors import ConflictError, OrderRejectionError, SlippageError, ValidationError
from engine.model.algos import (
    IcebergPlan,
    LimitMode,
    LimitPlan,
    MarketPlan,
    ParentStatus,
    ParticipationPlan,
    SchedulePlan,
)
from engine.model.entries import TradingState
from engine.model.order import OrderSide, OrderStatus
from engine.model.schedule import Slice
from tests.execution.algos.yard import BUY, NS, SELL, Yard
from tests.venues.paper.helpers import make_instrument

TWAP = SchedulePlan(name="twap", slices=tuple(Slice(n * 60 * NS, D(n + 1) / 4) for n in range(4)))


# --- market ----------------------------------------------------------------------------------------------------------


def test_market_executes_everything_at_once_and_is_done() -> None:
    yard = Yard()
    parent = yard.open(MarketPlan())
    assert yard.told() == ["buy market 10"]
    assert parent.executed == 10
    yard.step()
    assert (parent.status, parent.reason) == (ParentStatus.DONE, "everything is executed")
    assert parent.cost == D("1000.10")
    assert parent.arrival == 100
    assert not yard.state.parents


def test_market_goes_in_parts_where_the_venue_takes_no_larger_order() -> None:
    yard = Yard(instrument=make_instrument(max_quantity="4", min_quantity="0.001"))
    parent = yard.open(MarketPlan())
    for _ in range(4):
        yard.step()
    assert yard.told() == ["buy market 4", "buy market 4", "buy market 2"]
    assert parent.status is ParentStatus.DONE


def test_a_rest_too_small_for_an_order_is_taken_along() -> None:
    yard = Yard(instrument=make_instrument(max_quantity="4", min_quantity="0.5"))
    parent = yard.open(MarketPlan(), quantity="8.4")
    for _ in range(4):
        yard.step()
    assert sum(order.command.quantity for order in yard.wire.places) == D(8)
    assert (parent.status, parent.reason) == (ParentStatus.DONE, "the last 0.4 are too small to be ordered")


# --- limit -----------------------------------------------------------------------------------------------------------


def test_a_chase_begins_at_its_own_side_and_steps_to_the_other_every_five_seconds() -> None:
    yard = Yard()
    yard.market("99", "101")
    parent = yard.open(LimitPlan(price=D("100.5"), steps=4), quantity="1")
    for _ in range(18):
        yard.step(1)
    assert yard.told() == ["buy limit 1@99"]
    assert yard.amended() == ["@99.5", "@100", "@100.5"]
    (child,) = yard.children(parent)
    assert child.price == D("100.5")
    yard.market("99", "100.5")
    yard.step()
    assert parent.status is ParentStatus.DONE
    assert parent.cost == D("100.5")


def test_a_chase_without_a_bound_ends_by_taking_the_other_side() -> None:
    yard = Yard()
    yard.market("99", "101")
    parent = yard.open(LimitPlan(steps=2), side=SELL, quantity="1")
    for _ in range(12):
        yard.step(1)
    assert yard.told() == ["sell limit 1@101"]
    assert yard.amended() == ["@100", "@99"]
    assert parent.status is ParentStatus.DONE


def test_post_only_stays_one_tick_before_the_other_side() -> None:
    yard = Yard()
    yard.market("99", "101")
    parent = yard.open(LimitPlan(steps=2, post_only=True), quantity="1")
    for _ in range(14):
        yard.step(1)
    assert yard.amended() == ["@100", "@100.99"]
    assert yard.children(parent)[0].status is OrderStatus.ACCEPTED


def test_a_peg_follows_its_side_up_to_its_price_and_not_more_often_than_every_five_seconds() -> None:
    yard = Yard()
    yard.open(LimitPlan(mode=LimitMode.PEG, price=D("100.2")), quantity="1")
    for bid in ("100", "100.1", "100.3"):
        yard.market(bid, "101")
        for _ in range(6):
            yard.step(1)
    assert yard.told() == ["buy limit 1@99.99"]
    assert yard.amended() == ["@100", "@100.1", "@100.2"]


def test_where_nothing_is_changed_in_place_the_order_is_cancelled_and_placed_anew() -> None:
    yard = Yard(can_amend=False)
    parent = yard.open(LimitPlan(mode=LimitMode.PEG), quantity="1")
    yard.market("100", "101")
    for _ in range(7):
        yard.step(1)
    assert yard.told() == ["buy limit 1@99.99", "buy limit 1@100"]
    assert parent.status is ParentStatus.RUNNING
    assert parent.futile == 0


# --- schedule --------------------------------------------------------------------------------------------------------


def test_twap_sends_each_slice_when_it_is_due() -> None:
    yard = Yard()
    parent = yard.open(TWAP)
    sent: list[int] = []
    for second in range(1, 200):
        yard.step(1)
        if len(yard.wire.places) > len(sent):
            sent.append(second)
        due = min(second // 60 + 1, 4) * D("2.5")
        assert parent.executed == due
    assert yard.told() == ["buy market 2.5"] * 4
    assert sent == [1, 60, 120, 180][: len(sent)]
    assert parent.status is ParentStatus.DONE


def test_jitter_varies_sizes_and_times_and_is_the_same_for_the_same_parent() -> None:
    plans = []
    for _ in range(2):
        yard = Yard()
        plan = yard.open(SchedulePlan(name="twap", slices=TWAP.slices, jitter=D("0.1"))).plan
        assert isinstance(plan, SchedulePlan)
        plans.append(plan)
    assert plans[0] == plans[1]
    slices = plans[0].slices
    assert slices[-1].share == 1
    assert slices != TWAP.slices
    sizes = [b.share - a.share for a, b in zip((Slice(0, D(0)), *slices), slices, strict=False)]
    assert all(D("0.2") < size < D("0.3") for size in sizes)
    shifts = [abs(step.offset_ns - even.offset_ns) for step, even in zip(slices, TWAP.slices, strict=True)]
    assert 0 < max(shifts) <= 6 * NS
    assert slices[0].offset_ns >= 0
    assert slices[-1].offset_ns <= 180 * NS


def test_the_participation_cap_holds_back_what_is_due() -> None:
    yard = Yard()
    parent = yard.open(SchedulePlan(name="twap", slices=TWAP.slices, participation=D("0.1")))
    yard.step(1)
    assert not yard.told()
    heard = D(0)
    for _ in range(30):
        yard.traded("100", "7")
        heard += 7
        yard.step(10)
        assert parent.executed <= heard / 10
    assert parent.status is ParentStatus.DONE


def test_a_passive_slice_rests_until_the_next_one_is_due_and_is_taken_then() -> None:
    yard = Yard()
    parent = yard.open(SchedulePlan(name="twap", slices=TWAP.slices, passive=True))
    assert yard.told() == ["buy limit 2.5@99.99"]
    for _ in range(62):
        yard.step(1)
    assert yard.told()[1:] == ["buy market 2.5", "buy limit 2.5@99.99"]
    for _ in range(300):
        yard.step(1)
    assert parent.status is ParentStatus.DONE
    assert sum(order.command.quantity for order in yard.wire.places if order.command.price is None) == 10


THIRDS = (Slice(0, D("0.333")), Slice(60 * NS, D("0.667")), Slice(120 * NS, D(1)))


def test_a_passive_slice_rests_although_less_than_an_order_is_late() -> None:
    # A third of what is due is no whole number of lots: after the first slice was taken a rest of it stays late.
    yard = Yard(instrument=make_instrument(lot="0.1", min_quantity="0.1"))
    parent = yard.open(SchedulePlan(name="twap", slices=THIRDS, passive=True), quantity="1")
    for _ in range(122):
        yard.step(1)
    assert yard.told() == ["buy limit 0.3@99.99", "buy market 0.3", "buy limit 0.3@99.99", "buy market 0.3",
                           "buy limit 0.4@99.99"]  # fmt: skip
    for _ in range(60):
        yard.step(1)
    assert parent.status is ParentStatus.DONE


def test_a_schedule_takes_nothing_beyond_its_price_and_catches_up_when_it_comes_back() -> None:
    yard = Yard()
    parent = yard.open(SchedulePlan(name="twap", slices=TWAP.slices, price=D("100.5")))
    yard.market("101", "101.2")
    for _ in range(70):
        yard.step(1)
    assert parent.executed == D("2.5")
    yard.market("100.18", "100.2")
    yard.step(1)
    assert parent.executed == 5


# --- participation ---------------------------------------------------------------------------------------------------


def test_pov_trades_its_share_of_what_is_traded() -> None:
    yard = Yard()
    parent = yard.open(ParticipationPlan(rate=D("0.2"), every_ns=5 * NS))
    yard.step(1)
    assert not yard.told()
    heard = D(0)
    for _ in range(40):
        yard.traded("100", "2")
        heard += 2
        yard.step(5)
        assert parent.executed <= heard / 5
        assert parent.executed >= min(D(10), heard / 5) - D("0.4")
    assert parent.status is ParentStatus.DONE


# --- iceberg ---------------------------------------------------------------------------------------------------------


def test_an_iceberg_shows_one_part_at_a_time() -> None:
    yard = Yard()
    parent = yard.open(IcebergPlan(price=D("99.99"), display=D(4)))
    for _ in range(3):
        assert len(yard.children(parent)) == 1
        yard.step(1)
        yard.traded("99.98", "1000")
        yard.step(1)
    assert yard.told() == ["buy limit 4@99.99", "buy limit 4@99.99", "buy limit 2@99.99"]
    yard.step(1)
    assert parent.status is ParentStatus.DONE


def test_the_parts_of_an_iceberg_differ_where_that_is_wanted() -> None:
    yard = Yard()
    yard.open(IcebergPlan(price=D("99.99"), display=D(2), jitter=D("0.5")))
    for _ in range(12):
        yard.traded("99.98", "1000")
        yard.step(1)
    sizes = [order.command.quantity for order in yard.wire.places]
    assert sum(sizes) == 10
    assert len(set(sizes)) > 2
    assert all(D(1) <= size <= 3 for size in sizes[:-1])


# --- limits of its own -----------------------------------------------------------------------------------------------


def test_slippage_beyond_its_limit_stops_a_parent_and_raises_the_error() -> None:
    yard = Yard()
    parent = yard.open(TWAP, max_slippage=D("0.01"))
    yard.market("100.98", "101")
    yard.step(60)
    assert parent.executed == 5
    yard.market("102", "102.1")
    yard.step(60)
    assert parent.executed == 5
    assert parent.status is ParentStatus.STOPPED
    assert "2.100% worse than at its arrival, more than its limit of 1.000%" in parent.reason
    (error,) = yard.stopped
    assert isinstance(error, SlippageError)


@pytest.mark.parametrize("side", [BUY, SELL])
def test_an_iceberg_keeps_its_slippage_limit_beside_its_price(side: OrderSide) -> None:
    yard = Yard()
    price = D(110) if side is BUY else D(90)
    yard.open(IcebergPlan(price=price, display=D(10)), side=side, max_slippage=D("0.0101"))
    # Arrival is 100; the price is on the grid, and not beyond the limit.
    assert yard.told() == ["buy limit 10@101.01" if side is BUY else "sell limit 10@98.99"]
    yard = Yard()
    yard.open(
        IcebergPlan(price=D("100.005") - side.sign * D("0.995"), display=D(10)), side=side, max_slippage=D("0.01")
    )
    assert yard.told() == ["buy limit 10@99.01" if side is BUY else "sell limit 10@101"]


def test_slippage_cannot_be_limited_while_the_price_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    yard = Yard()
    monkeypatch.setattr(yard.hub, "quote", lambda instrument: None)
    with pytest.raises(ConflictError, match="so slippage cannot be limited"):
        yard.open(TWAP, max_slippage=D("0.01"))
    assert not yard.state.parents


def test_the_whole_quantity_is_judged_at_the_opening() -> None:
    yard = Yard()
    with pytest.raises(OrderRejectionError, match="only 1,000,000"):
        yard.open(TWAP, quantity="10100")
    assert not yard.state.parents
    assert not yard.told()


def test_orders_that_the_gate_refuses_are_tried_again_more_and_more_rarely_until_it_stops() -> None:
    yard = Yard()
    parent = yard.open(TWAP)
    yard.risk.hold("test", "a halt", TradingState.HALTED)
    sent = len(yard.told())
    for _ in range(400):
        yard.step(1)
    assert len(yard.told()) == sent
    assert (parent.status, parent.executed) == (ParentStatus.STOPPED, D("2.5"))
    assert parent.reason == "the risk gate refused 8 orders in a row"


def test_orders_that_the_venue_rejects_are_tried_again_until_it_stops() -> None:
    yard = Yard()
    yard.wire.refuse = "insufficient_balance"
    parent = yard.open(MarketPlan())
    for _ in range(400):
        yard.step(1)
    assert len(yard.told()) == 8
    assert parent.status is ParentStatus.STOPPED
    assert parent.executed == 0
    assert parent.reason.endswith("rejected: the venue does not want it")


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        (SchedulePlan(name="twap", slices=()), "at least one slice"),
        (SchedulePlan(name="twap", slices=TWAP.slices, jitter=D("0.41")), "jitter is a fraction from 0 to 0.4"),
        (SchedulePlan(name="twap", slices=TWAP.slices, participation=D("1.1")), "cap on participation"),
        (ParticipationPlan(rate=D(0)), "the rate is a fraction"),
        (LimitPlan(every_ns=1), "at least 0.1 s"),
        (LimitPlan(steps=0), "at least one step"),
        (IcebergPlan(price=D(99), display=D("0.0001")), "part that is shown is at least 0.001"),
        (IcebergPlan(price=D(99), display=D(1), jitter=D(1)), "jitter is a fraction"),
    ],
)
def test_a_plan_that_cannot_be_followed_changes_nothing(plan: SchedulePlan, words: str) -> None:
    yard = Yard()
    before = yard.state.state_hash()
    with pytest.raises(ValidationError, match=words):
        yard.open(plan, side=BUY)
    assert yard.state.state_hash() == before
