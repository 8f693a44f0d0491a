"""The server of a simulated venue: REST and WebSocket on loopback, with or without TLS, faults and limits in between.

A venue derives from `Simulator`: it lists its endpoints as a table of `Route`s, answers each synchronously with a
`Reply` or by raising `Refusal`, and takes over WebSocket connections as `Socket`s. Everything that is the same for all
venues lives here: recording, faults, the order in which things are checked.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import msgspec
from aiohttp import web

from tests.wire.faults import Armed, Fault
from tests.wire.limits import Limits
from tests.wire.sockets import Socket

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.wire.accounts import Key
    from tests.wire.certificates import TestAuthority
    from tests.wire.exchange import Exchange

__all__ = ["Call", "Recorded", "Refusal", "Reply", "Route", "Simulator"]

_RECORDED = 200_000
_HUNG_S = 120.0
_PING_EVERY_S = 20.0
_PONG_WITHIN_NS = 60_000_000_000
"""Who answers no ping for so long is cut off."""


@dataclass
class Reply:
    """An answer."""

    body: Any
    """A JSON value, or bytes as they are."""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str = "application/json"


class Refusal(Exception):
    """A request is refused; the venue says how that is written."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(str(reply.body))
        self.reply = reply


@dataclass
class Call:
    """A request as it came."""

    method: str
    path: str
    query: str
    """As it came, not decoded."""
    body: bytes
    headers: Mapping[str, str]
    params: dict[str, str]
    """Query and form parameters, and the holes of the path."""
    address: str = "127.0.0.1"
    key: Key | None = None
    """Who signed, once that is verified."""

    @property
    def place(self) -> str:
        """What the request is called in faults and records."""
        return f"{self.method} {self.path}"

    def json(self) -> Any:
        """The body as JSON; an empty object without one."""
        return msgspec.json.decode(self.body) if self.body else {}


@dataclass(frozen=True)
class Route:
    """One row of a venue's table of endpoints."""

    method: str
    path: str
    """With `{holes}`."""
    answer: Callable[[Any, Call], Any]
    """Unbound method of the venue; gives a `Reply` or a JSON value."""
    weight: float | Callable[[Call], float] = 1
    signed: bool = False
    orders: int = 0
    """How many orders it counts as."""
    changes: bool = False
    """Whether it changes something, so that an outcome can be unknown."""
    lists: bool = False
    """Whether it answers with a list that can be cut short."""
    extra: dict[str, Any] = field(default_factory=dict)
    """The venue's own terms."""

    def pattern(self) -> re.Pattern[str]:
        """Matches the paths it is for."""
        return re.compile(re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(self.path)) + r"/?$")


@dataclass(frozen=True)
class Recorded:
    """A request that came, and what became of it."""

    ts: int
    method: str
    path: str
    query: str
    status: int
    """0 when no answer was given."""
    weight: float
    fault: str = ""


class Simulator:
    """A venue on loopback.

    Args:
        exchange: What stands behind it.
        limits: What callers may use; None for no limits.
    """

    routes: tuple[Route, ...] = ()
    name = "venue"
    patience_s = 5.0
    """Real seconds that a client has to answer pings at least, however fast simulated time goes."""

    def __init__(self, exchange: Exchange, limits: Limits | None = None) -> None:
        self.exchange = exchange
        self.faults = exchange.faults
        self.limits = limits or Limits({})
        self.requests: deque[Recorded] = deque(maxlen=_RECORDED)
        """Every request, oldest first."""
        self.counts: Counter[str] = Counter()
        """Requests by method and path pattern; WebSocket requests by the names the venue gives them."""
        self.sockets: list[Socket] = []
        """Open WebSocket connections."""
        self.connections = 0
        """WebSocket connections ever opened."""
        self.unknown: Counter[str] = Counter()
        """Requests to paths that the venue does not have: a client that makes any is wrong, or this simulator is."""
        self.latency_s = 0.0
        """Real seconds from a request's leaving to its answer's arrival, beside what the machine takes."""
        self.port = 0
        self.tls = False
        self._table = [(route, route.pattern()) for route in self.routes]
        self._runner: web.AppRunner | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._stopping = asyncio.Event()

    # --- life --------------------------------------------------------------------------------------------------------

    async def start(self, authority: TestAuthority | None = None, port: int = 0, *, follow: bool = True) -> None:
        """Listen on 127.0.0.1.

        Args:
            authority: Speak TLS with its certificate; plain without one.
            port: 0 for any that is free.
            follow: Keep the exchange at the present of its clock; off when a test does so itself.

        It may be started again after `stop`, at the same port as well.
        """
        self._stopping.clear()
        app = web.Application(client_max_size=2**22)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(
            app, access_log=None, handle_signals=False, handler_cancellation=True, shutdown_timeout=0.1
        )
        await self._runner.setup()
        context = authority.server_context() if authority is not None else None
        site = web.TCPSite(self._runner, "127.0.0.1", port, ssl_context=context)
        await site.start()
        self.tls = context is not None
        self.port = self._runner.addresses[0][1]
        if follow:
            self._spawn(self.exchange.run())
        self._spawn(self._ping())

    async def stop(self) -> None:
        """Break every connection and stop listening."""
        self._stopping.set()
        for socket in list(self.sockets):
            socket.drop()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    @property
    def rest(self) -> str:
        """Address of requests."""
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    @property
    def ws(self) -> str:
        """Address of streams."""
        return f"{'wss' if self.tls else 'ws'}://127.0.0.1:{self.port}"

    @property
    def addresses(self) -> dict[str, str]:
        """Addresses by the names that the venue's adapter gives them (`VenueOptions.addresses`)."""
        return {"rest": self.rest, "ws": self.ws}

    def cut(self) -> None:
        """Break every open WebSocket connection now."""
        for socket in list(self.sockets):
            socket.drop()

    # --- what a venue says -------------------------------------------------------------------------------------------

    def refuse_fault(self, kind: Fault, armed: Armed, call: Call) -> Reply:
        """The venue's words for a fault that is a refusal."""
        raise NotImplementedError

    def charge(self, route: Route, call: Call) -> None:
        """Take a request's cost from the venue's limits. Raises Refusal."""

    def authenticate(self, route: Route, call: Call) -> Key:
        """Verify the signature. Raises Refusal."""
        raise NotImplementedError

    def not_found(self, call: Call) -> Reply:
        """The venue's answer to a path it does not have."""
        return Reply({"code": 404, "msg": "no such path"}, 404)

    def headers(self, route: Route | None, call: Call) -> dict[str, str]:
        """Headers of every answer."""
        return {}

    def cut_short(self, body: Any) -> Any:
        """A list that ends early; venues that wrap their lists say how."""
        return body[: len(body) // 2] if isinstance(body, list) else body

    def accept(self, socket: Socket) -> Callable[[Any], None] | None:
        """Take over a new connection: gives what hears its client, None to refuse the path."""
        return None

    def left(self, socket: Socket) -> None:
        """A connection has ended."""

    # --- requests ----------------------------------------------------------------------------------------------------

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._connect(request)
        call = Call(
            request.method,
            request.path,
            request.rel_url.raw_query_string,
            await request.read(),
            request.headers,
            {},
            request.remote or "",
        )
        call.params = self._params(call)
        await self._travel()
        if self.faults.armed and (lost := self.faults.strike(Fault.LOST_REQUEST, call.place)):
            self._record(call, 0, 0, lost.kind)
            return self._reset(request)
        reply, weight, route = self.respond(call)
        if self.faults.armed and route is not None:
            fault = self._after(route, call, reply)
            if fault in (Fault.TIMEOUT_AFTER, Fault.RESET_AFTER):
                self._record(call, 0, weight, fault)
                if fault is Fault.TIMEOUT_AFTER:
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(self._stopping.wait(), _HUNG_S)
                return self._reset(request)
        self._record(call, reply.status, weight, "")
        await self._travel()
        body = reply.body if isinstance(reply.body, bytes) else msgspec.json.encode(reply.body)
        headers = {**self.headers(route, call), **reply.headers}
        return web.Response(body=body, status=reply.status, headers=headers, content_type=reply.content_type)

    async def _travel(self) -> None:
        """One way between a client and here."""
        if self.latency_s:
            await asyncio.sleep(self.latency_s / 2)

    def respond(self, call: Call) -> tuple[Reply, float, Route | None]:
        """Answer a request: find its endpoint, let faults, limits and signature speak first, then the venue."""
        route = self._find(call)
        if route is None:
            self.unknown[call.place] += 1
            return self.not_found(call), 0, None
        weight = route.weight(call) if callable(route.weight) else route.weight
        self.counts[f"{route.method} {route.path}"] += 1
        self.exchange.follow()
        try:
            if self.faults.armed:
                self._before(route, call)
            self.charge(route, call)
            if route.signed:
                call.key = self.authenticate(route, call)
            answer = route.answer(self, call)
            reply = answer if isinstance(answer, Reply) else Reply(answer)
        except Refusal as refusal:
            return refusal.reply, weight, route
        if self.faults.armed and route.lists and self.faults.strike(Fault.CUT_LISTING, call.place):
            reply.body = self.cut_short(reply.body)
        return reply, weight, route

    def _before(self, route: Route, call: Call) -> None:
        """Faults by which the venue refuses without doing anything."""
        kinds = [Fault.MAINTENANCE, Fault.BAN, Fault.RATE_LIMIT]
        if route.signed:
            kinds += [Fault.KEY_EXPIRED, Fault.CLOCK_SKEW]
        for kind in kinds:
            armed = self.faults.strike(kind, call.place)
            if armed is not None:
                raise Refusal(self.refuse_fault(kind, armed, call))

    def _after(self, route: Route, call: Call, reply: Reply) -> Fault | None:
        """Faults that strike when the request has taken effect."""
        if not route.changes or reply.status != 200:
            return None
        for kind in (Fault.TIMEOUT_AFTER, Fault.RESET_AFTER):
            if self.faults.strike(kind, call.place):
                return kind
        armed = self.faults.strike(Fault.SERVER_ERROR, call.place)
        if armed is not None:
            said = self.refuse_fault(Fault.SERVER_ERROR, armed, call)
            reply.body, reply.status, reply.content_type = said.body, said.status, said.content_type
        return None

    def _find(self, call: Call) -> Route | None:
        for route, pattern in self._table:
            if route.method == call.method and (match := pattern.match(call.path)):
                call.params.update(match.groupdict())
                return route
        return None

    @staticmethod
    def _params(call: Call) -> dict[str, str]:
        found = dict(parse_qsl(call.query, keep_blank_values=True))
        if call.body and "json" not in call.headers.get("Content-Type", ""):
            found.update(parse_qsl(call.body.decode(), keep_blank_values=True))
        return found

    def _record(self, call: Call, status: int, weight: float, fault: str) -> None:
        self.requests.append(Recorded(self.exchange.time(), call.method, call.path, call.query, status, weight, fault))

    @staticmethod
    def _reset(request: web.Request) -> web.StreamResponse:
        if request.transport is not None:
            request.transport.abort()
        return web.Response(status=500)

    # --- streams -----------------------------------------------------------------------------------------------------

    async def _connect(self, request: web.Request) -> web.StreamResponse:
        ws = web.WebSocketResponse(autoping=False, compress=False, max_msg_size=2**22, timeout=0.2)
        await ws.prepare(request)
        socket = Socket(self.exchange, ws, request.transport, request.rel_url.raw_path_qs)
        socket.delay_s = self.latency_s / 2
        hear = self.accept(socket)
        if hear is None:
            self.unknown[f"WS {request.path}"] += 1
            await ws.close()
            return ws
        self.connections += 1
        self.sockets.append(socket)
        writer = self._spawn(socket.write())
        try:
            await socket.read(hear)
        finally:
            socket.closed = True
            self.sockets.remove(socket)
            self.left(socket)
            writer.cancel()
        return ws

    async def _ping(self) -> None:
        """Ask every client from time to time whether it is there."""
        while True:
            await self.exchange.clock.sleep(_PING_EVERY_S)
            for socket in list(self.sockets):
                silent = self.exchange.time() - socket.heard_pong > _PONG_WITHIN_NS
                if silent and time.monotonic() - socket.answered > self.patience_s:
                    socket.drop()
                await socket.ping()

    def _spawn(self, work: Any) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
