"""The venue contract over any exchange that ccxt knows."""

from __future__ import annotations

from decimal import localcontext
from typing import TYPE_CHECKING, Any, cast

import msgspec

from engine import events as ev
from engine.errors import (
    ConfigurationError,
    ExchangeClockError,
    ExchangeConnectionError,
    ExchangeError,
    ExchangeRateLimitError,
    NotFoundError,
    OrderRejectionError,
    UnknownOutcomeError,
    ValidationError,
)
from engine.model.candle import timeframe_ns
from engine.model.ids import VenueOrderId
from engine.model.market import BookUpdate
from engine.model.order import OrderSide, OrderType, TimeInForce
from engine.model.reserve import COLLAR
from engine.model.venue import AMEND_UNSUPPORTED, OrderCommand, Permissions
from engine.venues.generic import parse
from engine.venues.generic.able import buys_by_value, capabilities, longest_page, peculiar, timeframes
from engine.venues.generic.desk import Desk
from engine.venues.generic.feed import GenericFeed
from engine.venues.generic.orders import Orders, Place
from engine.venues.generic.questions import Questions
from engine.venues.generic.refusals import typed_error
from engine.venues.limits.rules import GENERIC_LIMITS
from engine.venues.native.ccxt_class import CallNotes, call_notes, import_class
from engine.venues.native.failures import Failures, json_fault
from engine.venues.native.request import Endpoint, Priority
from engine.venues.native.transport import CcxtTransport, VenueTable
from engine.venues.native.venue import REFUSALS, NativeVenue
from engine.venues.spot_only import SpotOnly

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from decimal import Decimal

    from engine.clock import Clock
    from engine.events import VenueEvent
    from engine.model.candle import Candle
    from engine.model.credentials import Credentials, CredentialSource
    from engine.model.fill import Fill
    from engine.model.ids import AccountId, ClientOrderId, InstrumentId
    from engine.model.instrument import Instrument
    from engine.model.market import MarketTrade, Ticker
    from engine.model.venue import VenueBalance, VenueOrder
    from engine.venues.limits.coordinator import Coordinator
    from engine.venues.native.line import AccountLine, MarketFeed, PrivateStream
    from engine.venues.native.request import Transport

__all__ = ["GenericVenue"]

ADDRESSES = frozenset({"rest", "ws"})
"""Of requests and of streams."""
BOOKS = frozenset({"watch_order_book", "fetch_order_book"})
CANDLES = 100
"""Candles asked for at once where the exchange does not say how many it gives."""
CREATE = "create order"
NOT_SENT = (*REFUSALS, ExchangeConnectionError, ExchangeRateLimitError)
"""Errors of a new order after which it certainly does not exist."""
WINDOWS = 4
"""Spans without a trade that are passed over before older candles are taken to be none."""
PRIORITIES = {
    "create_order": Priority.ORDER,
    "cancel_order": Priority.EMERGENCY,
    "fetch_ohlcv": Priority.DATA,
    "fetch_ticker": Priority.DATA,
    "fetch_tickers": Priority.DATA,
    "fetch_trades": Priority.DATA,
    "fetch_order_book": Priority.DATA,
    "load_markets": Priority.DATA,
}
CHANGES = frozenset({"create_order", "cancel_order"})


class GenericVenue(SpotOnly, NativeVenue):
    """An exchange without an adapter of its own; it is named as ccxt does, by default as its id in lower case.

    Spot is traded, linear perpetuals are looked at. Nothing is amended in place, no order waits at the venue for a
    trigger, and a gap in a book may go unnoticed (`capabilities.verified_books`). Blocks for ccxt's import: make it
    in a thread.

    Args:
        options: The venue as it is configured.
        credentials: Where the keys of its accounts are.
        clock: The engine's clock.
        coordinator: Lets requests leave.
        missed: See `NativeVenue`.

    Raises:
        ConfigurationError: ccxt does not know the exchange, or only a part of its addresses is set.
    """

    def __init__(
        self,
        options: Any,
        credentials: CredentialSource,
        clock: Clock,
        *,
        coordinator: Coordinator,
        missed: Callable[[], None] | None = None,
    ) -> None:
        if options.addresses and set(options.addresses) != ADDRESSES:
            raise ConfigurationError(
                f"The addresses of {options.id} are {', '.join(sorted(options.addresses))}; through ccxt a venue has "
                "rest and ws, and who changes one has to change the other: orders and prices belong to one exchange."
            )
        name = options.exchange or str(options.id).lower()
        self.exchange: str = name
        self.ccxt = import_class(name, streaming=True)()
        """ccxt's word for what it can do there; sends nothing."""
        super().__init__(
            options,
            credentials,
            clock,
            capabilities=capabilities(self.ccxt, options.timeout_s),
            timeframes=frozenset(timeframes(self.ccxt)),
            missed=missed,
        )
        self.where: Callable[[ClientOrderId], InstrumentId | None] | None = None
        """What whoever keeps the books knows of where an order is."""
        self._peculiar = peculiar(name)
        self._questions: dict[AccountId, Questions] = {}
        self._coordinator = coordinator
        self._table = VenueTable(
            exchange=name,
            limits=GENERIC_LIMITS,
            failures=Failures(str(options.id), json_fault("code", "error_code", "retCode")),
            testnet="sandbox" if self.ccxt.urls.get("test") else "",
            config={
                # Text, not decimals: ccxt reads its own results again, and takes decimals for nothing at all.
                "number": str,
                "newUpdates": True,
                "options": {"warnOnFetchOpenOrdersWithoutSymbol": False, **self._peculiar.options},
            },
            streaming=True,
        )
        self._root: CcxtTransport | None = None
        self._books: CcxtTransport | None = None
        """The way to books: ccxt's own ones are sorted by numbers, and hold floats whatever it is told."""

    # --- asking ccxt -------------------------------------------------------------------------------------------------

    def has(self, able: str) -> bool:
        """Whether ccxt has a method for this exchange, or emulates it."""
        return bool(self.ccxt.has.get(able))

    async def public(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """Call a unified method without a key. Raises typed errors."""
        if self._root is None or self._books is None:
            raise self._not_open()
        return await self._unified(self._books if method in BOOKS else self._root, method, args, kwargs)

    async def private(self, line: AccountLine, method: str, *args: Any, carries: str = "", **kwargs: Any) -> Any:
        """Call a unified method with an account's key, letting nothing leave without what it has to carry.

        Raises typed errors.
        """
        return await self._unified(cast("CcxtTransport", line.transport), method, args, kwargs, carries)

    async def _unified(
        self, transport: CcxtTransport, method: str, args: tuple[Any, ...], kwargs: dict[str, Any], carries: str = ""
    ) -> Any:
        await transport.open()
        exchange = transport.unlock()
        if transport is not self._root and self._root is not None and exchange.markets is None:
            _share_markets(self._root.exchange, exchange)
        changes = method in CHANGES
        endpoint = Endpoint(
            name=method,
            method="",
            path=method,
            cost={"orders": 1} if method == "create_order" else {},
            priority=PRIORITIES.get(method, Priority.QUERY),
            changes=changes,
        )
        notes = CallNotes(endpoint, carries)
        token = call_notes.set(notes)
        try:
            # ccxt rounds by changing the context that it finds: it gets one of its own, or all of ours would round so.
            with localcontext():
                told = await getattr(exchange, method)(*args, **kwargs)
        except Exception as error:
            typed = typed_error(self.id, error, method.replace("_", " "), changes=changes)
            if isinstance(typed, ExchangeClockError):
                self._measure_soon()
            raise typed from None
        finally:
            call_notes.reset(token)
        if method == "fetch_time" and notes.answer is not None:
            transport.offset.add(notes.answer.sent, int(told) * parse.MS, notes.answer.received)
        return told

    def _measure_soon(self) -> None:
        """The clock is wrong: measure it anew beside whatever else goes on."""
        if self._root is not None and self.has("fetchTime"):
            self._root.offset.restart()
            self._keep(self._prepared(), f"clock of {self.id}")

    def of_symbol(self, symbol: Any) -> Instrument | None:
        """The instrument that ccxt calls so."""
        return self.catalogue.by_symbol(str(symbol))

    def instrument_of(self, client_id: ClientOrderId) -> InstrumentId | None:
        """Where an order is by the books; None for one that they do not know."""
        return None if self.where is None else self.where(client_id)

    @property
    def watched(self) -> list[InstrumentId]:
        """What is watched now."""
        return list(self._watched)

    # --- what NativeVenue wants --------------------------------------------------------------------------------------

    def _transport(self, account: AccountId | None, credentials: Credentials | None) -> Transport:
        if account is None:
            self._root = CcxtTransport(
                self._table, self.options, self._credentials, self.clock, coordinator=self._coordinator
            )
            self._books = self._root.for_account(
                None, table=msgspec.structs.replace(self._table, config={**self._table.config, "number": float})
            )
            return self._root
        assert self._root is not None
        return self._root.for_account(account)

    async def _end_transport(self, transport: Transport) -> None:
        await cast("CcxtTransport", transport).close()
        if transport is self._root and self._books is not None:
            await self._books.close()

    def _private_stream(self, line: AccountLine) -> PrivateStream:
        # What is known of its orders is kept while the venue is closed: one without an answer stays one.
        questions = self._questions.setdefault(line.account, Questions(self, line, Orders()))
        questions.renewed(line)
        return Desk(self, line, questions)

    def _market_feed(self) -> MarketFeed:
        return GenericFeed(self)

    async def _prepared(self) -> None:
        if self.has("fetchTime"):
            await self.server_time()

    async def _listings(self) -> Sequence[tuple[str, Instrument]]:
        markets = await self.public("load_markets", True)
        places = self.ccxt.precisionMode == 2  # ccxt's DECIMAL_PLACES
        found = (parse.instrument(self.id, market, places=places) for market in markets.values())
        return [(one.symbol, one) for one in found if one is not None]

    def _desk(self, line: AccountLine) -> Desk:
        assert isinstance(line.stream, Desk)
        return line.stream

    async def _send(self, line: AccountLine, instrument: Instrument, command: OrderCommand) -> Sequence[VenueEvent]:
        self._check(instrument, command)
        desk, client_id = self._desk(line), command.client_id
        if (known := desk.orders.place(client_id)) is not None:
            raise typed_error(self.id, _Used(f"{client_id} is the order {known.number} already"), CREATE, changes=True)
        kind, price, tif = await self._terms(instrument, command)
        # Before it leaves: what has no answer may still be filled.
        desk.questions.leaves(command)
        try:
            told = await self.private(
                line,
                "create_order",
                instrument.symbol,
                kind.value,
                command.side.value,
                _text(command.quantity),
                None if price is None else _text(price),
                self._params(command, kind, tif),
                carries=client_id,
            )
        except NOT_SENT:
            desk.questions.never_was(client_id)
            raise
        except ExchangeError as error:
            if not self._peculiar.refused or self._peculiar.refused not in str(error.details.get("words")):
                raise desk.questions.without_answer(error) from None
            desk.questions.never_was(client_id)
            raise OrderRejectionError(error.message, error_code=error.error_code, details=error.details) from None
        desk.wake()
        number = VenueOrderId(str(told.get("id") or ""))
        if not number:
            raise UnknownOutcomeError(f"{self.id} took the order {client_id} and does not name it; ask for it.")
        stamp = int(told["timestamp"]) * parse.MS if told.get("timestamp") else self.venue_now()
        desk.questions.learn(client_id, number, instrument.id)
        return [ev.OrderAccepted(client_id=client_id, venue_order_id=number, ts=stamp)]

    async def _terms(self, of: Instrument, command: OrderCommand) -> tuple[OrderType, Decimal | None, TimeInForce]:
        """As what an order is sent: a market buy that would name its value is one at a limit, now or never."""
        by_value = buys_by_value(self.ccxt) and not self._peculiar.market_buy
        if command.type is not OrderType.MARKET or command.side is not OrderSide.BUY or not by_value:
            return command.type, command.price, command.tif
        bound = command.price
        if bound is None:
            best = (await self.book(of.id, 1)).asks
            if not best:
                raise ValidationError(f"{of.id} has no offers at {self.id}; there is nothing to buy.")
            bound = of.round_price(of.price_from_int(best[0][0]) * (1 + COLLAR), up=True)
        return OrderType.LIMIT, bound, TimeInForce.IOC

    def _params(self, command: OrderCommand, kind: OrderType, tif: TimeInForce) -> dict[str, Any]:
        params: dict[str, Any] = {"clientOrderId": command.client_id}
        if self._peculiar.id_param:
            params[self._peculiar.id_param] = command.client_id
        if kind is OrderType.LIMIT and tif is not TimeInForce.GTC:
            params["timeInForce"] = tif.value
        if command.post_only:
            params["postOnly"] = True
        if kind is OrderType.MARKET and command.side is OrderSide.BUY:
            params |= self._peculiar.market_buy
        return params

    def _check(self, of: Instrument, command: OrderCommand) -> None:
        """Refuse what ccxt would round or translate on its own. Raises ValidationError."""
        rules, able = of.current_rules, self.capabilities
        if of.kind not in able.kinds:
            raise ValidationError(
                f"Through ccxt only spot is traded: at {self.id} a {of.kind.replace('_', ' ')} such as {of.id} is "
                "only looked at."
            )
        if command.type not in able.order_types or command.tif not in able.times_in_force:
            raise ValidationError(f"{self.id} takes no {command.type} order that lasts {command.tif} here.")
        if command.post_only and not able.post_only:
            raise ValidationError(f"{self.id} takes no post-only orders here.")
        if command.type is OrderType.LIMIT and command.price is None:
            raise ValidationError("A limit order needs a price.")
        if command.quantity % rules.lot or (rules.min_quantity and command.quantity < rules.min_quantity):
            raise ValidationError(f"{command.quantity} of {of.id} is not a multiple of {rules.lot}, or too little.")
        if command.price is not None and command.price % rules.price_tick:
            raise ValidationError(f"The price {command.price} of {of.id} is not a multiple of {rules.price_tick}.")

    async def _end_order(self, line: AccountLine, client_id: ClientOrderId) -> Sequence[VenueEvent]:
        desk = self._desk(line)
        place = desk.orders.place(client_id)
        if place is None or not place.number:
            order = await desk.order(client_id)
            if order is None:
                raise NotFoundError(f"{self.id} knows of no order {client_id}; nothing was cancelled.")
            place = Place(order.instrument, order.venue_order_id)
        await self.private(line, "cancel_order", place.number, self.catalogue.get(place.instrument).symbol)
        # Its end is told when it has been asked for, after the executions that it promises.
        desk.wake()
        return []

    async def _change_order(
        self,
        line: AccountLine,
        client_id: ClientOrderId,
        quantity: Decimal | None,
        price: Decimal | None,
        stop_price: Decimal | None,
    ) -> Sequence[VenueEvent]:
        raise ValidationError(
            f"{self.id} does not change orders in place here; cancel {client_id} and place another.",
            error_code=AMEND_UNSUPPORTED,
        )

    async def _open_orders(self, line: AccountLine) -> Sequence[VenueOrder]:
        return await self._desk(line).questions.open_orders()

    async def _find_order(self, line: AccountLine, client_id: ClientOrderId) -> VenueOrder | None:
        return await self._desk(line).order(client_id)

    async def _candle_page(self, instrument: Instrument, timeframe: str, end: int, limit: int) -> Sequence[Candle]:
        length = timeframe_ns(timeframe)
        # More than its longest page would be cut at an end that nobody knows.
        longest = longest_page(self.ccxt, "fetchOHLCV") or CANDLES
        count = min(limit + 1, longest)
        for _ in range(WINDOWS):
            since = end - count * length
            rows = await self.public("fetch_ohlcv", instrument.symbol, timeframe, since // parse.MS, count)
            candles = [parse.candle(row, instrument, timeframe) for row in rows]
            if found := [one for one in candles if since <= one.ts < end]:
                return found
            end, count = since, longest
        return []

    def _clock_offset_ms(self) -> float | None:
        root = self._root
        return root.offset.offset_ns / 1e6 if root is not None and root.offset.measured else None

    def _limits(self) -> dict[str, float]:
        return self._root.usage() if self._root is not None else {}

    def _paused_until(self) -> int:
        return self._root.paused_until if self._root is not None else 0

    # --- questions ---------------------------------------------------------------------------------------------------

    async def server_time(self) -> int:
        """The venue's clock in UTC nanoseconds; taken into the offset with which requests are signed."""
        if not self.has("fetchTime"):
            self._need_open()
            return self.venue_now()
        return int(await self.public("fetch_time")) * parse.MS

    async def balances(self, account: AccountId) -> Sequence[VenueBalance]:
        """All non-zero balances of an account."""
        return parse.balances(await self.private(self.line(account), "fetch_balance"))

    async def fills_since(self, account: AccountId, cursor: str) -> tuple[Sequence[Fill], str]:
        """Executions after a cursor in the markets it knows, those of open orders and those watched."""
        return await self._desk(self.line(account)).fills_since(cursor)

    async def book(self, instrument: InstrumentId, depth: int) -> BookUpdate:
        """The present book as a snapshot of at most `depth` levels a side."""
        self._need_open()
        of = self.catalogue.get(instrument)
        told = await self.public("fetch_order_book", of.symbol)
        stamp = int(told["timestamp"]) * parse.MS if told.get("timestamp") else self.venue_now()
        bids, asks = parse.levels(told["bids"], of, depth), parse.levels(told["asks"], of, depth)
        return BookUpdate(of.id, stamp, 0, snapshot=True, bids=tuple(bids.items()), asks=tuple(asks.items()))

    async def trades(self, instrument: InstrumentId, limit: int = 100) -> Sequence[MarketTrade]:
        """The newest public trades, oldest first."""
        self._need_open()
        of = self.catalogue.get(instrument)
        told = await self.public("fetch_trades", of.symbol, None, limit)
        return [trade for one in told if (trade := parse.market_trade(one, of)) is not None][-limit:]

    async def tickers(self, instruments: Sequence[InstrumentId] | None = None) -> Sequence[Ticker]:
        """The last 24 hours of these instruments, or of all."""
        self._need_open()
        symbols = None if instruments is None else [self.catalogue.get(i).symbol for i in instruments]
        told = await self.public("fetch_tickers", symbols)
        found = [(self.of_symbol(symbol), one) for symbol, one in told.items()]
        now = self.clock.now()
        return [parse.ticker(one, of, now) for of, one in found if of is not None and of.id in self.catalogue]

    async def permissions(self, account: AccountId) -> Permissions:
        """Whether the key can read; ccxt has no way to ask for more."""
        await self.balances(account)
        return Permissions(
            read=True,
            trade=None,
            withdraw=None,
            note=f"{self.id} was asked whether the key may read; ccxt cannot ask what else it may do.",
        )


class _Used(Exception):
    """A client order id that was used before."""


def _share_markets(source: Any, target: Any) -> None:
    """Let two of ccxt's objects look at one list of markets."""
    for name in (
        "markets", "markets_by_id", "symbols", "ids", "currencies", "currencies_by_id", "codes", "baseCurrencies",
        "quoteCurrencies",
    ):  # fmt: skip
        setattr(target, name, getattr(source, name))


def _text(value: Decimal) -> str:
    return format(value, "f")
