"""Binance spot as the engine sees it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec

from engine import events as ev
from engine.errors import AuthenticationError, NotFoundError, QuarterdeckError, ValidationError
from engine.model.order import OrderType
from engine.model.venue import AMEND_UNSUPPORTED, Permissions
from engine.venues.binance import spot_parse as parse
from engine.venues.binance.adapter import BinanceAdapter, Service
from engine.venues.binance.feed import DEPTH, LIVES_S, BinanceFeed
from engine.venues.binance.numbers import ENDED, plain, status_of
from engine.venues.binance.signing import signed
from engine.venues.binance.spot_table import (
    ADDRESSES,
    CAPABILITIES,
    DEFAULT_FEE,
    SPOT,
    TESTNET_ADDRESSES,
    SpotEndpoints,
)
from engine.venues.binance.table import MS, NO_SYMBOL
from engine.venues.native.private import PooledStream
from engine.venues.native.stream import StreamTable
from engine.venues.spot_only import SpotOnly

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

    from engine.clock import Clock
    from engine.events import VenueEvent
    from engine.model.credentials import CredentialSource
    from engine.model.fill import Fill
    from engine.model.ids import AccountId, ClientOrderId, Currency
    from engine.model.instrument import Instrument
    from engine.model.venue import OrderCommand, VenueBalance, VenueOrder
    from engine.venues.limits.coordinator import Coordinator
    from engine.venues.native.line import AccountLine, MarketFeed, PrivateStream
    from engine.venues.native.options import VenueOptions
    from engine.venues.native.stream import StreamConnection

__all__ = ["BinanceVenue"]

LOGIN = "login"
HELD_NS = 10_000_000_000
"""How old the list of currencies may be by which symbols are found that were traded elsewhere."""
QUOTES = ("USDT", "USDC", "FDUSD", "BTC", "BNB", "ETH", "EUR", "TRY")
"""Currencies against which a held one is looked for when executions are read."""


def _depth_weight(levels: int) -> float:
    return next(weight for most, weight in ((100, 5.0), (500, 25.0), (1000, 50.0), (5000, 250.0)) if levels <= most)


class BinanceVenue(SpotOnly, BinanceAdapter):
    """Spot (`engine.model.venue.Venue`); see `NativeVenue` for what it keeps to."""

    service = Service(
        table=SPOT,
        capabilities=CAPABILITIES,
        addresses=ADDRESSES,
        testnet_addresses=TESTNET_ADDRESSES,
        depth=SpotEndpoints.depth,
        trades=SpotEndpoints.trades,
        candles=SpotEndpoints.candles,
        tickers=SpotEndpoints.tickers,
        fills=SpotEndpoints.fills,
        all_orders=SpotEndpoints.all_orders,
        depth_weight=_depth_weight,
        depths=(5, 10, 20, 50, 100, 500, 1000, 5000),
        candle_page=1000,
    )

    def __init__(
        self, options: VenueOptions, credentials: CredentialSource, clock: Clock, *, coordinator: Coordinator
    ) -> None:
        super().__init__(options, credentials, clock, coordinator=coordinator)
        self._held: dict[AccountId, tuple[int, frozenset[Currency]]] = {}
        """When it was asked for, and what each account held."""

    # --- connections -------------------------------------------------------------------------------------------------

    def _market_feed(self) -> MarketFeed:
        return BinanceFeed(
            self,
            {"public": f"{self._address('public')}/stream"},
            {"public": (DEPTH, "@trade", "@kline_1m", "@ticker")},
            self._whole_book,
        )

    def _private_stream(self, line: AccountLine) -> PrivateStream:
        async def where() -> str:
            return self._address("private")

        async def login(connection: StreamConnection) -> None:
            credentials = self._credentials.credentials(self.id, line.account)
            if credentials is None:
                raise AuthenticationError(f"The key of {line.account} at {self.id} is gone; add it again.")
            params = signed({"timestamp": self.venue_now() // MS}, credentials)
            request = {"id": LOGIN, "method": "userDataStream.subscribe.signature", "params": params}
            await connection.send(msgspec.json.encode(request))
            await connection.answer(LOGIN)

        table = StreamTable(
            name=f"private {line.account}",
            address=where,
            login=login,
            acknowledged=False,
            connections=2,
            # An account without orders is silent for hours; the venue pings every 20 s and so do we.
            silence_s=86_400.0,
            renew_s=LIVES_S,
        )
        return PooledStream(
            line,
            table,
            lambda connection, data, _: self._on_private(line, connection, data),
            clock=self.clock,
            limit=self.streams,
            ca_file=self.options.ca_file,
        )

    def _on_private(self, line: AccountLine, connection: StreamConnection, data: bytes) -> None:
        frame = parse.parse_frame(data)
        if frame.e == "executionReport":
            self._on_report(line, parse.parse_report(frame.event))
        elif frame.e == "eventStreamTerminated":
            connection.drop("the venue has ended the subscription")
        elif frame.id == LOGIN:
            connection.answered(LOGIN, self._refusal(frame))

    @staticmethod
    def _refusal(frame: parse.SpotFrame) -> QuarterdeckError | None:
        if frame.status == 200:
            return None
        fault = SPOT.failures.find(frame.status, bytes(frame.error))
        assert fault is not None
        return SPOT.failures.error(frame.status, fault, SpotEndpoints.account)

    def _on_report(self, line: AccountLine, report: parse.ExecutionReport) -> None:
        instrument = self.catalogue.by_symbol(report.s)
        if instrument is None:
            self.strange(report.s)
            return
        over = status_of(report.X)
        self.directory(line).note(
            report.client_id, report.s, report.i, is_open=over not in ENDED and report.X != "FILLED"
        )
        line.heard(parse.report_events(report, instrument, line.account))

    # --- instruments and accounts ------------------------------------------------------------------------------------

    async def _listings(self) -> Sequence[tuple[str, Instrument]]:
        fee = (DEFAULT_FEE, DEFAULT_FEE)
        fees: dict[str, tuple[Decimal, Decimal]] = {}
        line = next(iter(self.lines.values()), None)
        if line is not None:
            rates = parse.parse_account(await self.ask(line, SpotEndpoints.account)).commissionRates
            fee = fee if rates is None else (rates.maker, rates.taker)
            if not self.options.testnet:
                fees = await self._quietly(self._fees(line), {})
        body = await self.ask(None, SpotEndpoints.instruments)
        # Thousands of them take longer than the loop may be held up.
        listed, halted = await asyncio.to_thread(parse.parse_instruments, body, self.id, fees, fee)
        self.catalogue.remember(halted)
        return listed

    async def _fees(self, line: AccountLine) -> dict[str, tuple[Decimal, Decimal]]:
        return parse.parse_fees(await self.ask(line, SpotEndpoints.fees))

    async def balances(self, account: AccountId) -> Sequence[VenueBalance]:
        """All non-zero balances. Raises ExchangeConnectionError."""
        asked = self.clock.monotonic()
        found = parse.parse_balances(await self.ask(self.line(account), SpotEndpoints.account))
        self._held[account] = asked, frozenset(balance.currency for balance in found)
        return found

    async def _currencies(self, account: AccountId) -> frozenset[Currency]:
        """What the account holds; the question is dear, and what was bought a moment ago is found the next time."""
        asked, held = self._held.get(account, (-HELD_NS, frozenset()))
        if self.clock.monotonic() - asked > HELD_NS:
            held = frozenset(balance.currency for balance in await self.balances(account))
        return held

    async def permissions(self, account: AccountId) -> Permissions:
        """What the key may do; what the account may on the testnet, which says no more. Raises AuthenticationError."""
        line = self.line(account)
        if not self.options.testnet:
            return parse.parse_permissions(await self.ask(line, SpotEndpoints.restrictions), futures=False)
        found = parse.parse_account(await self.ask(line, SpotEndpoints.account))
        return Permissions(read=True, trade=found.canTrade, withdraw=found.canWithdraw)

    # --- orders ------------------------------------------------------------------------------------------------------

    async def _send(self, line: AccountLine, instrument: Instrument, command: OrderCommand) -> Sequence[VenueEvent]:
        self._check(command)
        symbol = self.catalogue.symbol(instrument.id)
        params = self._basics(command, symbol) | _terms(command)
        params |= {"newClientOrderId": command.client_id, "newOrderRespType": "FULL"}
        self.directory(line).note(command.client_id, symbol)
        answer = parse.parse_placed(await self.ask(line, SpotEndpoints.place, params, priority=self._priority(command)))
        self.directory(line).note(command.client_id, symbol, answer.orderId)
        events = parse.placed_events(answer, instrument, line.account)
        return events + parse.end_of(command.client_id, answer.status, answer.transactTime * MS)

    async def _end_order(self, line: AccountLine, client_id: ClientOrderId) -> Sequence[VenueEvent]:
        symbol = await self._need_symbol(line, client_id)
        body = await self.ask(line, SpotEndpoints.cancel, {"symbol": symbol, "origClientOrderId": client_id})
        answer = parse.parse_placed(body)
        if answer.executedQty != line.reports.filled(client_id):
            # Its executions have not been told yet; the stream tells them first, and then its end.
            return ()
        return parse.end_of(client_id, answer.status, answer.transactTime * MS)

    async def _change_order(
        self,
        line: AccountLine,
        client_id: ClientOrderId,
        quantity: Decimal | None,
        price: Decimal | None,
        stop_price: Decimal | None,
    ) -> Sequence[VenueEvent]:
        if quantity is None or price is not None or stop_price is not None:
            raise ValidationError(
                f"{self.id} changes nothing of a working order but its quantity, downwards.",
                error_code=AMEND_UNSUPPORTED,
            )
        params = {
            "symbol": await self._need_symbol(line, client_id),
            "origClientOrderId": client_id,
            # Without it the venue would give the order another id.
            "newClientOrderId": client_id,
            "newQty": plain(quantity),
        }
        answer = parse.parse_amended(await self.ask(line, SpotEndpoints.amend, params))
        return [ev.OrderAmended(client_id=client_id, ts=answer.transactTime * MS, quantity=answer.amendedOrder.qty)]

    async def _find_order(self, line: AccountLine, client_id: ClientOrderId) -> VenueOrder | None:
        async def look(symbol: str) -> VenueOrder | None:
            try:
                body = await self.ask(line, SpotEndpoints.order, {"symbol": symbol, "origClientOrderId": client_id})
            except NotFoundError as error:
                if error.error_code == NO_SYMBOL:
                    raise
                return None
            row = parse.parse_order(body)
            await self.learn([row.symbol])
            return self._known(line, row)

        return await self._look_for(line, client_id, look)

    async def _open_orders(self, line: AccountLine) -> Sequence[VenueOrder]:
        rows = parse.parse_orders(await self.ask(line, SpotEndpoints.open_orders))
        await self.learn(row.symbol for row in rows)
        return [order for row in rows if (order := self._known(line, row)) is not None]

    def _known(self, line: AccountLine, row: parse.OrderRow) -> VenueOrder | None:
        instrument = self.catalogue.by_symbol(row.symbol)
        if instrument is None:
            return None
        order = parse.to_order(row, instrument, line.account)
        self.directory(line).note(row.clientOrderId, row.symbol, row.orderId, is_open=order.status not in ENDED)
        return order

    async def fills_since(self, account: AccountId, cursor: str) -> tuple[Sequence[Fill], str]:
        """Executions after a cursor, in all symbols in which the account is known to have traded or holds something.

        Those of a currency that was bought and sold again elsewhere, while nobody listened, are not among them; the
        comparison of balances shows that something is missing then.

        Raises:
            DataValidationError: The cursor cannot be read.
            ExchangeConnectionError: The venue cannot be reached.
        """
        line, known = self.line(account), self._executions.read(cursor)
        symbols = await self._symbols_to_read(line, known.next)
        listed = await self._listed(line, cursor, symbols, parse.parse_trade_rows)
        rows = listed.fresh
        await self.learn(row.symbol for row in rows)
        await self._owners(line, rows, _numbers)
        directory, fills = self.directory(line), []
        for row in rows:
            instrument = self.catalogue.by_symbol(row.symbol)
            client_id = directory.owner(row.symbol, row.orderId)
            if instrument is not None and client_id is not None:
                fills.append(parse.to_fill(row, instrument, account, client_id))
        return fills, self._executions.after(account, listed, known)

    async def _symbols_to_read(self, line: AccountLine, read: dict[str, int]) -> list[str]:
        held = await self._currencies(line.account)
        symbols = {**dict.fromkeys(read), **self.directory(line).symbols}
        for base in held:
            symbols |= {f"{base}{quote}": None for quote in QUOTES if quote in held}
        symbols |= {self.catalogue.symbol(i): None for i in self._watched if i in self.catalogue}
        return sorted(symbol for symbol in symbols if self.catalogue.by_symbol(symbol) is not None)


def _terms(command: OrderCommand) -> dict[str, Any]:
    """Type, prices and time in force as the venue wants them."""
    price = None if command.price is None else plain(command.price)
    stop = None if command.stop_price is None else plain(command.stop_price)
    limit = {"price": price, "timeInForce": command.tif.value}
    match command.type:
        case OrderType.LIMIT if command.post_only:
            return {"type": "LIMIT_MAKER", "price": price}
        case OrderType.LIMIT:
            return {"type": "LIMIT", **limit}
        case OrderType.MARKET if price is not None:
            # The collar of a market order: nothing beyond that price, and nothing stays.
            return {"type": "LIMIT", "price": price, "timeInForce": "IOC"}
        case OrderType.MARKET:
            return {"type": "MARKET"}
        case OrderType.STOP_LOSS:
            return (
                {"type": "STOP_LOSS", "stopPrice": stop}
                if price is None
                else {"type": "STOP_LOSS_LIMIT", "stopPrice": stop, **limit}
            )
        case OrderType.TAKE_PROFIT:
            return (
                {"type": "TAKE_PROFIT", "stopPrice": stop}
                if price is None
                else {"type": "TAKE_PROFIT_LIMIT", "stopPrice": stop, **limit}
            )


def _numbers(body: bytes) -> list[tuple[int, str]]:
    return [(row.orderId, row.clientOrderId) for row in parse.parse_orders(body)]
