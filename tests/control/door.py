"""The control socket over an engine that is a stub: answers as told, topics and facts as published."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from websockets.asyncio.client import unix_connect
from websockets.exceptions import ConnectionClosed

from engine.clock import SystemClock
from engine.control.backend import Identity
from engine.control.facts import Fact, FactLog
from engine.control.link import Delta
from engine.control.places import control_socket
from engine.control.server import ControlServer
from engine.control.topic_table import FACT_TOPICS, wanted_filters
from engine.control.views import Activity

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from pathlib import Path

    from websockets.asyncio.client import ClientConnection

    from engine.clock import Clock
    from engine.control.link import DeltaHandler
    from engine.control.registry import Role

__all__ = ["HELLO", "Stub", "StubWatcher", "Wire", "serving", "wire"]

HELLO = {"proto": 1, "client": "console", "release": "2.0.0", "pid": 7}


class StubWatcher:
    """One watched topic of state."""

    def __init__(self, stub: Stub, topic: str, handler: DeltaHandler) -> None:
        self.stub, self.topic, self.handler = stub, topic, handler

    def close(self) -> None:
        self.stub.watchers.remove(self)


class Stub:
    """A backend. `answers` holds replies, exceptions and functions of the parameters by operation."""

    def __init__(self, *, kept: int = 5_000, page: int = 200) -> None:
        self.answers: dict[str, Any] = {}
        self.calls: list[tuple[str, dict[str, Any], str | None, Role, str]] = []
        self.watchers: list[StubWatcher] = []
        self.journal: list[Activity] = []
        self.pages = 0
        self.pid = 4711
        self.instance = "inst0001"
        self.logs = {name: FactLog(0, kept) for name in FACT_TOPICS}
        self._page = page
        self._listeners: list[Callable[[], None]] = []

    def identity(self) -> Identity:
        return Identity(
            release="2.0.0",
            pid=self.pid,
            started=1_700_000_000_000_000_000,
            mode="paper",
            account="paper",
            instance=self.instance,
            epoch=3,
            home="/home/deck",
        )

    async def call(
        self,
        name: str,
        params: Mapping[str, Any],
        *,
        request_id: str | None,
        role: Role,
        actor: str,
        connection: str = "",
    ) -> Any:
        self.calls.append((name, dict(params), request_id, role, actor))
        answer = self.answers.get(name)
        if callable(answer):
            answer = answer(dict(params))
        if asyncio.iscoroutine(answer):
            answer = await answer
        if isinstance(answer, Exception):
            raise answer
        return answer

    def left(self, connection: str) -> None:
        pass

    def subscribe(self, topic: str, handler: DeltaHandler, filters: dict[str, Any]) -> StubWatcher:
        wanted_filters(topic, filters)
        self.watchers.append(StubWatcher(self, topic, handler))
        return self.watchers[-1]

    def log_of(self, topic: str) -> FactLog | None:
        return self.logs.get(topic)

    def on_facts(self, listener: Callable[[], None]) -> Callable[[], None]:
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    async def page(self, topic: str, cursor: int) -> tuple[list[Fact], int]:
        self.pages += 1
        await asyncio.sleep(0)
        rows = [row for row in self.journal if row.seq > cursor][: self._page]
        return [Fact(row.seq, row) for row in rows], rows[-1].seq if rows else cursor

    # --- the test's side

    def publish(self, topic: str, data: Any) -> None:
        """Let everybody hear the newest of a topic of state."""
        for watcher in tuple(self.watchers):
            if watcher.topic == topic:
                watcher.handler(Delta(topic, 1, True, data))

    def happen(self, count: int = 1, text: str = "x", severity: str = "info") -> None:
        """Let so many facts become durable at once."""
        for _ in range(count):
            seq = len(self.journal) + 1
            row = Activity(seq=seq, ts=seq, severity=severity, kind="Test", text=text)
            self.journal.append(row)
            self.logs["facts.activity"].add(Fact(seq, row))
        self.logs["orders.fills"].reach(len(self.journal))
        for listener in tuple(self._listeners):
            listener()


class Wire:
    """A client that says what a test wants, frame by frame."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self._number = 0

    async def send(self, method: str, params: Any = None, **more: Any) -> int:
        """Send a call and return its number."""
        self._number += 1
        said = {"jsonrpc": "2.0", "id": self._number, "method": method, "params": params or {}, **more}
        await self.connection.send(json.dumps(said))
        return self._number

    async def hear(self) -> dict[str, Any]:
        """The next message."""
        found: dict[str, Any] = json.loads(await self.connection.recv())
        return found

    async def ask(self, method: str, params: Any = None, **more: Any) -> dict[str, Any]:
        """Send a call and return its reply, whatever comes before it."""
        number = await self.send(method, params, **more)
        while True:
            said = await self.hear()
            if said.get("id") == number:
                return said

    async def ended(self) -> tuple[int, str]:
        """Hear everything there is, and say with which code and reason the connection ended."""
        try:
            while True:
                await self.connection.recv()
        except ConnectionClosed as error:
            return (error.rcvd.code, error.rcvd.reason) if error.rcvd is not None else (0, "broken off")

    async def hello(self, **changes: Any) -> dict[str, Any]:
        """Introduce oneself."""
        return await self.ask("hello", {**HELLO, **changes})


@asynccontextmanager
async def serving(home: Path, stub: Stub | None = None, clock: Clock | None = None) -> AsyncIterator[ControlServer]:
    """A socket over a stub."""
    server = ControlServer(home, stub or Stub(), clock or SystemClock(), "b5")
    await server.start()
    try:
        yield server
    finally:
        await server.close()


@asynccontextmanager
async def wire(home: Path) -> AsyncIterator[Wire]:
    """A connection on which nothing has been said."""
    async with unix_connect(
        str(control_socket(home)), uri="ws://engine/", compression=None, proxy=None, ping_interval=None, close_timeout=1
    ) as connection:
        yield Wire(connection)
