"""The desk books intents once, and from a venue's reports only what is news."""

from __future__ import annotations

from decimal import Decimal as D
from typing import TYPE_CHECKING, Protocol

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import events as ev
from engine.errors import ConflictError, JournalError, NotFoundError, OrderRejectionError
from engine.execution.effects import AmendEffect, CancelEffect, PlaceEffect
from engine.model.fill import Fill
from engine.model.ids import ClientOrderId, TradeId, VenueOrderId
from engine.model.order import Liquidity, Order, OrderSide, OrderStatus, OrderType, TimeInForce
from engine.state import EXTERNAL
from tests.execution.house import BTC, BUY, MARKET, PAPER, SELL, USDT, VENUE, House

if TYPE_CHECKING:
    from engine.execution.desk import Desk


@pytest.fixture
def house() -> House:
    return House()


def accepted(order_id: ClientOrderId, venue_id: str = "V1") -> ev.OrderAccepted:
    return ev.OrderAccepted(client_id=order_id, venue_order_id=VenueOrderId(venue_id), ts=1)


def canceled(order_id: ClientOrderId) -> ev.OrderCanceled:
    return ev.OrderCanceled(client_id=order_id, reason="asked for", ts=1)


# --- wishes ----------------------------------------------------------------------------------------------------------


def test_a_submitted_order_is_booked_reserved_and_queued_with_what_the_decision_saw(house: House) -> None:
    order = house.submit(quantity="2", price="90", tif=TimeInForce.GTC, post_only=True)
    assert order.status is OrderStatus.PENDING
    assert house.state.balance(PAPER, USDT).reserved == D("180.18"), "price and worst fee"
    assert (order.decision.best_bid, order.decision.best_ask, order.decision.mark) == (D(99), D(101), D(100))
    effect = house.dispatcher._normal[0]
    assert isinstance(effect, PlaceEffect)
    assert effect.seq == house.ledger.seq
    command = msgspec.to_builtins(effect.command, str_keys=True)
    assert {name: str(value) for name, value in command.items() if name in ("side", "type", "tif", "quantity")} == {
        "side": "buy",
        "type": "limit",
        "tif": "GTC",
        "quantity": "2",
    }
    assert (effect.command.client_id, effect.command.post_only) == (order.client_id, True)
    assert house.gate.counted == 1


def test_a_refusal_is_booked_and_nothing_is_reserved_or_queued(house: House) -> None:
    house.gate.forbids = True
    with pytest.raises(OrderRejectionError) as caught:
        house.submit()
    assert caught.value.details["codes"] == ["halted"]
    assert [fact.codes for fact in house.facts(ev.OrderRefused)] == [("halted",)]
    assert house.state.balance(PAPER, USDT).reserved == 0
    assert house.dispatcher.waiting == 0
    assert house.gate.counted == 0


def test_every_order_has_an_id_of_its_own(house: House) -> None:
    ids = {house.submit().client_id for _ in range(50)}
    assert len(ids) == 50
    assert all(house.desk.is_ours(client_id) for client_id in ids)


def test_a_failed_journal_books_and_queues_no_intent(house: House) -> None:
    house.journal.fail()
    with pytest.raises(JournalError):
        house.submit()
    assert house.dispatcher.waiting == 0
    with pytest.raises(JournalError):
        house.submit()


def test_a_cancel_is_flagged_and_queued_before_what_is_not_sent_yet(house: House) -> None:
    order = house.submit()
    house.desk.cancel(order.client_id, "no more")
    assert order.cancel_requested
    assert isinstance(house.dispatcher._urgent[0], CancelEffect)
    house.desk.cancel(order.client_id, "again")
    assert len(house.facts(ev.OrderCancelRequested)) == 2


def test_what_has_ended_or_never_was_cannot_be_cancelled(house: House) -> None:
    order = house.submit()
    house.desk.on_event(PAPER, canceled(order.client_id))
    with pytest.raises(ConflictError, match="already canceled"):
        house.desk.cancel(order.client_id, "late")
    with pytest.raises(NotFoundError, match="list the open ones"):
        house.desk.cancel(ClientOrderId("nonsense"), "?")


def test_only_matching_orders_are_cancelled(house: House) -> None:
    buy, sell = house.submit(), house.submit(SELL, price="110")
    assert house.desk.cancel_matching(lambda order: order.side is SELL, "sells") == [sell]
    assert not buy.cancel_requested


def test_an_amendment_is_judged_by_what_would_still_be_open(house: House) -> None:
    order = house.submit(quantity="3")
    house.desk.on_event(PAPER, accepted(order.client_id))
    fill(house, order, "1")
    house.desk.amend(order.client_id, quantity=D(5), price=D(91))
    request, replaces = house.gate.asked[-1]
    assert (request.quantity, request.price, replaces) == (D(4), D(91), order.client_id)
    effect = house.dispatcher._normal[-1]
    assert isinstance(effect, AmendEffect)
    assert (effect.quantity, effect.price, effect.stop_price) == (D(5), D(91), None)
    assert order.quantity == 3, "what holds is what the venue confirms"


def test_what_is_being_cancelled_or_refused_by_the_gate_is_not_amended(house: House) -> None:
    order = house.submit()
    house.gate.forbids = True
    with pytest.raises(OrderRejectionError):
        house.desk.amend(order.client_id, price=D(95))
    house.desk.cancel(order.client_id, "x")
    with pytest.raises(ConflictError, match="being cancelled"):
        house.desk.amend(order.client_id, price=D(95))
    house.desk.on_event(PAPER, canceled(order.client_id))
    with pytest.raises(ConflictError, match="canceled"):
        house.desk.amend(order.client_id, price=D(95))


def test_judging_books_nothing(house: House) -> None:
    before = house.ledger.seq
    assert house.desk.judge(house.request()).passed
    house.gate.forbids = True
    assert not house.desk.judge(house.request()).passed
    assert house.ledger.seq == before


# --- reports ---------------------------------------------------------------------------------------------------------


class Booking(Protocol):
    """A house with a desk."""

    desk: Desk


def fill(house: Booking, order: Order, quantity: str, trade: str = "T1", price: str = "90") -> ev.OrderFilled:
    """Report an execution as a venue would."""
    event = ev.OrderFilled(
        fill=Fill(
            venue=VENUE,
            account=PAPER,
            instrument=MARKET,
            trade_id=TradeId(trade),
            venue_order_id=VenueOrderId("V1"),
            client_id=order.client_id,
            side=order.side,
            price=D(price),
            quantity=D(quantity),
            fee=D(0),
            fee_currency=USDT,
            liquidity=Liquidity.TAKER,
            ts=1,
        )
    )
    house.desk.on_event(PAPER, event)
    return event


def held(house: House) -> D:
    position = house.state.position(PAPER, MARKET)
    return D(0) if position is None else position.quantity


def test_an_order_that_is_filled_holds_nothing_any_more(house: House) -> None:
    order = house.submit(quantity="2")
    house.desk.on_event(PAPER, accepted(order.client_id))
    fill(house, order, "0.5", "T1")
    assert order.status is OrderStatus.PARTIALLY_FILLED
    assert house.state.balance(PAPER, USDT).reserved == D("135.135")
    fill(house, order, "1.5", "T2")
    assert house.status(order) is OrderStatus.FILLED
    assert house.state.balance(PAPER, USDT).reserved == 0
    assert house.state.balance(PAPER, BTC).total == 12
    assert held(house) == 2


def test_a_fill_reported_twice_counts_once(house: House) -> None:
    order = house.submit(quantity="2")
    event = fill(house, order, "1")
    before = house.ledger.seq
    house.desk.on_event(PAPER, event)
    assert house.ledger.seq == before
    assert held(house) == 1


def test_a_fill_may_come_before_the_acceptance(house: House) -> None:
    order = house.submit()
    fill(house, order, "1")
    assert order.status is OrderStatus.FILLED
    house.desk.on_event(PAPER, accepted(order.client_id))
    assert order.status is OrderStatus.FILLED
    assert house.state.balance(PAPER, USDT).reserved == 0


def test_a_fill_that_was_under_way_when_the_order_was_cancelled_is_real(house: House) -> None:
    order = house.submit(quantity="2")
    house.desk.on_event(PAPER, canceled(order.client_id))
    fill(house, order, "0.5", "T1")
    assert (order.status, held(house)) == (OrderStatus.CANCELED, D("0.5"))
    fill(house, order, "1.5", "T2")
    assert (house.status(order), held(house)) == (OrderStatus.FILLED, D(2))
    assert house.state.balance(PAPER, USDT).reserved == 0


def test_a_rejection_that_was_wrong_is_taken_back_by_what_the_venue_does(house: House) -> None:
    order = house.submit(quantity="2")
    rejected = ev.OrderRejected(client_id=order.client_id, code="not_found", reason="not known", ts=1)
    house.desk.on_event(PAPER, rejected)
    assert not order.is_open
    house.desk.on_event(PAPER, accepted(order.client_id))
    assert order.status is OrderStatus.ACCEPTED
    assert house.state.balance(PAPER, USDT).reserved == D("180.18")


def test_more_than_was_ordered_is_booked_and_marked(house: House) -> None:
    order = house.submit(quantity="1")
    fill(house, order, "3")
    assert order.overfilled
    assert held(house) == 3
    assert house.state.balance(PAPER, USDT).reserved == 0


def test_an_execution_nobody_knows_the_order_of_changes_the_account_and_is_marked_external(house: House) -> None:
    order = house.submit(quantity="1")
    stranger = msgspec.structs.replace(order, client_id=ClientOrderId("web-1"))
    event = fill(house, stranger, "1")
    assert len(house.facts(ev.ExternalFillSeen)) == 1
    assert house.state.owned[EXTERNAL, PAPER, MARKET].quantity == 1
    house.desk.on_event(PAPER, event)
    assert len(house.facts(ev.ExternalFillSeen)) == 1
    assert house.state.balance(PAPER, BTC).total == 11


def test_an_execution_of_an_order_long_forgotten_changes_the_account_once(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.state.orders.RECENT_ORDERS", 2)
    old = house.submit()
    fill(house, old, "0.4", "T1")
    house.desk.on_event(PAPER, canceled(old.client_id))
    for _ in range(3):
        house.desk.on_event(PAPER, canceled(house.submit().client_id))
    assert house.state.order(old.client_id) is None
    event = fill(house, old, "0.6", "T2")
    house.desk.on_event(PAPER, event)
    assert held(house) == 1
    assert len(house.facts(ev.ExternalFillSeen)) == 1


def test_reports_about_orders_of_others_change_nothing(house: House) -> None:
    before = house.ledger.seq
    house.desk.on_event(PAPER, accepted(ClientOrderId("web-1")))
    house.desk.on_event(PAPER, canceled(ClientOrderId("web-1")))
    assert house.ledger.seq == before


def test_repeats_and_notices_that_come_too_late_change_nothing(house: House) -> None:
    order = house.submit(type=OrderType.STOP_LOSS, price=None, stop_price=D(95))
    triggered = ev.OrderTriggered(client_id=order.client_id, ts=1)
    amended = ev.OrderAmended(client_id=order.client_id, ts=1, quantity=D(7))
    house.desk.on_event(PAPER, accepted(order.client_id))
    house.desk.on_event(PAPER, triggered)
    before = house.ledger.seq
    for repeat in (accepted(order.client_id), triggered):
        house.desk.on_event(PAPER, repeat)
    assert house.ledger.seq == before
    house.desk.on_event(PAPER, canceled(order.client_id))
    before, digest = house.ledger.seq, house.state.state_hash()
    expired = ev.OrderExpired(client_id=order.client_id, reason="end", ts=1)
    rejected = ev.OrderRejected(client_id=order.client_id, code="x", reason="y", ts=1)
    for late in (accepted(order.client_id), triggered, amended, canceled(order.client_id), expired, rejected):
        house.desk.on_event(PAPER, late)
    assert (house.ledger.seq, house.state.state_hash()) == (before, digest)


def test_a_report_that_does_not_fit_the_orders_life_is_left_out(house: House) -> None:
    order = house.submit(quantity="2")
    fill(house, order, "1")
    before = house.ledger.seq
    house.desk.on_event(PAPER, ev.OrderRejected(client_id=order.client_id, code="x", reason="y", ts=1))
    assert house.ledger.seq == before
    assert order.status is OrderStatus.PARTIALLY_FILLED


def test_an_amended_order_holds_what_its_new_price_needs(house: House) -> None:
    order = house.submit(quantity="2", price="90")
    house.desk.on_event(PAPER, accepted(order.client_id))
    house.desk.on_event(PAPER, ev.OrderAmended(client_id=order.client_id, ts=1, quantity=D(1), price=D(95)))
    assert house.state.balance(PAPER, USDT).reserved == D("95.095")


def test_only_an_order_that_still_waits_for_its_answer_becomes_unknown(house: House) -> None:
    order = house.submit()
    house.desk.on_event(PAPER, accepted(order.client_id))
    house.desk.unknown(order.client_id, "no answer")
    assert order.status is OrderStatus.ACCEPTED
    house.desk.unknown(ClientOrderId("nonsense"), "no answer")
    waiting = house.submit()
    house.desk.submitted(waiting.client_id)
    house.desk.unknown(waiting.client_id, "no answer")
    assert waiting.status is OrderStatus.UNKNOWN


REPORTS = st.sampled_from(
    ["accepted", "canceled", "expired", "rejected", "triggered", "amended", "cancel_rejected", "fill1", "fill2", "over"]
)


@given(st.lists(REPORTS, max_size=14), st.sampled_from([BUY, SELL]))
def test_whatever_a_venue_reports_in_whatever_order_money_follows_the_executions(
    reports: list[str], side: OrderSide
) -> None:
    house = House()
    order = house.submit(side, "2", price="90")
    client_id = order.client_id
    plain: dict[str, ev.VenueEvent] = {
        "accepted": accepted(client_id),
        "canceled": canceled(client_id),
        "expired": ev.OrderExpired(client_id=client_id, reason="end", ts=1),
        "rejected": ev.OrderRejected(client_id=client_id, code="x", reason="y", ts=1),
        "triggered": ev.OrderTriggered(client_id=client_id, ts=1),
        "amended": ev.OrderAmended(client_id=client_id, ts=1, quantity=D(3)),
        "cancel_rejected": ev.OrderCancelRejected(client_id=client_id, code="x", reason="y", ts=1),
    }
    sizes = {"fill1": "0.5", "fill2": "1", "over": "4"}
    for report in reports:
        if report in plain:
            house.desk.on_event(PAPER, plain[report])
        else:
            fill(house, order, sizes[report], report)
    executed = sum((D(sizes[name]) for name in {*reports} & {*sizes}), D(0))
    assert order.filled == executed
    assert held(house) == side.sign * executed
    assert house.state.balance(PAPER, BTC).total == 10 + side.sign * executed
    assert house.state.balance(PAPER, USDT).total == 100_000 - side.sign * executed * 90
    reserved = sum((b.reserved for b in house.state.balances[PAPER].values()), D(0))
    assert reserved == (order.reserved if order.is_open else 0)
