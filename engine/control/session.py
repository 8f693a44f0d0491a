"""One client of the control socket, from its hello to its end."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec
from websockets.exceptions import ConnectionClosed

from engine.control import skew
from engine.control.limits import Window
from engine.control.ops import all as _all_operations
from engine.control.outbox import Outbox
from engine.control.protocol import (
    HELLO_S,
    MAX_BYTES,
    PROTOCOL,
    Close,
    Hello,
    Request,
    Resync,
    Subscribe,
    Unsubscribe,
    Welcome,
    decode_request,
    encode_error,
    encode_reply,
    fields,
)
from engine.control.registry import OPERATIONS, Role
from engine.control.streams import FactStream, StateStream
from engine.control.topic_table import FACT_TOPICS, wanted_filters
from engine.control.views_records import ClientRow
from engine.control.wire import encode
from engine.errors import ConflictError, ProtocolError, QuarterdeckError
from engine.logs import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable

    from websockets.asyncio.server import ServerConnection

    from engine.control.server import ControlServer

__all__ = ["Session"]

log = get_logger(__name__)

MOST_TOPICS = 200
MOST_CALLS, CALLS_WINDOW_S = 1000, 60.0
AT_ONCE = 32
"""Calls of one client that are under way at once; more wait for their turn, emergencies never do."""
MOST_REFUSED = 10_000
"""Calls refused for coming too fast, after which a client is cut off."""
TURN = 16
"""Messages read before everybody else on the loop has a turn."""
CAPABILITIES = ("facts.since", "stream.resync")


_ENTERED = _all_operations.__all__
"""Without the whole table an emergency would not be known for one."""


class Session:
    """Serves one connection.

    Args:
        server: Knows the engine and the other clients.
        connection: Open, its peer is one of ours.
        number: Counts the server's connections.
    """

    def __init__(self, server: ControlServer, connection: ServerConnection, number: int) -> None:
        self.id = f"c{number}"
        self.actor = ""
        self.role = Role.VIEWER
        self.hello: Hello | None = None
        self.connected = server.clock.now()
        self.calls = 0
        self._server = server
        self._connection = connection
        self._skew = ""
        self._window = Window(MOST_CALLS, CALLS_WINDOW_S, server.clock)
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._refused = 0
        self._outbox: Outbox
        self._cut = False
        self._methods: dict[str, Callable[[Request], Any]] = {
            "stream.subscribe": self._subscribe,
            "stream.unsubscribe": self._unsubscribe,
            "stream.resync": self._resync,
            "stream.list": self._list,
        }

    # --- life --------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Serve until the connection ends."""
        try:
            if not await self._meet():
                return
            writer = asyncio.get_running_loop().create_task(self._outbox.run(), name=f"writer of {self.actor}")
            try:
                await self._read()
            finally:
                writer.cancel()
                await asyncio.wait({writer})
                if not writer.cancelled() and not isinstance(writer.exception(), ConnectionClosed | None):
                    log.error("a writer failed", client=self.id, exc_info=writer.exception())
        except ConnectionClosed:
            return
        finally:
            if self.hello is not None:
                self._leave()

    def _leave(self) -> None:
        for stream in list(self._outbox.states.values()):
            self._close_state(stream)
        for sub in list(self._outbox.facts):
            self._outbox.drop(sub)
        self._server.backend.left(self.id)
        log.info("a client has left", client=self.id, actor=self.actor, calls=self.calls)

    async def _meet(self) -> bool:
        """Hear the hello and say the welcome; False when there was none."""
        number: int | None = None
        try:
            async with asyncio.timeout(HELLO_S):
                request = decode_request(await self._connection.recv())
            number = request.id
            if request.method != "hello":
                raise ProtocolError(f"Say hello first; {request.method} was not done.")
            self._welcome(request)
        except TimeoutError:
            await self._connection.close(Close.NO_HELLO, f"no hello within {HELLO_S:g} s")
            return False
        except QuarterdeckError as error:
            await self._connection.send(encode_error(number, error), text=True)
            await self._connection.close(Close.NO_HELLO, "no hello")
            return False
        return True

    def _welcome(self, request: Request) -> None:
        params = request.params
        proto = params.get("proto")
        if not isinstance(proto, int):
            raise ProtocolError("A hello says the number of its protocol in `proto`.")
        if proto != PROTOCOL:
            # What another protocol has added is not ours to judge.
            params = {name: params[name] for name in Hello.__struct_fields__ if name in params}
        hello: Hello = fields(params, Hello)
        if not hello.max_hz > 0:
            raise ProtocolError("`max_hz` of a hello is above 0.")
        identity = self._server.backend.identity()
        if proto < PROTOCOL:
            self._skew = skew.engine_is_newer(hello, identity.release, identity.pid)
        elif proto > PROTOCOL:
            self._skew = f"This engine (release {identity.release}) is older and speaks protocol {PROTOCOL} only."
        self.actor = self._server.name_client(hello)
        self.role = Role.VIEWER if hello.read_only else Role.ADMIN
        self.hello = hello
        self._outbox = Outbox(
            self._connection,
            clock=self._server.clock,
            max_hz=hello.max_hz,
            encoded=self._server.encoded,
            page=self._server.backend.page,
            cut_off=self.cut_off,
        )
        welcome = Welcome(
            proto=PROTOCOL,
            build=self._server.build,
            now=self._server.clock.now(),
            client_id=self.id,
            actor=self.actor,
            role=self.role.name.lower(),
            capabilities=CAPABILITIES,
            skew=self._skew if proto < PROTOCOL else "",
            **identity._asdict(),
        )
        self._outbox.reply(encode_reply(request.id, encode(welcome)), urgent=True)
        log.info(
            "a client has come",
            client=self.id,
            actor=self.actor,
            process=hello.pid,
            release=hello.release,
            protocol=proto,
            role=welcome.role,
        )

    def cut_off(self, reason: str) -> None:
        """End a connection that cannot keep up; the client may begin anew where it stopped."""
        if self._cut:
            return
        self._cut = True
        self._server.counters["cut_off"] += 1
        log.warning("a client is too slow", client=self.id, actor=self.actor, reason=reason)
        self._server.end(self._connection, Close.TOO_SLOW, "too slow, resync")

    def news(self) -> None:
        """Facts were told."""
        if self.hello is not None:
            self._outbox.news()

    def row(self) -> ClientRow:
        """This client as others see it."""
        assert self.hello is not None
        return ClientRow(
            id=self.id,
            actor=self.actor,
            release=self.hello.release,
            pid=self.hello.pid,
            role=self.role.name.lower(),
            connected=self.connected,
            topics=len(self._outbox.states) + len(self._outbox.facts),
            calls=self.calls,
            waiting=self._outbox.waiting,
            replaced=self._outbox.replaced,
        )

    # --- calls -------------------------------------------------------------------------------------------------------

    async def _read(self) -> None:
        taken = 0
        while True:
            frame = await self._connection.recv()
            self._take(frame)
            taken += 1
            if taken % TURN == 0:
                await asyncio.sleep(0)

    def _take(self, frame: str | bytes) -> None:
        try:
            request = decode_request(frame)
        except ProtocolError as error:
            self._outbox.reply(encode_error(None, error))
            return
        self.calls += 1
        try:
            method = self._methods.get(request.method)
            if self._skew:
                skew.allowed_params(request.method, {}, self._skew)
            entry = OPERATIONS.get(request.method)
            urgent = entry is not None and entry.emergency
            if not urgent:
                self._enter()
            if method is not None:
                self._outbox.reply(encode_reply(request.id, encode(method(request))))
                return
        except QuarterdeckError as error:
            self._outbox.reply(encode_error(request.id, error))
            return
        # What was begun is finished and kept, whether or not the client waits for it.
        self._server.own(self._call(request, urgent=urgent), request.method)

    def _enter(self) -> None:
        try:
            self._window.enter()
        except QuarterdeckError:
            self._server.counters["refused"] += 1
            self._refused += 1
            if self._refused > MOST_REFUSED:
                self._server.end(self._connection, Close.TOO_MANY, "too many requests")
            raise

    async def _call(self, request: Request, *, urgent: bool) -> None:
        try:
            if urgent:
                body = await self._do(request)
            else:
                async with self._turns:
                    body = await self._do(request)
            frame = encode_reply(request.id, body)
            if len(frame) > MAX_BYTES:
                raise ConflictError(f"The reply of {request.method} is too large for one message; ask for less of it.")
        except QuarterdeckError as error:
            frame = encode_error(request.id, error)
        except Exception as error:
            log.exception("a reply cannot be sent", operation=request.method)
            frame = encode_error(
                request.id, QuarterdeckError(f"{request.method} failed unexpectedly ({type(error).__name__}).")
            )
        self._outbox.reply(frame, urgent=urgent)

    async def _do(self, request: Request) -> bytes:
        params = request.params
        if self._skew:
            params = skew.allowed_params(request.method, params, self._skew)
        reply = await self._server.backend.call(
            request.method,
            params,
            request_id=request.request_id,
            role=self.role,
            actor=self.actor,
            connection=self.id,
        )
        return encode(skew.minimal(request.method, reply) if self._skew else reply)

    # --- the stream's own methods ------------------------------------------------------------------------------------

    def _subscribe(self, request: Request) -> dict[str, Any]:
        wanted: Subscribe = fields(request.params, Subscribe)
        states, facts = self._outbox.states, self._outbox.facts
        if wanted.sub in states or wanted.sub in facts:
            raise ConflictError(f"The subscription {wanted.sub} is open already; choose another number.")
        if len(states) + len(facts) >= MOST_TOPICS:
            raise ConflictError(f"A client may watch {MOST_TOPICS} topics; close one first.")
        log_ = self._server.backend.log_of(wanted.topic)
        if log_ is not None:
            filters = wanted_filters(wanted.topic, wanted.filters)
            self._outbox.begin_facts(FactStream(wanted.sub, wanted.topic, log_, wanted.since, filters))
            return {"sub": wanted.sub}
        if wanted.since is not None:
            raise ProtocolError(f"{wanted.topic} is no topic of facts; only those are resumed, with `since`.")
        key = (wanted.topic, tuple(sorted(wanted.filters.items())))
        stream = StateStream(wanted.sub, key)
        stream.handle = self._server.backend.subscribe(
            wanted.topic, lambda delta: self._outbox.put_state(stream, delta.data), dict(wanted.filters)
        )
        states[wanted.sub] = stream
        self._server.encoded.use(key)
        return {"sub": wanted.sub}

    def _unsubscribe(self, request: Request) -> dict[str, Any]:
        wanted: Unsubscribe = fields(request.params, Unsubscribe)
        stream = self._outbox.states.get(wanted.sub)
        if stream is not None:
            self._close_state(stream)
        self._outbox.drop(wanted.sub)
        return {"sub": wanted.sub}

    def _close_state(self, stream: StateStream) -> None:
        if stream.handle is not None:
            stream.handle.close()
        self._server.encoded.leave(stream.key)
        self._outbox.drop(stream.sub)

    def _resync(self, request: Request) -> dict[str, Any]:
        wanted: Resync = fields(request.params, Resync)
        state, facts = self._outbox.states.get(wanted.sub), self._outbox.facts.get(wanted.sub)
        if state is not None and state.seq:
            state.seq = 0
            self._outbox.put_state(state, state.data)
        if facts is not None:
            facts.begin(wanted.since)
            self._outbox.begin_facts(facts)
        return {"sub": wanted.sub}

    def _list(self, request: Request) -> dict[str, Any]:
        fields(request.params, msgspec.defstruct("Nothing", [], forbid_unknown_fields=True))
        from engine.control.topics import STATE_TOPICS

        return {
            "state": {name: topic.doc for name, topic in sorted(STATE_TOPICS.items())},
            "facts": dict(sorted(FACT_TOPICS.items())),
        }
