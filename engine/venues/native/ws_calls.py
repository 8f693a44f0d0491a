"""Questions and orders over a websocket: numbered requests, and what is known of each when the line breaks.

    calls = WsCalls(connection)
    body = await calls.call(lambda number: orjson.dumps({"id": number, "method": "order.place", …}), changes=True)

and in `on_frame`: `calls.answer(int(message["id"]), data)`; in `on_down`: `calls.lose(reason)`.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from engine.errors import ExchangeConnectionError, ExchangeError, QuarterdeckError, UnknownOutcomeError

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.clock import Clock
    from engine.venues.native.connection import StreamConnection

__all__ = ["WsCalls"]


class WsCalls:
    """Requests on their way over one connection.

    Args:
        connection: Carries them.
        clock: Measures how long an answer takes.
        first: First number given; numbers count up over reconnects, so that a late answer never meets another request.
    """

    def __init__(self, connection: StreamConnection, clock: Clock, *, first: int = 1) -> None:
        self.connection = connection
        self._clock = clock
        self._number = first - 1
        self._open: dict[int, tuple[asyncio.Future[bytes], bool]] = {}

    @property
    def waiting(self) -> int:
        """Requests without an answer."""
        return len(self._open)

    async def call(self, make: Callable[[int], bytes], *, changes: bool, timeout_s: float = 10.0) -> bytes:
        """Send a request and give the frame that answers it, refusals included.

        Args:
            make: Makes the frame, given the request's number.
            changes: Whether it changes something at the venue.
            timeout_s: Seconds to wait for the answer.

        Raises:
            UnknownOutcomeError: It left, changes something, and no answer came.
            ExchangeConnectionError: It certainly did not leave, or a question was not answered.
            QuarterdeckError: What `answer` was given.
        """
        self._number += 1
        number = self._number
        loop = asyncio.get_running_loop()
        future: asyncio.Future[bytes] = loop.create_future()
        opened = self.connection.opened
        frame = make(number)
        self._open[number] = future, changes
        timer: asyncio.Task[None] | None = None
        try:
            await self._send(frame, opened, changes=changes)
            timer = loop.create_task(self._clock.sleep(timeout_s), name=f"{self.connection.name}: answer")
            ends: set[asyncio.Future[bytes] | asyncio.Future[None]] = {future, timer}
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            if not future.done():
                raise _lost(f"{self.connection.name} gave no answer within {timeout_s:g} s", changes=changes)
            return future.result()
        finally:
            self._open.pop(number, None)
            if future.done() and not future.cancelled():
                # Its error may have been told to nobody when sending failed first.
                future.exception()
            if timer is not None:
                timer.cancel()

    async def _send(self, frame: bytes, opened: int, *, changes: bool) -> None:
        try:
            await self.connection.send(frame, opened=opened)
        except UnknownOutcomeError as error:
            if changes:
                raise
            raise ExchangeConnectionError(error.message) from error

    def answer(self, number: int, frame: bytes, error: QuarterdeckError | None = None) -> bool:
        """Give an answer to whoever waits for it; False when nobody does (late, or not of this object).

        Args:
            number: The request's.
            frame: The answer as it came.
            error: Raised to the caller instead.
        """
        future, _ = self._open.get(number, (None, False))
        if future is None or future.done():
            return False
        if error is None:
            future.set_result(frame)
        else:
            future.set_exception(error)
        return True

    def lose(self, reason: str) -> None:
        """The connection has ended: whoever waits is told what is known."""
        for future, changes in self._open.values():
            if not future.done():
                future.set_exception(_lost(f"{self.connection.name} ended: {reason}", changes=changes))


def _lost(message: str, *, changes: bool) -> ExchangeError:
    if changes:
        return UnknownOutcomeError(f"{message}; what became of the request is not known.")
    return ExchangeConnectionError(f"{message}.")
