"""One account's user channel: reports of orders, and the executions behind the sums that they tell.

The channel tells how much of an order was executed, not which executions that were. When the sum has grown, the
executions are asked for by the order's id, and only then is told what else the report says: no order ends before its
executions. Every connection numbers its messages; a missing one ends it, and the next one begins with all open orders.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import TYPE_CHECKING

import structlog

from engine import events as ev
from engine.errors import AuthenticationError
from engine.model.ids import ClientOrderId, VenueOrderId
from engine.venues.coinbase import frames as fr
from engine.venues.coinbase.refusals import stream_refusal
from engine.venues.coinbase.reports import OrderTerms, events_of, terms_of
from engine.venues.coinbase.sequence import Sequence
from engine.venues.coinbase.tokens import TokenMaker
from engine.venues.coinbase.values import amount, iso_ns
from engine.venues.native.stream import Listener, StreamConnection, StreamPool, StreamTable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from collections.abc import Sequence as Several

    from engine.model.credentials import Credentials
    from engine.model.fill import Fill
    from engine.model.venue import StreamHealth
    from engine.venues.coinbase.wire import OrderRow
    from engine.venues.limits.connections import Connections
    from engine.venues.native.line import AccountLine
    from engine.venues.native.search import Search
    from engine.venues.native.venue import NativeVenue

__all__ = ["UserStream"]

log = structlog.get_logger(__name__)

AT_ONCE = 20
"""Orders whose executions are asked for in one request."""
AGAIN_S = (0.1, 0.25, 0.5, 1.0, 2.0, 5.0)
"""Pauses before executions that are not listed yet are asked for again; the last one repeats."""
REFUSED_S = 30.0
"""Pause after a key was refused that had worked before."""
TERMS = 20_000


class UserStream:
    """A `PrivateStream`.

    Args:
        venue: Whose.
        line: Told of what comes.
        key: Gives the account's present key, for tokens.
        search: Learns the ids of orders.
        fills_of: Asks for all executions of some orders.
        address: Of the channel.
        limit: What Coinbase allows of connections.
    """

    def __init__(
        self,
        venue: NativeVenue,
        line: AccountLine,
        key: Callable[[], Credentials],
        search: Search[OrderRow],
        fills_of: Callable[[AccountLine, Several[VenueOrderId]], Awaitable[list[Fill]]],
        address: str,
        limit: Connections,
    ) -> None:
        self._venue = venue
        self._line = line
        self._key = key
        self._search = search
        self._fills_of = fills_of
        self._address = address
        self._sequence = Sequence()
        self._known_good = False
        self._owed: OrderedDict[VenueOrderId, tuple[fr.StreamOrder, int]] = OrderedDict()
        """Reports that wait for executions, with the time they were told."""
        self._owing = asyncio.Event()
        self._terms: OrderedDict[VenueOrderId, OrderTerms] = OrderedDict()
        self._changing: set[VenueOrderId] = set()
        self._worker: asyncio.Task[None] | None = None
        table = StreamTable(
            name=f"private {line.account}",
            address=self._where,
            subscribe=self._subscriptions,
            standing=(fr.HEARTBEATS,),
            connections=1,
            batch=1,
            messages_per_second=4.0,
            silence_s=15.0,
            renew_s=None,
        )
        listener = Listener(self._on_frame, self._on_up, self._on_down)
        self._pool = StreamPool(table, listener, clock=venue.clock, limit=limit, ca_file=venue.options.ca_file)

    # --- life --------------------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Connect and subscribe. Raises AuthenticationError, ExchangeConnectionError and leaves nothing open then."""
        self._worker = asyncio.get_running_loop().create_task(self._work(), name=f"executions {self._line.account}")
        try:
            await self._pool.start()
            await self._pool.subscribe([fr.USER], timeout_s=self._venue.options.timeout_s)
        except BaseException:
            await self.close()
            raise
        self._known_good = True

    async def close(self) -> None:
        """Disconnect; idempotent."""
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.cancel()
            await asyncio.gather(worker, return_exceptions=True)
        await self._pool.close()

    def renew(self, reason: str) -> None:
        """Give the connection up and make a new one."""
        for connection in self._pool.connections:
            connection.drop(reason, pause_s=0.0)

    def health(self) -> StreamHealth:
        """How it is."""
        from engine.model.venue import StreamHealth

        states = self._pool.health()
        return states[0] if states else StreamHealth(name=f"private {self._line.account}", up=False, since=0)

    async def _where(self) -> str:
        return self._address

    def _subscriptions(self, number: int, channels: Several[str]) -> list[bytes]:
        # Each message carries a token of its own; what is subscribed stays when the token has run out.
        found = []
        for name in channels:
            channel, _ = fr.split_channel(name)
            token = TokenMaker(self._key()).make(self._venue.venue_now()) if channel == fr.USER else ""
            found.append(fr.subscription("subscribe", channel, [], token))
        return found

    def _on_up(self, connection: StreamConnection) -> None:
        self._line.on_up()

    def _on_down(self, connection: StreamConnection, reason: str) -> None:
        self._line.on_down(reason)

    # --- messages ----------------------------------------------------------------------------------------------------

    def _on_frame(self, connection: StreamConnection, frame: bytes, received: int) -> None:
        head = fr.read_head(frame)
        if head.type == "error":
            self._refused(connection, head.message)
            return
        try:
            if not self._sequence.takes(connection.opened, head.sequence_num):
                return
        except LookupError as error:
            connection.drop(str(error))
            return
        if head.channel == fr.USER:
            told = fr.read(fr.UserFrame, frame)
            ts = iso_ns(told.timestamp)
            for event in told.events:
                for order in event.orders:
                    self._take(order, ts)
        elif head.channel == "subscriptions":
            for state in fr.read(fr.SubscriptionsFrame, frame).events:
                connection.acknowledge(name for name in state.subscriptions if name in (fr.USER, fr.HEARTBEATS))

    def _refused(self, connection: StreamConnection, words: str) -> None:
        error = stream_refusal(words)
        if self._known_good or not isinstance(error, AuthenticationError):
            # It stays wanted: the line is down until the venue takes it again.
            pause = REFUSED_S if isinstance(error, AuthenticationError) else None
            connection.drop(error.message, pause_s=pause)
        else:
            connection.reject(error, [fr.USER])

    # --- orders ------------------------------------------------------------------------------------------------------

    def _take(self, order: fr.StreamOrder, ts: int) -> None:
        if order.product_type not in ("", "SPOT", "UNKNOWN_PRODUCT_TYPE"):
            return
        number, client_id = VenueOrderId(order.order_id), ClientOrderId(order.client_order_id)
        self._search.learn(client_id, number, iso_ns(order.creation_time))
        waits = number in self._owed
        if waits or amount(order.cumulative_quantity) > self._line.reports.filled(client_id):
            self._owed[number] = order, ts
            self._owing.set()
        else:
            self._tell(order, ts)

    def _tell(self, order: fr.StreamOrder, ts: int) -> None:
        events = events_of(order, ts)
        if (change := self._changed(order, ts)) is not None:
            events.append(change)
        if events:
            self._line.heard(events)

    def _changed(self, order: fr.StreamOrder, ts: int) -> ev.OrderAmended | None:
        number, terms = VenueOrderId(order.order_id), terms_of(order)
        if terms is None:
            return None
        known = self._terms.get(number)
        self._note(number, terms)
        if known is None or known == terms or number in self._changing:
            return None
        client_id = ClientOrderId(order.client_order_id)
        return ev.OrderAmended(client_id=client_id, ts=ts, quantity=terms.quantity, price=terms.price)

    def _note(self, number: VenueOrderId, terms: OrderTerms) -> None:
        self._terms[number] = terms
        self._terms.move_to_end(number)
        if len(self._terms) > TERMS:
            self._terms.popitem(last=False)

    def changing(self, number: VenueOrderId) -> None:
        """A change of ours is under way: its answer tells it, not the channel."""
        self._changing.add(number)

    def changed(self, number: VenueOrderId, terms: OrderTerms | None) -> None:
        """That change has been answered.

        Args:
            number: Whose.
            terms: As they are now; None where they are not known, or nothing has changed.
        """
        self._changing.discard(number)
        if terms is not None:
            self._note(number, terms)

    # --- executions --------------------------------------------------------------------------------------------------

    async def _work(self) -> None:
        """Ask for executions for as long as the stream lives."""
        vain, size = 0, AT_ONCE
        while True:
            if not self._owed:
                self._owing.clear()
                await self._owing.wait()
            numbers = list(self._owed)[:size]
            try:
                fills = await self._fills_of(self._line, numbers)
                size = AT_ONCE
            except Exception as error:  # root of a task that must live: they are asked for again
                log.info("executions cannot be asked for yet", account=self._line.account, problem=str(error))
                # One by one from now on: an order that cannot be read must not keep others waiting.
                fills, size = [], 1
            if fills:
                self._line.heard(ev.OrderFilled(fill=fill) for fill in sorted(fills, key=lambda fill: fill.ts))
            if self._settle(numbers):
                vain = 0
            else:
                await self._venue.clock.sleep(AGAIN_S[min(vain, len(AGAIN_S) - 1)])
                vain += 1

    def _settle(self, numbers: list[VenueOrderId]) -> bool:
        """Tell the reports whose executions are all there; whether there was one."""
        some = False
        for number in numbers:
            order, ts = self._owed[number]
            filled = self._line.reports.filled(ClientOrderId(order.client_order_id))
            if filled >= amount(order.cumulative_quantity):
                del self._owed[number]
                self._tell(order, ts)
                some = True
            else:
                # Others are not kept waiting by one whose executions are late.
                self._owed.move_to_end(number)
        return some
