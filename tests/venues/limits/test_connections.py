"""Connections: new ones wait for their turn, and those of markets are counted over all pools of a venue."""

from __future__ import annotations

import asyncio

import pytest

from engine.clock import SimulatedClock
from engine.errors import ValidationError
from engine.venues.limits.coordinator import Coordinator
from engine.venues.limits.rules import OKX_LIMITS, Limit, lowered
from engine.venues.native.stream import Listener, StreamPool, StreamTable

AT_A_TIME = Limit(name="websocket_connections", unit="connection", capacity=3)
OFTEN = Limit(name="websocket_connections_per_5_minutes", unit="connection", capacity=2, per_s=300)


async def test_new_connections_wait_for_their_turn() -> None:
    clock = SimulatedClock()
    limit = Coordinator(clock).connections("okx", [AT_A_TIME, OFTEN])
    await limit.turn()
    await clock.advance(10)
    await limit.turn()
    third = asyncio.ensure_future(limit.turn())
    await asyncio.sleep(0)
    await clock.advance(289)
    assert not third.done()
    await clock.advance(2)
    assert third.done()


def test_everybody_shares_them_and_the_lower_of_two_limits_holds() -> None:
    coordinator = Coordinator(SimulatedClock())
    one = coordinator.connections("okx", OKX_LIMITS)
    assert one.left == 3
    assert coordinator.connections("okx", lowered(OKX_LIMITS, {"websocket_connections": 2})) is one
    assert one.left == 2
    assert coordinator.connections("okx", OKX_LIMITS).left == 2
    assert coordinator.connections("binance", [OFTEN]).left is None


def test_pools_of_markets_hold_no_more_than_the_venue_allows_in_all() -> None:
    clock = SimulatedClock()
    limit = Coordinator(clock).connections("okx", [AT_A_TIME])

    async def where() -> str:
        raise AssertionError("nothing connects here")

    def pool(name: str, *, of_markets: bool) -> StreamPool:
        table = StreamTable(name=name, address=where, channels_per_connection=2, connections=3, of_markets=of_markets)
        listener = Listener(lambda *_: None, lambda *_: None, lambda *_: None)
        return StreamPool(table, listener, clock=clock, limit=limit)

    books, candles = pool("books", of_markets=True), pool("candles", of_markets=True)
    private = pool("private", of_markets=False)
    books.add(["a", "b", "c"])
    candles.add(["x"])
    assert limit.left == 0
    with pytest.raises(ValidationError, match="books carries at most 4 channels; unwatch 1"):
        books.add(["d", "e"])
    books.add(["d"])
    private.add(["orders"])
