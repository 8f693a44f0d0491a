"""Streams of a venue: channels spread over websocket connections that stay up within the venue's limits.

A `StreamTable` says how one kind of stream works, a `StreamPool` keeps its connections. An adapter uses it so:

    async def address() -> str:
        return options.addresses.get("public", "wss://stream.binance.com:9443/stream")

    def subscribe(number: int, channels: Sequence[str]) -> list[bytes]:
        return [orjson.dumps({"method": "SUBSCRIBE", "params": list(channels), "id": number})]

    PUBLIC = StreamTable(
        name="public", address=address, subscribe=subscribe, unsubscribe=…, batch=50, messages_per_second=4,
        channels_per_connection=200, connections=4, renew_s=23 * 3600,
    )

    def on_frame(connection: StreamConnection, data: bytes, received_ns: int) -> None:
        if b'"result"' in data[:20]:
            connection.acknowledge(number=orjson.loads(data)["id"])    # or connection.reject(error, number=…)
        …

    pool = StreamPool(PUBLIC, Listener(on_frame, on_up, on_down), clock=clock, ca_file=options.ca_file)
    await pool.start()
    await pool.subscribe(["btcusdt@depth@100ms", "btcusdt@trade"])    # returns when the venue has confirmed
    pool.again(["btcusdt@depth@100ms"])                               # leaves and joins: a fresh snapshot on OKX
    await pool.close()

What holds:
  * `on_up(connection)`: it is open, logged in, and every channel in `connection.channels` is confirmed. Messages may
    arrive before. `on_down(connection, reason)`: follows every `on_up` exactly once. The object stays the same over
    reconnects; `connection.opened` counts them. State that belongs to one connection (Coinbase's sequence_num) begins
    anew when `opened` differs.
  * After a break everything is subscribed again by itself, after a pause drawn by exponential backoff.
  * With `overlap`, a planned renewal brings a second connection up first: the same messages come on both for a moment,
    then `on_down(old, …)` comes with `old.retired` set and means nothing for the channels.
  * An error raised by `on_frame` ends the connection it came over; a typed one becomes the reason in its health.
  * Private streams: `login` is a coroutine that sends and waits, such as
        async def login(connection): await connection.send(frame); await connection.answer("login")
    while `on_frame` calls `connection.answered("login")`, or with an AuthenticationError. Set `at_least=1` for streams
    without channels. `WsCalls` (ws_calls.py) asks questions over such a connection.
"""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

from engine.errors import ExchangeConnectionError, ValidationError
from engine.venues.native.address import make_ssl_context
from engine.venues.native.connection import Listener, StreamConnection
from engine.venues.native.stream_table import PingRule, StreamTable

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterable
    from pathlib import Path

    from engine.clock import Clock
    from engine.model.venue import StreamHealth
    from engine.venues.limits.connections import Connections

__all__ = ["Listener", "PingRule", "StreamConnection", "StreamPool", "StreamTable"]


class StreamPool:
    """All connections of one kind of stream.

    Args:
        table: The kind.
        listener: Told of frames, ups and downs of every connection.
        clock: Time and waiting.
        chance: Draws the jitter; a seeded one makes it repeatable.
        limit: What the venue allows of connections, shared by all its pools; None for no limit.
        ca_file: Certificate authorities to trust instead of the system's.
    """

    def __init__(
        self,
        table: StreamTable,
        listener: Listener,
        *,
        clock: Clock,
        chance: random.Random | None = None,
        limit: Connections | None = None,
        ca_file: Path | None = None,
    ) -> None:
        self.table = table
        self.connections: list[StreamConnection] = []
        """Those that carry channels, and those on their way out."""
        self._listener = Listener(listener.on_frame, self._on_up, listener.on_down)
        self._told_up = listener.on_up
        self._clock = clock
        self._chance = chance or random.Random()
        self._limit = limit
        self._ca_file = ca_file
        self._ssl: ssl.SSLContext | None = None
        self._tasks: dict[StreamConnection, asyncio.Task[None]] = {}
        self._at: dict[str, StreamConnection] = {}
        self._heirs: dict[StreamConnection, StreamConnection] = {}
        self._count = 0
        self._started = False
        self._held: set[StreamConnection] = set()
        """Those that count among the connections of the venue's markets."""

    async def start(self) -> None:
        """Begin to connect; idempotent. What was added before is subscribed now."""
        if self._started:
            return
        self._started = True
        while len(self.connections) < self.table.at_least:
            self._make()
        for connection in self.connections:
            self._launch(connection)

    async def close(self) -> None:
        """Hang up everywhere; every connection that is up is told down. Idempotent."""
        self._started = False
        tasks = list(self._tasks.values())
        polite = [self._tasks[connection] for connection in self.connections if connection.is_open]
        for connection in self.connections:
            connection.retire("closed")
        if polite:
            # Time for a farewell on lines that are open; all else ends where it is.
            await asyncio.wait(polite, timeout=2.0)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._tasks.clear()
        self.connections.clear()
        for connection in tuple(self._held):
            self._give_back(connection)
        self._at.clear()
        self._heirs.clear()

    def add(self, channels: Iterable[str]) -> None:
        """Want these channels from now on; those that are wanted already stay where they are.

        Raises:
            ValidationError: All connections are full; nothing was added.
        """
        wanted = list(dict.fromkeys(channels))
        self._drop_refused(wanted)
        fresh = [channel for channel in wanted if channel not in self._at]
        if len(fresh) > self._room():
            raise ValidationError(
                f"{self.table.name} carries at most {self._most()} channels; unwatch {len(fresh) - self._room()} of "
                "what is watched first."
            )
        while fresh:
            connection = self._roomiest()
            room = self.table.channels_per_connection - self._load(connection)
            taken, fresh = fresh[:room], fresh[room:]
            connection.want(taken)
            self._at.update(dict.fromkeys(taken, connection))

    def remove(self, channels: Iterable[str]) -> None:
        """Want these no more; a connection without any is closed where it is not needed."""
        for channel in channels:
            connection = self._at.pop(channel, None)
            if connection is not None:
                connection.forget([channel])
        live = [connection for connection in self.connections if not connection.retired]
        for connection in live[self.table.at_least :]:
            if self._load(connection) == 0:
                connection.retire("nothing is wanted on it any more")

    def again(self, channels: Iterable[str]) -> None:
        """Leave channels and join them anew, where they are subscribed now."""
        for channel in channels:
            connection = self._at.get(channel)
            if connection is not None:
                connection.again([channel])

    async def subscribe(self, channels: Iterable[str], *, timeout_s: float = 15.0) -> None:
        """Add channels and wait until the venue has confirmed them.

        Raises:
            ValidationError: There is no room.
            ExchangeConnectionError: They are not confirmed in time; they stay wanted and come with the connection.
            QuarterdeckError: What the adapter gave to `reject`; those refused are wanted no more.
        """
        wanted = list(dict.fromkeys(channels))
        self.add(wanted)
        loop = asyncio.get_running_loop()
        by_connection: dict[StreamConnection, list[str]] = {}
        for channel in wanted:
            by_connection.setdefault(self._at[channel], []).append(channel)
        works = [loop.create_task(c.confirmed(names), name=f"{c.name}: confirm") for c, names in by_connection.items()]
        timer = loop.create_task(self._clock.sleep(timeout_s), name=f"{self.table.name}: confirm")
        try:
            await self._first_end(works, timer)
        finally:
            for task in (*works, timer):
                task.cancel()
            await asyncio.gather(*works, timer, return_exceptions=True)
            self._drop_refused(wanted)

    async def _first_end(self, works: list[asyncio.Task[None]], timer: asyncio.Task[None]) -> None:
        left = set(works)
        while left:
            done, _ = await asyncio.wait({*left, timer}, return_when=asyncio.FIRST_COMPLETED)
            for task in done & left:
                task.result()
            left -= done
            if timer in done and left:
                raise ExchangeConnectionError(
                    f"{self.table.name}: the venue has not confirmed the subscriptions in time; they are tried again."
                )

    def _drop_refused(self, channels: list[str]) -> None:
        for channel in channels:
            connection = self._at.get(channel)
            if connection is not None and channel not in connection.channels:
                del self._at[channel]

    def connection_of(self, channel: str) -> StreamConnection | None:
        """The connection that carries a channel."""
        return self._at.get(channel)

    def health(self) -> tuple[StreamHealth, ...]:
        """How every connection is."""
        return tuple(connection.health() for connection in self.connections)

    # --------------------------------------------------------------------------------------------------- connections

    def _most(self) -> int:
        kept = sum(not connection.retired for connection in self.connections)
        more = max(0, self.table.connections - kept)
        if self._left is not None:
            more = min(more, self._left)
        return (kept + more) * self.table.channels_per_connection

    @property
    def _left(self) -> int | None:
        """Connections that the venue still allows; None for any number."""
        return self._limit.left if self._limit is not None and self.table.of_markets else None

    def _room(self) -> int:
        return self._most() - len(self._at)

    def _load(self, connection: StreamConnection) -> int:
        return len(connection.channels) - len(self.table.standing)

    def _roomiest(self) -> StreamConnection:
        open_ones = [connection for connection in self.connections if not connection.retired]
        for connection in open_ones:
            if self._load(connection) < self.table.channels_per_connection:
                return connection
        return self._make()

    def _make(self) -> StreamConnection:
        self._count += 1
        connection = StreamConnection(
            self.table,
            f"{self.table.name} {self._count}",
            self._listener,
            clock=self._clock,
            chance=self._chance,
            limit=self._limit,
            trust=self._trust,
            on_renew=self._renew,
        )
        self.connections.append(connection)
        if self._limit is not None and self.table.of_markets:
            self._limit.hold()
            self._held.add(connection)
        if self._started:
            self._launch(connection)
        return connection

    def _launch(self, connection: StreamConnection) -> None:
        if connection not in self._tasks:
            task = asyncio.get_running_loop().create_task(connection.run(), name=f"stream {connection.name}")
            self._tasks[connection] = task
            task.add_done_callback(lambda _: self._gone(connection))

    def _gone(self, connection: StreamConnection) -> None:
        self._tasks.pop(connection, None)
        self._heirs.pop(connection, None)
        if connection in self.connections:
            self.connections.remove(connection)
        self._give_back(connection)

    def _give_back(self, connection: StreamConnection) -> None:
        if self._limit is not None and connection in self._held:
            self._held.remove(connection)
            self._limit.give_back()

    def _renew(self, old: StreamConnection) -> bool:
        """Bring a successor up beside a connection that has lived long; False where there is no room for one."""
        if not self.table.overlap or len(self.connections) > self.table.connections or self._left == 0:
            return False
        heir = self._make()
        moved = [channel for channel, at in self._at.items() if at is old]
        heir.want(moved)
        self._at.update(dict.fromkeys(moved, heir))
        self._heirs[heir] = old
        # Should it break meanwhile, its channels are with the other one already.
        old.retired = True
        return True

    def _on_up(self, connection: StreamConnection) -> None:
        self._told_up(connection)
        old = self._heirs.pop(connection, None)
        if old is not None:
            old.retire(f"{connection.name} has taken over")

    async def _trust(self) -> ssl.SSLContext:
        if self._ssl is None:
            self._ssl = await asyncio.to_thread(make_ssl_context, self._ca_file)
        return self._ssl
