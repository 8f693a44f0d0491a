"""USD-M's private stream: its address holds a listen key that lives for an hour unless it is renewed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from engine.errors import QuarterdeckError
from engine.logs import get_logger
from engine.venues.native.private import PooledStream
from engine.venues.native.stream import StreamTable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from engine.clock import Clock
    from engine.venues.limits.connections import Connections
    from engine.venues.native.line import AccountLine
    from engine.venues.native.stream import StreamConnection

__all__ = ["ListenKeyStream"]

log = get_logger(__name__)

RENEW_S = 30 * 60.0
AGAIN_S = 60.0
"""Pause after a renewal that failed; there is time for many."""


class ListenKeyStream(PooledStream):
    """A `PrivateStream` by listen key; every connection asks for its key anew.

    Args:
        line: Told of ups and downs.
        address: Of private streams, without the key.
        key: Asks for the key.
        renew: Renews it.
        on_frame: Gets every message.
        clock: The engine's clock.
        limit: What Binance allows of connections; None for no limit.
        ca_file: Certificate authorities to trust instead of the system's.
        renew_s: Seconds after which a connection is replaced.
    """

    def __init__(
        self,
        line: AccountLine,
        address: str,
        key: Callable[[], Awaitable[str]],
        renew: Callable[[], Awaitable[None]],
        on_frame: Callable[[StreamConnection, bytes, int], None],
        *,
        clock: Clock,
        limit: Connections | None = None,
        ca_file: Path | None = None,
        renew_s: float,
    ) -> None:
        async def where() -> str:
            try:
                return f"{address}/ws?listenKey={await key()}"
            except QuarterdeckError as error:
                self.failed(error)
                raise

        table = StreamTable(
            name=f"private {line.account}",
            address=where,
            acknowledged=False,
            connections=2,
            # An account without orders is silent for hours.
            silence_s=86_400.0,
            renew_s=renew_s,
        )
        super().__init__(line, table, on_frame, clock=clock, limit=limit, ca_file=ca_file)
        self._renew_key = renew
        self._renewing: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Connect. Raises as `PooledStream.open`."""
        await super().open()
        self._renewing = asyncio.get_running_loop().create_task(self._keep_key(), name="renew listen key")

    async def close(self) -> None:
        """Disconnect."""
        task, self._renewing = self._renewing, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await super().close()

    async def _keep_key(self) -> None:
        pause = RENEW_S
        while True:
            await self._clock.sleep(pause)
            pause = RENEW_S
            try:
                await self._renew_key()
            except QuarterdeckError as error:
                if error.error_code == "-1125":
                    self.renew("the listen key is gone")
                    continue
                log.warning("the listen key was not renewed; it is tried again", problem=error.message)
                pause = AGAIN_S
