"""An order holds what it can cost at worst, in the currency it costs it in."""

from __future__ import annotations

from decimal import Decimal as D
from typing import Any

import msgspec
import pytest

from engine.model.ids import MANUAL
from engine.model.instrument import InstrumentKind
from engine.model.order import (
    OPEN_STATUSES,
    TERMINAL_STATUSES,
    TRANSITIONS,
    OrderRequest,
    OrderSide,
    OrderStatus,
    OrderType,
    can_move,
)
from engine.model.reserve import COLLAR, expected_price, reservation
from engine.model.risk import Quote, Refusal, RefusalCode, Verdict
from tests.execution.house import BTC, INSTRUMENT, MARKET, PAPER, USDT

QUOTE = Quote(D(99), D(101), D(100), 1)
PERPETUAL = msgspec.structs.replace(INSTRUMENT, kind=InstrumentKind.LINEAR_PERPETUAL, multiplier=D("0.01"))


def request(side: OrderSide, kind: OrderType = OrderType.MARKET, **more: Any) -> OrderRequest:
    return OrderRequest(account=PAPER, instrument=MARKET, owner=MANUAL, side=side, type=kind, quantity=D(1), **more)


BUY, SELL = OrderSide.BUY, OrderSide.SELL


@pytest.mark.parametrize(
    ("asked", "quote", "price"),
    [
        (request(BUY), QUOTE, D(101)),
        (request(SELL), QUOTE, D(99)),
        (request(BUY), Quote(None, None, D(100), 1), D(100)),
        (request(BUY), None, None),
        (request(BUY, OrderType.LIMIT, price=D(90)), QUOTE, D(90)),
        (request(SELL, OrderType.STOP_LOSS, stop_price=D(95)), QUOTE, D(95)),
        (request(SELL, OrderType.STOP_LOSS, stop_price=D(95), price=D(94)), QUOTE, D(94)),
    ],
)
def test_the_likely_price_is_the_limit_the_trigger_or_the_best_of_the_other_side(
    asked: OrderRequest, quote: Quote | None, price: D | None
) -> None:
    assert expected_price(asked, quote) == price


def test_spot_buys_hold_quote_at_the_worst_price_with_the_fee_and_sells_hold_base() -> None:
    fee = 1 + INSTRUMENT.current_rules.taker_fee
    assert reservation(request(BUY), INSTRUMENT, QUOTE) == (USDT, D(101) * (1 + COLLAR) * fee)
    assert reservation(request(BUY, OrderType.LIMIT, price=D(90)), INSTRUMENT, QUOTE) == (USDT, D(90) * fee)
    assert reservation(request(SELL), INSTRUMENT, QUOTE) == (BTC, D(1))


def test_derivatives_hold_their_value_in_the_settle_currency_unless_they_only_reduce() -> None:
    fee = 1 + PERPETUAL.current_rules.taker_fee
    assert reservation(request(SELL), PERPETUAL, QUOTE) == (USDT, D(99) * (1 + COLLAR) * D("0.01") * fee)
    assert reservation(request(SELL, reduce_only=True), PERPETUAL, QUOTE) == (USDT, D(0))


def test_the_table_of_an_orders_life_is_complete_and_ends() -> None:
    assert {*TRANSITIONS} == {*OrderStatus}
    assert {*OrderStatus} == OPEN_STATUSES | TERMINAL_STATUSES
    for status in OrderStatus:
        # Executions outrank notices: whatever an order is thought to be, it may turn out to be filled.
        assert can_move(status, OrderStatus.FILLED)
    assert not can_move(OrderStatus.CANCELED, OrderStatus.ACCEPTED)
    assert not can_move(OrderStatus.PARTIALLY_FILLED, OrderStatus.REJECTED)
    assert can_move(OrderStatus.REJECTED, OrderStatus.ACCEPTED)
    assert BUY.opposite is SELL
    assert SELL.opposite is BUY


def test_a_verdict_passes_without_a_refusal_and_says_all_of_them_otherwise() -> None:
    assert Verdict().passed
    refused = Verdict(
        refusals=(
            Refusal(code=RefusalCode.TICK, message="Not on the tick."),
            Refusal(code=RefusalCode.LOT, message="Not a whole lot."),
        )
    )
    assert (refused.passed, refused.message) == (False, "Not on the tick. Not a whole lot.")
    assert Quote(None, D(5), None, 1).mark is None
