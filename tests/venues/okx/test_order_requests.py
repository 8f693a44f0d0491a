"""Our orders as OKX wants to be asked for them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from engine.errors import ValidationError
from engine.model.ids import AccountId, ClientOrderId
from engine.model.order import OrderSide, OrderType, TimeInForce
from engine.model.venue import MarginMode, OrderCommand
from engine.venues.okx.order_requests import amend_algo, amend_order, cancel_algo, cancel_order, place
from tests.venues.okx.recorded import instrument

SPOT = instrument("BTC-USDT")
SWAP = instrument("BTC-USDT-SWAP", multiplier="0.01")


def command(kind: OrderType, **more: Any) -> OrderCommand:
    return OrderCommand(
        client_id=ClientOrderId("q1a"),
        account=AccountId("main"),
        instrument=more.pop("instrument", SPOT).id,
        side=more.pop("side", OrderSide.BUY),
        type=kind,
        quantity=Decimal(more.pop("quantity", "0.010")),
        **more,
    )


def spot(kind: OrderType, **more: Any) -> tuple[str, dict[str, Any]]:
    endpoint, params = place("BTC-USDT", SPOT, command(kind, **more), MarginMode.CROSS)
    return endpoint.path, params


def swap(kind: OrderType, mode: MarginMode = MarginMode.ISOLATED, **more: Any) -> tuple[str, dict[str, Any]]:
    endpoint, params = place("BTC-USDT-SWAP", SWAP, command(kind, instrument=SWAP, **more), mode)
    return endpoint.path, params


COMMON = {"instId": "BTC-USDT", "tdMode": "cash", "side": "buy", "sz": "0.01"}


def test_a_spot_market_buy_is_sized_in_base_currency() -> None:
    wanted = {**COMMON, "clOrdId": "q1a", "ordType": "market", "tgtCcy": "base_ccy"}
    assert spot(OrderType.MARKET) == ("trade/order", wanted)


def test_a_market_order_with_a_collar_takes_what_is_within_it() -> None:
    _, params = spot(OrderType.MARKET, price=Decimal("50100.50"))
    assert params == {**COMMON, "clOrdId": "q1a", "ordType": "ioc", "px": "50100.5"}


@pytest.mark.parametrize(
    ("more", "kind"),
    [
        ({}, "limit"),
        ({"tif": TimeInForce.IOC}, "ioc"),
        ({"tif": TimeInForce.FOK}, "fok"),
        ({"post_only": True}, "post_only"),
    ],
)
def test_limit_orders_by_time_in_force(more: dict[str, Any], kind: str) -> None:
    _, params = spot(OrderType.LIMIT, price=Decimal(50000), **more)
    assert params == {**COMMON, "clOrdId": "q1a", "ordType": kind, "px": "50000"}


def test_a_swap_order_names_its_margin_mode_and_reduces_only_if_asked() -> None:
    path, params = swap(OrderType.MARKET, MarginMode.CROSS, reduce_only=True, side=OrderSide.SELL)
    assert path == "trade/order"
    assert params == {
        "instId": "BTC-USDT-SWAP",
        "tdMode": "cross",
        "side": "sell",
        "sz": "0.01",
        "reduceOnly": True,
        "clOrdId": "q1a",
        "ordType": "market",
    }
    assert "reduceOnly" not in spot(OrderType.MARKET, reduce_only=True)[1]


def test_a_stop_is_an_algo_order_under_our_id() -> None:
    path, params = swap(OrderType.STOP_LOSS, stop_price=Decimal("48000.0"), side=OrderSide.SELL, reduce_only=True)
    assert path == "trade/order-algo"
    assert params == {
        "instId": "BTC-USDT-SWAP",
        "tdMode": "isolated",
        "side": "sell",
        "sz": "0.01",
        "reduceOnly": True,
        "algoClOrdId": "q1a",
        "ordType": "conditional",
        "slTriggerPx": "48000",
        "slTriggerPxType": "last",
        "slOrdPx": "-1",
    }


def test_a_take_profit_with_a_limit_on_spot() -> None:
    _, params = spot(OrderType.TAKE_PROFIT, stop_price=Decimal(60000), price=Decimal(59900), side=OrderSide.SELL)
    assert params["tpTriggerPx"] == "60000"
    assert params["tpOrdPx"] == "59900"
    assert params["tgtCcy"] == "base_ccy"
    assert "slTriggerPx" not in params


def test_small_and_large_numbers_have_no_exponent() -> None:
    _, params = spot(OrderType.LIMIT, price=Decimal("1E+5"), quantity="0.00000001")
    assert (params["px"], params["sz"]) == ("100000", "0.00000001")


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        (OrderType.LIMIT, {}),
        (OrderType.STOP_LOSS, {}),
        (OrderType.STOP_LOSS, {"stop_price": Decimal(1), "post_only": True}),
        (OrderType.MARKET, {"post_only": True}),
        (OrderType.LIMIT, {"price": Decimal(1), "post_only": True, "tif": TimeInForce.IOC}),
    ],
)
def test_what_okx_does_not_have_is_refused_before_it_is_sent(kind: OrderType, more: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        spot(kind, **more)


def test_cancels_by_our_id_or_by_okxs() -> None:
    endpoint, params = cancel_order("BTC-USDT", client_id="q1a")
    assert (endpoint.path, params) == ("trade/cancel-order", {"instId": "BTC-USDT", "clOrdId": "q1a"})
    endpoint, rows = cancel_algo("BTC-USDT", algo_id="900")
    assert (endpoint.path, rows) == ("trade/cancel-algos", [{"instId": "BTC-USDT", "algoId": "900"}])


def test_changes_name_only_what_changes() -> None:
    endpoint, params = amend_order("BTC-USDT", "q1a", "r1", quantity=None, price=Decimal("49000.50"))
    assert endpoint.path == "trade/amend-order"
    assert params == {"instId": "BTC-USDT", "clOrdId": "q1a", "reqId": "r1", "newPx": "49000.5"}
    endpoint, params = amend_algo(
        "BTC-USDT",
        "q1a",
        "r2",
        OrderType.STOP_LOSS,
        quantity=Decimal("0.02"),
        price=None,
        stop_price=Decimal(47000),
    )
    assert endpoint.path == "trade/amend-algos"
    assert params == {
        "instId": "BTC-USDT",
        "algoClOrdId": "q1a",
        "reqId": "r2",
        "newSz": "0.02",
        "newSlTriggerPx": "47000",
    }
