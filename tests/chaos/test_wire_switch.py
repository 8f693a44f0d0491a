"""The dead-man's switch of an exchange over the lives of engines: bridged by hand-overs, and fired after a death."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

from engine.control.client import open_link
from engine.model.order import OrderStatus, OrderType
from tests.chaos.wire_hands import Hand
from tests.chaos.wire_life import Life
from tests.chaos.wire_oracle import judge
from tests.chaos.wire_world import Harbour, Hurry, World
from tests.kit.waiting import eventually

if TYPE_CHECKING:
    from pathlib import Path

    from tests.wire.ledger import WireOrder

SWITCH_S = 1.5
CALM = Hurry(timeout_s=1.0, visible_s=1.0, grace_s=0.5, compare_s=2.0)


def fed(harbour: Harbour) -> int:
    """How often the switch was fed or turned off."""
    return harbour.simulator.counts["POST /fapi/v1/countdownCancelAll"]


def world_with_switch(home: Path) -> tuple[World, Harbour]:
    world = World(home, ("binanceusdm",), 5, CALM)
    world.terms = (f"dead_man_s = {SWITCH_S}",)
    (harbour,) = world.harbours
    return world, harbour


async def resting(harbour: Harbour, hand: Hand) -> WireOrder:
    """An order that works and is watched by the switch."""
    client_id = await hand.place("rest", "buy")
    await eventually(lambda: harbour.exchange.ledger.open_orders(harbour.account))
    before = fed(harbour)
    await eventually(lambda: fed(harbour) > before)
    return next(o for o in harbour.exchange.ledger.open_orders(harbour.account) if o.client_id == client_id)


async def test_the_switch_is_fed_over_a_hand_over_and_turned_off_by_an_orderly_end(tmp_path: Path) -> None:
    world, harbour = world_with_switch(tmp_path)
    async with world.waiting():
        async with world.holding():
            await eventually(lambda: world.online(harbour))
            hand = Hand(world, harbour, random.Random(4), 0.1)
            await hand.arm()
            order = await resting(harbour, hand)
            async with world.succeeding():
                before = fed(harbour)
                await asyncio.sleep(1.5 * SWITCH_S)
                assert fed(harbour) > before
                assert order.is_open
        await asyncio.sleep(1.5 * SWITCH_S)
        assert order.is_open, "it was left on purpose"


async def test_a_switch_that_the_settings_of_the_next_engine_do_not_want_is_turned_off(tmp_path: Path) -> None:
    world, harbour = world_with_switch(tmp_path)
    async with world.waiting(), world.holding():
        await eventually(lambda: world.online(harbour))
        hand = Hand(world, harbour, random.Random(4), 0.1)
        await hand.arm()
        order = await resting(harbour, hand)
        (tmp_path / "config.toml").write_text(
            (tmp_path / "config.toml").read_text().replace(f"dead_man_s = {SWITCH_S}", "dead_man_s = 0")
        )
        async with world.succeeding():
            await asyncio.sleep(1.5 * SWITCH_S)
            assert order.is_open


async def test_after_a_death_the_exchange_cancels_entries_and_spares_the_stop(tmp_path: Path) -> None:
    world, harbour = world_with_switch(tmp_path)
    async with world.waiting():
        life = Life(world)
        try:
            await life.ready()
            async with open_link(tmp_path) as link:
                hand = Hand(world, harbour, random.Random(4), 0.1, link)
                await hand.arm()
                await hand.place("market", "buy")
                await hand.place("stop", "sell")
                order = await resting(harbour, hand)
        finally:
            life.kill()
        await life.over()
        await eventually(lambda: not order.is_open)
        (stop,) = harbour.exchange.ledger.open_orders(harbour.account)
        assert stop.command.type is OrderType.STOP_LOSS
        async with world.holding() as host:
            assert host.engine is not None
            await eventually(lambda: world.online(harbour))
            mine = host.engine.state.order(order.command.client_id)
            assert mine is None or mine.status is OrderStatus.CANCELED
            assert [str(o.client_id) for o in host.engine.state.orders.values()] == [stop.client_id]
            assert await world.settle(12) == ""
    assert judge(tmp_path, world.harbours).problems == []
