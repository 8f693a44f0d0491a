"""One account at a ccxt exchange: how what happens to its orders is gathered, and told in the right order.

ccxt's streams say that something happened; what happened is asked for. So a report that a stream loses is told a
few seconds later, and one that it tells twice is told once. An order's end is told when everything that the venue says
was executed of it has been told, and not before: executions that are late are waited for, then asked for by the order,
and while the venue does not list them the order stays open here and unknown, whatever the venue calls it.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import TYPE_CHECKING

import msgspec

from engine import events as ev
from engine.errors import NotVisibleYetError, QuarterdeckError
from engine.logs import get_logger
from engine.model.ids import InstrumentId
from engine.model.order import OrderStatus
from engine.model.venue import EXECUTIONS_MISSING, StreamHealth
from engine.venues.generic import parse
from engine.venues.generic.questions import MARGIN_MS, WORKING
from engine.venues.native import witness

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from engine.events import VenueEvent
    from engine.model.fill import Fill
    from engine.model.ids import ClientOrderId
    from engine.model.venue import VenueOrder
    from engine.venues.generic.questions import Questions
    from engine.venues.generic.venue import GenericVenue
    from engine.venues.native.line import AccountLine

__all__ = ["Cursor", "Desk", "accepted", "ending"]

log = get_logger(__name__)

POLL_S = 3.0
AGAIN_S = 2.0
OVERLAP_MS = 120_000
"""How much earlier than the newest one an execution may be that is listed later."""
CURSORS = 256


class Mark(msgspec.Struct, array_like=True):
    """How far the executions in one market were read."""

    since: int = 0
    """Milliseconds of the newest one; 0 for none."""
    seen: list[str] = []
    """Ids of those at that very millisecond, with their orders'."""


class Cursor(msgspec.Struct, omit_defaults=True):
    """How far all executions were read; travels as text."""

    markets: dict[InstrumentId, Mark] = {}
    count: int = 0
    """Tells cursors of the same times apart."""

    @classmethod
    def read(cls, text: str) -> Cursor:
        """From the text; "" begins at the start."""
        return msgspec.json.decode(text, type=cls) if text else cls()

    def text(self) -> str:
        """As text."""
        return msgspec.json.encode(self).decode()


class Desk:
    """Reports of one account; its `PrivateStream`.

    Args:
        venue: The venue.
        line: The account.
        questions: Asks about it.
    """

    def __init__(self, venue: GenericVenue, line: AccountLine, questions: Questions) -> None:
        self._venue = venue
        self._line = line
        self.questions = questions
        self.orders = questions.orders
        self._owed: dict[ClientOrderId, int] = {}
        """Orders whose end waits for executions, and since when."""
        self._read: dict[InstrumentId, int] = {}
        """Milliseconds of the newest execution that was told, by market."""
        self._given: OrderedDict[str, frozenset[str]] = OrderedDict()
        """What was given together with a cursor or shortly before it."""
        self._cursors = venue.clock.now()
        self._tasks: list[asyncio.Task[None]] = []
        self._wake = asyncio.Event()
        self._up = False
        self._since = self._heard = 0
        self._told = self._downs = 0
        self._started_ms = 0
        self._reason = "not open yet"

    # --- life (PrivateStream) ----------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Look once at what is open, then begin to follow."""
        self._started_ms = self._venue.venue_now() // parse.MS
        await self.questions.open_orders()
        self._stand("")
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._follow()), loop.create_task(self._poll_timer())]
        for able, method in (("watchOrders", "watch_orders"), ("watchMyTrades", "watch_my_trades")):
            if self._venue.has(able):
                self._tasks.append(loop.create_task(self._listen(method)))

    async def close(self) -> None:
        """Stop following; idempotent."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def renew(self, reason: str) -> None:
        """Ask at once; it is up again when everything could be asked."""
        if self._up:
            self._up, self._since = False, self._venue.clock.now()
            self._downs += 1
        self._reason = reason
        self._wake.set()

    def health(self) -> StreamHealth:
        """How it is."""
        return StreamHealth(
            name=f"private {self._line.account}",
            up=self._up,
            since=self._since,
            heard=self._heard,
            messages=self._told,
            reconnects=self._downs,
            reason="" if self._up else self._reason,
        )

    def _stand(self, reason: str) -> None:
        up, now = not reason, self._venue.clock.now()
        self._reason = reason
        if up:
            self._heard = now
        if up == self._up:
            return
        self._up, self._since = up, now
        if up:
            self._line.on_up()
        else:
            self._downs += 1
            self._line.on_down(reason)

    # --- following ---------------------------------------------------------------------------------------------------

    async def _poll_timer(self) -> None:
        while True:
            await self._venue.clock.sleep(POLL_S)
            if self.orders.open:
                self._wake.set()

    async def _listen(self, method: str) -> None:
        """Every message of a stream is a reason to ask."""
        while True:
            try:
                await self._venue.private(self._line, method)
            except QuarterdeckError as error:
                log.info("a private stream is lost", venue=self._venue.id, stream=method, why=error.message)
                await self._venue.clock.sleep(AGAIN_S)
            self._told += 1
            self._wake.set()

    async def _follow(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                await self._look()
            except Exception as error:  # what ccxt hands over may break any expectation; the account must be followed
                if not isinstance(error, QuarterdeckError):
                    log.exception("reports cannot be read", venue=self._venue.id, account=self._line.account)
                self._stand(str(error) or type(error).__name__)
                await self._venue.clock.sleep(AGAIN_S)
                self._wake.set()
            else:
                self._stand("")

    def wake(self) -> None:
        """Something happened: ask soon."""
        self._wake.set()

    async def _look(self) -> None:
        """Tell what happened to open orders since the last time: what works, then executions, then ends."""
        watched = {client_id: place for client_id in self.orders.open if (place := self.orders.place(client_id))}
        if not watched:
            return
        markets = {place.instrument for place in watched.values()}
        working = {order.client_id: order for order in await self.questions.open_orders(markets)}
        # One without a number has no answer yet: whoever sent it asks what became of it, and then it is named.
        ended = [client_id for client_id, place in watched.items() if client_id not in working and place.number]
        gone = [order for client_id in ended if (order := await self._looked_up(client_id)) is not None]
        known = [order for order in (*working.values(), *gone) if order.client_id]
        self._line.heard(accepted(order) for order in known if order.status is not OrderStatus.REJECTED)
        fills = [fill for market in sorted(markets) for fill in await self._news_of(market)]
        # As of now: an order may have been sent, and filled, while all this was asked.
        self._line.heard(ev.OrderFilled(fill=fill) for fill in _by_time(fills) if fill.client_id in self.orders.open)
        for order in gone:
            if order.status not in WORKING:
                await self._settle(order)

    async def _looked_up(self, client_id: ClientOrderId) -> VenueOrder | None:
        """An order that is not listed as working; None while nothing is known of it."""
        try:
            return await self.questions.order(client_id)
        except NotVisibleYetError:
            return None

    async def _news_of(self, market: InstrumentId) -> list[Fill]:
        since = self._read.get(market, self._started_ms - MARGIN_MS + OVERLAP_MS) - OVERLAP_MS
        fills = await self.questions.executions(self._venue.catalogue.get(market), since)
        if fills:
            self._read[market] = max(self._read.get(market, 0), fills[-1].ts // parse.MS)
        return fills

    async def _settle(self, order: VenueOrder) -> None:
        """Tell an order's end, unless executions that it promises have not been told."""
        client_id, now = order.client_id, self._venue.clock.now()
        if self._lacks(order):
            since = self._owed.setdefault(client_id, now)
            # What an earlier process has told is told again, and known by its key.
            if now - since >= witness.GRACE_NS or order.created // parse.MS <= self._started_ms:
                self._line.heard(ev.OrderFilled(fill=fill) for fill in await self.questions.executions_of(order))
        if self._lacks(order):
            # It is known about, and waited for on purpose: the stream has nothing to answer for.
            self._line.witness.told(client_id, order.updated, is_open=None)
            return
        self._owed.pop(client_id, None)
        self.orders.open.pop(client_id, None)
        self._line.heard(ending(order))

    def _lacks(self, order: VenueOrder) -> bool:
        return self._line.reports.filled(order.client_id) < order.filled

    # --- asked by the venue ------------------------------------------------------------------------------------------

    async def order(self, client_id: ClientOrderId) -> VenueOrder | None:
        """An order by our id, with all executions that it promises told.

        Raises:
            NotVisibleYetError: It has ended, and the venue does not list all of its executions.
        """
        order = await self.questions.order(client_id)
        if order is None and not self._venue.capabilities.lookup_by_client_id:
            # Whole lists have said so, and late enough.
            self.questions.never_was(client_id)
        if order is None or not self._lacks(order):
            return order
        self._line.answered(ev.OrderFilled(fill=fill) for fill in await self.questions.executions_of(order))
        if self._lacks(order) and order.status not in WORKING:
            told = self._line.reports.filled(client_id)
            raise NotVisibleYetError(
                f"{self._venue.id} says that {order.filled.normalize():f} of the order {client_id} were executed and "
                f"lists executions of {told.normalize():f}. What it did is not known before the rest is listed; it is "
                "asked for again. Compare it with the exchange's own page.",
                error_code=EXECUTIONS_MISSING,
            )
        return order

    async def fills_since(self, text: str) -> tuple[list[Fill], str]:
        """Executions after a cursor in the markets it knows and those that are known here, and the next cursor.

        One may be listed late, below others that were listed before: whoever asks on is also given what has since
        appeared within `OVERLAP_MS` before the cursor. What was given together with it is remembered for as long as
        this process lives; what is given again after a restart has the same natural key.
        """
        cursor, given = Cursor.read(text), self._given.get(text, frozenset())
        markets = {*cursor.markets, *self.questions.likely_markets()}
        fresh: list[Fill] = []
        near: set[str] = set()
        for market in sorted(m for m in markets if m in self._venue.catalogue):
            mark = cursor.markets.get(market, Mark())
            since = mark.since - OVERLAP_MS if mark.since else None
            listed = await self.questions.executions(self._venue.catalogue.get(market), since)
            fresh += [fill for fill in listed if fill.key not in given and not _is_at(fill, mark)]
            if listed:
                cursor.markets[market] = _mark(listed)
                edge = cursor.markets[market].since - OVERLAP_MS
                near |= {fill.key for fill in listed if fill.ts // parse.MS >= edge}
        if not fresh:
            return [], text
        self._cursors += 1
        cursor.count = self._cursors
        after = cursor.text()
        self._given[after] = frozenset(near)
        if len(self._given) > CURSORS:
            self._given.popitem(last=False)
        return _by_time(fresh), after


def _mark(listed: Sequence[Fill]) -> Mark:
    newest = listed[-1].ts // parse.MS
    return Mark(newest, [_name(fill) for fill in listed if fill.ts // parse.MS == newest])


def _is_at(fill: Fill, mark: Mark) -> bool:
    return fill.ts // parse.MS == mark.since and _name(fill) in mark.seen


def _name(fill: Fill) -> str:
    # A self-trade has one trade id on both sides.
    return f"{fill.trade_id}|{fill.venue_order_id}"


def _by_time(fills: Iterable[Fill]) -> list[Fill]:
    return sorted(fills, key=lambda fill: fill.ts)


def accepted(order: VenueOrder) -> VenueEvent:
    """That the venue has an order."""
    return ev.OrderAccepted(client_id=order.client_id, venue_order_id=order.venue_order_id, ts=order.created)


def ending(order: VenueOrder) -> list[VenueEvent]:
    """How an order ended other than by its executions; empty for one that did not."""
    at = order.updated
    match order.status:
        case OrderStatus.CANCELED:
            return [ev.OrderCanceled(client_id=order.client_id, reason=order.reason, ts=at)]
        case OrderStatus.EXPIRED:
            return [ev.OrderExpired(client_id=order.client_id, reason=order.reason, ts=at)]
        case OrderStatus.REJECTED:
            return [
                ev.OrderRejected(client_id=order.client_id, code="rejected", reason="The venue rejected it.", ts=at)
            ]
        case _:
            return []
