"""A loopback exchange over TLS that answers what a test tells it to, and keeps what it was asked."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.wire.certificates import TestAuthority

__all__ = ["Asked", "Reply", "ScriptedServer", "scripted_server"]


class Asked(NamedTuple):
    """One request as it arrived."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


class Reply(NamedTuple):
    """What to do with one request."""

    status: int = 200
    body: bytes = b"{}"
    headers: tuple[tuple[str, str], ...] = ()
    drop: bool = False
    """Close the connection without an answer."""
    cut: bool = False
    """Close it in the middle of the answer."""
    wait: float = 0.0


class ScriptedServer:
    """Answers requests in the order of `replies`, and `{}` when those are used up."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.replies: deque[Reply] = deque()
        self.address = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await self._one(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        method, target, _ = head[0].split(" ")
        headers = {k.lower(): v for k, v in (line.split(": ", 1) for line in head[1:] if line)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        self.asked.append(Asked(method, target, headers, body))
        reply = self.replies.popleft() if self.replies else Reply()
        if reply.wait:
            await asyncio.sleep(reply.wait)
        if reply.drop:
            return False
        lines = [f"HTTP/1.1 {reply.status} Scripted", f"Content-Length: {len(reply.body)}"]
        lines += [f"{name}: {value}" for name, value in reply.headers]
        data = "\r\n".join([*lines, "", ""]).encode() + reply.body
        writer.write(data[:-1] if reply.cut else data)
        await writer.drain()
        return not reply.cut


@asynccontextmanager
async def scripted_server(authority: TestAuthority) -> AsyncIterator[ScriptedServer]:
    """A server for the time of a test."""
    scripted = ScriptedServer()
    server = await asyncio.start_server(scripted.serve, "127.0.0.1", 0, ssl=authority.server_context())
    scripted.address = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield scripted
    finally:
        server.close()
