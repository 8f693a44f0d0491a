"""Connections that come back, and channels spread over them, against a real server on loopback."""

from __future__ import annotations

import asyncio
import random
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from engine.clock import SimulatedClock
from engine.errors import AuthenticationError, ConfigurationError, ExchangeConnectionError, ValidationError
from engine.venues.native.address import check_address
from engine.venues.native.stream import Listener, PingRule, StreamConnection, StreamPool, StreamTable
from tests.kit.waiting import eventually
from tests.venues.native.stream_server import StreamServer, stream_server, subscribe, unsubscribe

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence


class Desk:
    """An adapter that writes everything down."""

    def __init__(self, server: StreamServer, **changes: Any) -> None:
        self.clock = SimulatedClock()
        self.log: list[tuple[str, str]] = []
        self.frames: list[bytes] = []
        self.addresses = [server.address]

        async def address() -> str:
            return self.addresses[0]

        settings: dict[str, Any] = {
            "name": "public", "address": address, "subscribe": subscribe, "unsubscribe": unsubscribe,
            "messages_per_second": 1000.0, "ping": PingRule(protocol_s=None),
        }  # fmt: skip
        self.table = StreamTable(**{**settings, **changes})
        listener = Listener(self.on_frame, self.on_up, self.on_down)
        self.pool = StreamPool(self.table, listener, clock=self.clock, chance=random.Random(7))

    def on_frame(self, connection: StreamConnection, data: bytes, _: int) -> None:
        body = orjson.loads(data)
        if "error" in body:
            connection.reject(ValidationError(body["error"]["msg"]), number=body["id"])
        elif "result" in body:
            connection.acknowledge(number=body["id"])
        elif "login" in body:
            connection.answered("login", None if body["login"] else AuthenticationError("The key is not known."))
        elif "bad" in body:
            raise ValidationError("This cannot be understood.")
        else:
            self.frames.append(data)

    def on_up(self, connection: StreamConnection) -> None:
        self.log.append(("up", connection.name))

    def on_down(self, connection: StreamConnection, reason: str) -> None:
        self.log.append(("down", connection.name))

    async def pass_time(self, seconds: int) -> None:
        """Let simulated seconds pass, with turns for the sockets between them."""
        for _ in range(seconds):
            await self.clock.advance(1)
            await asyncio.sleep(0.001)

    async def later(self, true: Callable[[], object], seconds: int = 60) -> None:
        """Let simulated seconds pass until a condition holds."""
        for _ in range(seconds):
            if true():
                return
            await self.pass_time(1)
        raise AssertionError("waited in vain")


@asynccontextmanager
async def at_desk(**changes: Any) -> AsyncIterator[tuple[StreamServer, Desk]]:
    async with stream_server() as server:
        desk = Desk(server, **changes)
        try:
            yield server, desk
        finally:
            await desk.pool.close()


def names(*kinds: str) -> list[str]:
    return [f"{kind}@{n}" for kind in kinds for n in range(5)]


async def test_channels_are_subscribed_in_batches_and_confirmed_before_it_is_up() -> None:
    async with at_desk(batch=3) as (server, desk):
        await desk.pool.start()
        await desk.pool.subscribe(names("a"))
        assert [len(body["params"]) for _, body in server.asked] == [3, 2]
        assert desk.log == [("up", "public 1")]
        (health,) = desk.pool.health()
        assert (health.up, health.reason, health.reconnects) == (True, "", 0)


async def test_channels_spread_over_connections_and_too_many_are_refused_whole() -> None:
    async with at_desk(channels_per_connection=4, connections=2) as (server, desk):
        await desk.pool.start()
        await desk.pool.subscribe(names("a"))
        assert sorted(len(server.wanted(n)) for n in (1, 2)) == [1, 4]
        with pytest.raises(ValidationError, match="at most 8 channels"):
            await desk.pool.subscribe(names("b"))
        assert sorted(len(server.wanted(n)) for n in (1, 2)) == [1, 4]


async def test_a_connection_without_channels_is_closed() -> None:
    async with at_desk() as (server, desk):
        await desk.pool.start()
        await desk.pool.subscribe(names("a"))
        desk.pool.remove(names("a"))
        await eventually(lambda: not server.open)
        await eventually(lambda: not desk.pool.connections)
        assert desk.log == [("up", "public 1"), ("down", "public 1")]


async def test_after_a_break_everything_is_subscribed_anew() -> None:
    async with at_desk(standing=("heartbeats",)) as (server, desk):
        await desk.pool.start()
        await desk.pool.subscribe(names("a"))
        await server.open[0].close(1011, "maintenance")
        await eventually(lambda: desk.log[-1] == ("down", "public 1"))
        (health,) = desk.pool.health()
        assert not health.up
        assert "1011 maintenance" in health.reason
        await desk.later(lambda: desk.log[-1] == ("up", "public 1"))
        assert sorted(server.wanted(2)) == sorted(["heartbeats", *names("a")])
        assert desk.pool.health()[0].reconnects == 1


async def test_pauses_between_attempts_grow_and_are_drawn() -> None:
    async with at_desk() as (server, desk):
        server.status = (503, {})
        desk.pool.add(["a"])
        await desk.pool.start()
        (connection,) = desk.pool.connections
        await eventually(lambda: "503" in connection.reason)
        tries = []
        for second in range(120):
            before = connection._backoff.failures
            await desk.pass_time(1)
            if connection._backoff.failures > before:
                tries.append(second)
        assert 4 <= len(tries) <= 14
        server.status = None
        await desk.later(lambda: connection.up, 70)


async def test_a_venue_that_asks_to_wait_is_left_alone_that_long() -> None:
    async with at_desk() as (server, desk):
        server.status = (429, {"Retry-After": "40"})
        desk.pool.add(["a"])
        await desk.pool.start()
        (connection,) = desk.pool.connections
        await eventually(lambda: "429" in connection.reason)
        server.status = None
        await desk.pass_time(39)
        assert server.seen == 0
        await desk.later(lambda: connection.up, 5)


async def test_a_refused_channel_raises_what_the_adapter_made_of_it_and_is_not_asked_for_again() -> None:
    async with at_desk(batch=1) as (server, desk):
        server.refuse = {"a@3"}
        await desk.pool.start()
        with pytest.raises(ValidationError, match="a@3"):
            await desk.pool.subscribe(names("a"))
        await eventually(lambda: desk.log == [("up", "public 1")])
        assert "a@3" not in desk.pool.connections[0].channels
        assert desk.pool.connection_of("a@3") is None
        server.refuse = set()
        await desk.pool.subscribe(["a@3"])


async def test_subscriptions_that_nobody_confirms_end_the_connection() -> None:
    async with at_desk(acknowledge_s=5) as (server, desk):
        server.confirm = False
        await desk.pool.start()
        asking = asyncio.ensure_future(desk.pool.subscribe(["a"], timeout_s=4))
        await eventually(lambda: bool(server.asked))
        await desk.pass_time(5)
        with pytest.raises(ExchangeConnectionError, match="not confirmed"):
            await asking
        await desk.later(lambda: "were not confirmed within 5 s" in desk.pool.connections[0].reason, 5)
        server.confirm = True
        await desk.later(lambda: desk.pool.connections[0].up, 12)


async def test_a_silent_connection_is_given_up() -> None:
    async with at_desk(silence_s=30) as (server, desk):
        await desk.pool.start()
        await desk.pool.subscribe(["a"])
        await desk.pass_time(25)
        await server.open[0].send('{"x":1}')
        await eventually(lambda: bool(desk.frames))
        await desk.pass_time(28)
        assert desk.log == [("up", "public 1")]
        await desk.later(lambda: desk.log[1:2] == [("down", "public 1")], 5)


async def test_text_pings_keep_a_quiet_line_and_their_answers_reach_nobody() -> None:
    rule = PingRule(protocol_s=None, text=b"ping", text_s=20)
    async with at_desk(silence_s=30, ping=rule) as (server, desk):
        await desk.pool.start()
        await desk.pool.subscribe(["a"])
        await desk.pass_time(90)
        assert [body for _, body in server.asked].count("ping") in (3, 4)
        assert desk.log == [("up", "public 1")]
        assert desk.frames == []
        server.pong = False
        await desk.pass_time(32)
        assert desk.log[1:2] == [("down", "public 1")]


async def test_joining_anew_leaves_first() -> None:
    async with at_desk() as (server, desk):
        await desk.pool.start()
        await desk.pool.subscribe(["a", "b"])
        desk.pool.again(["b"])
        await eventually(lambda: len(server.asked) == 3)
        assert [(body["method"], body["params"]) for _, body in server.asked[1:]] == [
            ("UNSUBSCRIBE", ["b"]),
            ("SUBSCRIBE", ["b"]),
        ]


async def test_a_renewal_brings_the_new_connection_up_before_the_old_one_goes() -> None:
    async with at_desk(renew_s=600, silence_s=10_000) as (server, desk):
        await desk.pool.start()
        await desk.pool.subscribe(["a"])
        old = desk.pool.connections[0]
        await desk.later(lambda: len(desk.log) == 3, 610)
        assert desk.log == [("up", "public 1"), ("up", "public 2"), ("down", "public 1")]
        assert old.retired
        assert server.wanted(2) == ["a"]
        await eventually(lambda: [c.name for c in desk.pool.connections] == ["public 2"])


async def test_a_renewal_without_overlap_ends_the_old_connection_first() -> None:
    async with at_desk(renew_s=600, silence_s=10_000, overlap=False) as (_, desk):
        await desk.pool.start()
        await desk.pool.subscribe(["a"])
        await desk.later(lambda: len(desk.log) == 3, 610)
        assert desk.log == [("up", "public 1"), ("down", "public 1"), ("up", "public 1")]


async def test_an_error_of_the_adapter_ends_the_connection_and_is_its_reason() -> None:
    async with at_desk() as (server, desk):
        await desk.pool.start()
        await desk.pool.subscribe(["a"])
        await server.open[0].send('{"bad":1}')
        await eventually(lambda: desk.log[-1] == ("down", "public 1"))
        assert desk.pool.health()[0].reason == "This cannot be understood"


async def test_it_logs_in_before_it_subscribes() -> None:
    async def login(connection: StreamConnection) -> None:
        await connection.send(b'{"op":"login"}')
        await connection.answer("login")

    async with at_desk(login=login, at_least=1, backoff_most_s=20) as (server, desk):
        desk.pool.add(["a"])
        await desk.pool.start()
        await eventually(lambda: len(server.asked) == 1)
        assert server.asked == [(1, {"op": "login"})]
        await server.open[0].send('{"login":false}')
        (connection,) = desk.pool.connections
        await eventually(lambda: connection.reason == "The key is not known")
        await desk.pass_time(19)
        assert server.seen == 1
        await desk.later(lambda: len(server.asked) == 2, 5)
        await server.open[0].send('{"login":true}')
        await eventually(lambda: connection.up)
        assert server.wanted(2) == ["a"]


async def test_a_login_that_nobody_confirms_ends_the_connection() -> None:
    async def login(connection: StreamConnection) -> None:
        await connection.answer("login")

    async with at_desk(login=login, at_least=1, acknowledge_s=5) as (_, desk):
        await desk.pool.start()
        await eventually(lambda: desk.pool.connections[0].is_open)
        await desk.later(lambda: "the login was not confirmed within 5 s" in desk.pool.connections[0].reason, 8)
        assert desk.log == []


async def test_sending_without_a_connection_says_that_nothing_left() -> None:
    async with at_desk(at_least=1) as (server, desk):
        await desk.pool.start()
        (connection,) = desk.pool.connections
        with pytest.raises(ExchangeConnectionError, match="nothing was sent"):
            await connection.send(b"{}")
        await eventually(lambda: connection.up)
        with pytest.raises(ExchangeConnectionError, match="nothing was sent"):
            await connection.send(b"{}", opened=connection.opened + 1)
        await connection.send(b'{"x":1}', opened=connection.opened)
        await eventually(lambda: server.asked == [(1, {"x": 1})])


async def test_plain_addresses_are_refused_beyond_this_machine() -> None:
    async with at_desk(at_least=1) as (_, desk):
        desk.addresses[0] = "ws://stream.example.com/key"
        await desk.pool.start()
        (connection,) = desk.pool.connections
        await eventually(lambda: "not encrypted" in connection.reason)
        assert "key" not in connection.reason
        with pytest.raises(ConfigurationError, match="begins with"):
            check_address("ftp://127.0.0.1/")


async def test_many_messages_at_once_leave_turns_to_others() -> None:
    async with at_desk() as (server, desk):
        await desk.pool.start()
        await desk.pool.subscribe(["a"])
        turns = 0

        async def other() -> None:
            nonlocal turns
            while len(desk.frames) < 2000:
                turns += 1
                await asyncio.sleep(0)

        watching = asyncio.ensure_future(other())
        for n in range(2000):
            await server.open[0].send(f'{{"n":{n}}}')
        await watching
        assert turns >= 2000 // 32
        assert [orjson.loads(frame)["n"] for frame in desk.frames] == list(range(2000))


async def test_closing_hangs_up_and_tells_it_once() -> None:
    async with at_desk() as (server, desk):
        await desk.pool.start()
        await desk.pool.subscribe(["a"])
        await desk.pool.close()
        await desk.pool.close()
        assert desk.log == [("up", "public 1"), ("down", "public 1")]
        await eventually(lambda: not server.open)


async def test_frames_may_be_made_by_a_coroutine() -> None:
    async def signed(number: int, channels: Sequence[str]) -> list[bytes]:
        return subscribe(number, channels)

    async with at_desk(subscribe=signed) as (server, desk):
        await desk.pool.start()
        await desk.pool.subscribe(["a"])
        assert server.wanted(1) == ["a"]
