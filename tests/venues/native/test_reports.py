"""Each private event is told once, whoever had it first; silence of a stream is noticed."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from engine import events as ev
from engine.model.fill import Fill
from engine.model.ids import AccountId, ClientOrderId, Currency, InstrumentId, TradeId, VenueId, VenueOrderId
from engine.model.order import Liquidity, OrderSide, OrderStatus, OrderType
from engine.model.venue import VenueOrder
from engine.venues.native.reports import Reports
from engine.venues.native.witness import GRACE_NS, Witness

if TYPE_CHECKING:
    from engine.events import VenueEvent

A = ClientOrderId("a")
S = 1_000_000_000


def fill(trade: str, quantity: str = "1", ts: int = 10 * S) -> ev.OrderFilled:
    return ev.OrderFilled(
        fill=Fill(
            venue=VenueId("BINANCE"),
            account=AccountId("main"),
            instrument=InstrumentId("BINANCE:BTC/USDT"),
            trade_id=TradeId(trade),
            venue_order_id=VenueOrderId("7"),
            client_id=A,
            side=OrderSide.BUY,
            price=Decimal(5),
            quantity=Decimal(quantity),
            fee=Decimal(0),
            fee_currency=Currency("USDT"),
            liquidity=Liquidity.TAKER,
            ts=ts,
        )
    )


ACCEPTED = ev.OrderAccepted(client_id=A, venue_order_id=VenueOrderId("7"), ts=10 * S)
CANCELED = ev.OrderCanceled(client_id=A, reason="", ts=11 * S)


def told(*events: VenueEvent) -> list[VenueEvent]:
    heard: list[VenueEvent] = []
    Reports(heard.append).take(events)
    return heard


def test_answer_and_stream_together_are_told_once() -> None:
    assert told(ACCEPTED, fill("1"), ACCEPTED, fill("1"), fill("2"), CANCELED, CANCELED) == [
        ACCEPTED,
        fill("1"),
        fill("2"),
        CANCELED,
    ]


def test_an_execution_that_comes_first_accepts_its_order() -> None:
    assert told(fill("1"), ACCEPTED) == [ACCEPTED, fill("1")]


def test_an_order_that_ended_is_not_accepted_again_but_its_late_execution_counts() -> None:
    assert told(ACCEPTED, CANCELED, ACCEPTED, fill("1")) == [ACCEPTED, CANCELED, fill("1")]


def test_the_same_change_is_told_once_and_a_late_older_one_never() -> None:
    def amended(ts: int, price: int) -> ev.OrderAmended:
        return ev.OrderAmended(client_id=A, ts=ts, price=Decimal(price))

    heard = told(amended(1, 5), amended(1, 5), amended(2, 6), amended(1, 5), amended(3, 5))
    assert heard == [amended(1, 5), amended(2, 6), amended(3, 5)]


def test_every_refused_cancel_is_told() -> None:
    refused = ev.OrderCancelRejected(client_id=A, code="-2011", reason="unknown", ts=1)
    assert told(refused, refused) == [refused, refused]


def test_a_listener_that_fails_stops_nothing() -> None:
    heard: list[VenueEvent] = []

    def listen(event: VenueEvent) -> None:
        heard.append(event)
        raise RuntimeError("a fault of the listener")

    Reports(listen).take([ACCEPTED, CANCELED])
    assert heard == [ACCEPTED, CANCELED]


def test_what_was_executed_is_summed() -> None:
    reports = Reports(lambda event: None)
    reports.take([fill("1", "0.25"), fill("2", "0.5"), fill("2", "0.5")])
    assert reports.filled(A) == Decimal("0.75")


def order(updated: int) -> VenueOrder:
    return VenueOrder(
        client_id=A,
        venue_order_id=VenueOrderId("7"),
        account=AccountId("main"),
        instrument=InstrumentId("BINANCE:BTC/USDT"),
        side=OrderSide.BUY,
        type=OrderType.LIMIT,
        quantity=Decimal(1),
        filled=Decimal(0),
        status=OrderStatus.ACCEPTED,
        created=updated,
        updated=updated,
    )


def witness() -> Witness:
    seen = Witness()
    seen.began(0)
    return seen


def test_a_stream_that_confirms_an_answer_owes_nothing() -> None:
    seen = witness()
    seen.answered(A, 10 * S, 10 * S)
    seen.told(A, 10 * S, is_open=True)
    assert seen.overdue(10 * S + 2 * GRACE_NS) == []


def test_an_answer_that_the_stream_never_confirms_is_overdue_after_the_grace() -> None:
    seen = witness()
    seen.answered(A, 10 * S, 10 * S)
    assert seen.overdue(10 * S + GRACE_NS) == []
    assert seen.overdue(10 * S + GRACE_NS + 1) == [A]


def test_an_older_report_does_not_confirm_a_newer_change() -> None:
    seen = witness()
    seen.answered(A, 20 * S, 20 * S)
    seen.told(A, 10 * S, is_open=True)
    assert seen.overdue(20 * S + GRACE_NS + 1) == [A]


def test_an_order_that_vanished_from_the_list_must_be_told_as_ended() -> None:
    seen = witness()
    seen.told(A, 10 * S, is_open=True)
    seen.listed([], 40 * S, 40 * S)
    assert seen.overdue(40 * S + GRACE_NS + 1) == [A]
    seen.told(A, 12 * S, is_open=False)
    assert seen.overdue(40 * S + GRACE_NS + 1) == []


def test_an_order_opened_while_the_list_was_on_its_way_is_no_claim() -> None:
    seen = witness()
    seen.told(A, 40 * S, is_open=True)
    seen.listed([], 40 * S, 41 * S)
    assert seen.overdue(60 * S) == []


def test_changes_before_the_stream_began_are_no_claim_on_it() -> None:
    seen = witness()
    seen.began(50 * S)
    seen.listed([order(40 * S)], 51 * S, 51 * S)
    assert seen.overdue(90 * S) == []
    seen.listed([order(70 * S)], 71 * S, 71 * S)
    assert seen.overdue(90 * S) == [A]
