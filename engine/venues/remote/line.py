"""One connection to a venue's server: frames out, decoded frames in, and its end as a future."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

import msgspec
import structlog

from engine.venues.remote.frames import Frames, Kind, decode, decode_market
from engine.venues.remote.peers import is_ours

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from engine.clock import Clock

__all__ = ["Line"]

log = structlog.get_logger(__name__)


class Line(asyncio.Protocol):
    """A connection as the client sees it; make it inside the running loop.

    Args:
        take: Called with the kind and the content of every frame but beats, in order.
    """

    def __init__(self, take: Callable[[Kind, Any], None]) -> None:
        self.end: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.taken = 0
        """Counts what was heard, beats included."""
        self._take = take
        self._frames = Frames()
        self._transport: asyncio.Transport | None = None

    async def dial(self, path: Path) -> None:
        """Connect.

        Raises:
            OSError: Nobody is there, or the program there is another user's.
        """
        await asyncio.get_running_loop().create_unix_connection(lambda: self, str(path))
        transport = self._transport
        if transport is not None and not is_ours(transport.get_extra_info("socket")):
            transport.abort()
            raise PermissionError(0, "the program there belongs to another user")

    @property
    def lost(self) -> bool:
        """Whether nothing can be written any more."""
        return self._transport is None or self._transport.is_closing()

    def write(self, data: bytes) -> None:
        """Send a frame; whether it arrived only an answer tells."""
        if self._transport is not None:
            self._transport.write(data)

    def hang_up(self) -> None:
        """End the connection."""
        if self._transport is not None:
            self._transport.abort()
        elif not self.end.done():
            self.end.set_result(None)

    async def wait_lost(self, seconds: float | None = None, clock: Clock | None = None) -> None:
        """Return when the connection has ended, or so much time of a clock is over."""
        if seconds is None or clock is None:
            await asyncio.wait({self.end})
            return
        pause = asyncio.get_running_loop().create_task(clock.sleep(seconds), name="silence")
        try:
            await asyncio.wait({self.end, pause}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            pause.cancel()

    # --- what the loop calls -----------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection stands."""
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection has ended."""
        self._transport = None
        if not self.end.done():
            self.end.set_result(None)

    def data_received(self, data: bytes) -> None:
        """Hand on every frame that is whole."""
        self.taken += 1
        try:
            for kind, body in self._frames.feed(data):
                if kind >= Kind.BOOK:
                    self._take(Kind(kind), decode_market(Kind(kind), body))
                elif kind != Kind.BEAT:
                    self._take(Kind(kind), decode(Kind(kind), body))
        except (ValueError, KeyError, msgspec.MsgspecError) as error:
            log.warning("the venue's process cannot be understood", problem=str(error))
            self.hang_up()
