"""Hand-over and start of an engine at exchanges of which one is away or its keys are locked: the others trade on."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

import pytest

from engine.errors import HandoverError
from engine.execution.connection import ConnectionState
from engine.keys.ring import KeyRing
from engine.keys.sealed import SealedFile
from engine.keys.store import choose_store
from engine.model.order import OrderStatus
from tests.chaos.wire_hands import Hand
from tests.chaos.wire_oracle import judge
from tests.chaos.wire_world import Harbour, Hurry, World
from tests.kit.waiting import eventually
from tests.wire.accounts import StaticCredentials
from tests.wire.faults import Fault

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from engine.control.host import EngineHost

BRISK = Hurry(timeout_s=3.0, visible_s=1.5, grace_s=0.5, compare_s=0.8)
"""A request has time to wait for room in OKX's limits, which count over two seconds."""
TWO = ("binance", "okx")
PASSPHRASE = "a long passphrase of a test"


async def trades(world: World, harbour: Harbour) -> None:
    """An order is placed and executed there."""
    hand = Hand(world, harbour, random.Random(5), 0.1)
    await hand.arm()
    client_id = ""

    async def placed() -> bool:
        nonlocal client_id
        client_id = await hand.place("market", "buy")
        return bool(client_id)

    for _ in range(200):
        if await placed():
            break
        await asyncio.sleep(0.02)
    assert client_id, hand.refused
    await eventually(lambda: filled(world, client_id))


def filled(world: World, client_id: str) -> bool:
    assert world.host.engine is not None
    order = world.host.engine.state.order(client_id)  # type: ignore[arg-type]
    return order is not None and order.status is OrderStatus.FILLED


async def rests(world: World, harbour: Harbour) -> str:
    """An order that works there."""
    hand = Hand(world, harbour, random.Random(6), 0.1)
    await hand.arm()
    client_id = ""
    for _ in range(200):
        client_id = await hand.place("rest", "buy")
        if client_id:
            break
        await asyncio.sleep(0.02)
    await eventually(
        lambda: any(o.client_id == client_id for o in harbour.exchange.ledger.open_orders(harbour.account))
    )
    return client_id


async def shut(harbour: Harbour) -> Callable[[], object]:
    """Nobody can connect."""
    await harbour.shut()
    return harbour.open


async def maintain(harbour: Harbour) -> Callable[[], object]:
    """Every request is answered with the words for maintenance, and streams are cut."""
    harbour.simulator.faults.arm(Fault.MAINTENANCE, None)
    harbour.simulator.cut()
    return harbour.simulator.faults.disarm


@pytest.mark.parametrize("goes_away", [shut, maintain])
async def test_a_venue_that_is_away_goes_over_as_away_and_the_others_trade_on(
    goes_away: Callable[[Harbour], object], tmp_path: Path
) -> None:
    world = World(tmp_path, TWO, 3, BRISK)
    async with world.waiting():
        away, there = world.harbours
        async with world.holding() as old:
            assert old.engine is not None
            await rests(world, there)
            resting = await rests(world, away)
            comes_back = await goes_away(away)  # type: ignore[misc]
            await eventually(lambda: world.unit(away).connection.lost)
            async with world.succeeding() as new:
                assert new.engine is not None
                assert old.successor
                assert world.online(there)
                assert world.unit(away).connection.lost
                assert new.engine.equity(away.account) is None
                assert resting in new.engine.state.orders
                await trades(world, there)
                back = comes_back()
                if back is not None:
                    await back
                await eventually(lambda: world.online(away), seconds=20)
                await trades(world, away)
                assert await world.settle(15) == ""
    verdict = judge(tmp_path, world.harbours)
    assert verdict.problems == []


async def test_a_venue_that_shuts_the_engine_out_is_not_asked_by_the_next_one_either(tmp_path: Path) -> None:
    world = World(tmp_path, TWO, 3, BRISK)
    async with world.waiting():
        shuts, there = world.harbours
        async with world.holding() as old:
            shuts.simulator.faults.arm(Fault.BAN, delay_s=3.0)
            await eventually(lambda: shuts.pauses)
            await eventually(lambda: world.unit(shuts).venue.health().paused_until)
            async with world.succeeding():
                assert old.successor
                await trades(world, there)
                await eventually(lambda: world.online(shuts), seconds=20)
    assert shuts.breaches == {}
    assert judge(tmp_path, world.harbours).problems == []


async def test_a_venue_that_only_the_new_process_cannot_use_is_not_given_up(tmp_path: Path) -> None:
    world = World(tmp_path, TWO, 3, BRISK)
    async with world.waiting(), world.holding() as old:
        assert old.engine is not None
        world.keys = StaticCredentials()
        with pytest.raises(HandoverError, match="cannot use BINANCE, at which the running engine goes on trading"):
            async with world.succeeding():
                pass
        assert not old.successor
        for harbour in world.harbours:
            await trades(world, harbour)


async def test_the_first_start_with_a_venue_away_trades_at_the_others_and_joins_it_later(tmp_path: Path) -> None:
    world = World(tmp_path, TWO, 3, BRISK)
    async with world.waiting():
        away, there = world.harbours
        await away.shut()
        async with world.holding() as host:
            assert host.engine is not None
            rows = {row.id: row for row in await host.link().call("venues.list")}
            assert (rows[away.venue].state, rows[there.venue].state) == ("offline", "online")
            assert host.engine.equity(away.account) is None
            await trades(world, there)
            await away.open()
            await eventually(lambda: world.online(away), seconds=20)
            assert host.engine.equity(away.account) is not None
            await trades(world, away)
            assert await world.settle(15) == ""
    assert judge(tmp_path, world.harbours).problems == []


# --- keys ------------------------------------------------------------------------------------------------------------


async def sealed(tmp_path: Path) -> World:
    """A world whose home folder holds the keys of its exchange in a locked file."""
    world = World(tmp_path, ("binance",), 3, BRISK, more='[keys]\nplace = "file"')
    (harbour,) = world.harbours
    file = choose_store(tmp_path, "file")
    assert isinstance(file, SealedFile)
    await asyncio.to_thread(file.create, PASSPHRASE)
    ring, key = KeyRing(file, None, lambda: 1), harbour.exchange.keys.of(harbour.account)
    ring.open()
    ring.put(harbour.venue, harbour.account, key.key, key.secret)
    world.keys = None
    return world


async def unlock(host: EngineHost) -> None:
    await asyncio.to_thread(host.vault.ring().unlock, PASSPHRASE)
    assert host.context is not None
    assert host.context.on_keys is not None
    host.context.on_keys()


async def test_locked_keys_go_over_as_locked_and_can_be_unlocked_there(tmp_path: Path) -> None:
    world = await sealed(tmp_path)
    (harbour,) = world.harbours
    async with world.waiting(), world.holding() as old:
        assert world.unit(harbour).connection.state is ConnectionState.LOCKED
        async with world.succeeding() as new:
            assert old.successor
            assert new.engine is not None
            assert world.unit(harbour).connection.state is ConnectionState.LOCKED
            assert new.engine.equity(harbour.account) is None
            assert any("keys are locked" in notice.text for notice in new.engine.errors.notices)
            await unlock(new)
            await eventually(lambda: world.online(harbour))
            await trades(world, harbour)
    assert judge(tmp_path, world.harbours).problems == []


async def test_keys_that_were_unlocked_in_the_engine_before_are_so_in_the_next(tmp_path: Path) -> None:
    world = await sealed(tmp_path)
    (harbour,) = world.harbours
    async with world.waiting(), world.holding() as old:
        await unlock(old)
        await eventually(lambda: world.online(harbour))
        async with world.succeeding():
            assert world.online(harbour), "nobody had to unlock anything again"
            await trades(world, harbour)
