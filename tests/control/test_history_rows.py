"""Rows of history say what the engine's state says, for any history; and the same facts give the same rows."""

from __future__ import annotations

import itertools
from decimal import Decimal
from typing import TYPE_CHECKING

from hypothesis import given, settings

from engine import events as ev
from engine.control.history_rows import alert_row, audit_row, fill_row, order_row
from engine.model.order import OrderStatus
from engine.state import EngineState
from storage.journal.codec import subject_of
from storage.tables.words import Severity
from storage.types import round_for_storage
from tests.kit.histories import histories, session

if TYPE_CHECKING:
    from engine.model.order import Order
    from storage.tables import OrderHistoryRow


def lives(records: list[ev.Record]) -> dict[str, list[ev.Record]]:
    """The facts of each order, as the journal finds them."""
    found: dict[str, list[ev.Record]] = {}
    for record in records:
        if isinstance(record.event, ev.OrderIntended | ev.OrderAdopted):
            found.setdefault(record.event.client_id, [])
        subject = subject_of(record.event)
        if subject in found:
            found[subject].append(record)
    return found


def same(row: OrderHistoryRow, order: Order, state: EngineState) -> None:
    multiplier = state.instruments[order.instrument].multiplier
    mean = round_for_storage(order.cost / multiplier / order.filled) if order.filled else None
    assert (row.client_order_id, row.venue_order_id) == (order.client_id, order.venue_order_id)
    assert (row.status, row.filled, row.quantity) == (order.status, order.filled, order.quantity)
    assert (row.price, row.stop_price, row.average_price) == (order.price, order.stop_price, mean)
    assert {currency: Decimal(text) for currency, text in row.fees.items()} == order.fees
    assert row.overfilled is (order.filled > order.quantity)
    assert (row.account, row.instrument, row.owner) == (order.account, order.instrument, order.owner)
    assert (row.side, row.type, row.tif) == (order.side, order.type, order.tif)
    assert row.close_reason == ("" if order.status is OrderStatus.FILLED else order.reason)
    assert row.created_ns == order.created <= row.closed_ns
    row.verify()


@given(histories(40, 160))
@settings(max_examples=60, deadline=None)
def test_an_ended_order_is_told_as_the_state_knows_it_and_an_open_one_not_at_all(records: list[ev.Record]) -> None:
    state = EngineState()
    for record in records:
        state.apply(record)
    found = lives(records)
    for order in state.recent.values():
        row = order_row(found[order.client_id])
        assert row is not None
        same(row, order, state)
    for order in state.orders.values():
        assert order_row(found[order.client_id]) is None


def test_the_same_facts_give_rows_with_the_same_keys() -> None:
    records = session(600)
    for life in lives(records).values():
        first, second = order_row(life), order_row(life)
        assert (first and first.model_dump()) == (second and second.model_dump())
    fills = [record.event.fill for record in records if isinstance(record.event, ev.OrderFilled)]
    assert len({fill_row(fill, "manual").id for fill in fills}) == len({fill.key for fill in fills})


def test_an_order_whose_intent_is_missing_has_no_row() -> None:
    life = next(life for life in lives(session(600)).values() if order_row(life) is not None)
    assert order_row(life[1:]) is None


def test_a_fee_with_more_places_than_a_column_is_rounded_not_refused() -> None:
    fill = next(r.event.fill for r in session(600) if isinstance(r.event, ev.OrderFilled))
    long = Decimal("0.1234567890123456789012345")
    row = fill_row(type(fill)(**{**{f: getattr(fill, f) for f in fill.__struct_fields__}, "fee": long}), "manual")
    assert row.fee == Decimal("0.123456789012345679")


def test_what_an_operator_did_is_kept_with_the_words_of_the_fact() -> None:
    acted = ev.OperatorActed(actor="console", operation="risk.halt", summary="reason=lunch")
    row = audit_row(ev.Record(7, 1_700_000_000_123_456_789, 1, acted), acted)
    assert (row.action, row.resource_type, row.user_agent) == ("risk.halt", "risk", "console")
    assert row.new_value == {"asked": "reason=lunch", "fact": 7}
    assert row.timestamp.isoformat() == "2023-11-14T22:13:20.123456+00:00"


def test_only_what_a_person_must_know_is_an_alert() -> None:
    def alert(event: ev.Event) -> tuple[str, Severity] | None:
        row = alert_row(ev.Record(1, 1_700_000_000_000_000_000, 1, event))
        return None if row is None else (row.title, row.severity)

    tripped = ev.BreakerTripped(breaker="drawdown", scope="paper", value="11 %", threshold="10 %", reason="too deep")
    assert alert(tripped) == ("The breaker drawdown has tripped", Severity.CRITICAL)
    for state, expected in (("halted", "Trading is halted"), ("active", None)):
        told = alert(ev.TradingStateChanged(scope="engine", state=state, reason="r", actor="a"))
        assert (told and told[0]) == expected
    for state, expected in (("error", "The bot b1 has failed"), ("running", None)):
        told = alert(ev.BotStateChanged(bot="b1", state=state, reason="r"))  # type: ignore[arg-type]
        assert (told and told[0]) == expected
    others = itertools.islice((r.event for r in session(300) if isinstance(r.event, ev.OrderAccepted)), 3)
    assert [alert(event) for event in others] == [None, None, None]
