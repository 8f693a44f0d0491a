"""One WebSocket connection of a client: what is said on it, in order, and what goes wrong with that."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import msgspec
from aiohttp import WSCloseCode, WSMsgType, web

from tests.wire.faults import Fault

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.wire.exchange import Exchange

__all__ = ["Socket"]

_MOST_QUEUED = 20_000
_encode = msgspec.json.encode


class Socket:
    """A connection as a simulated venue sees it; `send` never waits.

    Faults strike messages that carry a kind (data), never answers to requests.

    Args:
        exchange: Whose faults and clock apply.
        ws: The connection.
        transport: What it runs on, to be broken.
        path: Path and query the client asked for.
    """

    def __init__(
        self, exchange: Exchange, ws: web.WebSocketResponse, transport: asyncio.Transport | None, path: str
    ) -> None:
        self.exchange = exchange
        self.path = path
        self.private = False
        """Whether it carries an account's events."""
        self.silent = False
        """No data is sent any more, but pings and requests are answered."""
        self.sent: Counter[str] = Counter()
        """Messages by kind."""
        self.state: dict[str, Any] = {}
        """The venue's own notes about the connection."""
        self.closed = False
        self.heard_pong = exchange.clock.now()
        """UTC nanoseconds of the last answer to a ping."""
        self.answered = time.monotonic()
        """Real seconds of the same."""
        self._ws = ws
        self._transport = transport
        self.delay_s = 0.0
        """Real seconds that a message of ours is on its way."""
        self._queue: asyncio.Queue[bytes | str | None] = asyncio.Queue()
        self._held: bytes | None = None

    def send(self, message: Any, kind: str = "") -> None:
        """Say something: an object is encoded, bytes go as they are.

        Args:
            message: What.
            kind: Its kind, such as `depthUpdate`; empty for an answer to a request, which no fault strikes.
        """
        if self.closed or (self.silent and kind):
            return
        data = message if isinstance(message, bytes) else _encode(message)
        if not kind:
            self._put(data)
            return
        self.sent[kind] += 1
        if not self.exchange.faults.armed and self._held is None:
            self._put(data)
        elif not self._disturbed(data, kind):
            self._put(data)
            if self._held is not None:
                self._put(self._held)
                self._held = None
            if self.exchange.faults.strike(Fault.DUPLICATE, kind):
                self._put(data)

    def _disturbed(self, data: bytes, kind: str) -> bool:
        """Whether a fault keeps a message from being said now."""
        faults = self.exchange.faults
        if self.private and faults.strike(Fault.PRIVATE_SILENT, kind):
            self.silent = True
        elif faults.strike(Fault.DISCONNECT, kind):
            self.drop()
        elif faults.strike(Fault.GAP, kind):
            pass
        elif late := faults.strike(Fault.LATE, kind):
            self.exchange.after(late.delay_s, lambda: self._put(data))
        elif self._held is None and faults.strike(Fault.REORDER, kind):
            self._held = data
        else:
            return False
        return True

    def text(self, text: str) -> None:
        """Say bare text, such as `pong`."""
        if not self.closed:
            self._queue.put_nowait(text)

    def drop(self) -> None:
        """Break the connection without a word."""
        self.closed = True
        self._queue.put_nowait(None)

    def close(self, code: int = WSCloseCode.OK, reason: str = "") -> None:
        """End the connection properly, after what was already said."""
        if not self.closed:
            self.closed = True
            self._queue.put_nowait(f"\0{int(code)} {reason}")

    def _put(self, data: bytes) -> None:
        if self.closed:
            return
        if self._queue.qsize() >= _MOST_QUEUED:
            self.drop()
        elif self.delay_s:
            # Messages with the same delay keep their order.
            asyncio.get_running_loop().call_later(self.delay_s, self._queue.put_nowait, data)
        else:
            self._queue.put_nowait(data)

    async def write(self) -> None:
        """Carry what is said, until the end."""
        while True:
            item = await self._queue.get()
            if item is None:
                if self._transport is not None:
                    self._transport.abort()
                return
            if isinstance(item, str) and item.startswith("\0"):
                code, _, reason = item[1:].partition(" ")
                await self._ws.close(code=int(code), message=reason.encode())
                return
            with contextlib.suppress(ConnectionError, RuntimeError):
                await self._ws.send_str(item if isinstance(item, str) else item.decode())

    async def ping(self) -> None:
        """Ask the client whether it is there; a silent connection does so too."""
        if not self.closed:
            with contextlib.suppress(ConnectionError, RuntimeError):
                await self._ws.ping(str(self.exchange.ms()).encode())

    async def read(self, hear: Callable[[Any], None]) -> None:
        """Hand what the client says to the venue, answer its pings, until the connection ends."""
        async for message in self._ws:
            if message.type is WSMsgType.PING:
                await self._ws.pong(message.data)
            elif message.type is WSMsgType.PONG:
                self.heard_pong, self.answered = self.exchange.time(), time.monotonic()
            elif message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                if self.closed:
                    return
                hear(message.data)
