"""The doors to a fake link: in the same process, or through a real socket with everything written and read again.

A test of a screen asks for neither: `tests/screens/conftest.py` runs it once for each.
"""

from __future__ import annotations

import asyncio
import atexit
import itertools
import os
import shutil
import tempfile
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.clock import SystemClock
from engine.control import client as client_module
from engine.control.backend import Identity
from engine.control.build import build_id
from engine.control.client import SocketLink
from engine.control.facts import Fact, FactLog
from engine.control.replies import FACTS
from engine.control.server import ControlServer
from tests.kit.fake_link import FakeLink

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from engine.control.link import DeltaHandler, EngineLink, LinkState
    from engine.control.registry import Role
    from engine.control.watching import Watching
    from tests.kit.fake_link import FakeSubscription

__all__ = ["DOORS", "DoorLink", "door_to", "through"]

DOORS = ("process", "socket")
_present = ["process"]
_numbers = itertools.count(1)


@contextmanager
def through(door: str) -> Iterator[None]:
    """Let every console inside the block use this door, and see that one did."""
    opened = next(_numbers)
    _present.append(door)
    try:
        yield
    finally:
        _present.pop()
    assert door == "process" or next(_numbers) > opened + 1, "nothing went through the socket"


def door_to(link: FakeLink) -> EngineLink:
    """The present door to a fake link."""
    if _present[-1] == "process" or not isinstance(link, FakeLink):
        return link
    return DoorLink(link)


@cache
def _folder() -> Path:
    found = Path(tempfile.mkdtemp(prefix="qd-"))
    atexit.register(shutil.rmtree, found, ignore_errors=True)
    return found


class FakeBackend:
    """A fake link as the socket serves it."""

    def __init__(self, link: FakeLink) -> None:
        self._link = link
        self._logs = {topic: FactLog(0) for topic in FACTS}
        self._listeners: list[Callable[[], None]] = []
        link.on_fact = self._on_fact

    def _on_fact(self, topic: str, seq: int, data: Any) -> None:
        self._logs[topic].add(Fact(seq, data))
        for listener in tuple(self._listeners):
            listener()

    def identity(self) -> Identity:
        status = self._link.data["engine.status"]
        return Identity(
            status.release, os.getpid(), 1, str(status.mode), status.account, status.instance, status.epoch, ""
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
        return await self._link.call(name, params, request_id=request_id)

    def left(self, connection: str) -> None:
        pass

    def subscribe(self, topic: str, handler: DeltaHandler, filters: dict[str, Any]) -> FakeSubscription:
        return self._link.subscribe(topic, handler, **filters)

    def log_of(self, topic: str) -> FactLog | None:
        return self._logs.get(topic)

    def on_facts(self, listener: Callable[[], None]) -> Callable[[], None]:
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    async def page(self, topic: str, cursor: int) -> tuple[list[Fact], int]:
        raise AssertionError("a fake link has no journal")


class DoorLink(SocketLink):
    """A link through a socket of its own, opened when a running loop first needs it.

    Args:
        fake: What is at the other end; losing it closes the socket, and its state is shown while the socket is open.
    """

    def __init__(self, fake: FakeLink) -> None:
        home = _folder() / str(next(_numbers))
        home.mkdir()
        super().__init__(home, max_hz=1e9)
        self._fake = fake
        self._backend = FakeBackend(fake)
        self._server: ControlServer | None = None
        self._opening: asyncio.Task[None] | None = None
        fake.on_change = self._on_change

    @property
    def state(self) -> LinkState:
        return "lost" if self._opening is not None and super().state == "lost" else self._fake.state

    async def call(self, operation: str, params: Any = None, *, request_id: str | None = None) -> Any:
        self._begin()
        if self._opening is not None and not self._opening.done():
            await self._opening
        return await super().call(operation, params, request_id=request_id)

    def subscribe(self, topic: str, handler: DeltaHandler, **filters: Any) -> Watching:
        self._begin()
        return super().subscribe(topic, handler, **filters)

    def _begin(self) -> None:
        if self._opening is None:
            self._opening = asyncio.get_running_loop().create_task(self._open_both())

    async def _open_both(self) -> None:
        await self._serve()
        await self.open()

    async def _serve(self) -> None:
        self._server = ControlServer(self.home, self._backend, SystemClock())
        await self._server.start()

    def _on_change(self) -> None:
        """The fake link was lost or is there again."""
        if self._opening is not None:
            before = self._opening
            self._opening = asyncio.get_running_loop().create_task(self._follow(before))

    async def _follow(self, before: asyncio.Task[None]) -> None:
        await before
        if self._fake.state == "lost" and self._server is not None:
            await self._server.close()
        elif self._fake.state != "lost":
            await self._serve()

    async def close(self) -> None:
        """Close both ends."""
        if self._opening is not None:
            await self._opening
        await super().close()
        if self._server is not None:
            await self._server.close()
        shutil.rmtree(self.home)


client_module.PAUSES_S = (0.0, 0.001)
# The release is read and the modules are looked at once.
build_id()
