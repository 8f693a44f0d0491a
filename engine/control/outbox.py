"""What leaves for one client, and in which order: emergency replies, replies, facts, state. One task writes it all.

Nobody else ever waits for a client. What a slow one costs is bounded: state that it has not taken is replaced, facts
are a cursor, and when it falls too far behind or takes nothing for a few seconds it is cut off and may begin anew.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any

from engine.control.protocol import encode_states
from engine.errors import QuarterdeckError
from engine.logs import get_logger

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from websockets.asyncio.server import ServerConnection

    from engine.clock import Clock
    from engine.control.facts import Fact
    from engine.control.streams import Encoded, FactStream, StateStream

__all__ = ["BLOCKED_S", "Outbox"]

log = get_logger(__name__)

BLOCKED_S = 5.0
"""Seconds that a client may take nothing of what is sent."""
MOST_WAITING = 32 * 1024 * 1024
"""Bytes of replies that may wait for a client."""
FRAME_BYTES = 1024 * 1024
"""Size from which on a frame of state takes no further topic."""


class Outbox:
    """Writes to one client.

    Args:
        connection: Where to.
        clock: Paces the frames of state.
        max_hz: Frames of state a second, at most.
        encoded: Shared by all clients of a server.
        page: Reads facts from the journal: (topic, cursor) -> facts and the cursor behind them.
        cut_off: Called with a reason when the client is too slow.
    """

    def __init__(
        self,
        connection: ServerConnection,
        *,
        clock: Clock,
        max_hz: float,
        encoded: Encoded,
        page: Callable[[str, int], Awaitable[tuple[list[Fact], int]]],
        cut_off: Callable[[str], None],
    ) -> None:
        self.states: dict[int, StateStream] = {}
        self.facts: dict[int, FactStream] = {}
        self.replaced = 0
        """States that were never sent because a newer one came."""
        self.sent = 0
        """Messages sent."""
        self._connection = connection
        self._clock = clock
        self._period = int(1e9 / max_hz)
        self._encoded = encoded
        self._page = page
        self._cut_off = cut_off
        self._urgent: deque[bytes] = deque()
        self._replies: deque[bytes] = deque()
        self._bytes = 0
        self._dirty: dict[int, StateStream] = {}
        self._due = 0
        self._wake = asyncio.Event()
        self._fetching: dict[int, asyncio.Task[None]] = {}

    # --- what goes in ------------------------------------------------------------------------------------------------

    def reply(self, frame: bytes, *, urgent: bool = False) -> None:
        """Send a reply; an urgent one overtakes everything."""
        (self._urgent if urgent else self._replies).append(frame)
        self._bytes += len(frame)
        self._wake.set()
        if self._bytes > MOST_WAITING:
            self._cut_off("it takes no replies")

    def put_state(self, stream: StateStream, data: Any) -> None:
        """Send the newest of a topic with the next frame."""
        self.replaced += stream.put(data)
        self._dirty[stream.sub] = stream
        self._wake.set()

    def news(self) -> None:
        """Facts were told: look whether this client is still near enough, and send them."""
        if self.facts:
            if any(stream.too_slow for stream in self.facts.values()):
                self._cut_off("it is too many facts behind")
            self._wake.set()

    def begin_facts(self, stream: FactStream) -> None:
        """Send the facts of a stream from now on, or from another cursor than before."""
        self._stop_fetching(stream.sub)
        self.facts[stream.sub] = stream
        self._wake.set()

    def drop(self, sub: int) -> None:
        """Send no more of a subscription."""
        self._dirty.pop(sub, None)
        self.states.pop(sub, None)
        self.facts.pop(sub, None)
        self._stop_fetching(sub)

    def _stop_fetching(self, sub: int) -> None:
        task = self._fetching.pop(sub, None)
        if task is not None:
            task.cancel()

    @property
    def waiting(self) -> int:
        """Replies, states and facts that have not been sent yet."""
        facts = sum(stream.log.behind(stream.cursor) for stream in self.facts.values())
        return len(self._urgent) + len(self._replies) + len(self._dirty) + facts

    # --- what goes out -----------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Write until the connection ends or the task is cancelled."""
        try:
            while True:
                frame = self._next()
                if frame is not None:
                    await self._send(frame)
                    continue
                await self._rest()
        finally:
            for task in self._fetching.values():
                task.cancel()

    def _next(self) -> bytes | None:
        for lane in (self._urgent, self._replies):
            if lane:
                frame = lane.popleft()
                self._bytes -= len(frame)
                return frame
        return self._next_facts() or self._next_states()

    def _next_facts(self) -> bytes | None:
        for stream in self.facts.values():
            if stream.wants_page:
                self._fetch(stream)
                continue
            frame = stream.next_frame()
            if frame is not None:
                return frame
        return None

    def _next_states(self) -> bytes | None:
        now = self._clock.monotonic()
        if not self._dirty or now < self._due:
            return None
        self._due = now + self._period
        items: list[tuple[int, int, bytes]] = []
        size = 0
        while self._dirty and size < FRAME_BYTES:
            stream = self._dirty.pop(next(iter(self._dirty)))
            sub, seq, data = stream.take()
            body = self._encoded.body(stream.key, data)
            size += len(body)
            items.append((sub, seq, body))
        return encode_states(items)

    async def _rest(self) -> None:
        """Wait for something to send, or until the next frame of state is due."""
        self._wake.clear()
        if not self._dirty:
            await self._wake.wait()
            return
        try:
            async with asyncio.timeout(max(0.0, (self._due - self._clock.monotonic()) / 1e9)):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _send(self, frame: bytes) -> None:
        try:
            async with asyncio.timeout(BLOCKED_S):
                await self._connection.send(frame, text=True)
        except TimeoutError:
            self._cut_off(f"it has taken nothing for {BLOCKED_S:g} s")
        self.sent += 1

    # --- facts that are only in the journal --------------------------------------------------------------------------

    def _fetch(self, stream: FactStream) -> None:
        if stream.sub not in self._fetching:
            task = asyncio.get_running_loop().create_task(self._read(stream), name=f"facts of {stream.topic}")
            self._fetching[stream.sub] = task

    async def _read(self, stream: FactStream) -> None:
        """Bring the next facts of a stream; those between that are of other topics only move its cursor."""
        try:
            cursor = stream.cursor
            facts: list[Fact] = []
            while not facts and not stream.log.holds(cursor):
                before = cursor
                found, cursor = await self._page(stream.topic, before)
                facts = stream.fitting(found)
                if cursor <= before and not found:
                    # The journal has nothing more there.
                    cursor = stream.log.floor
            stream.cursor, stream.page = cursor, facts
        except Exception as error:  # whatever it was, the client must not wait for ever
            known = isinstance(error, QuarterdeckError)
            log.error("facts cannot be read for a client", topic=stream.topic, problem=str(error), exc_info=not known)
            self._cut_off("the facts it asks for cannot be read")
        self._fetching.pop(stream.sub, None)
        self._wake.set()
