"""OKX's orders: sending, changing, cancelling and finding both kinds, ordinary and algo.

OKX wants the instrument's name with almost every question about an order, and asks for algo orders elsewhere. So what
is known of each order (its instrument, its kind) is kept as a route; an order without one, after a restart, is looked
for in all lists. OKX keeps completed orders for seven days there, and those cancelled without an execution for two
hours.

OKX only confirms that it has taken a cancel or a change; what became of it is told by the private stream. The witness
is told what to expect, so that a stream that stays silent is noticed.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any, NamedTuple

from engine import events as ev
from engine.errors import (
    ExchangeClockError,
    NotFoundError,
    ValidationError,
)
from engine.model.ids import ClientOrderId, VenueOrderId
from engine.model.instrument import InstrumentKind
from engine.model.margin import UNLEVERED
from engine.model.order import OrderStatus, OrderType
from engine.venues.native.request import Priority
from engine.venues.native.venue import NativeVenue
from engine.venues.okx.account_data import HEDGED, parse_mode
from engine.venues.okx.codes import MAINTENANCE
from engine.venues.okx.listing import is_ours
from engine.venues.okx.messages import Ack, AlgoRow, OrderRow, PositionRow, StatusRow, decode_rows, exact, ms
from engine.venues.okx.order_data import (
    algo_client_id,
    client_id_of,
    parse_algo,
    parse_order,
    triggered_order,
)
from engine.venues.okx.order_requests import WAITING, amend_algo, amend_order, cancel_algo, cancel_order, place
from engine.venues.okx.public_data import maintained
from engine.venues.okx.tables import ENDPOINTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from decimal import Decimal

    from engine.events import VenueEvent
    from engine.model.ids import AccountId, InstrumentId
    from engine.model.instrument import Instrument
    from engine.model.margin import MarginMode
    from engine.model.venue import OrderCommand, VenueOrder
    from engine.venues.native.line import AccountLine
    from engine.venues.native.request import Endpoint, Params
    from engine.venues.okx.messages import ConfigRow

__all__ = ["OkxOrders", "Route"]

PAGE = 100
ROUTES = 20_000
"""Orders of an account whose route is kept; the oldest are forgotten first."""
ALGO_KINDS = ("conditional,oco", "trigger")
"""Kinds of waiting orders that are listed; each is a request of its own."""


class Route(NamedTuple):
    """How an order is asked for."""

    symbol: str
    waits_as: OrderType | None
    """Kind of the algo order; None for an ordinary one."""
    order_id: str = ""
    """OKX's number of the ordinary order, where it is known."""


class OkxOrders(NativeVenue):
    """The part of the adapter that deals in orders."""

    maintained_codes = MAINTENANCE
    mode_moved: Callable[[AccountId, InstrumentId, MarginMode], None] | None = None
    """Hears the margin mode of a position that has come to be held, or is held in another mode than before."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.configs: dict[AccountId, ConfigRow] = {}
        """How each account is set up, as it was when it was opened."""
        self._routes: dict[AccountId, OrderedDict[str, Route]] = {}
        self._owners: dict[AccountId, OrderedDict[str, str]] = {}
        self._held: dict[tuple[AccountId, InstrumentId], MarginMode] = {}
        self._changes = 0

    # --- what is learnt ----------------------------------------------------------------------------------------------

    def note_order(self, line: AccountLine, instrument: Instrument, row: OrderRow) -> ClientOrderId:
        """Keep the way to an order that OKX has shown, and whose it is."""
        client_id = client_id_of(row)
        owners = self._owners.setdefault(line.account, OrderedDict())
        owners[row.ord_id] = client_id
        if len(owners) > ROUTES:
            owners.popitem(last=False)
        if not row.algo_cl_ord_id:
            self._keep_route(line, client_id, Route(row.inst_id, None, row.ord_id))
        return client_id

    def note_algo(self, line: AccountLine, instrument: Instrument, row: AlgoRow) -> ClientOrderId:
        """Keep the way to an algo order that OKX has shown."""
        client_id = algo_client_id(row)
        kind = parse_algo(line.account, instrument, row).type
        self._keep_route(line, client_id, Route(row.inst_id, kind))
        owners = self._owners.setdefault(line.account, OrderedDict())
        for number in row.ord_id_list or ([row.ord_id] if row.ord_id else []):
            owners[number] = client_id
        return client_id

    def note_positions(self, line: AccountLine, rows: Iterable[PositionRow]) -> None:
        """Keep in which margin mode swaps are held: an order in the other mode would open a second position."""
        for row in rows:
            instrument = self.catalogue.by_symbol(row.inst_id)
            if instrument is None or row.inst_type != "SWAP":
                continue
            if exact(row.pos):
                key, mode = (line.account, instrument.id), parse_mode(row.mgn_mode)
                moved, self._held[key] = self._held.get(key) is not mode, mode
                if moved and self.mode_moved is not None:
                    self.mode_moved(*key, mode)
            elif self._held.get((line.account, instrument.id)) is parse_mode(row.mgn_mode):
                del self._held[line.account, instrument.id]

    def mode_of(self, command: OrderCommand) -> MarginMode:
        """Margin mode of an order: that of the open position, else the one that it names, else isolated."""
        return self._held.get((command.account, command.instrument)) or command.margin_mode or UNLEVERED.mode

    def _keep_route(self, line: AccountLine, client_id: str, route: Route) -> None:
        routes = self._routes.setdefault(line.account, OrderedDict())
        routes[client_id] = route
        routes.move_to_end(client_id)
        if len(routes) > ROUTES:
            routes.popitem(last=False)

    def _route(self, line: AccountLine, client_id: str) -> Route | None:
        return self._routes.get(line.account, OrderedDict()).get(client_id)

    # --- sending -----------------------------------------------------------------------------------------------------

    async def ask(
        self,
        line: AccountLine | None,
        endpoint: Endpoint,
        params: Params | None = None,
        *,
        priority: Priority | None = None,
        cost: dict[str, float] | None = None,
    ) -> bytes:
        """Send a request; one that was too old by OKX's clock did nothing and is repeated once with the clock set."""
        try:
            return await super().ask(line, endpoint, params, priority=priority, cost=cost)
        except ExchangeClockError:
            return await super().ask(line, endpoint, params, priority=priority, cost=cost)

    async def _is_well(self) -> bool:
        # OKX tells of a maintenance on a page of its own, which answers all the while.
        return not maintained(decode_rows(await super().ask(None, ENDPOINTS["status"]), StatusRow))

    async def _send(self, line: AccountLine, instrument: Instrument, command: OrderCommand) -> Sequence[VenueEvent]:
        if instrument.kind is not InstrumentKind.SPOT:
            self._fit_for_swaps(line)
        symbol = self.catalogue.symbol(instrument.id)
        endpoint, params = place(symbol, instrument, command, self.mode_of(command))
        waits_as = command.type if command.type in WAITING else None
        # Before it leaves: without an answer this is how it is asked for.
        self._keep_route(line, command.client_id, Route(symbol, waits_as))
        urgent = Priority.PROTECT if command.reduce_only or waits_as is not None else None
        urgent = Priority.EMERGENCY if command.urgent else urgent
        (ack,) = decode_rows(await self.ask(line, endpoint, params, priority=urgent), Ack)
        number = VenueOrderId(ack.ord_id or ack.algo_id)
        return [ev.OrderAccepted(client_id=command.client_id, venue_order_id=number, ts=ms(ack.ts) or self.venue_now())]

    def _fit_for_swaps(self, line: AccountLine) -> None:
        config = self.configs.get(line.account)
        if config is not None and config.pos_mode == "long_short_mode":
            raise ValidationError(HEDGED, error_code="long_short_mode")

    async def _end_order(self, line: AccountLine, client_id: ClientOrderId) -> Sequence[VenueEvent]:
        route = await self._known(line, client_id)
        if route.waits_as is None:
            await self.ask(line, *self._cancel_of(client_id, route))
        else:
            await self._end_algo(line, client_id, route)
        return await self._confirmed(line, client_id, changed=False)

    @staticmethod
    def _cancel_of(client_id: str, route: Route) -> tuple[Endpoint, Any]:
        # Orders that others placed without an id go by OKX's number.
        if client_id.isdecimal():
            return cancel_order(route.symbol, order_id=client_id)
        return cancel_order(route.symbol, client_id=client_id)

    async def _end_algo(self, line: AccountLine, client_id: str, route: Route) -> None:
        own = {"algo_id": client_id} if client_id.isdecimal() else {"client_id": client_id}
        try:
            await self.ask(line, *cancel_algo(route.symbol, **own))
        except NotFoundError:
            # It may have been triggered meanwhile: what it became is cancelled then.
            row = await self._algo(line, client_id)
            became = [] if row is None else await self._became(line, row)
            working = [part for part in became if part.state in ("live", "partially_filled")]
            if not working:
                raise
            for part in working:
                await self.ask(line, *cancel_order(part.inst_id, order_id=part.ord_id))

    async def _change_order(
        self,
        line: AccountLine,
        client_id: ClientOrderId,
        quantity: Decimal | None,
        price: Decimal | None,
        stop_price: Decimal | None,
    ) -> Sequence[VenueEvent]:
        route = await self._known(line, client_id)
        self._changes += 1
        tag = f"c{self._changes}"
        if route.waits_as is not None:
            made = amend_algo(
                route.symbol, client_id, tag, route.waits_as, quantity=quantity, price=price, stop_price=stop_price
            )
        elif stop_price is not None:
            raise ValidationError("Only stop and take-profit orders have a trigger price.")
        else:
            made = amend_order(route.symbol, client_id, tag, quantity=quantity, price=price)
        await self.ask(line, *made)
        return await self._confirmed(line, client_id, changed=True)

    async def _confirmed(self, line: AccountLine, client_id: ClientOrderId, *, changed: bool) -> Sequence[VenueEvent]:
        """Leave the outcome to the private stream while it is up; ask for it otherwise."""
        if line.up:
            line.witness.answered(client_id, self.venue_now(), self.clock.now())
            return []
        found = await self._find_order(line, client_id)
        if found is None:
            return []
        ts = found.updated
        if changed:
            new = {"quantity": found.quantity, "price": found.price, "stop_price": found.stop_price}
            return [ev.OrderAmended(client_id=client_id, ts=ts, **new)]
        if found.status is OrderStatus.CANCELED:
            return [ev.OrderCanceled(client_id=client_id, reason=found.reason, ts=ts)]
        return []

    # --- finding -----------------------------------------------------------------------------------------------------

    async def _known(self, line: AccountLine, client_id: ClientOrderId) -> Route:
        route = self._route(line, client_id)
        if route is None:
            await self._search(line, client_id)
            route = self._route(line, client_id)
        if route is None:
            raise NotFoundError(f"{self.id} has no order {client_id}.")
        return route

    async def _open_orders(self, line: AccountLine) -> Sequence[VenueOrder]:
        found: dict[ClientOrderId, VenueOrder] = {}
        for instrument, row in await self._of_ours(await self._pages(line, "orders_pending", OrderRow, "ord_id")):
            client_id = self.note_order(line, instrument, row)
            found[client_id] = parse_order(line.account, instrument, row)
            if row.algo_cl_ord_id:
                # What a stop has become is shown as the stop that it still is for us.
                whole = await self._whole_algo(line, await self._algo(line, client_id))
                found[client_id] = whole or found[client_id]
        for kinds in ALGO_KINDS:
            algos = await self._pages(line, "algos_pending", AlgoRow, "algo_id", params={"ordType": kinds})
            for instrument, algo in await self._of_ours(algos):
                found[self.note_algo(line, instrument, algo)] = parse_algo(line.account, instrument, algo)
        return list(found.values())

    async def _find_order(self, line: AccountLine, client_id: ClientOrderId) -> VenueOrder | None:
        route = self._route(line, client_id)
        if route is None:
            return await self._search(line, client_id)
        if route.waits_as is not None:
            return await self._whole_algo(line, await self._algo(line, client_id))
        params = {"instId": route.symbol, "ordId" if client_id.isdecimal() else "clOrdId": client_id}
        return await self._one(line, params)

    async def _one(self, line: AccountLine, params: dict[str, str]) -> VenueOrder | None:
        row = await self._order_row(line, params)
        known = await self._of_ours([] if row is None else [row])
        if not known:
            return None
        instrument, row = known[0]
        self.note_order(line, instrument, row)
        return parse_order(line.account, instrument, row)

    async def _order_row(self, line: AccountLine, params: dict[str, str]) -> OrderRow | None:
        try:
            rows = decode_rows(await self.ask(line, ENDPOINTS["order"], params), OrderRow)
        except NotFoundError:
            return None
        return rows[0] if rows else None

    async def _algo(self, line: AccountLine, client_id: str) -> AlgoRow | None:
        params = {"algoId" if client_id.isdecimal() else "algoClOrdId": client_id}
        try:
            rows = decode_rows(await self.ask(line, ENDPOINTS["algo"], params), AlgoRow)
        except NotFoundError:
            return None
        return rows[0] if rows else None

    async def _became(self, line: AccountLine, row: AlgoRow) -> list[OrderRow]:
        """What a triggered algo order has become."""
        numbers = row.ord_id_list or ([row.ord_id] if row.ord_id else [])
        found = [await self._order_row(line, {"instId": row.inst_id, "ordId": number}) for number in numbers]
        return [part for part in found if part is not None]

    async def _whole_algo(self, line: AccountLine, row: AlgoRow | None) -> VenueOrder | None:
        known = await self._of_ours([] if row is None else [row])
        if not known:
            return None
        instrument, row = known[0]
        self.note_algo(line, instrument, row)
        return triggered_order(line.account, instrument, row, await self._became(line, row))

    async def _search(self, line: AccountLine, client_id: ClientOrderId) -> VenueOrder | None:
        """Look for an order of which nothing is known: algo orders by our id, then all lists of ordinary ones."""
        found = await self._whole_algo(line, await self._algo(line, client_id))
        if found is not None:
            return found
        # Working ones first: what ends meanwhile moves to the lists that are read later.
        for name, kind in (("orders_pending", ""), ("orders_history", "SPOT"), ("orders_history", "SWAP")):
            rows = await self._pages(line, name, OrderRow, "ord_id", params={"instType": kind} if kind else {})
            for instrument, row in await self._of_ours(rows):
                if self.note_order(line, instrument, row) == client_id:
                    return parse_order(line.account, instrument, row)
        return None

    async def _of_ours(self, rows: Iterable[Any]) -> list[tuple[Instrument, Any]]:
        """Rows of what is traded here with their instruments; margin on spot, dated futures and options are not.

        Raises:
            NotVisibleYetError: A row is about something that is not understood; none is passed over.
        """
        kept = [row for row in rows if is_ours(row.inst_type, row.inst_id)]
        await self.learn(row.inst_id for row in kept)
        pairs = ((self.catalogue.by_symbol(row.inst_id), row) for row in kept)
        return [(instrument, row) for instrument, row in pairs if instrument is not None]

    async def _pages(
        self,
        line: AccountLine,
        name: str,
        row: type[Any],
        by: str,
        *,
        until: int = 0,
        since_ms: int = 0,
        params: dict[str, str] | None = None,
    ) -> list[Any]:
        """All rows of a list, newest first, down to one with the number `until`, exclusive, or older than `since_ms`.

        A page is followed until an empty one comes: a list that was cut short is not taken for the end.
        """
        found: list[Any] = []
        after: dict[str, str] = {}
        while True:
            body = await self.ask(line, ENDPOINTS[name], {**(params or {}), **after, "limit": str(PAGE)})
            page = decode_rows(body, row)
            fresh = [r for r in page if int(getattr(r, by)) > until and (not since_ms or int(r.ts) >= since_ms)]
            found += fresh
            if not page or len(fresh) < len(page):
                return found
            after = {"after": getattr(page[-1], by)}
