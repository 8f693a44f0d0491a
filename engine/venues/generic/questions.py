"""What an exchange is asked about one account through ccxt, answered with model objects, or not at all.

An answer that ccxt cannot read, that may be cut, or that lacks what is known to exist is no answer: the question ends
with an error that proves nothing, and is asked again.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from engine.errors import ExchangeError, NotFoundError, NotVisibleYetError, UnknownOutcomeError
from engine.model.ids import ClientOrderId, VenueOrderId
from engine.model.order import OrderStatus
from engine.venues.generic import parse
from engine.venues.generic.able import history, longest_page, needs_market, peculiar, span
from engine.venues.generic.listing import Listing, whole
from engine.venues.native.search import LISTING_CUT, NOT_YET, Listed, Named, Search

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from engine.model.fill import Fill
    from engine.model.ids import InstrumentId
    from engine.model.instrument import Instrument
    from engine.model.venue import OrderCommand, VenueOrder
    from engine.venues.generic.orders import Orders
    from engine.venues.generic.venue import GenericVenue
    from engine.venues.native.line import AccountLine

__all__ = ["WORKING", "Questions"]

PAGE = 100
"""Rows asked for at once: what every exchange gives that gives as many."""
FEW_MARKETS = 3
"""Up to so many markets are asked for one by one."""
ROUND = 20
"""A list of unknown bounds that is as long as this and ends at a full ten may have been cut there."""
MARGIN_MS = 60_000
"""How much earlier than an order its executions may be dated: clocks differ."""
WORKING = frozenset({OrderStatus.ACCEPTED, OrderStatus.PARTIALLY_FILLED})
DAY_NS = 86_400_000_000_000


class Questions:
    """See the module.

    Args:
        venue: The venue.
        account: Gives the account's present line.
        orders: What is known of its orders; learns from every answer.
    """

    def __init__(self, venue: GenericVenue, line: AccountLine, orders: Orders) -> None:
        self._venue = venue
        self._line = line
        self.orders = orders
        self._echoes = peculiar(venue.exchange).echoes
        """Whether the exchange is known to list orders with our ids."""
        self._search: Search[dict[str, Any]] = Search(venue.id, self._everything, self._named, venue.clock)

    def renewed(self, line: AccountLine) -> None:
        """The venue was opened again: ask over this line."""
        self._line = line

    # --- an order is sent --------------------------------------------------------------------------------------------

    def leaves(self, command: OrderCommand) -> None:
        """An order is about to be sent."""
        self.orders.leaves(command)
        self._search.leaves(command.client_id, self._venue.options.timeout_s + 1.0)

    def never_was(self, client_id: ClientOrderId) -> None:
        """It was refused, or certainly did not leave."""
        self.orders.never_was(client_id)
        self._search.never_was(client_id)

    def without_answer(self, error: ExchangeError) -> ExchangeError:
        """The error of an order that may or may not have been taken, saying what can be known of it and what to do."""
        if self._venue.capabilities.lookup_by_client_id or self._lists():
            return error
        words = (
            f"{error.message.rstrip('.')}. Whether {self._venue.id} has taken the order can only be seen when it is "
            f"listed, for ccxt cannot list orders that have ended there. {self._advice}"
        )
        return UnknownOutcomeError(words, error_code=error.error_code, details=error.details)

    def learn(self, client_id: ClientOrderId, number: VenueOrderId, instrument: InstrumentId, created: int = 0) -> None:
        """An answer names an order."""
        self.orders.learn(client_id, number, instrument)
        self._search.learn(client_id, number, created)

    # --- orders ------------------------------------------------------------------------------------------------------

    async def open_orders(self, markets: Iterable[InstrumentId] | None = None) -> list[VenueOrder]:
        """Working orders, of these markets or of all; a list that is cut is possible, so that absence is no end."""
        one_by_one = bool(needs_market(self._venue.ccxt, "fetchOpenOrders"))
        wanted = sorted(self.likely_markets() if markets is None else markets)
        if not one_by_one and (markets is None or len(wanted) > FEW_MARKETS):
            rows = await self._open_rows(None)
        else:
            rows = [row for market in wanted for row in await self._open_rows(self._venue.catalogue.get(market).symbol)]
        found = (self._read(row) for row in rows)
        return [order for order in found if order is not None and order.status in WORKING]

    async def _open_rows(self, symbol: str | None) -> Sequence[dict[str, Any]]:
        longest = longest_page(self._venue.ccxt, "fetchOpenOrders")
        page = None if longest is None else min(longest, PAGE)
        rows: list[dict[str, Any]] = await self._venue.private(self._line, "fetch_open_orders", symbol, None, page)
        if len(rows) < (page or ROUND) or (page is None and len(rows) % 10):
            return rows
        more = await whole(partial(self._page, "fetch_open_orders", symbol), None, page)
        more.take(rows)
        return more.ordered

    async def order(self, client_id: ClientOrderId) -> VenueOrder | None:
        """An order by our id; None where the exchange's own word is that it has none.

        Raises:
            NotVisibleYetError: It is not shown, which proves nothing.
            ExchangeError: ccxt cannot read what the exchange says of it.
        """
        row = await self._row(client_id)
        if row is None:
            return None
        found = self._read({**row, "clientOrderId": client_id})
        if found is None:
            raise ExchangeError(
                f"What {self._venue.id} says of the order {client_id} cannot be read through ccxt; look for it on the "
                "exchange's own page. It is asked for again.",
                error_code="unreadable",
            )
        return found

    async def _row(self, client_id: ClientOrderId) -> dict[str, Any] | None:
        venue, place = self._venue, self.orders.place(client_id)
        instrument = place.instrument if place is not None else venue.instrument_of(client_id)
        if place is not None and place.number and venue.has("fetchOrder"):
            row = await self._by_number(place.number, venue.catalogue.get(place.instrument))
            if row is None:
                raise NotVisibleYetError(
                    f"{venue.id} does not show the order {client_id}, which it has taken; it is asked for again.",
                    error_code=NOT_YET,
                )
            return row
        if venue.capabilities.lookup_by_client_id:
            for market in [instrument] if instrument is not None else self.likely_markets():
                of = venue.catalogue.get(market)
                if (row := await self._fetched(client_id, of, {"clientOrderId": client_id})) is not None:
                    return row
            return None
        if instrument is not None:
            # One that is not listed any more cannot be asked for.
            self.orders.markets[venue.catalogue.get(instrument).id] = None
        return await self._search.find(client_id)

    async def _by_number(self, number: VenueOrderId, of: Instrument) -> dict[str, Any] | None:
        return await self._fetched(number, of, {})

    async def _fetched(self, name: str, of: Instrument, params: dict[str, Any]) -> dict[str, Any] | None:
        try:
            row: dict[str, Any] = await self._venue.private(self._line, "fetch_order", name, of.symbol, params)
        except NotFoundError:
            return None
        return {**row, "symbol": of.symbol}

    def likely_markets(self) -> list[InstrumentId]:
        """Markets in which orders of this account were seen, and those watched."""
        return [m for m in dict.fromkeys([*self.orders.markets, *self._venue.watched]) if m in self._venue.catalogue]

    def _read(self, row: dict[str, Any]) -> VenueOrder | None:
        of = self._venue.of_symbol(row.get("symbol"))
        if of is None:
            return None
        place = self.orders.place(self._named(row).client_id)
        told = parse.order(row, self._line.account, of, None if place is None else place.asked)
        if told is None:
            return None
        order = self.orders.as_asked(told)
        self.learn(order.client_id, order.venue_order_id, order.instrument, order.created)
        if order.client_id and order.status in WORKING:
            self.orders.open[order.client_id] = None
        return order

    # --- every order since a time ------------------------------------------------------------------------------------

    def _named(self, row: dict[str, Any]) -> Named:
        number = VenueOrderId(str(row.get("id") or ""))
        client_id = row.get("clientOrderId") or self.orders.owner(number) or ""
        return Named(ClientOrderId(str(client_id)), number, int(row.get("timestamp") or 0) * parse.MS)

    async def _everything(self, start: int | None) -> Listed[dict[str, Any]]:
        """Orders of every status since a time (UTC nanoseconds, our clock; None for all)."""
        venue = self._venue
        methods = self._lists()
        if not methods:
            return Listed((), f"ccxt cannot list orders that have ended there. {self._advice}")
        rows, cuts = [], []
        ahead = venue.venue_now() - venue.clock.now()
        since = None if start is None else max(0, start + ahead) // parse.MS
        for method in methods:
            days = history(venue.ccxt, _camel(method))
            if days is not None and (start is None or venue.clock.now() - start > days * DAY_NS):
                cuts.append(f"it lists orders of the last {days:g} days only. {self._advice}")
            symbols = self._symbols(method)
            if not symbols:
                cuts.append(f"it is not known in which market it is. {self._advice}")
            for symbol in symbols:
                listing = await self._whole(method, symbol, since)
                rows += listing.ordered
                if listing.cut:
                    cuts.append(f"its list is cut, for {listing.cut}. {self._advice}")
        self._judge(rows, cuts)
        return Listed(rows, cuts[0].rstrip(".") if cuts else "")

    def _judge(self, rows: Sequence[dict[str, Any]], cuts: list[str]) -> None:
        """Whether our ids can be told from what is listed."""
        for row in rows:
            named = self._named(row)
            place = self.orders.place(named.client_id)
            if row.get("clientOrderId") and place is not None and place.asked is not None:
                self._echoes = True
            if not named.client_id and self.orders.owner(named.number) is None:
                cuts.append(f"it lists the order {named.number} without an id of ours or of others. {self._advice}")
        if not self._echoes:
            cuts.append(f"no order was seen yet that it lists under our id. {self._advice}")

    @property
    def _advice(self) -> str:
        return (
            "Look for it on the exchange's own page; one that works there can be cancelled there, and what it executed "
            "is booked. Until it is listed here it stays unknown, and holds what it reserved."
        )

    def _lists(self) -> tuple[str, ...]:
        """Methods that together list orders of every status, those that work first: an order moves on, not back."""
        has = self._venue.ccxt.has
        for methods in (
            ("fetchOrders",),
            ("fetchOpenOrders", "fetchCanceledAndClosedOrders"),
            ("fetchOpenOrders", "fetchClosedOrders", "fetchCanceledOrders"),
        ):
            if all(has.get(method) is True for method in methods):
                return tuple(_snake(method) for method in methods)
        return ()

    def _symbols(self, method: str) -> list[str | None]:
        if needs_market(self._venue.ccxt, _camel(method)) is False:
            return [None]
        return [self._venue.catalogue.get(market).symbol for market in self.likely_markets()]

    async def _whole(self, method: str, symbol: str | None, since: int | None) -> Listing:
        """Everything since a time, in as many questions as the span that one may cover asks for."""
        exchange, found = self._venue.ccxt, Listing()
        longest = longest_page(exchange, _camel(method))
        page = None if longest is None else min(longest, PAGE)
        days = span(exchange, _camel(method))
        now, length = self._venue.venue_now() // parse.MS, None if days is None else int(days * DAY_NS) // parse.MS
        while since is not None and length is not None and now - since > length:
            found.add(await whole(partial(self._up_to, method, symbol, since + length), since, page))
            since += length
        found.add(await whole(partial(self._page, method, symbol), since, page))
        return found

    async def _up_to(
        self, method: str, symbol: str | None, end: int, since: int | None, until: int | None
    ) -> list[dict[str, Any]]:
        return await self._page(method, symbol, since, end if until is None else min(until, end))

    async def _page(
        self, method: str, symbol: str | None, since: int | None, until: int | None
    ) -> list[dict[str, Any]]:
        params = {} if until is None else {"until": until}
        limit = min(longest_page(self._venue.ccxt, _camel(method)) or PAGE, PAGE)
        rows: list[dict[str, Any]] = await self._venue.private(self._line, method, symbol, since, limit, params)
        return rows

    # --- executions --------------------------------------------------------------------------------------------------

    async def executions(self, of: Instrument, since: int | None) -> list[Fill]:
        """All executions in a market since a time (milliseconds of the venue's clock; None for all), oldest first.

        Raises:
            NotVisibleYetError: They cannot be listed to the end, or it is not known yet whose one of them is.
        """
        listing = await self._whole("fetch_my_trades", of.symbol, since)
        if listing.cut and since is not None:
            raise NotVisibleYetError(
                f"The executions in {of.id} cannot all be read through ccxt: {listing.cut}. They are asked for again; "
                f"nothing should be traded at {self._venue.id} until they can be.",
                error_code=LISTING_CUT,
            )
        return [await self._fill(row, of) for row in listing.ordered]

    async def executions_of(self, order: VenueOrder) -> list[Fill]:
        """The executions of one order, as far as the exchange lists them. Raises as `executions`."""
        of, number = self._venue.catalogue.get(order.instrument), order.venue_order_id
        found: dict[str, Fill] = {}
        if self._venue.ccxt.has.get("fetchOrderTrades") is True:
            rows = await self._venue.private(self._line, "fetch_order_trades", number, of.symbol)
            found = {fill.key: fill for fill in [await self._fill({**row, "order": number}, of) for row in rows]}
        if sum(fill.quantity for fill in found.values()) < order.filled:
            since = max(0, order.created // parse.MS - MARGIN_MS)
            found |= {f.key: f for f in await self.executions(of, since) if f.venue_order_id == number}
        return sorted(found.values(), key=lambda fill: fill.ts)

    async def _fill(self, row: dict[str, Any], of: Instrument) -> Fill:
        number = VenueOrderId(str(row["order"]))
        owner = self.orders.owner(number)
        if owner is None:
            owner = await self._owner(number, of, int(row["timestamp"]) * parse.MS)
        return parse.fill(row, self._line.account, of, owner)

    async def _owner(self, number: VenueOrderId, of: Instrument, ts: int) -> ClientOrderId:
        """Whose an execution is; one that may be of an order whose answer is awaited is nobody else's yet."""
        row = await self._by_number(number, of) if self._venue.has("fetchOrder") else None
        named = None if row is None else self._named(row)
        if row is not None and named is not None and named.client_id:
            self.learn(named.client_id, number, of.id, named.created)
            return named.client_id
        young = self._venue.venue_now() - ts < self._venue.capabilities.visibility_delay_s * 1e9
        if (row is None and young) or of.id in self.orders.unnamed.values():
            raise NotVisibleYetError(
                f"{self._venue.id} lists an execution of the order {number} and does not say whose it is; ask again.",
                error_code="order_unseen",
            )
        self.orders.learn(ClientOrderId(""), number, of.id)
        return ClientOrderId("")


def _camel(method: str) -> str:
    first, *rest = method.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _snake(method: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in method)
