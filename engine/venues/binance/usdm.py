"""Binance USD-M perpetuals as the engine sees them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec

from engine import events as ev
from engine.errors import (
    NotFoundError,
    ValidationError,
)
from engine.logs import get_logger
from engine.model.ids import ClientOrderId, VenueOrderId
from engine.model.instrument import InstrumentKind
from engine.model.order import OrderType
from engine.model.venue import AMEND_UNSUPPORTED, Permissions
from engine.venues.binance import usdm_parse as parse
from engine.venues.binance.adapter import Service
from engine.venues.binance.feed import DEPTH, LIVES_S, BinanceFeed
from engine.venues.binance.numbers import ENDED, plain, status_of
from engine.venues.binance.spot_parse import end_of, parse_permissions
from engine.venues.binance.strays import Strays
from engine.venues.binance.table import HEDGED, MS, NO_SYMBOL
from engine.venues.binance.usdm_margin import UsdmMargin, parse_leverage_update
from engine.venues.binance.usdm_stream import ListenKeyStream
from engine.venues.binance.usdm_table import (
    ADDRESSES,
    CAPABILITIES,
    DEFAULT_FEES,
    TESTNET_ADDRESSES,
    USDM,
    UsdmEndpoints,
)
from engine.venues.native.catalogue import unlisted

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

    from engine.events import VenueEvent
    from engine.model.fill import Fill
    from engine.model.ids import AccountId
    from engine.model.instrument import Instrument
    from engine.model.venue import FundingPayment, OrderCommand, VenueBalance, VenueOrder, VenuePosition
    from engine.venues.native.line import AccountLine, MarketFeed, PrivateStream
    from engine.venues.native.stream import StreamConnection

__all__ = ["BinanceUsdmVenue"]

log = get_logger(__name__)

FUNDING_PAGE = 1000
INCOME_KEPT_MS = 90 * 86_400_000


class FundingCursor(msgspec.Struct, frozen=True):
    """How far an account's funding is known."""

    since: int
    """Venue's milliseconds of the newest payment read."""
    read: list[int]
    """Numbers of those of that very millisecond."""


_funding_cursor = msgspec.json.Decoder(FundingCursor)


def _depth_weight(levels: int) -> float:
    return next(weight for most, weight in ((50, 2.0), (100, 5.0), (500, 10.0), (1000, 20.0)) if levels <= most)


class BinanceUsdmVenue(UsdmMargin):
    """USD-M perpetuals (`engine.model.venue.Venue`); see `NativeVenue` for what it keeps to."""

    service = Service(
        table=USDM,
        capabilities=CAPABILITIES,
        addresses=ADDRESSES,
        testnet_addresses=TESTNET_ADDRESSES,
        depth=UsdmEndpoints.depth,
        trades=UsdmEndpoints.trades,
        candles=UsdmEndpoints.candles,
        tickers=UsdmEndpoints.tickers,
        fills=UsdmEndpoints.fills,
        all_orders=UsdmEndpoints.all_orders,
        depth_weight=_depth_weight,
        depths=(5, 10, 20, 50, 100, 500, 1000),
        candle_page=1000,
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._fed: dict[AccountId, set[str]] = {}
        """Symbols whose dead-man's switch runs, or may: an engine before this one may have fed all that are watched."""
        self._strays = Strays(self.clock)

    # --- connections -------------------------------------------------------------------------------------------------

    def _market_feed(self) -> MarketFeed:
        return BinanceFeed(
            self,
            {part: f"{self._address(part)}/stream" for part in ("public", "market")},
            {"public": (DEPTH, "@trade"), "market": ("@kline_1m", "@markPrice@1s", "@ticker")},
            self._whole_book,
        )

    def _private_stream(self, line: AccountLine) -> PrivateStream:
        async def key() -> str:
            return parse.parse_listen_key(await self.ask(line, UsdmEndpoints.listen_key))

        async def renew() -> None:
            await self.ask(line, UsdmEndpoints.renew_key)

        return ListenKeyStream(
            line,
            self._address("private"),
            key,
            renew,
            lambda connection, data, _: self._on_private(line, connection, data),
            clock=self.clock,
            limit=self.streams,
            ca_file=self.options.ca_file,
            renew_s=LIVES_S,
        )

    async def _opened(self, line: AccountLine) -> None:
        await self._check_one_way(line)

    def _on_private(self, line: AccountLine, connection: StreamConnection, data: bytes) -> None:
        frame = parse.parse_frame(data)
        match frame.e:
            case "ORDER_TRADE_UPDATE":
                self._on_report(line, parse.parse_report(frame))
            case "ALGO_UPDATE":
                self._on_algo(line, parse.parse_update(frame), (frame.T or frame.E) * MS)
            case "listenKeyExpired":
                connection.drop("the listen key has expired")
            case "ACCOUNT_CONFIG_UPDATE":
                self._on_leverage(line, frame)
            case "MARGIN_CALL":
                log.warning("the venue calls for margin", venue=self.id, account=line.account)
            case _:
                pass

    def _on_leverage(self, line: AccountLine, frame: parse.PrivateFrame) -> None:
        moved = parse_leverage_update(frame)
        instrument = None if moved is None else self.catalogue.by_symbol(moved.s)
        if moved is not None and instrument is not None and self.leverage_moved is not None:
            self.leverage_moved(line.account, instrument.id, moved.l)

    def _on_report(self, line: AccountLine, report: parse.OrderReport) -> None:
        directory = self.directory(line)
        owner = directory.owner(report.s, report.i)
        if (
            owner is None
            and directory.place(ClientOrderId(report.c)) is None
            and directory.has_open_conditional(report.s)
        ):
            # Perhaps what one of them has become; that is told in a moment.
            self._strays.hold(report.s, report.i, lambda: self._take_report(line, report, report.c))
            return
        self._take_report(line, report, owner or report.c)

    def _take_report(self, line: AccountLine, report: parse.OrderReport, client_id: str) -> None:
        instrument = self.catalogue.by_symbol(report.s)
        if instrument is None:
            self.strange(report.s)
            return
        directory = self.directory(line)
        owner = directory.owner(report.s, report.i) or client_id
        is_open = status_of(report.X) not in ENDED and report.X != "FILLED"
        directory.note(owner, report.s, report.i, is_open=is_open)
        directory.name(report.s, report.i, owner)
        line.heard(parse.report_events(report, instrument, line.account, ClientOrderId(owner)))

    def _on_algo(self, line: AccountLine, update: parse.AlgoUpdate, ts: int) -> None:
        directory = self.directory(line)
        waits = update.X in ("NEW", "TRIGGERING")
        directory.note(update.caid, update.s, conditional=True, is_open=waits)
        line.heard(parse.algo_events(update, ts))
        if update.ai.isdecimal():
            directory.name(update.s, int(update.ai), update.caid)
            self._strays.release(update.s, int(update.ai))

    async def _release(self) -> None:
        self._strays.close()
        await super()._release()

    # --- instruments and accounts ------------------------------------------------------------------------------------

    async def _listings(self) -> Sequence[tuple[str, Instrument]]:
        tiers, fee = {}, DEFAULT_FEES
        line = next(iter(self.lines.values()), None)
        if line is not None:
            tiers = parse.parse_brackets(await self.ask(line, UsdmEndpoints.brackets))
            fee = await self._quietly(self._fee(line), fee)
        body = await self.ask(None, UsdmEndpoints.instruments)
        # Hundreds of them take longer than the loop may be held up.
        listed, halted, foreign = await asyncio.to_thread(parse.parse_instruments, body, self.id, tiers, fee)
        self.catalogue.remember(halted, foreign)
        return listed

    def _named(self, symbol: str) -> Instrument | None:
        quote = next((end for end in parse.SETTLED if symbol.endswith(end)), "")
        # A date stands behind the name of a dated future.
        if not quote or "_" in symbol or symbol == quote:
            return None
        return unlisted(self.id, InstrumentKind.LINEAR_PERPETUAL, symbol.removesuffix(quote), quote)

    async def _fee(self, line: AccountLine) -> tuple[Decimal, Decimal]:
        # The venue's level of fees is that of the account; it is asked for one symbol that always trades.
        return parse.parse_commission(await self.ask(line, UsdmEndpoints.commission, {"symbol": "BTCUSDT"}))

    async def balances(self, account: AccountId) -> Sequence[VenueBalance]:
        """All wallets with something in them. Raises ExchangeConnectionError."""
        return parse.parse_balances(await self.ask(self.line(account), UsdmEndpoints.account))

    async def permissions(self, account: AccountId) -> Permissions:
        """What the key may do; what the account may on the testnet, which says no more. Raises AuthenticationError."""
        line = self.line(account)
        hedged = parse.parse_position_mode(await self.ask(line, UsdmEndpoints.position_mode))
        note = HEDGED.format(venue=self.id) if hedged else ""
        if not self.options.testnet:
            found = parse_permissions(await self.ask(line, UsdmEndpoints.restrictions), futures=True)
            return msgspec.structs.replace(found, note=note)
        trade, withdraw = parse.parse_trading(await self.ask(line, UsdmEndpoints.account))
        return Permissions(read=True, trade=trade, withdraw=withdraw, derivatives=trade, note=note)

    async def positions(self, account: AccountId) -> Sequence[VenuePosition]:
        """All open positions. Raises ExchangeConnectionError."""
        body = await self.ask(self.line(account), UsdmEndpoints.positions)
        await self.learn(parse.parse_held(body))
        return parse.parse_positions(body, account, self.catalogue.by_symbol)

    async def funding_since(self, account: AccountId, cursor: str) -> tuple[Sequence[FundingPayment], str]:
        """Settled funding after a cursor, a page at most. Raises DataValidationError, ExchangeConnectionError."""
        line = self.line(account)
        known = _funding_cursor.decode(cursor) if cursor else FundingCursor(0, [])
        since = known.since or self.venue_now() // MS - INCOME_KEPT_MS
        params = {"incomeType": "FUNDING_FEE", "startTime": str(since), "limit": str(FUNDING_PAGE)}
        body = await self.ask(line, UsdmEndpoints.income, params)
        await self.learn(symbol for symbol, _ in parse.parse_income_symbols(body))
        rows = [
            (number, payment)
            for number, payment in parse.parse_funding(body, account, self.catalogue.by_symbol)
            if payment.ts // MS > known.since or number not in known.read
        ]
        if not rows:
            return (), cursor
        last = rows[-1][1].ts // MS
        read = [number for number, payment in rows if payment.ts // MS == last]
        read += known.read if last == known.since else []
        return [payment for _, payment in rows], msgspec.json.encode(FundingCursor(last, read)).decode()

    async def countdown(self, account: AccountId, seconds: float) -> None:
        """Feed the dead-man's switch of every symbol with open orders; conditional orders are spared.

        Raises:
            UnknownOutcomeError: No answer for one of them; feed it again.
        """
        line = self.line(account)
        fed = self._fed.setdefault(account, {s for i in self._watched if (s := self.catalogue.symbol_of(i))})
        working = self.directory(line).open_symbols if seconds > 0 else set()
        wait = max(0, round(seconds * 1000))
        # Those with orders first; those without any are turned off once.
        for symbol in (*sorted(working), *sorted(fed - working)):
            time = wait if symbol in working else 0
            if time:
                # Whatever the answer: it may run from now on.
                fed.add(symbol)
            await self.ask(line, UsdmEndpoints.countdown, {"symbol": symbol, "countdownTime": str(time)})
            if not time:
                fed.discard(symbol)

    # --- orders ------------------------------------------------------------------------------------------------------

    async def _send(self, line: AccountLine, instrument: Instrument, command: OrderCommand) -> Sequence[VenueEvent]:
        self._check(command)
        symbol = self.catalogue.symbol(instrument.id)
        params = self._basics(command, symbol)
        if command.reduce_only:
            params["reduceOnly"] = "true"
        if command.type in (OrderType.STOP_LOSS, OrderType.TAKE_PROFIT):
            return await self._send_algo(line, command, params | _conditional_terms(command))
        self.directory(line).note(command.client_id, symbol)
        params |= _terms(command) | {"newClientOrderId": command.client_id, "newOrderRespType": "RESULT"}
        row = parse.parse_order(await self.ask(line, UsdmEndpoints.place, params, priority=self._priority(command)))
        self.directory(line).note(command.client_id, symbol, row.orderId)
        ts = row.updateTime * MS
        accepted = ev.OrderAccepted(client_id=command.client_id, venue_order_id=VenueOrderId(str(row.orderId)), ts=ts)
        return [accepted, *self._end(line, command.client_id, row)]

    async def _send_algo(
        self, line: AccountLine, command: OrderCommand, params: dict[str, Any]
    ) -> Sequence[VenueEvent]:
        self.directory(line).note(command.client_id, params["symbol"], conditional=True)
        params |= {"algoType": "CONDITIONAL", "clientAlgoId": command.client_id}
        row = parse.parse_algo(await self.ask(line, UsdmEndpoints.place_algo, params))
        accepted = ev.OrderAccepted(
            client_id=command.client_id, venue_order_id=parse.algo_number(row.algoId), ts=row.createTime * MS
        )
        return [accepted, *end_of(command.client_id, row.algoStatus, row.updateTime * MS)]

    @staticmethod
    def _end(line: AccountLine, client_id: ClientOrderId, row: parse.OrderRow) -> list[VenueEvent]:
        """The end that an answer tells, unless the stream still has executions of it to tell, and then its end."""
        if row.executedQty != line.reports.filled(client_id):
            return []
        return end_of(client_id, row.status, row.updateTime * MS)

    async def _end_order(self, line: AccountLine, client_id: ClientOrderId) -> Sequence[VenueEvent]:
        symbol = await self._need_symbol(line, client_id)
        place = self.directory(line).place(client_id)
        if place is not None and place.conditional:
            try:
                await self.ask(line, UsdmEndpoints.cancel_algo, {"clientAlgoId": client_id})
            except NotFoundError:
                return await self._end_triggered(line, client_id, symbol)
            return [ev.OrderCanceled(client_id=client_id, reason="", ts=self.venue_now())]
        try:
            return await self._end_regular(line, client_id, {"symbol": symbol, "origClientOrderId": client_id})
        except NotFoundError:
            if place is not None:
                raise
        # After a restart the kind is not known.
        await self.ask(line, UsdmEndpoints.cancel_algo, {"clientAlgoId": client_id})
        return [ev.OrderCanceled(client_id=client_id, reason="", ts=self.venue_now())]

    async def _end_triggered(self, line: AccountLine, client_id: ClientOrderId, symbol: str) -> Sequence[VenueEvent]:
        """Cancel what a conditional order has become. Raises NotFoundError where that has ended, too."""
        row = parse.parse_algo(await self.ask(line, UsdmEndpoints.algo_order, {"clientAlgoId": client_id}))
        if not row.actualOrderId.isdecimal():
            raise NotFoundError(f"{self.id} has no open order {client_id}.", error_code="-2011")
        return await self._end_regular(line, client_id, {"symbol": symbol, "orderId": row.actualOrderId})

    async def _end_regular(
        self, line: AccountLine, client_id: ClientOrderId, params: dict[str, str]
    ) -> Sequence[VenueEvent]:
        return self._end(line, client_id, parse.parse_order(await self.ask(line, UsdmEndpoints.cancel, params)))

    async def _change_order(
        self,
        line: AccountLine,
        client_id: ClientOrderId,
        quantity: Decimal | None,
        price: Decimal | None,
        stop_price: Decimal | None,
    ) -> Sequence[VenueEvent]:
        symbol = await self._need_symbol(line, client_id)
        place = self.directory(line).place(client_id)
        if stop_price is not None or (place is not None and place.conditional):
            raise ValidationError(
                f"{self.id} cannot change a stop or take-profit order; replace it.", error_code=AMEND_UNSUPPORTED
            )
        find = {"symbol": symbol, "origClientOrderId": client_id}
        now = parse.parse_order(await self.ask(line, UsdmEndpoints.order, find))
        # The venue wants both, and the side, whatever changes.
        params = find | {
            "side": now.side,
            "quantity": plain(now.origQty if quantity is None else quantity),
            "price": plain(now.price if price is None else price),
        }
        row = parse.parse_order(await self.ask(line, UsdmEndpoints.amend, params))
        changed = ev.OrderAmended(client_id=client_id, ts=row.updateTime * MS, quantity=row.origQty, price=row.price)
        return [changed, *self._end(line, client_id, row)]

    async def _find_order(self, line: AccountLine, client_id: ClientOrderId) -> VenueOrder | None:
        async def look(symbol: str) -> VenueOrder | None:
            place = self.directory(line).place(client_id)
            ways, gone = [self._find_regular, self._find_algo], False
            if place is not None and place.conditional:
                ways.reverse()
            for way in ways:
                try:
                    return await way(line, client_id, symbol)
                except NotFoundError as error:
                    gone = gone or error.error_code == NO_SYMBOL
            if gone:
                raise NotFoundError(f"{self.id} does not list {symbol}.", error_code=NO_SYMBOL)
            return None

        return await self._look_for(line, client_id, look)

    async def _find_regular(self, line: AccountLine, client_id: ClientOrderId, symbol: str) -> VenueOrder | None:
        params = {"symbol": symbol, "origClientOrderId": client_id}
        row = parse.parse_order(await self.ask(line, UsdmEndpoints.order, params))
        await self.learn([row.symbol])
        return self._known(line, row)

    async def _find_algo(self, line: AccountLine, client_id: ClientOrderId, symbol: str) -> VenueOrder | None:
        row = parse.parse_algo(await self.ask(line, UsdmEndpoints.algo_order, {"clientAlgoId": client_id}))
        await self.learn([row.symbol])
        instrument = self.catalogue.by_symbol(row.symbol)
        if instrument is None:
            return None
        waiting = parse.to_algo_order(row, instrument, line.account)
        directory = self.directory(line)
        directory.note(client_id, row.symbol, conditional=True, is_open=waiting.status not in ENDED)
        if not row.actualOrderId.isdecimal():
            return waiting
        directory.name(row.symbol, int(row.actualOrderId), client_id)
        params = {"symbol": row.symbol, "orderId": row.actualOrderId}
        became = parse.parse_order(await self.ask(line, UsdmEndpoints.order, params))
        found = parse.to_order(became, instrument, line.account, client_id)
        # It is told as what was sent.
        return msgspec.structs.replace(found, type=waiting.type, stop_price=waiting.stop_price, created=waiting.created)

    async def _open_orders(self, line: AccountLine) -> Sequence[VenueOrder]:
        regular, conditional = await asyncio.gather(
            self.ask(line, UsdmEndpoints.open_orders), self.ask(line, UsdmEndpoints.open_algo_orders)
        )
        rows, waiting = parse.parse_orders(regular), parse.parse_algos(conditional)
        await self.learn({row.symbol for row in rows} | {row.symbol for row in waiting})
        orders = [order for row in rows if (order := self._known(line, row)) is not None]
        for row in waiting:
            instrument = self.catalogue.by_symbol(row.symbol)
            if instrument is not None and not row.actualOrderId:
                self.directory(line).note(row.clientAlgoId, row.symbol, conditional=True)
                orders.append(parse.to_algo_order(row, instrument, line.account))
        return orders

    def _known(self, line: AccountLine, row: parse.OrderRow) -> VenueOrder | None:
        instrument = self.catalogue.by_symbol(row.symbol)
        if instrument is None:
            return None
        directory = self.directory(line)
        client_id = directory.owner(row.symbol, row.orderId) or ClientOrderId(row.clientOrderId)
        order = parse.to_order(row, instrument, line.account, client_id)
        is_open = order.status not in ENDED and row.status != "FILLED"
        directory.note(client_id, row.symbol, row.orderId, is_open=is_open)
        return order

    async def fills_since(self, account: AccountId, cursor: str) -> tuple[Sequence[Fill], str]:
        """Executions after a cursor, in all symbols that were traded; see `usdm_table` for how they are found.

        Raises:
            DataValidationError: The cursor cannot be read.
            ExchangeConnectionError: The venue cannot be reached.
        """
        line, known = self.line(account), self._executions.read(cursor)
        traded, since = await self._traded(line, known.since)
        read = {*known.next, *self.directory(line).symbols, *traded}
        await self.learn(read)
        symbols = sorted(s for s in read if self.catalogue.by_symbol(s) is not None)
        listed = await self._listed(line, cursor, symbols, parse.parse_trade_rows)
        rows = listed.fresh
        await self._owners(line, rows, _numbers)
        directory, fills = self.directory(line), []
        for row in rows:
            instrument, client_id = self.catalogue.by_symbol(row.symbol), directory.owner(row.symbol, row.orderId)
            if instrument is not None and client_id is not None:
                fills.append(parse.to_fill(row, instrument, account, client_id))
        found = {symbol: known.next.get(symbol, 0) for symbol in symbols}
        return fills, self._executions.after(account, listed, msgspec.structs.replace(known, next=found, since=since))

    async def _traded(self, line: AccountLine, since: int) -> tuple[set[str], int]:
        """Symbols with commissions since a time (venue's milliseconds), and the time to ask from next."""
        start = since or self.venue_now() // MS - INCOME_KEPT_MS
        params = {"incomeType": "COMMISSION", "startTime": str(start), "limit": str(FUNDING_PAGE)}
        rows = parse.parse_income_symbols(await self.ask(line, UsdmEndpoints.income, params))
        return {symbol for symbol, _ in rows}, rows[-1][1] if rows else since


def _terms(command: OrderCommand) -> dict[str, Any]:
    """Type, price and time in force as the venue wants them."""
    if command.type is OrderType.MARKET and command.price is None:
        return {"type": "MARKET"}
    assert command.price is not None
    tif = command.tif.value
    if command.type is OrderType.MARKET:
        # The collar of a market order: nothing beyond that price, and nothing stays.
        tif = "IOC"
    elif command.post_only:
        tif = "GTX"
    return {"type": "LIMIT", "price": plain(command.price), "timeInForce": tif}


def _conditional_terms(command: OrderCommand) -> dict[str, Any]:
    assert command.stop_price is not None
    native = "STOP" if command.type is OrderType.STOP_LOSS else "TAKE_PROFIT"
    terms = {"triggerPrice": plain(command.stop_price), "workingType": "CONTRACT_PRICE"}
    if command.price is None:
        return terms | {"type": f"{native}_MARKET"}
    return terms | {"type": native, "price": plain(command.price), "timeInForce": command.tif.value}


def _numbers(body: bytes) -> list[tuple[int, str]]:
    return [(row.orderId, row.clientOrderId) for row in parse.parse_orders(body)]
