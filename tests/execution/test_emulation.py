"""What the engine does for a venue that cannot: groups, triggers, reduce-only; once, and over restarts."""

from __future__ import annotations

import asyncio
from decimal import Decimal as D
from typing import TYPE_CHECKING, Any, cast

import msgspec
import pytest

from engine import events as ev
from engine.clock import SimulatedClock
from engine.errors import (
    ExchangeConnectionError,
    ExchangeInsufficientFundsError,
    UnknownOutcomeError,
)
from engine.execution.emulation import emulated, is_held
from engine.execution.emulation.held import Held, reached
from engine.model.entries import TradingState
from engine.model.order import OrderSide, OrderStatus, OrderType, TimeInForce
from engine.model.risk import Quote
from tests.execution.emulated import LIMIT, STOP, TARGET, Emulated, bracket, plain
from tests.execution.house import (
    BUY,
    PAPER,
    SELL,
    ScriptedVenue,
    command,
    fails,
    takes_effect_then_fails,
    turns,
)

if TYPE_CHECKING:
    from engine.model.venue import Venue


async def test_the_stop_rests_at_the_venue_and_the_target_is_held_here() -> None:
    house = Emulated()
    async with bracket(house) as (stop, target):
        assert house.placed() == [stop.client_id]
        assert (stop.status, target.status) == (OrderStatus.ACCEPTED, OrderStatus.ACCEPTED)
        assert not is_held(stop)
        assert is_held(target)
        listed = await house.front.open_orders(PAPER)
        assert {order.client_id for order in listed} == {stop.client_id, target.client_id}
        asked = await house.front.order(PAPER, target.client_id)
        assert asked is not None
        assert asked.stop_price == 120


@pytest.mark.parametrize("first", [STOP, TARGET])
async def test_of_a_pair_that_is_asked_for_at_once_the_stop_rests_at_the_venue(first: OrderType) -> None:
    house = Emulated()
    async with house.running():
        # Both intents are booked before either is sent.
        pair = {
            kind: house.exit(kind, "90" if kind is STOP else "120")
            for kind in ((STOP, TARGET) if first is STOP else (TARGET, STOP))
        }
        await turns()
        assert house.placed() == [pair[STOP].client_id]
        assert is_held(pair[TARGET])
        assert not is_held(pair[STOP])


async def test_a_stop_that_comes_after_its_target_has_taken_the_funds_is_held_here() -> None:
    house = Emulated()
    async with house.running():
        target = house.exit(TARGET, "120")
        await turns()
        stop = house.exit(STOP, "90")
        await turns()
        assert house.placed() == [target.client_id]
        assert is_held(stop)


async def test_a_stop_that_the_venue_does_not_take_leaves_it_to_the_target() -> None:
    house = Emulated(order_types=frozenset({OrderType.MARKET, LIMIT}))
    async with house.running():
        stop, limit = house.exit(STOP, "90"), house.exit(LIMIT, "120")
        await turns()
        assert house.placed() == [limit.client_id]
        assert is_held(stop)


async def test_a_target_that_is_reached_ends_the_stop_first_and_is_sent_once() -> None:
    house = Emulated()
    async with bracket(house) as (stop, target):
        house.price("119.99")
        assert not target.triggered
        house.price("120")
        assert target.triggered
        await house.pass_time()
        assert stop.status is OrderStatus.CANCELED
        assert house.placed() == [stop.client_id, target.client_id]
        house.price("121")
        await house.pass_time()
        assert house.placed() == [stop.client_id, target.client_id]
        assert not is_held(target)
        house.venue.execute(target.client_id, "1", "120")
        assert target.status is OrderStatus.FILLED


async def test_what_the_stop_has_executed_meanwhile_is_not_sold_twice() -> None:
    house = Emulated()
    async with bracket(house) as (stop, target):

        async def executed_in_part(usual: Any) -> None:
            house.venue.execute(stop.client_id, "0.4", "90")
            usual()

        house.venue.on("cancel", executed_in_part)
        house.price("120")
        await house.pass_time()
        assert house.venue.orders[target.client_id].quantity == D("0.6")
        house.venue.execute(target.client_id, "0.6", "120")
        assert target.status is OrderStatus.FILLED


async def test_a_stop_that_was_faster_leaves_nothing_to_send() -> None:
    house = Emulated()
    async with bracket(house) as (stop, target):

        async def executed_whole(usual: Any) -> None:
            house.venue.execute(stop.client_id, "1", "90")
            usual()

        house.venue.on("cancel", executed_whole)
        house.price("120")
        await house.pass_time()
        assert stop.status is OrderStatus.FILLED
        assert target.status is OrderStatus.CANCELED
        assert house.placed() == [stop.client_id]


@pytest.mark.parametrize("end", ["fill", "cancel"])
async def test_the_end_of_the_stop_ends_what_is_held(end: str) -> None:
    house = Emulated()
    async with bracket(house) as (stop, target):
        if end == "fill":
            house.venue.execute(stop.client_id, "1", "90")
        else:
            house.desk.cancel(stop.client_id, "asked")
        await turns()
        assert target.status is OrderStatus.CANCELED
        house.price("130")
        await house.pass_time()
        assert house.placed() == [stop.client_id]


async def test_the_end_of_what_is_held_ends_the_stop() -> None:
    house = Emulated()
    async with bracket(house) as (stop, target):
        house.desk.cancel(target.client_id, "asked")
        await turns()
        assert target.status is OrderStatus.CANCELED
        assert stop.status is OrderStatus.CANCELED


async def test_a_limit_of_a_group_waits_here_and_is_sent_as_a_limit() -> None:
    house = Emulated()
    async with bracket(house, LIMIT) as (_, limit):
        house.price("120")
        await house.pass_time()
        sent = house.venue.orders[limit.client_id]
        assert (sent.type, sent.price) == (LIMIT, D(120))


async def test_what_is_held_can_be_changed() -> None:
    house = Emulated()
    async with bracket(house) as (stop, target):
        house.desk.amend(target.client_id, quantity=D("0.5"), stop_price=D(110))
        await turns()
        assert (target.quantity, target.stop_price) == (D("0.5"), D(110))
        house.price("110")
        await house.pass_time()
        assert house.venue.orders[target.client_id].quantity == D("0.5")
        assert stop.status is OrderStatus.CANCELED


async def test_triggers_that_a_venue_does_not_have_are_held_here() -> None:
    house = Emulated(order_types=frozenset({OrderType.MARKET, LIMIT}))
    async with house.running():
        stop = house.submit(SELL, "1", type=STOP, price=None, stop_price=D(90))
        await turns()
        assert is_held(stop)
        house.price("90.01")
        assert not stop.triggered
        house.price("90")
        await house.pass_time()
        assert house.placed() == [stop.client_id]


async def test_an_order_that_did_not_leave_is_sent_again_and_an_unknown_one_never() -> None:
    house = Emulated(order_types=frozenset({OrderType.MARKET, LIMIT}))
    async with house.running():
        first = house.submit(SELL, "1", type=STOP, price=None, stop_price=D(90))
        await turns()
        house.venue.on("place", fails(ExchangeConnectionError("down")), fails(ExchangeConnectionError("down")))
        house.price("90")
        await house.pass_time(2)
        assert house.placed() == [first.client_id] * 3
        second = house.submit(SELL, "1", type=STOP, price=None, stop_price=D(80))
        await turns()
        house.venue.on("place", fails(UnknownOutcomeError("no answer")))
        house.price("80")
        await house.pass_time(2)
        assert house.placed().count(second.client_id) == 1
        assert house.doubts == 1


async def test_a_refusal_ends_it_with_its_reason() -> None:
    house = Emulated(order_types=frozenset({OrderType.MARKET, LIMIT}))
    async with house.running():
        stop = house.submit(SELL, "1", type=STOP, price=None, stop_price=D(90))
        await turns()
        house.venue.on("place", fails(ExchangeInsufficientFundsError("nothing there")))
        house.price("90")
        await house.pass_time()
        assert stop.status is OrderStatus.CANCELED
        assert "nothing there" in stop.reason


async def test_it_is_found_again_after_a_crash() -> None:
    house = Emulated()
    async with bracket(house) as (_, target):
        pass
    after = Emulated(house.venue, house.journal.records)
    async with after.running():
        assert is_held(after.state.orders[target.client_id])
        after.price("120")
        await after.pass_time()
        assert after.placed()[-1] == target.client_id


@pytest.mark.parametrize("sent", [True, False])
async def test_whether_it_was_sent_before_a_crash_is_asked_for(sent: bool) -> None:
    house = Emulated(order_types=frozenset({OrderType.MARKET, LIMIT}))
    async with house.running():
        stop = house.submit(SELL, "1", type=STOP, price=None, stop_price=D(90))
        await turns()
        house.allowed = True
        house.venue.on("place", fails(UnknownOutcomeError("the process ended here")))
        house.price("90")
        await turns(2)
    if sent:
        house.venue.accept(command(stop.client_id))
    before = len(house.placed())
    after = Emulated(house.venue, house.journal.records)
    async with after.running():
        assert after.state.orders[stop.client_id].triggered
        work = asyncio.ensure_future(after.emulation.run())
        await after.pass_time(10)
        assert len(after.placed()) == before
        await after.pass_time(40)
        assert len(after.placed()) == before + (0 if sent else 1)
        await work


async def test_nothing_is_sent_while_another_process_takes_over() -> None:
    house = Emulated()
    async with bracket(house) as (stop, target):
        house.allowed = False
        house.price("130")
        await house.pass_time()
        assert not target.triggered
        assert house.placed() == [stop.client_id]


def test_what_a_venue_can_do_itself_is_left_to_it() -> None:
    clock = SimulatedClock()
    able = ScriptedVenue(clock)
    able.capabilities = msgspec.structs.replace(able.capabilities, collar=True)
    assert emulated(cast("Venue", able), clock) is able
    front = emulated(cast("Venue", plain(ScriptedVenue(clock))), clock)
    assert front.capabilities.oco
    assert front.capabilities.reduce_only


@pytest.mark.parametrize(
    ("side", "kind", "level", "bid", "ask", "hit"),
    [
        (SELL, STOP, 90, 90, 92, True),
        (SELL, STOP, 90, 91, 92, False),
        (SELL, TARGET, 90, 90, 92, True),
        (SELL, TARGET, 90, 89, 91, False),
        (BUY, STOP, 90, 88, 90, True),
        (BUY, STOP, 90, 88, 89, False),
        (BUY, TARGET, 90, 88, 90, True),
        (BUY, TARGET, 90, 89, 91, False),
        (SELL, STOP, 90, None, 92, False),
        (BUY, STOP, 90, 88, None, False),
    ],
)
def test_when_a_level_is_reached(
    side: OrderSide, kind: OrderType, level: int, bid: int | None, ask: int | None, hit: bool
) -> None:
    asked = msgspec.structs.replace(command("q1"), side=side, type=kind, price=None, stop_price=D(level))
    quote = Quote(None if bid is None else D(bid), None if ask is None else D(ask), None, 0)
    assert reached(asked, quote) is hit
    assert Held(command=asked, since=0).sent_as(D(1)).type is OrderType.MARKET


async def test_a_market_order_has_a_worst_price_where_the_venue_has_no_collar() -> None:
    house = Emulated(times_in_force=frozenset(TimeInForce))
    async with house.running():
        buy, sell = house.submit(BUY, "1", price=None), house.submit(SELL, "1", price=None)
        await turns()
        sent = {client_id: (order.type, order.price) for client_id, order in house.venue.orders.items()}
        assert sent == {buy.client_id: (LIMIT, D("103.02")), sell.client_id: (LIMIT, D("97.02"))}
        assert buy.price is None


@pytest.mark.parametrize("executed", ["1", "0.4", "0"])
async def test_a_market_order_whose_answer_is_lost_is_known_again_though_it_left_as_a_limit(executed: str) -> None:
    house = Emulated(times_in_force=frozenset(TimeInForce))
    house.venue.on("place", takes_effect_then_fails(UnknownOutcomeError("no answer")))
    house.venue.silent = True
    async with house.running():
        buy = house.submit(BUY, "1", price=None)
        await turns()
        if D(executed):
            house.venue.execute(buy.client_id, executed, "101")
        if executed != "1":
            house.venue.change(buy.client_id, status=OrderStatus.CANCELED)
        await house.pass_time(150)
        assert house.state.trading_state() is TradingState.ACTIVE
        assert buy.status is (OrderStatus.FILLED if executed == "1" else OrderStatus.CANCELED)
        assert buy.filled == D(executed)


async def test_a_target_that_rests_as_a_limit_is_no_other_order() -> None:
    house = Emulated()
    async with house.running():
        house.exit(STOP, "90")
        await turns()
        target = house.submit(
            SELL, "1", type=TARGET, price="121", stop_price=D(120), reduce_only=True, oco_group="exits"
        )
        await turns()
        house.price("120")
        await house.pass_time()
        assert house.venue.orders[target.client_id].type is LIMIT
        await house.dispatcher.compare(house.front, PAPER)
        await turns()
        assert house.state.trading_state() is TradingState.ACTIVE
        assert target.status is OrderStatus.ACCEPTED


async def test_a_member_whose_cancel_was_refused_is_asked_for_again() -> None:
    house = Emulated()
    async with bracket(house) as (stop, target):

        async def refuses(usual: Any) -> None:
            now = house.clock.now()
            house.venue.tell(ev.OrderCancelRejected(client_id=stop.client_id, code="busy", reason="later", ts=now))

        house.venue.on("cancel", refuses)
        house.price("120")
        await house.pass_time(3)
        assert stop.status is OrderStatus.CANCELED
        assert house.placed() == [stop.client_id, target.client_id]
