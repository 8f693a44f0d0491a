"""Trailing stops and brackets on the paper exchange: they follow, protect what is held, and end one another."""

from __future__ import annotations

from decimal import Decimal as D
from typing import TYPE_CHECKING

import pytest

from engine.errors import OrderRejectionError, SlippageError, ValidationError
from engine.model.algos import BracketPlan, ParentStatus, Trail, TrailingPlan
from engine.model.entries import TradingState
from engine.model.order import Order, OrderRequest, OrderType
from engine.venues.paper.fill_model import FillKind
from engine.venues.paper.settings import FeeCurrency, PaperSettings
from tests.execution.algos.yard import BUY, NS, SELL, Yard
from tests.venues.paper.helpers import make_exchange, make_instrument

if TYPE_CHECKING:
    from engine.execution.effects import Effect


def walk(yard: Yard, *bids: str) -> None:
    """The market moves, with a second between two moves."""
    for bid in bids:
        yard.market(bid, str(D(bid) + D("0.02")))
        yard.step(1)


# --- trailing --------------------------------------------------------------------------------------------------------


def test_a_trailing_stop_follows_the_market_up_and_never_down() -> None:
    yard = Yard().holding("1")
    parent = yard.open(TrailingPlan(trail=Trail(fraction=D("0.02"))), side=SELL, quantity="1")
    assert yard.told() == ["sell stop_loss 1@97.99"]
    walk(yard, "101", "103", "102", "101.5")
    assert yard.amended() == ["@98.98", "@100.94"]
    assert parent.level == D("100.94")
    (stop,) = yard.children(parent)
    assert stop.reduce_only
    walk(yard, "100.9")
    yard.step()
    assert parent.executed == 1
    assert parent.status is ParentStatus.DONE


def test_a_trailing_stop_by_amount_waits_for_its_activation() -> None:
    yard = Yard().holding("1")
    parent = yard.open(TrailingPlan(trail=Trail(amount=D(1), activation=D(102))), side=SELL, quantity="1")
    walk(yard, "101", "101.99")
    assert not yard.told()
    walk(yard, "102", "101.5")
    assert yard.told() == ["sell stop_loss 1@101"]
    walk(yard, "102.5")
    assert parent.level == D("101.5")


def test_nothing_is_bought_back_on_spot() -> None:
    yard = Yard()
    plan = TrailingPlan(trail=Trail(fraction=D("0.02")))
    with pytest.raises(OrderRejectionError):
        yard.open(plan, side=BUY, quantity="1")


def test_what_is_not_held_cannot_be_protected() -> None:
    yard = Yard()
    with pytest.raises(OrderRejectionError):
        yard.open(TrailingPlan(trail=Trail(amount=D(1))), side=SELL, quantity="1001")


def test_the_stop_stays_where_it_was_when_its_order_has_to_be_replaced() -> None:
    yard = Yard(can_amend=False).holding("1")
    parent = yard.open(TrailingPlan(trail=Trail(amount=D(1))), side=SELL, quantity="1")
    walk(yard, "105", "105")
    assert yard.told() == ["sell stop_loss 1@98.99", "sell stop_loss 1@104"]
    again = yard.again()
    walk(again, "104.5")
    assert again.parent(parent).level == D(104)


@pytest.mark.parametrize(
    ("trail", "words"),
    [
        (Trail(), "needs a distance"),
        (Trail(fraction=D("0.1"), amount=D(1)), "needs a distance"),
        (Trail(fraction=D(1)), "below 1"),
        (Trail(amount=D(0)), "above 0"),
    ],
)
def test_a_distance_that_makes_no_sense_is_refused(trail: Trail, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        Yard().holding("1").open(TrailingPlan(trail=trail), side=SELL, quantity="1")


# --- bracket ---------------------------------------------------------------------------------------------------------


def test_a_bracket_protects_what_was_entered_and_its_target_ends_it() -> None:
    yard = Yard()
    parent = yard.open(BracketPlan(stop=D(95), target=D(110)))
    yard.step()
    assert yard.told() == ["buy market 10", "sell stop_loss 10@95", "sell take_profit 10@110"]
    stop, target = yard.children(parent)
    assert stop.oco_group == target.oco_group is not None
    assert stop.reduce_only
    walk(yard, "109", "110.01")
    yard.step()
    assert parent.exited == 10
    assert (parent.status, parent.reason) == (ParentStatus.DONE, "what was entered is closed")
    assert not yard.state.orders


def test_the_exits_are_no_larger_than_what_fees_in_the_base_asset_leave() -> None:
    instrument = make_instrument(min_quantity="0.001", taker="0.001")
    exchange = make_exchange(
        FillKind.BOOK, instrument=instrument, settings=PaperSettings(fee_currency=FeeCurrency.RECEIVED)
    )
    yard = Yard(instrument=instrument, exchange=exchange)
    yard.open(BracketPlan(stop=D(95)))
    yard.step()
    assert yard.told()[-1] == "sell stop_loss 9.99@95"


def test_the_exits_grow_with_the_entry() -> None:
    yard = Yard()
    parent = yard.open(BracketPlan(price=D("99.99"), stop=D(95), target=D(110)))
    assert yard.told() == ["buy limit 10@99.99"]
    entry = yard.children(parent)[0]
    queue = D(500)
    for _ in range(2):
        yard.traded("99.99", str(queue + 4))
        queue = D(0)
        yard.step(1)
        yard.step(1)
    assert entry.filled == 8
    exits = {order.type: order.quantity for order in yard.children(parent) if order is not entry}
    assert exits == {OrderType.STOP_LOSS: 8, OrderType.TAKE_PROFIT: 8}


def test_a_stop_that_is_reached_withdraws_what_is_left_of_the_entry() -> None:
    yard = Yard()
    parent = yard.open(BracketPlan(price=D("99.99"), stop=D(95)))
    yard.traded("99.99", "504")
    yard.step(1)
    yard.step(1)
    yard.market("94", "94.1")
    for _ in range(4):
        yard.step(1)
    # The limit was taken by the fall, and the stop sold what was held by then; nothing is left open.
    assert parent.status is ParentStatus.DONE
    assert parent.exited == parent.executed
    assert not yard.state.orders


def test_the_stop_of_a_bracket_may_trail() -> None:
    yard = Yard()
    parent = yard.open(BracketPlan(stop=D(98), trail=Trail(amount=D(2))))
    yard.step()
    walk(yard, "103", "101.5")
    assert parent.level == 101
    assert [order.stop_price for order in yard.children(parent)] == [101]


def test_a_bracket_whose_exits_are_refused_closes_what_it_holds() -> None:
    yard = Yard()
    parent = yard.open(BracketPlan(stop=D(95)))
    yard.wire.refuse = "no_stops"
    for _ in range(30):
        if yard.told()[-1].startswith("sell market"):
            yard.wire.refuse = ""
        yard.step(1)
    assert [told for told in yard.told() if told == "sell stop_loss 10@95"] == ["sell stop_loss 10@95"] * 3
    assert parent.status is ParentStatus.DONE
    assert parent.exited == 10


def test_a_bracket_whose_exits_the_risk_gate_refuses_closes_what_it_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    yard = Yard()
    parent = yard.open(BracketPlan(stop=D(95)))
    submit, refused = yard.desk.submit, []

    def without_stops(request: OrderRequest, correlation: str = "") -> Order:
        if request.type is OrderType.STOP_LOSS:
            refused.append(yard.clock.now())
            raise OrderRejectionError("no stops today")
        return submit(request, correlation)

    monkeypatch.setattr(yard.desk, "submit", without_stops)
    for _ in range(30):
        yard.step(0.5)
    assert [(then - refused[0]) / NS for then in refused] == [0, 1, 3]
    assert yard.told() == ["buy market 10", "sell market 10"]
    assert (parent.status, parent.exited) == (ParentStatus.DONE, D(10))


def test_a_cancelled_bracket_leaves_no_order_behind() -> None:
    yard = Yard()
    parent = yard.open(BracketPlan(stop=D(95), target=D(110)))
    yard.step()
    yard.algos.cancel(parent, "asked")
    yard.step()
    assert parent.status is ParentStatus.DONE
    assert parent.reason == "everything is executed"
    assert not yard.state.orders


def test_a_paused_bracket_enters_nothing_and_goes_on_protecting() -> None:
    yard = Yard()
    parent = yard.open(BracketPlan(price=D("99.99"), stop=D(95)))
    yard.traded("99.99", "504")
    yard.algos.pause(parent, "asked")
    for _ in range(3):
        yard.step(1)
    assert [(o.type, o.quantity) for o in yard.children(parent)] == [(OrderType.STOP_LOSS, D(4))]
    yard.algos.resume(parent)
    yard.step(1)
    assert yard.told()[-1] == "buy limit 6@99.99"


@pytest.mark.parametrize("price", [None, D("100.5")])
def test_a_bracket_enters_at_no_worse_than_its_slippage_limit(price: D | None) -> None:
    yard = Yard()
    parent = yard.open(BracketPlan(price=price, stop=D(50), target=D(200)), max_slippage=D("0.01"))
    assert yard.told() == ["buy limit 10@101" if price is None else "buy limit 10@100.5"]
    assert parent.executed == 10


def test_a_bracket_whose_price_is_gone_before_it_enters_stops() -> None:
    yard = Yard()
    yard.blocked = "a halt"
    parent = yard.open(BracketPlan(stop=D(50), target=D(200)), max_slippage=D("0.01"))
    yard.market("119.9", "120")
    yard.step(1)
    assert parent.is_open
    yard.blocked = ""
    yard.step(1)
    assert not yard.told()
    yard.step(1)
    assert parent.status is ParentStatus.STOPPED
    assert "20.000% worse than at its arrival" in parent.reason
    assert isinstance(yard.stopped[0], SlippageError)


def test_a_bracket_enters_the_rest_within_its_limit_or_not_at_all() -> None:
    yard = Yard()
    yard.market("99.99", "100.01", size="4")
    parent = yard.open(BracketPlan(stop=D(50)), max_slippage=D("0.01"))
    for _ in range(4):
        yard.market("119.9", "120")
        yard.step(1)
    assert [(o.type, o.quantity) for o in yard.children(parent)] == [(OrderType.STOP_LOSS, D(4))]
    assert (parent.executed, parent.status) == (D(4), ParentStatus.RUNNING)
    yard.market("100.3", "100.4")
    yard.step(1)
    yard.step(1)
    assert parent.executed == 10
    assert parent.cost <= 10 * D("100") * D("1.01")


def test_a_trailing_stop_takes_no_slippage_limit() -> None:
    yard = Yard()
    plan = TrailingPlan(trail=Trail(amount=D(1)))
    with pytest.raises(ValidationError, match="give it no max_slippage"):
        yard.open(plan, side=SELL, quantity="1", max_slippage=D("0.01"))
    assert not yard.state.parents


def test_a_cancelled_entry_leaves_what_is_held_its_stop() -> None:
    yard = Yard()
    parent = yard.open(BracketPlan(price=D("99.99"), stop=D(95)))
    yard.traded("99.99", "504")
    yard.step(1)
    yard.step(1)
    entry, stop = yard.children(parent)
    yard.desk.cancel(entry.client_id, "cancelled by somebody")
    for _ in range(5):
        yard.step(1)
    assert yard.children(parent) == [stop]
    assert (parent.status, parent.executed) == (ParentStatus.PAUSED, D(4))
    assert parent.reason == "an order of it was cancelled: cancelled by somebody"
    again = yard.again()
    again.step(1)
    found = again.parent(parent)
    assert [order.client_id for order in again.children(found)] == [stop.client_id]
    again.market("94", "94.1")
    for _ in range(3):
        again.step(1)
    assert (str(found.status), found.exited) == ("done", D(4))
    assert not again.told()


def test_a_halt_that_cancels_what_enters_leaves_a_bracket_its_stop() -> None:
    yard = Yard()
    parent = yard.open(BracketPlan(price=D("99.99"), stop=D(95)))
    yard.traded("99.99", "504")
    yard.step(1)
    yard.step(1)
    # What an emergency stop without closing does.
    yard.risk.hold("operator", "stop", TradingState.HALTED)
    yard.desk.cancel_matching(lambda order: not order.reduce_only, "emergency stop by operator")
    for _ in range(5):
        yard.step(1)
    assert [(o.type, o.quantity) for o in yard.children(parent)] == [(OrderType.STOP_LOSS, D(4))]
    yard.algos.cancel(parent, "asked")
    yard.step(1)
    assert not yard.children(parent)
    assert parent.status is ParentStatus.CANCELLED


def test_a_bracket_whose_entry_is_cancelled_before_anything_is_held_ends() -> None:
    yard = Yard()
    parent = yard.open(BracketPlan(price=D("99.99"), stop=D(95)))
    (entry,) = yard.children(parent)
    yard.desk.cancel(entry.client_id, "cancelled by somebody")
    yard.step(1)
    assert (parent.status, parent.executed) == (ParentStatus.CANCELLED, D(0))
    assert parent.reason == "an order of it was cancelled: cancelled by somebody"


def test_what_is_executed_before_the_cancel_of_an_entry_arrives_is_protected(monkeypatch: pytest.MonkeyPatch) -> None:
    yard = Yard()
    parent = yard.open(BracketPlan(price=D("99.99"), stop=D(95)))
    (entry,) = yard.children(parent)
    kept: list[Effect] = []
    with monkeypatch.context() as slow:
        slow.setattr(yard.wire, "put", kept.append)
        yard.desk.cancel(entry.client_id, "cancelled by somebody")
    yard.traded("99.99", "504")
    yard.step(1)
    for effect in kept:
        yard.wire.put(effect)
    for _ in range(3):
        yard.step(1)
    assert [(o.type, o.quantity) for o in yard.children(parent)] == [(OrderType.STOP_LOSS, D(4))]


@pytest.mark.parametrize("by", ["risk", "venue"])
def test_entries_that_are_refused_are_no_reason_to_sell_what_is_well_protected(by: str) -> None:
    yard = Yard()
    parent = yard.open(BracketPlan(price=D("99.99"), stop=D(95)), quantity="100")
    yard.traded("99.99", "504")
    yard.step(1)
    yard.step(1)
    entry, stop = yard.children(parent)
    if by == "risk":
        yard.risk.change_limits("test", {"max_position_size_pct": "0.001", "position_size_pct": "0.001"})
    else:
        yard.wire.refuse = "insufficient_balance"
    yard.wire.tell(list(yard.exchange.cancel(entry.account, entry.client_id, yard.clock.now())))
    for _ in range(60):
        yard.step(1)
    assert yard.children(parent) == [stop]
    assert (parent.executed, parent.exited, parent.status) == (D(4), D(0), ParentStatus.RUNNING)
    assert "sell market 4" not in yard.told()
    # The exits wait for nothing that became of the entries.
    yard.wire.refuse = ""
    yard.wire.tell(list(yard.exchange.cancel(stop.account, stop.client_id, yard.clock.now())))
    yard.step(1)
    assert yard.told()[-1] == "sell stop_loss 4@95"


@pytest.mark.parametrize("price", [D(99), None])
def test_a_bracket_that_is_paused_before_anything_is_held_does_not_enter(price: D | None) -> None:
    yard = Yard()
    yard.blocked = "" if price is not None else "a halt"
    parent = yard.open(BracketPlan(price=price, stop=D(95), target=D(110)))
    sent = len(yard.told())
    yard.algos.pause(parent, "asked")
    yard.blocked = ""
    for _ in range(8):
        yard.step(1)
        assert not yard.children(parent)
    assert len(yard.told()) == sent
    yard.algos.resume(parent)
    assert len(yard.told()) == sent + 1


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        (BracketPlan(), "needs a stop or a target"),
        (BracketPlan(stop=D(101)), "the stop must be below the entry"),
        (BracketPlan(target=D(99)), "the target must be above the entry"),
        (BracketPlan(price=D(97), stop=D(98)), "the stop must be below the entry at 97"),
    ],
)
def test_a_bracket_the_wrong_way_round_is_refused(plan: BracketPlan, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        Yard().open(plan)


def test_an_exit_is_held_back_while_its_answer_is_not_known() -> None:
    yard = Yard(instrument=make_instrument(min_quantity="0.001"))
    parent = yard.open(BracketPlan(stop=D(95), trail=Trail(amount=D(5), every_ns=NS)))
    yard.wire.lose = lambda effect: hasattr(effect, "command")
    yard.step(1)
    sent = len(yard.told())
    walk(yard, "103", "104")
    assert len(yard.told()) == sent
    yard.wire.lose = lambda effect: False
    yard.wire.tell(yard.wire.kept)
    walk(yard, "105")
    assert parent.level == 100
