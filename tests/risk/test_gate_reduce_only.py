"""Orders that may only reduce: bound to their owner's position, also where coins beside it are free to be sold."""

from __future__ import annotations

from decimal import Decimal as D
from typing import Any

from engine import events as ev
from engine.model.ids import Currency
from engine.model.order import OrderType
from engine.model.risk import RefusalCode as C
from tests.risk.house import BOT, BUY, PAPER, SELL, House


def test_reduce_only_by_hand_closes_what_was_bought_by_hand_once() -> None:
    """Deposited coins are free to be sold, so nothing but the position bounds a stop beside a market order."""
    house = House()
    house.ledger.record(ev.Deposited(account=PAPER, currency=Currency("BTC"), amount=D(1)))
    assert house.codes(SELL, "0.001", reduce_only=True)[0] is C.REDUCE_ONLY
    house.trade(BUY, "0.01")
    house.trade(BUY, "0.01", owner=BOT)
    assert house.codes(SELL, "0.0101", reduce_only=True)[0] is C.REDUCE_ONLY
    close = house.submit(SELL, "0.01", reduce_only=True)
    assert house.codes(SELL, "0.01", reduce_only=True)[0] is C.REDUCE_ONLY
    assert house.check(SELL, "0.01", reduce_only=True, replaces=close.client_id).reduces
    assert house.check(SELL, "1").reduces, "deposited coins are sold without it"
    house.fill(close)
    verdict = house.check(SELL, "0.01", type=OrderType.STOP_LOSS, stop_price="48000", reduce_only=True)
    assert "at most 0 BTC can be closed" in verdict.message


def test_stop_and_target_by_hand_rest_beside_each_other_and_replace_one_another() -> None:
    house = House()
    house.ledger.record(ev.Deposited(account=PAPER, currency=Currency("BTC"), amount=D(1)))
    house.trade(BUY, "0.01")
    group: dict[str, Any] = {"reduce_only": True, "oco_group": "manual-1"}
    stop = house.submit(SELL, "0.01", type=OrderType.STOP_LOSS, stop_price="48000", **group)
    target = house.submit(SELL, "0.01", type=OrderType.TAKE_PROFIT, stop_price="54000", **group)
    assert house.desk.amend(stop.client_id, stop_price=D(49000)) is stop
    assert house.check(
        SELL, "0.01", type=OrderType.STOP_LOSS, stop_price="49500", replaces=stop.client_id, **group
    ).reduces
    other = house.check(SELL, "0.01", reduce_only=True, replaces=target.client_id)
    assert C.REDUCE_ONLY in [refusal.code for refusal in other.refusals], "the stop would still rest beside it"
    house.fill(stop, "0.004")
    assert house.desk.amend(stop.client_id, stop_price=D(49200)) is stop
    assert C.REDUCE_ONLY in house.codes(SELL, "0.0061", reduce_only=True, replaces=stop.client_id, oco_group="manual-1")


def test_an_emergency_stop_sells_what_is_held_by_hand_whatever_rests_beside_it() -> None:
    house = House()
    house.ledger.record(ev.Deposited(account=PAPER, currency=Currency("BTC"), amount=D(1)))
    house.trade(BUY, "0.01")
    house.submit(SELL, "0.01", type=OrderType.STOP_LOSS, stop_price="48000", reduce_only=True)
    request = house.request(SELL, "0.01", reduce_only=True, urgent=True)
    assert not house.gate.check(request, house.now).passed
    house.gate.closers.submit(house.desk, request)
