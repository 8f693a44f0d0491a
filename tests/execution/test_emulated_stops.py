"""What a group protects has one stop as long as it is held: late executions, refusals, failures, crashes."""

from __future__ import annotations

import asyncio
from decimal import Decimal as D
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from engine import events as ev
from engine.errors import (
    ValidationError,
)
from engine.model.ids import ClientOrderId
from engine.model.order import OrderStatus, OrderType
from engine.model.venue import AMEND_UNSUPPORTED
from tests.execution.emulated import LIMIT, STOP, TARGET, Emulated, alerts, bracket, stops
from tests.execution.house import (
    BOT,
    BUY,
    PAPER,
    SELL,
    command,
    fails,
    never_answers,
    turns,
)

if TYPE_CHECKING:
    from engine.model.order import Order


async def test_what_a_target_leaves_unfilled_gets_a_stop_of_its_size_at_the_venue() -> None:
    house = Emulated()
    async with bracket(house) as (stop, target):
        house.price("120")
        await house.pass_time()
        # The stop at the venue has given way to the target, and one is held meanwhile.
        assert (stop.status, stops(house)) == (OrderStatus.CANCELED, [("90", D(1), True)])
        house.venue.execute(target.client_id, "0.4", "120")
        # The collar of a market order: what cannot be had within it expires.
        house.venue.end(target.client_id, "beyond its collar")
        await house.pass_time()
        assert stops(house) == [("90", D("0.6"), False)]
        (*_, last) = house.placed()
        assert house.venue.orders[ClientOrderId(last)].stop_price == 90
        house.venue.execute(ClientOrderId(last), "0.6", "90")
        assert house.state.orders == {}


async def test_a_target_that_the_venue_refuses_when_it_is_reached_leaves_a_stop_for_all() -> None:
    house = Emulated()
    async with bracket(house) as (_, target):
        house.venue.on("place", fails(ValidationError("No.")))
        house.price("120")
        await house.pass_time()
        assert target.status is OrderStatus.CANCELED
        assert stops(house) == [("90", D(1), False)]


async def test_a_target_that_rests_has_a_stop_beside_it_that_sells_only_what_is_left() -> None:
    house = Emulated()
    async with house.running():
        house.exit(STOP, "90")
        await turns()
        target = above(house)
        await turns()
        house.price("120")
        await house.pass_time()
        assert target.client_id in house.venue.orders
        assert stops(house) == [("90", D(1), True)]
        house.venue.execute(target.client_id, "0.7", "121")
        house.price("90")
        await house.pass_time()
        assert target.status is OrderStatus.CANCELED
        (*_, last) = house.placed()
        sent = house.venue.orders[ClientOrderId(last)]
        assert (sent.quantity, sent.type) == (D("0.3"), OrderType.MARKET)


async def test_the_stop_beside_a_target_ends_with_it() -> None:
    for end in ("filled", "withdrawn"):
        house = Emulated()
        async with house.running():
            house.exit(STOP, "90")
            await turns()
            target = above(house)
            await turns()
            house.price("120")
            await house.pass_time()
            if end == "filled":
                house.venue.execute(target.client_id, "1", "121")
            else:
                house.desk.cancel(target.client_id, "by hand")
            await house.pass_time()
            assert house.state.orders == {}, end


def above(house: Emulated) -> Order:
    """A target that rests at 121 once 120 is reached."""
    return house.submit(SELL, "1", type=TARGET, price="121", stop_price=D(120), reduce_only=True, oco_group="exits")


async def left_by_target(house: Emulated, target: Order, filled: str = "0.4") -> None:
    """The target is reached, executed in part, and expires."""
    house.price("120")
    await house.pass_time()
    house.venue.execute(target.client_id, filled, "120")
    house.venue.end(target.client_id, "beyond its collar")
    await house.pass_time()


@pytest.mark.parametrize("amends", [True, False])
async def test_a_late_execution_of_a_target_makes_the_stop_smaller_and_places_no_other(amends: bool) -> None:
    house = Emulated(amend=amends)
    async with bracket(house) as (_, target):
        await left_by_target(house, target)
        house.venue.execute(target.client_id, "0.2", "120")
        await house.pass_time()
        assert stops(house) == [("90", D("0.4"), False)]
        house.venue.execute(target.client_id, "0.4", "120")
        await house.pass_time()
        assert house.state.orders == {}
        assert alerts(house) == []


async def test_a_stop_that_the_venue_says_it_does_not_change_is_replaced_and_one_stands_all_the_time() -> None:
    house = Emulated()
    async with bracket(house) as (_, target):
        await left_by_target(house, target)

        async def refuses(usual: Any) -> None:
            (_, client_id, *_) = house.venue.requests("amend")[-1]
            house.venue.tell(
                ev.OrderCancelRejected(client_id=client_id, code=AMEND_UNSUPPORTED, reason="no", ts=house.clock.now())
            )

        house.venue.on("amend", refuses)
        standing: list[D] = []
        house.ledger.subscribe(lambda _: standing.append(sum((left for _, left, _ in stops(house)), D(0))))
        house.venue.execute(target.client_id, "0.2", "120")
        await house.pass_time()
        assert stops(house) == [("90", D("0.4"), False)]
        assert min(standing) >= D("0.4")


async def test_what_is_left_always_has_a_stop_while_it_moves_to_the_venue() -> None:
    house = Emulated()
    async with bracket(house) as (_, target):
        bare: list[str] = []

        def look(record: ev.Record) -> None:
            standing = [o for o in house.state.orders.values() if o.type is STOP and not o.cancel_requested]
            if not standing:
                bare.append(ev.event_name(record.event))

        house.ledger.subscribe(look)
        await left_by_target(house, target)
        assert bare == []
        assert stops(house) == [("90", D("0.6"), False)]


async def test_a_stop_that_the_venue_refuses_to_take_over_stays_here_and_somebody_is_told() -> None:
    house = Emulated()
    async with bracket(house) as (_, target):
        house.price("120")
        await house.pass_time()
        house.venue.execute(target.client_id, "0.4", "120")
        house.venue.on("place", fails(ValidationError("Too near.")))
        house.venue.end(target.client_id, "beyond its collar")
        await house.pass_time(5)
        assert stops(house) == [("90", D("0.6"), True)]
        (told,) = alerts(house)
        assert told.startswith("high: ")
        assert "Too near" in told
        house.price("90")
        await house.pass_time()
        (*_, last) = house.placed()
        assert house.venue.orders[ClientOrderId(last)].quantity == D("0.6")


@pytest.mark.parametrize("end", ["refused", "expired"])
async def test_a_stop_that_fails_leaves_the_target_and_another_takes_its_place(end: str) -> None:
    house = Emulated()
    async with house.running():
        if end == "refused":
            house.venue.on("place", fails(ValidationError("Too near.")))
        stop = house.exit(STOP, "90")
        target = house.exit(TARGET, "120")
        await turns()
        if end == "expired":
            house.venue.end(stop.client_id, "ended at the venue's page")
            await turns()
        await house.pass_time()
        assert not stop.is_open
        assert target.status is OrderStatus.ACCEPTED
        assert stops(house) == [("90", D(1), end == "refused")]
        (told,) = alerts(house)
        assert told.startswith("high: ")
        house.desk.cancel(target.client_id, "by hand")
        await house.pass_time()
        assert house.state.orders == {}


async def test_a_target_that_fails_leaves_the_stop() -> None:
    house = Emulated(order_types=frozenset({OrderType.MARKET, LIMIT}))
    async with house.running():
        house.exit(STOP, "90")
        limit = house.exit(LIMIT, "120")
        await turns()
        house.venue.end(limit.client_id, "the venue has ended it")
        await house.pass_time()
        assert stops(house) == [("90", D(1), True)]


async def test_a_target_of_a_bot_that_is_refused_leaves_its_stop_at_the_venue() -> None:
    house = Emulated()
    async with house.running():
        stop = house.exit(STOP, "90", owner=BOT)
        target = house.exit(TARGET, "120", owner=BOT)
        await turns()
        house.venue.on("place", fails(ValidationError("No.")))
        house.venue.on("cancel", never_answers)
        house.emulation.let_go(target.client_id, "as if the venue had ended it")
        await house.pass_time()
        assert stop.status is OrderStatus.ACCEPTED
        assert not stop.cancel_requested


async def test_a_stop_that_is_refused_by_risk_is_told_and_tried_until_it_stands() -> None:
    house = Emulated()
    async with bracket(house) as (_, target):
        house.gate.forbids = True
        house.price("120")
        await house.pass_time()
        assert target.client_id in house.venue.orders
        assert stops(house) == []
        (told,) = alerts(house)
        assert told.startswith("critical: ")
        assert "have no stop" in told
        house.venue.execute(target.client_id, "0.4", "120")
        house.venue.end(target.client_id, "beyond its collar")
        await house.pass_time(20)
        assert len(alerts(house)) == 1
        house.gate.forbids = False
        await house.pass_time(6)
        assert stops(house) == [("90", D("0.6"), False)]


async def test_a_stop_that_fails_again_and_again_is_tried_with_pauses() -> None:
    house = Emulated(order_types=frozenset({OrderType.MARKET, LIMIT}))
    async with bracket(house, LIMIT):
        house.venue.on("place", *[fails(ValidationError("No.")) for _ in range(5)])
        house.price("90")
        await house.pass_time(0.5)
        sent = len(house.placed())
        assert sent <= 4
        await house.pass_time(40)
        assert len(house.placed()) > sent
        assert any(told.startswith("critical: ") for told in alerts(house))


async def test_nothing_is_placed_while_an_emergency_stop_closes_everything() -> None:
    house = Emulated()
    async with bracket(house) as (stop, target):
        house.emergency = True
        house.price("120")
        await house.pass_time()
        house.venue.execute(target.client_id, "0.4", "120")
        house.venue.end(target.client_id, "beyond its collar")
        await house.pass_time(20)
        assert house.placed() == [stop.client_id, target.client_id]
        assert stops(house) == []
        assert alerts(house) == []


async def test_the_stop_beside_a_target_that_was_reached_is_there_before_the_one_at_the_venue_ends() -> None:
    house = Emulated()
    async with bracket(house) as (stop, target):
        house.venue.on("cancel", never_answers)
        house.price("120")
        await turns()
        assert stop.status is OrderStatus.ACCEPTED
    # Killed there, and the venue has ended the stop meanwhile.
    house.venue.silent = True
    house.venue.end(stop.client_id)
    house.venue.silent = False
    after = Emulated(house.venue, house.journal.records)
    async with after.running():
        work = asyncio.ensure_future(after.emulation.run())
        await after.dispatcher.recover(after.front, PAPER)
        assert ("90", D(1), True) in stops(after)
        # The price falls before it is known whether the target was sent.
        after.price("90")
        await after.pass_time(40)
        (*_, last) = after.placed()
        sent = after.venue.orders[ClientOrderId(last)]
        assert (sent.type, sent.quantity) == (OrderType.MARKET, D(1))
        assert last not in (stop.client_id, target.client_id)
        await work


async def test_a_stop_that_was_missing_when_the_engine_ended_is_placed_after_the_next_start() -> None:
    house = Emulated()
    async with bracket(house) as (_, target):
        house.venue.accept(msgspec.structs.replace(command("bought"), quantity=D(3)))
        bought = house.submit(BUY, "1")
        await turns()
        house.venue.execute(bought.client_id, "1", "90")
        house.gate.forbids = True
        await left_by_target(house, target)
        assert stops(house) == []
    after = Emulated(house.venue, house.journal.records)
    async with after.running():
        after.allowed = False
        await after.emulation.run()
        await after.pass_time()
        assert stops(after) == []
        after.allowed = True
        await after.pass_time()
        assert stops(after) == [("90", D("0.6"), False)]


async def test_what_the_stop_has_sold_before_it_failed_is_not_sold_by_the_target() -> None:
    house = Emulated()
    async with bracket(house) as (stop, target):
        house.venue.execute(stop.client_id, "0.4", "90")
        house.venue.end(stop.client_id, "beyond its collar")
        await house.pass_time()
        assert stops(house) == [("90", D("0.6"), False)]
        house.price("120")
        await house.pass_time()
        assert house.venue.orders[target.client_id].quantity == D("0.6")
