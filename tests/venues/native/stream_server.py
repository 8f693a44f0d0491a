"""A websocket server on loopback that confirms subscriptions the way Binance does, and does what a test tells it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import orjson
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Sequence


class StreamServer:
    """What connected, what was asked, and what it answers."""

    def __init__(self) -> None:
        self.address = ""
        self.open: list[ServerConnection] = []
        """Connections that are open now, oldest first."""
        self.seen = 0
        self.asked: list[tuple[int, Any]] = []
        """Messages that arrived, with the number of the connection (from 1)."""
        self.confirm = True
        self.refuse: set[str] = set()
        """Channels that are answered with an error."""
        self.status: tuple[int, dict[str, str]] | None = None
        """Answer the next handshakes with this instead."""
        self.pong = True

    async def serve(self, ws: ServerConnection) -> None:
        """Take one connection's messages in until it ends."""
        self.seen += 1
        number = self.seen
        self.open.append(ws)
        try:
            async for text in ws:
                await self._take(ws, number, text if isinstance(text, str) else text.decode())
        except ConnectionClosed:
            pass
        finally:
            self.open.remove(ws)

    async def _take(self, ws: ServerConnection, number: int, text: str) -> None:
        if text == "ping":
            self.asked.append((number, text))
            if self.pong:
                await ws.send("pong")
            return
        body = orjson.loads(text)
        self.asked.append((number, body))
        if not self.confirm:
            return
        refused = self.refuse.intersection(body.get("params", ()))
        if refused:
            await ws.send(orjson.dumps({"error": {"code": 2, "msg": sorted(refused)[0]}, "id": body["id"]}).decode())
        elif "id" in body:
            await ws.send(orjson.dumps({"result": None, "id": body["id"]}).decode())

    def gate(self, _: ServerConnection, request: Request) -> Response | None:
        """Refuse a handshake when told to."""
        if self.status is None:
            return None
        from websockets.datastructures import Headers

        status, headers = self.status
        return Response(status, "refused", Headers(headers), b"")

    def wanted(self, number: int) -> list[str]:
        """Channels that a connection is subscribed to."""
        found: list[str] = []
        for at, body in self.asked:
            if at == number and isinstance(body, dict) and body.get("method") == "SUBSCRIBE":
                found += body["params"]
            elif at == number and isinstance(body, dict) and body.get("method") == "UNSUBSCRIBE":
                found = [channel for channel in found if channel not in body["params"]]
        return found


@asynccontextmanager
async def stream_server(context: ssl.SSLContext | None = None) -> AsyncIterator[StreamServer]:
    """Run one on a free port of this machine."""
    server = StreamServer()
    async with serve(
        server.serve, "127.0.0.1", 0, ssl=context, process_request=server.gate, close_timeout=0.2, compression=None
    ) as listening:
        port = next(iter(listening.sockets)).getsockname()[1]
        server.address = f"{'wss' if context else 'ws'}://127.0.0.1:{port}/"
        yield server


def subscribe(number: int, channels: Sequence[str]) -> list[bytes]:
    """A frame that asks for channels."""
    return [orjson.dumps({"method": "SUBSCRIBE", "params": list(channels), "id": number})]


def unsubscribe(number: int, channels: Sequence[str]) -> list[bytes]:
    """A frame that leaves channels."""
    return [orjson.dumps({"method": "UNSUBSCRIBE", "params": list(channels), "id": number})]
