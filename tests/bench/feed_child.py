"""A process that stands for OKX's public side, for the benchmarks of streams: instruments, and books at a given rate.

    python -m tests.bench.feed_child

Prints its port. `GET /go?rate=…&seconds=…` sends recorded updates of every subscribed book in turn, at that rate in
all, a public trade among every ten, each on its own as an exchange does; the answer, when all is sent, holds the
monotonic nanoseconds at which every book message left, by instrument. Numbers go on from one call to the next.
"""

from __future__ import annotations

import asyncio
import gc
import time
from itertools import count
from typing import TYPE_CHECKING, Any

import orjson
from aiohttp import web

from tests.bench.recordings import okx

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.bench.recordings import Recording

INSTRUMENTS = 3_000
TICK_S = 0.002
TRADE_EVERY = 10
_ROW = {
    "alias": "", "category": "1", "ctMult": "", "ctType": "", "ctVal": "", "ctValCcy": "", "expTime": "", "groupId": "",
    "instFamily": "", "instType": "SPOT", "lever": "", "listTime": "1611907686000", "lotSz": "0.00000001",
    "maxIcebergSz": "99999999", "maxLmtAmt": "20000000", "maxLmtSz": "99999999", "maxMktAmt": "1000000",
    "maxMktSz": "1000000", "maxStopSz": "1000000", "maxTriggerSz": "99999999", "maxTwapSz": "99999999",
    "minSz": "0.00001", "optType": "", "quoteCcy": "USDT", "ruleType": "normal", "settleCcy": "", "state": "live",
    "stk": "", "tickSz": "0.001", "uly": "",
}  # fmt: skip


def symbol(number: int) -> str:
    """The exchange's name of an instrument, such as `Q7-USDT`."""
    return f"Q{number}-USDT"


class Book:
    """The messages of one instrument, without end."""

    def __init__(self, name: str, recording: Recording) -> None:
        self._old, self._new = recording.symbol.encode(), name.encode()
        self._recording = recording
        self._messages = self._all()
        self.sent: list[int] = []
        """Monotonic nanoseconds."""

    def snapshot(self) -> str:
        """The message that begins it."""
        return self._named(self._recording.snapshot)

    def next(self) -> str:
        """The message after the last one."""
        return next(self._messages)

    def _all(self) -> Iterator[str]:
        for number in count():
            for data in self._recording.round(number):
                yield self._named(data)

    def _named(self, data: bytes) -> str:
        return data.replace(self._old, self._new, 1).decode()


class Exchange:
    """What is asked of it."""

    def __init__(self) -> None:
        # Every other market is a small one with an update for each change, the rest are large and sum up 100 ms.
        self._recordings = [okx(), okx("okx/books_3inst_20220513", "BTC-USDT", "BTC/USDT")]
        self._books: dict[str, Book] = {}
        self._socket: web.WebSocketResponse | None = None
        self._trades = count(1)

    async def time(self, _: web.Request) -> web.Response:
        """The exchange's clock."""
        return _answer([{"ts": str(time.time_ns() // 1_000_000)}])

    async def instruments(self, request: web.Request) -> web.Response:
        """Every pair; there are no swaps."""
        if request.query.get("instType") != "SPOT":
            return _answer([])
        names = [(symbol(number), f"Q{number}") for number in range(INSTRUMENTS)]
        return _answer([_ROW | {"instId": name, "baseCcy": base} for name, base in names])

    async def stream(self, request: web.Request) -> web.WebSocketResponse:
        """The public stream."""
        self._socket = socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            if message.data == "ping":
                await socket.send_str("pong")
                continue
            asked = orjson.loads(message.data)
            for arg in asked["args"]:
                await socket.send_str(orjson.dumps({"event": asked["op"], "arg": arg, "connId": "1"}).decode())
                if arg["channel"] == "books":
                    book = self._books[arg["instId"]] = Book(arg["instId"], self._recordings[len(self._books) % 2])
                    await socket.send_str(book.snapshot())
        return socket

    async def go(self, request: web.Request) -> web.Response:
        """Send."""
        rate, seconds = float(request.query["rate"]), float(request.query["seconds"])
        total, done, began = int(rate * seconds), 0, time.monotonic()
        names = list(self._books)
        for book in self._books.values():
            book.sent.clear()
        gc.collect()
        gc.disable()
        while done < total:
            due = min(total, int((time.monotonic() - began) * rate))
            while done < due:
                await self._send(names[done % len(names)], done)
                done += 1
            await asyncio.sleep(TICK_S)
        gc.enable()
        took = time.monotonic() - began
        return web.json_response({"took": took, "sent": {name: book.sent for name, book in self._books.items()}})

    async def _send(self, name: str, number: int) -> None:
        socket = self._socket
        assert socket is not None
        if number % TRADE_EVERY == TRADE_EVERY - 1:
            row: dict[str, Any] = {"instId": name, "tradeId": str(next(self._trades)), "px": "196.5", "sz": "0.1"}
            row |= {"side": "buy", "ts": str(time.time_ns() // 1_000_000), "count": "1"}
            await socket.send_str(orjson.dumps({"arg": {"channel": "trades", "instId": name}, "data": [row]}).decode())
            return
        book = self._books[name]
        message = book.next()
        book.sent.append(time.monotonic_ns())
        await socket.send_str(message)


def _answer(rows: list[dict[str, Any]]) -> web.Response:
    return web.Response(body=orjson.dumps({"code": "0", "msg": "", "data": rows}), content_type="application/json")


async def serve() -> None:
    """Serve until killed."""
    exchange = Exchange()
    app = web.Application()
    app.add_routes(
        [
            web.get("/api/v5/public/time", exchange.time),
            web.get("/api/v5/public/instruments", exchange.instruments),
            web.get("/ws/v5/public", exchange.stream),
            web.get("/go", exchange.go),
        ]
    )
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    (address,) = runner.addresses
    print(address[1], flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve())
