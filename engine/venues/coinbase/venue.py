"""Coinbase Advanced Trade behind the venue contract, spot only.

What is different here: orders are looked up by Coinbase's ids only (`search.py`), the user channel tells sums and not
executions (`private.py`), refusals come inside HTTP 200 (`refusals.py`), and there is no testnet.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from engine import events as ev
from engine.errors import (
    AuthenticationError,
    ConfigurationError,
    ExchangeConnectionError,
    ExchangeRateLimitError,
    NotFoundError,
    NotVisibleYetError,
    UnknownOutcomeError,
    ValidationError,
)
from engine.model.candle import timeframe_ns
from engine.model.ids import VenueOrderId
from engine.model.order import OrderType
from engine.model.venue import AMEND_UNSUPPORTED
from engine.venues.coinbase import parse, requests, table
from engine.venues.coinbase.executions import FillCursor
from engine.venues.coinbase.market import CoinbaseFeed
from engine.venues.coinbase.private import UserStream
from engine.venues.coinbase.refusals import FAILURES, cancel_fault
from engine.venues.coinbase.reports import OrderTerms
from engine.venues.coinbase.terms import check_open_for, configuration, plain
from engine.venues.coinbase.values import iso_ns
from engine.venues.coinbase.wire import (
    CancelAnswer,
    Fees,
    PlaceAnswer,
    PriceBookAnswer,
    Rights,
    TradeList,
    decoded,
)
from engine.venues.limits.rules import COINBASE_LIMITS, lowered
from engine.venues.native.books.loading import prepare
from engine.venues.native.search import NOT_YET, Listed, Search
from engine.venues.native.together import Together
from engine.venues.native.transport import CcxtTransport, VenueTable
from engine.venues.native.venue import REFUSALS, NativeVenue
from engine.venues.spot_only import SpotOnly

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from engine.clock import Clock
    from engine.events import VenueEvent
    from engine.model.candle import Candle
    from engine.model.credentials import Credentials, CredentialSource
    from engine.model.fill import Fill
    from engine.model.ids import AccountId, ClientOrderId, InstrumentId
    from engine.model.instrument import Instrument
    from engine.model.market import BookUpdate, MarketTrade, Ticker
    from engine.model.venue import OrderCommand, Permissions, VenueBalance, VenueOrder
    from engine.venues.coinbase.wire import OrderRow, Product
    from engine.venues.limits.coordinator import Coordinator
    from engine.venues.native.line import AccountLine, MarketFeed, PrivateStream
    from engine.venues.native.options import VenueOptions
    from engine.venues.native.request import Endpoint, Priority, Transport

__all__ = ["COINBASE", "CoinbaseVenue"]

COINBASE = VenueTable(
    exchange="coinbase",
    limits=COINBASE_LIMITS,
    failures=FAILURES,
    addresses={"rest": ("rest",)},
    testnet="",
    time=table.TIME,
    read_time=parse.read_time,
)
BASE_FEES = Decimal("0.006"), Decimal("0.012")
"""Published fees of resting and crossing orders of an account without volume, where no key tells the account's own."""
NOT_SENT = (*REFUSALS, ExchangeConnectionError, ExchangeRateLimitError)
"""Errors of a new order after which it certainly does not exist."""
CLOCK_MOVED_NS = 5_000_000_000
"""A change of the venue's clock against ours that explains why a token was refused."""
MOST_CANCELS = 20
"""Orders that one request cancels; Coinbase names no most, and answers for each apart."""
WINDOWS = 4
"""Spans without a trade that are passed over before older candles are taken to be none."""


class CoinbaseVenue(SpotOnly, NativeVenue):
    """The adapter.

    Args:
        options: The venue as it is configured. Addresses: `rest`, `public`, `private`.
        credentials: Where the keys of its accounts are: CDP keys, EC or Ed25519.
        clock: The engine's clock.
        coordinator: Keeps the rate limits of the process.
        missed: See `NativeVenue`.

    Raises:
        ConfigurationError: Accounts are to be traded on a testnet, which Coinbase does not have.
    """

    def __init__(
        self,
        options: VenueOptions,
        credentials: CredentialSource,
        clock: Clock,
        *,
        coordinator: Coordinator,
        missed: Callable[[], None] | None = None,
    ) -> None:
        if options.testnet and options.accounts and "rest" not in options.addresses:
            raise ConfigurationError(table.NO_SANDBOX)
        super().__init__(
            options,
            credentials,
            clock,
            capabilities=table.capabilities(options.timeout_s),
            timeframes=frozenset(table.GRANULARITY),
            missed=missed,
        )
        self._root = CcxtTransport(COINBASE, options, credentials, clock, coordinator=coordinator)
        self._coordinator = coordinator
        self._streams = coordinator.connections(COINBASE.exchange, lowered(COINBASE.limits, options.limits))
        self._products: dict[str, Product] = {}
        self._searches: dict[AccountId, Search[OrderRow]] = {}
        self._ends: dict[AccountId, Together[VenueOrderId, CancelAnswer]] = {}
        self._cursors: dict[AccountId, FillCursor] = {}

    # --- ways --------------------------------------------------------------------------------------------------------

    def _transport(self, account: AccountId | None, credentials: Credentials | None) -> Transport:
        if account is None:
            self._root = CcxtTransport(
                COINBASE, self.options, self._credentials, self.clock, coordinator=self._coordinator
            )
            return self._root
        return self._root.for_account(account)

    async def _end_transport(self, transport: Transport) -> None:
        assert isinstance(transport, CcxtTransport)
        await transport.close()

    def _private_stream(self, line: AccountLine) -> PrivateStream:
        return UserStream(
            self,
            line,
            lambda: self._key(line.account),
            self._search(line),
            self._fills_of,
            self._address("private"),
            self._streams,
        )

    def _market_feed(self) -> MarketFeed:
        self._keep(self._prepare_books(), "prepare books")
        return CoinbaseFeed(self, self._address("public"), self._book_product, self._streams)

    async def _prepare_books(self) -> None:
        await prepare()

    def _address(self, name: str) -> str:
        return self.options.addresses.get(name, table.ADDRESSES[name])

    def _key(self, account: AccountId) -> Credentials:
        found = self._credentials.credentials(self.id, account)
        if found is None:
            raise AuthenticationError(f"There is no key for the account {account} at {self.id} any more.")
        return found

    def _clock_offset_ms(self) -> float | None:
        offset = self._root.offset
        return offset.offset_ns / 1e6 if offset.looks else None

    def _limits(self) -> dict[str, float]:
        shares = self._root.usage()
        for line in self.lines.values():
            assert isinstance(line.transport, CcxtTransport)
            for name, share in line.transport.usage().items():
                shares[name] = max(share, shares.get(name, 0.0))
        return shares

    def _paused_until(self) -> int:
        return self._root.paused_until

    async def _prepared(self) -> None:
        # A token holds for two minutes of Coinbase's clock, and its refusal does not say that the time was wrong.
        await self._root.measure_clock()

    async def _opened(self, line: AccountLine) -> None:
        rights = decoded(Rights, await self.ask(line, table.PERMISSIONS))
        if not rights.can_view:
            raise AuthenticationError(f"The key of {line.account} at {self.id} may not even look; give it that right.")

    def _asker(self, line: AccountLine | None) -> Callable[[Endpoint, dict[str, Any]], Any]:
        return lambda endpoint, params: self.ask(line, endpoint, params)

    def _search(self, line: AccountLine) -> Search[OrderRow]:
        account = line.account
        found = self._searches.get(account)
        if found is None:

            async def fetch(start: int | None) -> Listed[OrderRow]:
                ahead = self.venue_now() - self.clock.now()
                since = None if start is None else start + ahead
                return Listed(await requests.order_rows(self._asker(self.line(account)), table.FIND, start=since))

            # Kept while the venue is closed: an order without an answer stays one.
            found = self._searches[account] = Search(self.id, fetch, requests.named, self.clock)
        return found

    async def ask(
        self,
        line: AccountLine | None,
        endpoint: Endpoint,
        params: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
        *,
        priority: Priority | None = None,
        cost: dict[str, float] | None = None,
    ) -> bytes:
        """As `NativeVenue.ask`. A token of the wrong time is refused like a wrong key; the clock tells them apart."""
        try:
            return await super().ask(line, endpoint, params, priority=priority, cost=cost)
        except AuthenticationError:
            before = self._root.offset.offset_ns
            self._root.offset.restart()
            await self._root.measure_clock()
            if abs(self._root.offset.offset_ns - before) < CLOCK_MOVED_NS:
                raise
        # Refused before anything was done, and signed with the right time now.
        return await super().ask(line, endpoint, params, priority=priority, cost=cost)

    # --- markets -----------------------------------------------------------------------------------------------------

    async def _listings(self) -> Sequence[tuple[str, Instrument]]:
        maker, taker = await self._fees()
        products = [p for p in await requests.product_rows(self._asker(None)) if parse.is_listed(p)]
        self._products = {product.product_id: product for product in products}
        return [(p.product_id, parse.instrument(p, self.id, maker_fee=maker, taker_fee=taker)) for p in products]

    async def _fees(self) -> tuple[Decimal, Decimal]:
        """Of the account that pays most: an instrument has one pair of fees."""
        found = [parse.fees(decoded(Fees, await self.ask(line, table.FEES))) for line in self.lines.values()] or [
            BASE_FEES
        ]
        return max(maker for maker, _ in found), max(taker for _, taker in found)

    def _book_product(self, product_id: str) -> str:
        """The product whose book and trades a product shares; USD and USDC markets are one."""
        product = self._products.get(product_id)
        alias = product.alias if product is not None else ""
        return alias if alias in self._products else product_id

    async def _candle_page(self, instrument: Instrument, timeframe: str, end: int, limit: int) -> Sequence[Candle]:
        length = timeframe_ns(timeframe)
        count = min(limit, table.CANDLES_A_PAGE)
        last = (end - 1) // length * length
        for _ in range(WINDOWS):
            first = last - (count - 1) * length
            params = {
                "product_id": self.catalogue.symbol(instrument.id),
                "start": str(first // 1_000_000_000),
                "end": str(last // 1_000_000_000),
                "granularity": table.GRANULARITY[timeframe],
                "limit": str(count),
            }
            body = await self.ask(None, table.CANDLES, params)
            found = parse.read_candles(body, instrument.id, timeframe, self.venue_now())
            found = [candle for candle in found if candle.closed and first <= candle.ts <= last]
            if found:
                return found
            last, count = first - length, table.CANDLES_A_PAGE
        return []

    async def book(self, instrument: InstrumentId, depth: int) -> BookUpdate:
        """The present book as a snapshot. Raises NotFoundError, ExchangeConnectionError."""
        found = self.catalogue.get(instrument)
        params = {"product_id": self.catalogue.symbol(instrument), "limit": str(depth)}
        return parse.book(decoded(PriceBookAnswer, await self.ask(None, table.BOOK, params)).pricebook, found, depth)

    async def trades(self, instrument: InstrumentId, limit: int = 100) -> Sequence[MarketTrade]:
        """The newest public trades, oldest first. Raises NotFoundError, ExchangeConnectionError."""
        found = self.catalogue.get(instrument)
        params = {"product_id": self.catalogue.symbol(instrument), "limit": str(limit)}
        rows = decoded(TradeList, await self.ask(None, table.TICKER, params)).trades
        return [parse.market_trade(row, found) for row in reversed(rows)]

    async def tickers(self, instruments: Sequence[InstrumentId] | None = None) -> Sequence[Ticker]:
        """The last 24 hours, from the list of products. Raises ExchangeConnectionError."""
        now = self.venue_now()
        wanted = None if instruments is None else set(instruments)
        found = []
        for product in await requests.product_rows(self._asker(None)):
            listed = self.catalogue.by_symbol(product.product_id)
            if listed is not None and (wanted is None or listed.id in wanted):
                found.append(parse.ticker(product, listed.id, now))
        return found

    async def server_time(self) -> int:
        """The venue's clock in UTC nanoseconds. Raises ExchangeConnectionError."""
        self._need_open()
        return await self._root.measure_clock()

    # --- accounts ----------------------------------------------------------------------------------------------------

    async def balances(self, account: AccountId) -> Sequence[VenueBalance]:
        """All non-zero balances. Raises ExchangeConnectionError."""
        return parse.balances(await requests.wallets(self._asker(self.line(account))))

    async def permissions(self, account: AccountId) -> Permissions:
        """What the key may do. Raises AuthenticationError, ExchangeConnectionError."""
        return parse.permissions(decoded(Rights, await self.ask(self.line(account), table.PERMISSIONS)))

    # --- orders ------------------------------------------------------------------------------------------------------

    async def _send(self, line: AccountLine, instrument: Instrument, command: OrderCommand) -> Sequence[VenueEvent]:
        search, client_id = self._search(line), command.client_id
        if search.is_known(client_id):
            # Coinbase would answer with the order that there is; it is asked for instead.
            raise UnknownOutcomeError(f"The order {client_id} was sent before; ask for it by its id.")
        product_id = self.catalogue.symbol(instrument.id)
        if product_id in self._products:
            check_open_for(self._products[product_id], command)
        params = {
            "client_order_id": client_id,
            "product_id": product_id,
            "side": command.side.upper(),
            "order_configuration": configuration(command, instrument),
        }
        search.leaves(client_id, self.options.timeout_s + 1.0)
        try:
            body = await self.ask(line, table.PLACE, params, priority=_priority(command))
        except NOT_SENT:
            search.never_was(client_id)
            raise
        answer = decoded(PlaceAnswer, body)
        taken = answer.success_response
        number = VenueOrderId((taken.order_id if taken is not None else "") or answer.order_id)
        if not number:
            raise UnknownOutcomeError(f"{self.id} took the order {client_id} and does not name it; ask for it.")
        search.learn(client_id, number)
        return [ev.OrderAccepted(client_id=client_id, venue_order_id=number, ts=self.venue_now())]

    async def _number(self, line: AccountLine, client_id: ClientOrderId) -> VenueOrderId:
        search = self._search(line)
        known = search.number(client_id)
        if known is None:
            row = await search.find(client_id)
            if row is None:
                raise NotFoundError(f"{self.id} does not know the order {client_id}.", error_code="not_found")
            known = VenueOrderId(row.order_id)
        return known

    def _ending(self, line: AccountLine) -> Together[VenueOrderId, CancelAnswer]:
        """What ends several orders of an account with one request."""
        found = self._ends.get(line.account)
        if found is None:

            async def end(numbers: Sequence[VenueOrderId]) -> CancelAnswer:
                ids = list(dict.fromkeys(numbers))
                return decoded(CancelAnswer, await self.ask(self.line(line.account), table.CANCEL, {"order_ids": ids}))

            found = self._ends[line.account] = Together(end, MOST_CANCELS, f"cancel at {self.id}")
        return found

    async def _end_order(self, line: AccountLine, client_id: ClientOrderId) -> Sequence[VenueEvent]:
        number = await self._number(line, client_id)
        answer = await self._ending(line).answer(number)
        for result in answer.results:
            if result.order_id == number or (not result.order_id and len(answer.results) == 1):
                if result.success:
                    # It is under way; the user channel tells its end.
                    return []
                raise FAILURES.error(200, cancel_fault(result), table.CANCEL)
        raise UnknownOutcomeError(f"{self.id} says nothing about the cancel of {client_id}; ask for the order.")

    async def _change_order(
        self,
        line: AccountLine,
        client_id: ClientOrderId,
        quantity: Decimal | None,
        price: Decimal | None,
        stop_price: Decimal | None,
    ) -> Sequence[VenueEvent]:
        number = await self._number(line, client_id)
        now = await self._shown(line, client_id, number)
        if now.type is not OrderType.LIMIT or stop_price is not None:
            raise ValidationError(
                f"{self.id} changes only resting limit orders in place; cancel {client_id} and send another one.",
                error_code=AMEND_UNSUPPORTED,
            )
        if quantity is not None and quantity <= now.filled:
            raise ValidationError(
                f"{now.filled} of {client_id} are executed already; it cannot become {quantity}.",
                error_code="CANNOT_EDIT_TO_BELOW_FILLED_SIZE",
            )
        new = OrderTerms(now.quantity if quantity is None else quantity, now.price if price is None else price)
        params = {"order_id": number, "size": plain(new.quantity), "price": plain(new.price or Decimal(0))}
        stream = line.stream
        assert isinstance(stream, UserStream)
        stream.changing(number)
        terms = None
        try:
            await self.ask(line, table.AMEND, params)
            terms = new
        finally:
            stream.changed(number, terms)
        ts = self.venue_now()
        return [ev.OrderAmended(client_id=client_id, ts=ts, quantity=new.quantity, price=new.price)]

    async def _open_orders(self, line: AccountLine) -> Sequence[VenueOrder]:
        ask = self._asker(line)
        # Coinbase lists open orders only alone. Those on their way are asked for first: they become open, not back.
        rows = await requests.order_rows(ask, table.OPEN, ("PENDING", "QUEUED", "CANCEL_QUEUED"))
        rows += await requests.order_rows(ask, table.OPEN, ("OPEN",))
        found = {row.order_id: self._order(line, row) for row in rows if row.product_type in ("", "SPOT")}
        return list(found.values())

    async def _find_order(self, line: AccountLine, client_id: ClientOrderId) -> VenueOrder | None:
        search = self._search(line)
        number = search.number(client_id)
        if number is not None:
            return await self._shown(line, client_id, number)
        row = await search.find(client_id)
        if row is None:
            return None
        return await self._whole(line, self._order(line, row))

    async def _shown(self, line: AccountLine, client_id: ClientOrderId, number: VenueOrderId) -> VenueOrder:
        row = await requests.order_row(self._asker(line), number)
        if row is None:
            raise NotVisibleYetError(
                f"{self.id} does not show the order {client_id} yet, which it has taken; ask again.",
                error_code=NOT_YET,
            )
        return await self._whole(line, self._order(line, row))

    async def _whole(self, line: AccountLine, order: VenueOrder) -> VenueOrder:
        """Report the executions of an order that nothing has told yet, whatever list they were missing from."""
        if order.filled > line.reports.filled(order.client_id):
            fills = await self._fills_of(line, [order.venue_order_id])
            line.answered(ev.OrderFilled(fill=fill) for fill in sorted(fills, key=lambda fill: fill.ts))
        return order

    def _order(self, line: AccountLine, row: OrderRow) -> VenueOrder:
        found = parse.order(row, self.id, line.account, self.catalogue.by_symbol(row.product_id))
        self._search(line).learn(found.client_id, found.venue_order_id, iso_ns(row.created_time))
        return found

    # --- executions --------------------------------------------------------------------------------------------------

    async def fills_since(self, account: AccountId, cursor: str) -> tuple[Sequence[Fill], str]:
        """Executions after a cursor, oldest first. Raises ExchangeError."""
        line = self.line(account)
        cursors = self._cursors.setdefault(account, FillCursor(self.clock.now()))
        rows = await requests.fill_rows(self._asker(line), start=cursors.start(cursor))
        fresh, after = cursors.news(cursor, rows)
        return await self._fills(line, fresh), after

    async def _fills_of(self, line: AccountLine, numbers: Sequence[VenueOrderId]) -> list[Fill]:
        return await self._fills(line, await requests.fill_rows(self._asker(line), orders=numbers))

    async def _fills(self, line: AccountLine, rows: Sequence[Any]) -> list[Fill]:
        names = await requests.name_orders(
            self._asker(line), self._search(line), {VenueOrderId(row.order_id) for row in rows}
        )
        found = []
        for row in rows:
            listed = self.catalogue.by_symbol(row.product_id)
            places = 8 if listed is None else listed.quantity_scale
            fill = parse.fill(row, self.id, line.account, names[VenueOrderId(row.order_id)], places)
            if fill is not None:
                found.append(fill)
        return found


def _priority(command: OrderCommand) -> Priority:
    from engine.venues.native.request import Priority

    if command.urgent:
        return Priority.EMERGENCY
    stops = (OrderType.STOP_LOSS, OrderType.TAKE_PROFIT)
    return Priority.PROTECT if command.reduce_only or command.type in stops else Priority.ORDER
