"""The other end of the control socket: an `EngineLink` to an engine in another process, and single calls for commands.

    async with open_link(home) as link:
        row = await link.call("orders.place", {...}, request_id=new_request_id())

    reply = call(home, "engine.status")

A link that is lost comes back by itself, also to another process of the engine: topics are watched again, facts go on
behind the last one that was heard. A call with a request id whose answer was lost is asked again under the same id as
long as it is the same process; otherwise it is reported with its id.

Importing this module loads nothing of the engine but its nouns.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

from websockets.exceptions import ConnectionClosed

from engine.clock import SystemClock
from engine.control import skew
from engine.control.build import build_id, release
from engine.control.dial import dial
from engine.control.protocol import (
    MAX_HZ,
    PROTOCOL,
    REPLAY_MODE,
    FactsFrame,
    Hello,
    Incoming,
    StateFrame,
    Welcome,
    decode_error,
    decode_incoming,
    encode_request,
)
from engine.control.replies import reply_type
from engine.control.topic_table import wanted_filters
from engine.control.watching import Watching
from engine.control.wire import decode
from engine.errors import EngineNotRunningError, ProtocolError, QuarterdeckError, VersionSkewError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from pydantic import BaseModel
    from websockets.asyncio.client import ClientConnection

    from engine.clock import Clock
    from engine.control.link import DeltaHandler, LinkState

__all__ = ["SocketLink", "call", "open_link"]

logger = logging.getLogger(__name__)

PAUSES_S: tuple[float, ...] = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0)
"""Between attempts to find the engine again; the last one is repeated."""
WAIT_S = 5.0
"""Seconds that a call whose connection broke waits for the engine to be found again."""


class _Asked:
    """A call that has not been answered."""

    __slots__ = ("body", "engine", "future", "id")

    def __init__(self, body: bytes, request_id: str | None, engine: tuple[int, int]) -> None:
        self.body = body
        self.id = request_id
        self.engine = engine
        """Process and start of the engine that was asked."""
        self.future: asyncio.Future[Incoming] = asyncio.get_running_loop().create_future()


class SocketLink:
    """An `EngineLink` over the socket of a home folder.

    Args:
        home: Home folder of the engine.
        client: What this is: `console`, `command line`, or a name of its own.
        read_only: Ask for the right to look only.
        max_hz: Frames of state a second, at most.
        clock: Source of time.
        socket: Another socket than the engine's, such as that of a replay.
    """

    def __init__(
        self,
        home: Path,
        *,
        client: str = "console",
        read_only: bool = False,
        max_hz: float = MAX_HZ,
        clock: Clock | None = None,
        socket: Path | None = None,
    ) -> None:
        self.home = home
        self._socket = socket
        self.welcome: Welcome | None = None
        """What the engine said of itself when the link was last made."""
        self.skew = ""
        """Why only what stops trading works, when the two sides speak different protocols; empty when all does."""
        self._clock = clock or SystemClock()
        self._client = client
        self._release = release()
        self._hello = Hello(
            proto=PROTOCOL,
            client=client,
            release=self._release,
            build=build_id(),
            pid=os.getpid(),
            started=self._clock.now(),
            read_only=read_only,
            max_hz=max_hz,
        )
        self._connection: ClientConnection | None = None
        self._numbers = iter(range(1, 1 << 53))
        self._subs = iter(range(1, 1 << 53))
        self._asked: dict[int, _Asked] = {}
        self._watching: dict[int, Watching] = {}
        self._outgoing: asyncio.Queue[bytes] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None
        self._closed = False

    @property
    def state(self) -> LinkState:
        """`attached` while the engine is reached, else `lost`; `replay` while a replay is."""
        if self._connection is None:
            return "lost"
        return "replay" if self.welcome is not None and self.welcome.mode == REPLAY_MODE else "attached"

    # --- life --------------------------------------------------------------------------------------------------------

    async def open(self) -> Welcome:
        """Find the engine, and keep the link from now on.

        Raises:
            EngineNotRunningError: There is none, or it does not answer.
            QuarterdeckError: It refuses this client.
        """
        connection, welcome = await self._dial()
        self._take_up(connection, welcome)
        self._task = asyncio.get_running_loop().create_task(self._run(connection), name="link to the engine")
        return welcome

    async def close(self) -> None:
        """Leave the engine; nothing is heard from now on."""
        self._closed = True
        for watching in self._watching.values():
            watching.closed = True
        connection = self._connection
        if connection is not None:
            await connection.close()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
        self._connection = None
        self._give_up()

    async def _dial(self) -> tuple[ClientConnection, Welcome]:
        connection, welcome = await dial(self.home, self._hello, self._socket)
        self.skew = welcome.skew
        if welcome.proto < PROTOCOL:
            self.skew = skew.engine_is_older(welcome, self._client, self._release)
        return connection, welcome

    def _take_up(self, connection: ClientConnection, welcome: Welcome) -> None:
        """Begin to use a new connection: watch again what was watched, ask again what the same engine may answer."""
        before, self.welcome = self.welcome, welcome
        self._outgoing = asyncio.Queue()
        self._connection = connection
        for watching in self._watching.values():
            if before is not None and before.instance != welcome.instance:
                watching.forget()
            self._send_subscription(watching)
        for number, asked in list(self._asked.items()):
            if asked.future.done():
                continue
            if asked.id is not None and asked.engine == (welcome.pid, welcome.started):
                self._outgoing.put_nowait(asked.body)
            else:
                del self._asked[number]
                asked.future.set_exception(self._lost(asked.id))

    async def _run(self, connection: ClientConnection) -> None:
        """Use a connection to its end, then find the engine again, until the link is closed."""
        while True:
            await self._use(connection)
            self._connection = None
            loss = asyncio.get_running_loop().call_later(WAIT_S, self._give_up)
            try:
                connection, welcome = await self._find_again()
            finally:
                loss.cancel()
            self._take_up(connection, welcome)

    async def _find_again(self) -> tuple[ClientConnection, Welcome]:
        for pause in itertools.chain(PAUSES_S, itertools.repeat(PAUSES_S[-1])):
            await asyncio.sleep(pause)
            try:
                return await self._dial()
            except QuarterdeckError as error:
                logger.debug("the engine is not found again: %s", error.message)
        raise AssertionError("there is always another attempt")

    async def _use(self, connection: ClientConnection) -> None:
        writer = asyncio.get_running_loop().create_task(self._write(connection), name="writer to the engine")
        try:
            while True:
                self._hear(decode_incoming(await connection.recv()))
        except ConnectionClosed as error:
            logger.info("the link to the engine ended: %s", error)
        except QuarterdeckError:
            logger.exception("the engine cannot be understood; the link is made anew")
        finally:
            writer.cancel()
            await connection.close()

    async def _write(self, connection: ClientConnection) -> None:
        outgoing = self._outgoing
        with suppress(ConnectionClosed):
            while True:
                await connection.send(await outgoing.get(), text=True)

    # --- calls -------------------------------------------------------------------------------------------------------

    async def call(
        self, operation: str, params: Mapping[str, Any] | BaseModel | None = None, *, request_id: str | None = None
    ) -> Any:
        """Do an operation; see `EngineLink.call`. Across a difference of protocols the reply is a `skew.Minimal`."""
        if self.state == "lost" or self.welcome is None:
            raise EngineNotRunningError("The link to the engine is lost; nothing can be asked of it now.")
        if self.skew and operation not in skew.ALLOWED:
            raise VersionSkewError(self.skew)
        said = await self._ask(operation, params, request_id)
        return decode(said.result, skew.Minimal if self.skew else reply_type(operation))

    async def _ask(self, method: str, params: Any, request_id: str | None) -> Incoming:
        assert self.welcome is not None
        number = next(self._numbers)
        body = encode_request(number, method, params, request_id)
        asked = _Asked(body, request_id, (self.welcome.pid, self.welcome.started))
        self._asked[number] = asked
        self._outgoing.put_nowait(body)
        try:
            said = await asked.future
        finally:
            self._asked.pop(number, None)
        if said.error is not None:
            raise decode_error(said.error)
        return said

    def _give_up(self) -> None:
        """The engine was not found again in time."""
        for asked in self._asked.values():
            if not asked.future.done():
                asked.future.set_exception(self._lost(asked.id))

    def _lost(self, request_id: str | None) -> EngineNotRunningError:
        said = "The link to the engine was lost before it answered, so whether this was done is not known."
        if request_id is None:
            return EngineNotRunningError(said, error_code="outcome_unknown")
        return EngineNotRunningError(
            f"{said} Asking again with the request id {request_id} tells, and does it at most once.",
            error_code="outcome_unknown",
            details={"request_id": request_id},
        )

    # --- topics ------------------------------------------------------------------------------------------------------

    def subscribe(self, topic: str, handler: DeltaHandler, *, since: int | None = None, **filters: Any) -> Watching:
        """Watch a topic; see `EngineLink.subscribe`. What the engine itself refuses is logged, and nothing is heard.

        Args:
            topic: Its name.
            handler: Hears the messages.
            since: For a topic of facts: everything after this number is told, instead of what was told lately.
            filters: Of the topic.
        """
        wanted_filters(topic, filters)
        if self.skew:
            raise VersionSkewError(self.skew)
        watching = Watching(next(self._subs), topic, handler, filters, self._unsubscribe, since)
        self._watching[watching.sub] = watching
        if self._connection is not None:
            self._send_subscription(watching)
        return watching

    def _send_subscription(self, watching: Watching) -> None:
        number = next(self._numbers)
        watching.asked = number
        watching.renew()
        self._outgoing.put_nowait(encode_request(number, "stream.subscribe", watching.request()))

    def _unsubscribe(self, watching: Watching) -> None:
        if self._watching.pop(watching.sub, None) is not None and self._connection is not None:
            body = encode_request(next(self._numbers), "stream.unsubscribe", {"sub": watching.sub})
            self._outgoing.put_nowait(body)

    def _resync(self, watching: Watching) -> None:
        logger.warning("messages of %s are missing; it begins anew", watching.topic)
        body = encode_request(next(self._numbers), "stream.resync", watching.resync())
        self._outgoing.put_nowait(body)

    # --- what is heard -----------------------------------------------------------------------------------------------

    def _hear(self, said: Incoming) -> None:
        if said.id is not None:
            self._hear_reply(said.id, said)
        elif said.method == "state":
            for item in decode(said.params, StateFrame).topics:
                watching = self._watching.get(item.sub)
                if watching is not None and not watching.hear_state(item.seq, item.data):
                    self._resync(watching)
        elif said.method == "facts":
            facts = decode(said.params, FactsFrame)
            watching = self._watching.get(facts.sub)
            if watching is not None and not watching.hear_facts(facts):
                self._resync(watching)
        elif said.error is not None:
            raise ProtocolError(said.error.message)

    def _hear_reply(self, number: int, said: Incoming) -> None:
        asked = self._asked.get(number)
        if asked is not None:
            if not asked.future.done():
                asked.future.set_result(said)
        elif said.error is not None:
            self._refused(said)

    def _refused(self, said: Incoming) -> None:
        assert said.error is not None
        for watching in self._watching.values():
            if watching.asked == said.id:
                watching.refusal = decode_error(said.error)
                logger.warning("%s cannot be watched: %s", watching.topic, said.error.message)
                return
        logger.warning("the engine refused a message: %s", said.error.message)


@asynccontextmanager
async def open_link(home: Path, *, read_only: bool = False, client: str = "command line") -> AsyncIterator[SocketLink]:
    """A link to the engine of a home folder for the time of a block.

    Raises:
        EngineNotRunningError: There is none, or it does not answer.
        QuarterdeckError: It refuses this client.
    """
    link = SocketLink(home, client=client, read_only=read_only)
    await link.open()
    try:
        yield link
    finally:
        await link.close()


def call(
    home: Path,
    operation: str,
    params: Mapping[str, Any] | BaseModel | None = None,
    request_id: str | None = None,
    *,
    client: str = "command line",
) -> Any:
    """Do one operation and wait for its reply, where no event loop runs.

    Raises:
        EngineNotRunningError: There is no engine; with the code `outcome_unknown`, it went before it answered.
        QuarterdeckError: What the operation refuses with.
    """

    async def once() -> Any:
        async with open_link(home, client=client) as link:
            return await link.call(operation, params, request_id=request_id)

    return asyncio.run(once())
