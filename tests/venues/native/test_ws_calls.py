"""Requests over a websocket: each ends with an answer, or with what is certainly known of it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import orjson
import pytest

from engine.errors import ExchangeConnectionError, OrderRejectionError, UnknownOutcomeError
from engine.venues.native.ws_calls import WsCalls
from tests.kit.waiting import eventually
from tests.venues.native.test_stream import Desk, at_desk

if TYPE_CHECKING:
    from tests.venues.native.stream_server import StreamServer


def order(number: int) -> bytes:
    return orjson.dumps({"number": number, "method": "order.place"})


async def connected(desk: Desk) -> WsCalls:
    await desk.pool.start()
    (connection,) = desk.pool.connections
    await eventually(lambda: connection.up)
    return WsCalls(connection, desk.clock)


async def sent(server: StreamServer, count: int) -> None:
    await eventually(lambda: len(server.asked) == count)


async def test_answers_find_their_requests_in_any_order() -> None:
    async with at_desk(at_least=1) as (server, desk):
        calls = await connected(desk)
        one = asyncio.ensure_future(calls.call(order, changes=True))
        two = asyncio.ensure_future(calls.call(order, changes=True))
        await sent(server, 2)
        assert [body["number"] for _, body in server.asked] == [1, 2]
        assert calls.answer(2, b"second")
        assert calls.answer(1, b"first")
        assert (await one, await two) == (b"first", b"second")
        assert not calls.answer(1, b"late")
        assert calls.waiting == 0


async def test_a_refusal_is_raised_to_whoever_asked() -> None:
    async with at_desk(at_least=1) as (server, desk):
        calls = await connected(desk)
        asking = asyncio.ensure_future(calls.call(order, changes=True))
        await sent(server, 1)
        calls.answer(1, b"{}", OrderRejectionError("Too small."))
        with pytest.raises(OrderRejectionError):
            await asking


@pytest.mark.parametrize(("changes", "error"), [(True, UnknownOutcomeError), (False, ExchangeConnectionError)])
async def test_what_left_and_is_not_answered_in_time_is_unknown_if_it_changes_something(
    changes: bool, error: type[Exception]
) -> None:
    async with at_desk(at_least=1) as (server, desk):
        calls = await connected(desk)
        asking = asyncio.ensure_future(calls.call(order, changes=changes, timeout_s=5))
        await sent(server, 1)
        await desk.pass_time(6)
        with pytest.raises(error, match="no answer within 5 s"):
            await asking


@pytest.mark.parametrize(("changes", "error"), [(True, UnknownOutcomeError), (False, ExchangeConnectionError)])
async def test_what_left_before_the_line_broke_is_unknown_if_it_changes_something(
    changes: bool, error: type[Exception]
) -> None:
    async with at_desk(at_least=1) as (server, desk):
        calls = await connected(desk)
        asking = asyncio.ensure_future(calls.call(order, changes=changes))
        await sent(server, 1)
        calls.lose("the line broke")
        with pytest.raises(error, match="the line broke"):
            await asking


async def test_what_did_not_leave_is_said_not_to_have_left() -> None:
    async with at_desk(at_least=1) as (server, desk):
        calls = await connected(desk)
        await server.open[0].close()
        await eventually(lambda: not desk.pool.connections[0].is_open)
        with pytest.raises(ExchangeConnectionError, match="nothing was sent"):
            await calls.call(order, changes=True)


async def test_what_waits_for_its_turn_while_the_line_breaks_does_not_leave_on_the_next_line() -> None:
    async with at_desk(at_least=1, messages_per_second=1.0, backoff_s=0.001) as (server, desk):
        calls = await connected(desk)
        (connection,) = desk.pool.connections
        await connection.send(b'{"first":1}')
        asking = asyncio.ensure_future(calls.call(order, changes=True))
        await sent(server, 1)
        connection.drop("as told")
        calls.lose("as told")
        await desk.later(lambda: connection.up and connection.opened == 2)
        with pytest.raises(ExchangeConnectionError, match="nothing was sent"):
            await asking
        assert len(server.asked) == 1
