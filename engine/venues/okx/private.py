"""One account's reports from OKX: orders and positions over one connection, algo orders over another."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from engine.errors import AuthenticationError, ExchangeConnectionError
from engine.model.venue import StreamHealth
from engine.venues.native.stream import Listener, StreamPool
from engine.venues.okx.channels import business_table, login_frame, on_event, private_table
from engine.venues.okx.listing import is_ours
from engine.venues.okx.messages import AlgoRow, Frame, OrderRow, PositionRow, decode
from engine.venues.okx.order_data import algo_events, order_events

if TYPE_CHECKING:
    import random
    from collections.abc import Mapping

    from engine.errors import QuarterdeckError
    from engine.model.credentials import CredentialSource
    from engine.venues.limits.connections import Connections
    from engine.venues.native.line import AccountLine
    from engine.venues.native.stream import StreamConnection
    from engine.venues.okx.orders import OkxOrders

__all__ = ["OkxPrivateStream"]


class OkxPrivateStream:
    """An account's `PrivateStream`; up while both of its connections are.

    Args:
        venue: Knows the instruments and takes what is learnt about orders.
        line: The account.
        credentials: Its key, asked for at every login.
        addresses: Of `private` and `business`.
        limit: What OKX allows of connections.
        chance: Draws the jitter.
    """

    def __init__(
        self,
        venue: OkxOrders,
        line: AccountLine,
        credentials: CredentialSource,
        addresses: Mapping[str, str],
        limit: Connections,
        chance: random.Random,
    ) -> None:
        self._venue = venue
        self._line = line
        self._credentials = credentials
        self._up: set[StreamConnection] = set()
        self._first: asyncio.Future[None] | None = None
        listener = Listener(self._on_frame, self._on_up, self._on_down)
        self._pools = tuple(
            StreamPool(
                table(line.account, addresses[name], self._login),
                listener,
                clock=venue.clock,
                chance=chance,
                limit=limit,
                ca_file=venue.options.ca_file,
            )
            for name, table in (("private", private_table), ("business", business_table))
        )

    async def open(self) -> None:
        """Connect, log in and subscribe. Raises AuthenticationError, ExchangeConnectionError."""
        self._first = asyncio.get_running_loop().create_future()
        try:
            for pool in self._pools:
                await pool.start()
            async with asyncio.timeout(self._venue.options.timeout_s):
                await self._first
        except TimeoutError:
            reasons = "; ".join(c.reason for pool in self._pools for c in pool.connections if c.reason)
            await self.close()
            raise ExchangeConnectionError(f"OKX's private streams did not come up: {reasons}.") from None
        except BaseException:
            await self.close()
            raise
        finally:
            self._first = None

    async def close(self) -> None:
        """Disconnect; idempotent."""
        for pool in self._pools:
            await pool.close()

    def renew(self, reason: str) -> None:
        """Make both connections anew."""
        for pool in self._pools:
            for connection in list(pool.connections):
                connection.drop(reason, pause_s=0.001)

    def health(self) -> StreamHealth:
        """Both connections as one: what is down tells why."""
        found = [state for pool in self._pools for state in pool.health()]
        down = [state for state in found if not state.up]
        return StreamHealth(
            name=f"private {self._line.account}",
            up=self._whole,
            since=max((state.since for state in down or found), default=0),
            heard=max((state.heard for state in found), default=0),
            messages=sum(state.messages for state in found),
            reconnects=sum(state.reconnects for state in found),
            reason=down[0].reason if down else "",
        )

    # --- connections -------------------------------------------------------------------------------------------------

    @property
    def _whole(self) -> bool:
        return all(any(c in self._up for c in pool.connections) for pool in self._pools)

    async def _login(self, connection: StreamConnection) -> None:
        credentials = self._credentials.credentials(self._venue.id, self._line.account)
        if credentials is None:
            raise AuthenticationError(f"There is no key for the account {self._line.account} at {self._venue.id}.")
        # Before the wait: the answer may come at once.
        work = connection.answer("login")
        answer = asyncio.get_running_loop().create_task(work, name=f"login of {self._line.account}")
        try:
            await connection.send(login_frame(credentials, self._venue.venue_now() // 1_000_000_000))
            await answer
        except AuthenticationError as error:
            self._fail(error)
            raise
        finally:
            answer.cancel()

    def _fail(self, error: QuarterdeckError) -> None:
        if self._first is not None and not self._first.done():
            self._first.set_exception(error)

    def _on_up(self, connection: StreamConnection) -> None:
        was = self._whole
        self._up.add(connection)
        if not was and self._whole:
            if self._first is not None and not self._first.done():
                self._first.set_result(None)
            self._line.on_up()

    def _on_down(self, connection: StreamConnection, reason: str) -> None:
        self._up.discard(connection)
        # What another connection has taken over is not lost.
        if not connection.retired or not self._whole:
            self._line.on_down(reason)

    # --- messages ----------------------------------------------------------------------------------------------------

    def _on_frame(self, connection: StreamConnection, data: bytes, received_ns: int) -> None:
        frame = decode(data, Frame)
        if frame.event:
            on_event(connection, frame)
        elif frame.arg.channel == "orders":
            for row in decode(frame.data, list[OrderRow]):
                self._on_order(row)
        elif frame.arg.channel == "orders-algo":
            for algo in decode(frame.data, list[AlgoRow]):
                self._on_algo(algo)
        elif frame.arg.channel == "positions":
            self._venue.note_positions(self._line, decode(frame.data, list[PositionRow]))

    def _on_order(self, row: OrderRow) -> None:
        instrument = self._venue.catalogue.by_symbol(row.inst_id)
        if instrument is not None and row.inst_type != "MARGIN":
            self._venue.note_order(self._line, instrument, row)
            self._line.heard(order_events(self._line.account, instrument, row))
        elif instrument is None and is_ours(row.inst_type, row.inst_id):
            self._venue.strange(row.inst_id)

    def _on_algo(self, row: AlgoRow) -> None:
        instrument = self._venue.catalogue.by_symbol(row.inst_id)
        if instrument is not None and row.inst_type != "MARGIN":
            self._venue.note_algo(self._line, instrument, row)
            self._line.heard(algo_events(row))
        elif instrument is None and is_ours(row.inst_type, row.inst_id):
            self._venue.strange(row.inst_id)
