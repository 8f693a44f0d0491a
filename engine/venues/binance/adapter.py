"""What the adapters of Binance's two services share: transports, public requests, where orders are, executions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from engine.errors import NotFoundError, NotVisibleYetError, QuarterdeckError, ValidationError
from engine.logs import get_logger
from engine.model.ids import symbol_of
from engine.model.order import OrderType, TimeInForce
from engine.model.venue import Capabilities
from engine.venues.binance.directory import Directory
from engine.venues.binance.executions import PAGE, Executions, Row
from engine.venues.binance.market_parse import parse_book, parse_candles, parse_tickers, parse_trades
from engine.venues.binance.numbers import plain
from engine.venues.binance.table import MAINTAINED, MS, TIMEFRAMES
from engine.venues.limits.rules import lowered
from engine.venues.native.request import Endpoint, Priority
from engine.venues.native.transport import CcxtTransport, VenueTable
from engine.venues.native.venue import NativeVenue, visible_after

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterable, Sequence

    from engine.clock import Clock
    from engine.model.candle import Candle
    from engine.model.credentials import Credentials, CredentialSource
    from engine.model.ids import AccountId, ClientOrderId, InstrumentId
    from engine.model.instrument import Instrument
    from engine.model.market import BookUpdate, MarketTrade, Ticker
    from engine.model.venue import OrderCommand
    from engine.venues.binance.executions import Listed
    from engine.venues.limits.coordinator import Coordinator
    from engine.venues.native.line import AccountLine
    from engine.venues.native.options import VenueOptions
    from engine.venues.native.request import Transport

__all__ = ["BinanceAdapter", "Service"]

log = get_logger(__name__)


class Service(msgspec.Struct, frozen=True, kw_only=True):
    """What differs between the services in public requests."""

    table: VenueTable
    capabilities: Capabilities
    addresses: Mapping[str, str]
    testnet_addresses: Mapping[str, str]
    depth: Endpoint
    trades: Endpoint
    candles: Endpoint
    tickers: Endpoint
    fills: Endpoint
    all_orders: Endpoint
    depth_weight: Callable[[int], float]
    """By the number of levels asked for."""
    depths: tuple[int, ...]
    """Numbers of levels that may be asked for, ascending."""
    candle_page: int


T = TypeVar("T")
RowT = TypeVar("RowT", bound=Row)


class BinanceAdapter(NativeVenue):
    """Base of both adapters; see `NativeVenue`.

    Attributes:
        where: Gives the instrument of an order that whoever keeps the books knows; None where nobody does. After a
            restart it is the only source for orders that have ended, which the venue finds by symbol only.
    """

    service: Service
    maintained_codes = MAINTAINED

    def __init__(
        self, options: VenueOptions, credentials: CredentialSource, clock: Clock, *, coordinator: Coordinator
    ) -> None:
        able = visible_after(self.service.capabilities, options.timeout_s)
        super().__init__(options, credentials, clock, capabilities=able, timeframes=TIMEFRAMES)
        self.where: Callable[[ClientOrderId], InstrumentId | None] | None = None
        self._coordinator = coordinator
        table = self.service.table
        self.streams = coordinator.connections(table.exchange, lowered(table.limits, options.limits))
        """What Binance allows of connections."""
        self._root: CcxtTransport | None = None
        self._directories: dict[AccountId, Directory] = {}
        self._executions = Executions(options.id, clock.now() // MS)

    # --- transports --------------------------------------------------------------------------------------------------

    def _transport(self, account: AccountId | None, credentials: Credentials | None) -> Transport:
        if account is None or self._root is None:
            self._root = CcxtTransport(
                self.service.table, self.options, self._credentials, self.clock, coordinator=self._coordinator
            )
        return self._root if account is None else self._root.for_account(account)

    async def _end_transport(self, transport: Transport) -> None:
        if isinstance(transport, CcxtTransport):
            await transport.close()

    async def _prepared(self) -> None:
        await self._need_root().measure_clock()

    def _need_root(self) -> CcxtTransport:
        if self._root is None:
            raise self._not_open()
        return self._root

    def _clock_offset_ms(self) -> float | None:
        root = self._root
        return root.offset.offset_ns / 1e6 if root is not None and root.offset.measured else None

    def _limits(self) -> dict[str, float]:
        return {} if self._root is None else self._root.usage()

    def _paused_until(self) -> int:
        return 0 if self._root is None else self._root.paused_until

    def _address(self, name: str) -> str:
        own = self.service.testnet_addresses if self.options.testnet else self.service.addresses
        return self.options.addresses.get(name, own[name]).rstrip("/")

    # --- public requests ---------------------------------------------------------------------------------------------

    async def server_time(self) -> int:
        """The venue's clock. Raises ExchangeConnectionError."""
        self._need_open()
        return await self._need_root().measure_clock()

    async def book(self, instrument: InstrumentId, depth: int) -> BookUpdate:
        """The present book. Raises NotFoundError, ExchangeConnectionError."""
        self._need_open()
        found = self.catalogue.get(instrument)
        asked = next((d for d in self.service.depths if d >= depth), self.service.depths[-1])
        return parse_book(await self._depth(self.catalogue.symbol(instrument), asked), found, depth, self.venue_now())

    async def _depth(self, symbol: str, asked: int) -> bytes:
        cost = {"weight": self.service.depth_weight(asked)}
        return await self.ask(None, self.service.depth, {"symbol": symbol, "limit": str(asked)}, cost=cost)

    async def _whole_book(self, symbol: str) -> bytes:
        return await self._depth(symbol, 1000)

    async def trades(self, instrument: InstrumentId, limit: int = 100) -> Sequence[MarketTrade]:
        """The newest public trades, oldest first. Raises NotFoundError, ExchangeConnectionError."""
        self._need_open()
        found = self.catalogue.get(instrument)
        params = {"symbol": self.catalogue.symbol(instrument), "limit": str(max(1, min(limit, PAGE)))}
        return parse_trades(await self.ask(None, self.service.trades, params), found)

    async def tickers(self, instruments: Sequence[InstrumentId] | None = None) -> Sequence[Ticker]:
        """The last 24 hours; one request, whatever is asked for. Raises NotFoundError, ExchangeConnectionError."""
        self._need_open()
        wanted = None if instruments is None else {self.catalogue.get(i).id for i in instruments}
        one = wanted is not None and len(wanted) == 1
        params = {"symbol": self.catalogue.symbol(next(iter(wanted or ())))} if one else {}
        body = await self.ask(None, self.service.tickers, params, cost={"weight": 2.0} if one else None)
        found = parse_tickers(body, self.catalogue.by_symbol)
        return [t for t in found if t.instrument in self.catalogue and (wanted is None or t.instrument in wanted)]

    async def _candle_page(self, instrument: Instrument, timeframe: str, end: int, limit: int) -> Sequence[Candle]:
        params = {
            "symbol": self.catalogue.symbol(instrument.id),
            "interval": timeframe,
            # Both ends are included there.
            "endTime": str(end // MS - 1),
            "limit": str(min(limit + 1, self.service.candle_page)),
        }
        return parse_candles(await self.ask(None, self.service.candles, params), instrument, timeframe, end)

    # --- where orders are --------------------------------------------------------------------------------------------

    def directory(self, line: AccountLine) -> Directory:
        """What is known of where the account's orders are."""
        return self._directories.setdefault(line.account, Directory())

    def _symbol_of(self, line: AccountLine, client_id: ClientOrderId) -> str | None:
        """The symbol of an order, from what is known without asking the venue."""
        place = self.directory(line).place(client_id)
        if place is not None:
            return place.symbol
        instrument = None if self.where is None else self.where(client_id)
        if instrument is None:
            return None
        # Whether or not it is traded now; what is not even listed keeps its name there.
        name = symbol_of(instrument).partition(":")[0].replace("/", "")
        return self.catalogue.symbol_of(instrument) or name

    async def _look_for(
        self, line: AccountLine, client_id: ClientOrderId, look: Callable[[str], Awaitable[T | None]]
    ) -> T | None:
        """Look an order up in the symbol that it is known to be in, else among all open ones and where others were."""
        symbol = self._symbol_of(line, client_id)
        if symbol is None:
            await self.open_orders(line.account)
            symbol = self._symbol_of(line, client_id)
        candidates = [symbol] if symbol is not None else list(self.directory(line).symbols)
        for candidate in candidates:
            try:
                found = await look(candidate)
            except NotFoundError as error:
                # Only what the venue says of the order counts, not what it says of the symbol.
                raise NotVisibleYetError(
                    f"{self.id} does not list {candidate}, where {client_id} is; what became of it cannot be told.",
                    error_code=error.error_code,
                ) from error
            if found is not None:
                return found
        return None

    async def _need_symbol(self, line: AccountLine, client_id: ClientOrderId) -> str:
        """As `_symbol_of`, looking among the open orders at last.

        Raises:
            NotFoundError: It is not among them.
        """
        symbol = self._symbol_of(line, client_id)
        if symbol is None:
            await self.open_orders(line.account)
            symbol = self._symbol_of(line, client_id)
        if symbol is None:
            raise NotFoundError(f"{self.id} has no open order {client_id}.", error_code="-2011")
        return symbol

    # --- orders ------------------------------------------------------------------------------------------------------

    def _check(self, command: OrderCommand) -> None:
        """Refuse what cannot be said there. Raises ValidationError."""
        able = self.capabilities
        problem = ""
        if command.type not in able.order_types or command.tif not in able.times_in_force:
            problem = f"a {command.type} order with {command.tif}"
        elif command.reduce_only and not able.reduce_only:
            problem = "reduce-only orders"
        elif command.type is OrderType.LIMIT and command.price is None:
            problem = "a limit order without a price"
        elif command.type in (OrderType.STOP_LOSS, OrderType.TAKE_PROFIT) and command.stop_price is None:
            problem = "a stop or take-profit order without a stop price"
        elif command.post_only and (command.type is not OrderType.LIMIT or command.tif is not TimeInForce.GTC):
            problem = "post-only for anything but a limit order that stays"
        if problem:
            raise ValidationError(f"{self.id} does not take {problem}.", error_code="unsupported")

    @staticmethod
    def _priority(command: OrderCommand) -> Priority:
        if command.urgent:
            return Priority.EMERGENCY
        protects = command.reduce_only or command.type in (OrderType.STOP_LOSS, OrderType.TAKE_PROFIT)
        return Priority.PROTECT if protects else Priority.ORDER

    @staticmethod
    def _basics(command: OrderCommand, symbol: str) -> dict[str, Any]:
        return {"symbol": symbol, "side": command.side.value.upper(), "quantity": plain(command.quantity)}

    # --- executions --------------------------------------------------------------------------------------------------

    async def _listed(
        self, line: AccountLine, cursor: str, symbols: Iterable[str], read: Callable[[bytes], Sequence[RowT]]
    ) -> Listed[RowT]:
        """What is shown since a cursor of executions in these symbols."""
        return await self._executions.listed(
            line.account, cursor, symbols, lambda symbol, first: self._page(line, symbol, first, read)
        )

    async def _page(
        self, line: AccountLine, symbol: str, first: int, read: Callable[[bytes], Sequence[RowT]]
    ) -> Sequence[RowT]:
        params = {"symbol": symbol, "fromId": str(first), "limit": str(PAGE)}
        try:
            return read(await self.ask(line, self.service.fills, params))
        except NotFoundError as error:
            # Delisted: it is asked for again from the same place the next time.
            log.info("executions are not told", venue=self.id, symbol=symbol, problem=error.message)
            return []

    async def _owners(
        self, line: AccountLine, rows: Sequence[RowT], read: Callable[[bytes], Sequence[tuple[int, str]]]
    ) -> None:
        """Learn the client ids of the orders that were executed, many with each request."""
        directory = self.directory(line)
        for symbol in {row.symbol for row in rows}:
            while True:
                unknown = {
                    row.orderId for row in rows if row.symbol == symbol and directory.owner(symbol, row.orderId) is None
                }
                if not unknown:
                    break
                params = {"symbol": symbol, "orderId": str(min(unknown)), "limit": str(PAGE)}
                found = read(await self.ask(line, self.service.all_orders, params))
                for number, client_id in found:
                    directory.name(symbol, number, client_id)
                if directory.owner(symbol, min(unknown)) is None:
                    newest = max(row.time for row in rows if row.symbol == symbol and row.orderId == min(unknown))
                    if self.venue_now() - newest * MS < self.capabilities.visibility_delay_s * 1e9:
                        raise NotVisibleYetError(
                            f"{self.id} lists an execution of an order that it does not show yet; ask again.",
                            error_code="order_unseen",
                        )
                    # The venue forgets orders before their executions; nobody's id is as good as any.
                    directory.name(symbol, min(unknown), f"order{min(unknown)}")

    async def _quietly(self, work: Awaitable[T], default: T) -> T:
        """What is nice to know, or the default when the venue does not tell."""
        try:
            return await work
        except QuarterdeckError as error:
            log.info("not told by the venue", venue=self.id, problem=error.message)
            return default
