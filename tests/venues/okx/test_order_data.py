"""OKX's orders and executions become ours: states, ends, fees, triggered stops, forced closings."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from engine import events as ev
from engine.errors import DataValidationError
from engine.model.fill import FillCause
from engine.model.ids import AccountId
from engine.model.order import Liquidity, OrderSide, OrderStatus, OrderType
from engine.venues.okx.messages import AlgoRow, FillRow, Frame, OrderRow, decode, decode_rows
from engine.venues.okx.order_data import (
    algo_events,
    client_id_of,
    fill_of_order,
    order_events,
    parse_algo,
    parse_fill,
    parse_order,
    triggered_order,
)
from tests.venues.okx.recorded import fixtures, instrument

if TYPE_CHECKING:
    from pathlib import Path

MAIN = AccountId("main")
SWAP = instrument("BTC-USDT-SWAP", multiplier="0.01")
SPOT = instrument("BTC-USDT")


def pushed(shared_data: Path, name: str) -> list[OrderRow]:
    return decode(decode(fixtures(shared_data)[name], Frame).data, list[OrderRow])


def order(**changes: Any) -> OrderRow:
    row = OrderRow(
        inst_id="BTC-USDT",
        inst_type="SPOT",
        ord_id="77",
        cl_ord_id="q1a",
        side="buy",
        sz="0.05",
        px="50000",
        state="live",
        ord_type="limit",
        acc_fill_sz="0",
        c_time="1000",
        u_time="2000",
    )
    return msgspec.structs.replace(row, **changes)


def algo(**changes: Any) -> AlgoRow:
    row = AlgoRow(
        algo_id="900",
        algo_cl_ord_id="q1stop",
        inst_id="BTC-USDT",
        inst_type="SPOT",
        ord_type="conditional",
        side="sell",
        state="live",
        sz="0.05",
        sl_trigger_px="48000",
        sl_ord_px="-1",
        c_time="1000",
        u_time="2000",
    )
    return msgspec.structs.replace(row, **changes)


def test_a_recorded_market_order_is_filled_with_its_fee_as_a_cost(shared_data: Path) -> None:
    (row,) = pushed(shared_data, "ws_orders")
    (event,) = order_events(MAIN, SWAP, row)
    assert isinstance(event, ev.OrderFilled)
    fill = event.fill
    assert (fill.client_id, fill.venue_order_id, fill.trade_id) == (
        "001BTCUSDT20250106001",
        "2497956918703120384",
        "1518905529",
    )
    assert (fill.price, fill.quantity, fill.side) == (Decimal("103698.9"), Decimal("0.03"), OrderSide.BUY)
    assert (fill.fee, fill.fee_currency, fill.liquidity) == (Decimal("0.021776769"), "USDT", Liquidity.MAKER)
    assert fill.ts == 1_746_947_317_402_000_000


def test_a_recorded_partial_fill_of_an_ioc_order(shared_data: Path) -> None:
    (row,) = pushed(shared_data, "ws_orders_ioc")
    found = parse_order(MAIN, SPOT, row)
    assert (found.status, found.filled, found.quantity) == (
        OrderStatus.PARTIALLY_FILLED,
        Decimal("0.02"),
        Decimal("0.05"),
    )
    assert (found.type, found.price) == (OrderType.LIMIT, Decimal(50100))
    (event,) = order_events(MAIN, SPOT, row)
    assert isinstance(event, ev.OrderFilled)
    assert event.fill.liquidity is Liquidity.TAKER


def test_what_a_recorded_trigger_order_became_is_an_execution(shared_data: Path) -> None:
    (row,) = pushed(shared_data, "ws_orders_trigger")
    fill = fill_of_order(MAIN, SWAP, row)
    assert fill is not None
    assert (fill.venue_order_id, fill.fee) == ("706620792746729999", Decimal("0.02039"))


def test_recorded_lists_of_orders_are_read(shared_data: Path) -> None:
    (done,) = (
        parse_order(MAIN, SWAP, r) for r in decode_rows(fixtures(shared_data)["http_get_orders_history"], OrderRow)
    )
    assert (done.status, done.type, done.client_id) == (OrderStatus.FILLED, OrderType.MARKET, "2497956918703120384")
    (open_one,) = decode_rows(fixtures(shared_data)["http_get_orders_pending"], OrderRow)
    found = parse_order(MAIN, SWAP, open_one)
    assert (found.status, found.client_id, found.price) == (
        OrderStatus.ACCEPTED,
        "client-order-1",
        Decimal(103500),
    )
    # The recorded row names a last execution of nothing.
    assert fill_of_order(MAIN, SWAP, open_one) is None


def test_a_recorded_execution_is_read(shared_data: Path) -> None:
    row = decode(fixtures(shared_data)["http_transaction_detail"], FillRow)
    fill = parse_fill(MAIN, SPOT, row)
    assert (fill.client_id, fill.fee, fill.price) == ("client_123", Decimal("-0.042"), Decimal("42000.5"))
    assert (fill.cause, fill.liquidity) == (FillCause.TRADE, Liquidity.TAKER)


def test_recorded_waiting_orders_are_read(shared_data: Path) -> None:
    (trigger,) = decode_rows(fixtures(shared_data)["http_get_orders_algo_pending"], AlgoRow)
    found = parse_algo(MAIN, SWAP, trigger)
    assert (found.client_id, found.venue_order_id, found.status) == ("client_algo_1", "123456789", OrderStatus.ACCEPTED)
    assert (found.stop_price, found.price) == (Decimal(40000), Decimal(40000))
    (both,) = decode_rows(fixtures(shared_data)["http_get_orders_algo_pending_attached_oco"], AlgoRow)
    assert (parse_algo(MAIN, SWAP, both).type, parse_algo(MAIN, SWAP, both).stop_price) == (
        OrderType.STOP_LOSS,
        Decimal(39000),
    )
    (close,) = decode_rows(fixtures(shared_data)["http_get_orders_algo_pending_close_fraction"], AlgoRow)
    assert (parse_algo(MAIN, SWAP, close).quantity, parse_algo(MAIN, SWAP, close).price) == (Decimal(0), None)


def test_recorded_reports_of_waiting_orders_are_told(shared_data: Path) -> None:
    rows = decode(decode(fixtures(shared_data)["ws_orders_algo"], Frame).data, list[AlgoRow])
    told = {row.algo_cl_ord_id: algo_events(row) for row in rows}
    kinds = {name[:7]: [type(event) for event in events] for name, events in told.items()}
    assert kinds == {
        "STOP001": [ev.OrderAccepted],
        "STOP002": [ev.OrderAccepted],
        "STOP003": [ev.OrderTriggered],
        "STOP004": [ev.OrderCanceled],
        "STOP005": [ev.OrderTriggered],
    }


@pytest.mark.parametrize(
    ("changes", "status", "event"),
    [
        ({}, OrderStatus.ACCEPTED, ev.OrderAccepted),
        ({"state": "canceled", "cancel_source": "1"}, OrderStatus.CANCELED, ev.OrderCanceled),
        ({"state": "mmp_canceled"}, OrderStatus.CANCELED, ev.OrderCanceled),
        ({"state": "canceled", "cancel_source": "20"}, OrderStatus.CANCELED, ev.OrderCanceled),
        ({"state": "canceled", "ord_type": "post_only", "cancel_source": "31"}, OrderStatus.CANCELED, ev.OrderCanceled),
        ({"state": "canceled", "ord_type": "ioc", "cancel_source": "14"}, OrderStatus.EXPIRED, ev.OrderExpired),
        ({"state": "canceled", "ord_type": "fok", "cancel_source": "13"}, OrderStatus.EXPIRED, ev.OrderExpired),
        ({"state": "canceled", "ord_type": "ioc", "cancel_source": "1"}, OrderStatus.CANCELED, ev.OrderCanceled),
    ],
)
def test_states_and_ends(changes: dict[str, str], status: OrderStatus, event: type) -> None:
    row = order(**changes)
    assert parse_order(MAIN, SPOT, row).status is status
    (told,) = order_events(MAIN, SPOT, row)
    assert type(told) is event
    if status is not OrderStatus.ACCEPTED:
        assert told.reason  # type: ignore[union-attr]


def test_a_state_that_is_not_known_is_an_error() -> None:
    with pytest.raises(DataValidationError):
        parse_order(MAIN, SPOT, order(state="dreaming"))
    with pytest.raises(DataValidationError):
        parse_algo(MAIN, SPOT, algo(state="dreaming"))


def test_the_fee_of_one_execution_is_not_the_sum() -> None:
    filling = {"state": "partially_filled", "trade_id": "5", "fill_px": "50000", "fill_sz": "0.01", "exec_type": "M"}
    row = order(**filling, acc_fill_sz="0.03", fee="-1.5", fee_ccy="USDT", fill_fee="0.1", fill_fee_ccy="BTC")
    fill = fill_of_order(MAIN, SPOT, row)
    assert fill is not None
    assert (fill.fee, fill.fee_currency, fill.liquidity) == (Decimal("-0.1"), "BTC", Liquidity.MAKER)
    with pytest.raises(DataValidationError, match="without its fee"):
        fill_of_order(MAIN, SPOT, order(**filling, acc_fill_sz="0.03", fee="-1.5", fee_ccy="USDT"))


@pytest.mark.parametrize(
    ("category", "bill", "cause"),
    [
        ("full_liquidation", "104", FillCause.LIQUIDATION),
        ("partial_liquidation", "100", FillCause.LIQUIDATION),
        ("adl", "125", FillCause.DELEVERAGING),
        ("normal", "1", FillCause.TRADE),
        ("delivery", "", FillCause.TRADE),
    ],
)
def test_forced_closings_are_told_apart_on_the_stream_and_in_the_list(
    category: str, bill: str, cause: FillCause
) -> None:
    row = order(
        category=category,
        cl_ord_id="",
        state="filled",
        trade_id="5",
        fill_px="50000",
        fill_sz="0.05",
        acc_fill_sz="0.05",
        fill_fee="0",
        exec_type="T",
    )
    streamed = fill_of_order(MAIN, SPOT, row)
    listed = parse_fill(
        MAIN,
        SPOT,
        FillRow(
            inst_id="BTC-USDT",
            trade_id="5",
            ord_id="77",
            fill_px="50000",
            fill_sz="0.05",
            side="buy",
            ts="2000",
            sub_type=bill,
            exec_type="T",
        ),
    )
    assert streamed is not None
    assert streamed.cause is listed.cause is cause
    assert streamed.key == listed.key
    # Nobody's order: its id is the venue's number, which is never one of ours.
    assert streamed.client_id == listed.client_id == "77"


def test_a_change_is_told_with_what_holds_now() -> None:
    (told,) = order_events(MAIN, SPOT, order(amend_result="0", sz="0.07", px="49000", req_id="r1"))
    assert isinstance(told, ev.OrderAmended)
    assert (told.quantity, told.price) == (Decimal("0.07"), Decimal(49000))
    (refused,) = order_events(MAIN, SPOT, order(amend_result="-1", code="51511", msg="would take"))
    assert isinstance(refused, ev.OrderCancelRejected)
    assert (refused.code, refused.reason) == ("51511", "would take")
    (moved,) = algo_events(algo(amend_result="0", sl_trigger_px="47000"))
    assert isinstance(moved, ev.OrderAmended)
    assert (moved.stop_price, moved.price, moved.quantity) == (Decimal(47000), None, Decimal("0.05"))


def test_a_triggered_stop_keeps_our_id() -> None:
    child = order(cl_ord_id="", algo_cl_ord_id="q1stop", algo_id="900", ord_type="market", side="sell", px="")
    assert client_id_of(child) == "q1stop"
    (told,) = order_events(MAIN, SPOT, child)
    assert isinstance(told, ev.OrderTriggered)
    filling = {"trade_id": "5", "fill_px": "47990", "fill_sz": "0.05", "exec_type": "T", "fill_fee": "-1"}
    done = msgspec.structs.replace(child, state="filled", acc_fill_sz="0.05", **filling)
    triggered, filled = order_events(MAIN, SPOT, done)
    assert isinstance(triggered, ev.OrderTriggered)
    assert isinstance(filled, ev.OrderFilled)
    assert (filled.fill.client_id, filled.fill.venue_order_id) == ("q1stop", "77")
    whole = triggered_order(MAIN, SPOT, algo(state="effective", ord_id="77"), [done])
    assert (whole.client_id, whole.venue_order_id, whole.type) == ("q1stop", "900", OrderType.STOP_LOSS)
    assert (whole.status, whole.filled, whole.stop_price) == (
        OrderStatus.FILLED,
        Decimal("0.05"),
        Decimal(48000),
    )


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ([("filled", "0.02"), ("live", "0")], OrderStatus.PARTIALLY_FILLED),
        ([("live", "0")], OrderStatus.ACCEPTED),
        ([("filled", "0.02"), ("canceled", "0.01")], OrderStatus.EXPIRED),
        ([("filled", "0.02"), ("filled", "0.03")], OrderStatus.FILLED),
        ([], OrderStatus.ACCEPTED),
    ],
)
def test_a_stop_that_became_several_orders_is_one(states: list[tuple[str, str]], expected: OrderStatus) -> None:
    parts = [order(ord_type="market", state=state, acc_fill_sz=filled) for state, filled in states]
    whole = triggered_order(MAIN, SPOT, algo(state="effective"), parts)
    assert whole.status is expected
    assert whole.filled == sum(Decimal(filled) for _, filled in states)


def test_a_triggered_stop_that_the_venue_refuses_has_ended() -> None:
    row = algo(state="order_failed", fail_code="51008")
    (told,) = algo_events(row)
    assert isinstance(told, ev.OrderCanceled)
    assert "51008" in told.reason
    assert parse_algo(MAIN, SPOT, row).status is OrderStatus.CANCELED


def test_a_take_profit_is_told_from_a_stop() -> None:
    target = algo(sl_trigger_px="", sl_ord_px="", tp_trigger_px="60000", tp_ord_px="59900")
    found = parse_algo(MAIN, SPOT, target)
    assert (found.type, found.stop_price, found.price) == (
        OrderType.TAKE_PROFIT,
        Decimal(60000),
        Decimal(59900),
    )
    other = algo(ord_type="trigger", sl_trigger_px="", sl_ord_px="", trigger_px="60000", ord_px="-1", last="50000")
    assert parse_algo(MAIN, SPOT, other).type is OrderType.TAKE_PROFIT
    assert parse_algo(MAIN, SPOT, msgspec.structs.replace(other, side="buy")).type is OrderType.STOP_LOSS


def test_a_market_order_sized_in_quote_counts_what_was_filled() -> None:
    row = order(ord_type="market", tgt_ccy="quote_ccy", sz="100", acc_fill_sz="0.002", px="", state="filled")
    assert parse_order(MAIN, SPOT, row).quantity == Decimal("0.002")
