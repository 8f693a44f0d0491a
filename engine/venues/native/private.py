"""An account's private stream over one connection of a `StreamPool`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from engine.errors import AuthenticationError, ExchangeConnectionError, QuarterdeckError
from engine.model.venue import StreamHealth
from engine.venues.native.stream import Listener, StreamPool

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from engine.clock import Clock
    from engine.venues.limits.connections import Connections
    from engine.venues.native.line import AccountLine
    from engine.venues.native.stream import StreamConnection, StreamTable

__all__ = ["PooledStream"]

OPEN_S = 15.0
"""Longest that the first connection may take, logging in included."""
LOOK_S = 0.05


class PooledStream:
    """A `PrivateStream`; planned renewals, which bring the next connection up first, lose nothing.

    Args:
        line: Told of ups and downs.
        table: How the stream works; its `login` and `address` may raise typed errors.
        on_frame: Gets every message.
        clock: The engine's clock.
        limit: What the venue allows of connections; None for no limit.
        ca_file: Certificate authorities to trust instead of the system's.
    """

    def __init__(
        self,
        line: AccountLine,
        table: StreamTable,
        on_frame: Callable[[StreamConnection, bytes, int], None],
        *,
        clock: Clock,
        limit: Connections | None = None,
        ca_file: Path | None = None,
    ) -> None:
        self._line = line
        self._clock = clock
        self._problem: QuarterdeckError | None = None
        watched = replace(table, login=self._watched(table), at_least=1)
        listener = Listener(on_frame, self._on_up, self._on_down)
        self._pool = StreamPool(watched, listener, clock=clock, limit=limit, ca_file=ca_file)

    def _watched(self, table: StreamTable) -> Callable[[StreamConnection], object] | None:
        login = table.login
        if login is None:
            return None

        async def logging_in(connection: StreamConnection) -> None:
            try:
                await login(connection)
            except QuarterdeckError as error:
                self._problem = error
                raise

        return logging_in

    def failed(self, error: QuarterdeckError) -> None:
        """What the stream needs could not be had, such as a listen key; `open` raises it."""
        self._problem = error

    async def open(self) -> None:
        """Connect and log in.

        Raises:
            AuthenticationError: The venue does not take the key.
            ExchangeConnectionError: It cannot be reached in time.
        """
        await self._pool.start()
        end = self._clock.monotonic() + int(OPEN_S * 1e9)
        while not self._line.up:
            if isinstance(self._problem, AuthenticationError):
                await self.close()
                raise self._problem
            if self._clock.monotonic() >= end:
                reason = self._pool.connections[0].reason if self._pool.connections else "closed"
                problem = self._problem
                await self.close()
                raise problem or ExchangeConnectionError(f"The private stream cannot be opened: {reason}.")
            await self._clock.sleep(LOOK_S)

    async def close(self) -> None:
        """Disconnect."""
        await self._pool.close()

    def renew(self, reason: str) -> None:
        """Give the connection up and make a new one."""
        for connection in self._pool.connections:
            connection.drop(reason)

    def health(self) -> StreamHealth:
        """How it is: the newest connection during a renewal."""
        found = self._pool.health()
        if not found:
            return StreamHealth(name=self._pool.table.name, up=False, since=0, reason="closed")
        return next((one for one in reversed(found) if one.up), found[-1])

    def _on_up(self, connection: StreamConnection) -> None:
        self._problem = None
        if not self._line.up:
            self._line.on_up()

    def _on_down(self, connection: StreamConnection, reason: str) -> None:
        if not any(other.up for other in self._pool.connections if other is not connection):
            self._line.on_down(reason)
