"""Binance spot's messages about accounts and orders, and its list of symbols, from bytes to model objects. Pure."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from engine import events as ev
from engine.errors import DataValidationError
from engine.model.fill import Fill
from engine.model.ids import AccountId, ClientOrderId, Currency, TradeId, VenueId, VenueOrderId, instrument_id
from engine.model.instrument import Instrument, InstrumentKind
from engine.model.order import Liquidity, OrderStatus
from engine.model.venue import Permissions, VenueBalance, VenueOrder
from engine.venues.binance.filters import PRICE_SCALE, Filter, Listed, has_rules, quantity_scale, rules_of
from engine.venues.binance.market_parse import decode
from engine.venues.binance.numbers import ENDED, ZERO, or_none, side_of, status_of, type_of
from engine.venues.binance.table import MS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from engine.events import VenueEvent

__all__ = [
    "Account",
    "Amended",
    "ExecutionReport",
    "OrderAnswer",
    "OrderRow",
    "SpotFrame",
    "TradeRow",
    "end_of",
    "parse_account",
    "parse_amended",
    "parse_balances",
    "parse_fees",
    "parse_frame",
    "parse_instruments",
    "parse_order",
    "parse_orders",
    "parse_permissions",
    "parse_placed",
    "parse_report",
    "parse_server_time",
    "parse_trade_rows",
    "report_events",
    "placed_events",
    "to_fill",
    "to_order",
]


# --- instruments -----------------------------------------------------------------------------------------------------


class _Symbol(msgspec.Struct):
    symbol: str
    status: str
    baseAsset: str
    quoteAsset: str
    isSpotTradingAllowed: bool
    filters: list[Filter]


class _Symbols(msgspec.Struct):
    symbols: list[_Symbol]


class _Fee(msgspec.Struct):
    symbol: str
    makerCommission: Decimal
    takerCommission: Decimal


class _Time(msgspec.Struct):
    serverTime: int


_symbols = msgspec.json.Decoder(_Symbols)
_fees = msgspec.json.Decoder(list[_Fee])
_time = msgspec.json.Decoder(_Time)


def parse_server_time(body: bytes) -> int:
    """Answer of `time` in UTC nanoseconds."""
    return decode(_time, body, "the time").serverTime * MS


def parse_fees(body: bytes) -> dict[str, tuple[Decimal, Decimal]]:
    """Answer of `asset/tradeFee`: maker's and taker's fee as fractions, by symbol."""
    return {row.symbol: (row.makerCommission, row.takerCommission) for row in decode(_fees, body, "fees")}


def parse_instruments(
    body: bytes, venue: VenueId, fees: Mapping[str, tuple[Decimal, Decimal]], fee: tuple[Decimal, Decimal]
) -> tuple[Listed, Listed]:
    """Answer of `exchangeInfo`: what can be traded now, each with its symbol, and what is listed and halted.

    Args:
        body: The answer.
        venue: The venue's name here.
        fees: Maker's and taker's fee by symbol.
        fee: Those of all other symbols.
    """
    listed, halted = Listed(), Listed()
    for row in decode(_symbols, body, "instruments").symbols:
        if has_rules(row.filters):
            traded = row.status == "TRADING" and row.isSpotTradingAllowed
            (listed if traded else halted).append((row.symbol, _instrument(row, venue, fees.get(row.symbol, fee))))
    return listed, halted


def _instrument(row: _Symbol, venue: VenueId, fee: tuple[Decimal, Decimal]) -> Instrument:
    base, quote = row.baseAsset, row.quoteAsset
    rules = rules_of(row.filters, fee)
    return Instrument(
        id=instrument_id(venue, f"{base}/{quote}"),
        venue=venue,
        symbol=f"{base}/{quote}",
        kind=InstrumentKind.SPOT,
        base=Currency(base),
        quote=Currency(quote),
        settle=Currency(quote),
        rules=(rules,),
        price_scale=PRICE_SCALE,
        quantity_scale=quantity_scale(rules),
    )


# --- accounts --------------------------------------------------------------------------------------------------------


class _Balance(msgspec.Struct):
    asset: str
    free: Decimal
    locked: Decimal


class _Rates(msgspec.Struct):
    maker: Decimal
    taker: Decimal


class Account(msgspec.Struct):
    """Answer of `account`."""

    canTrade: bool
    canWithdraw: bool
    balances: list[_Balance]
    commissionRates: _Rates | None = None


class _Restrictions(msgspec.Struct):
    ipRestrict: bool
    enableReading: bool
    enableWithdrawals: bool
    enableSpotAndMarginTrading: bool = False
    enableFutures: bool = False
    tradingAuthorityExpirationTime: int | None = None


_account = msgspec.json.Decoder(Account)
_restrictions = msgspec.json.Decoder(_Restrictions)


def parse_account(body: bytes) -> Account:
    """Answer of `account`."""
    return decode(_account, body, "an account")


def parse_balances(body: bytes) -> list[VenueBalance]:
    """Non-zero balances in the answer of `account`."""
    return [
        VenueBalance(currency=Currency(row.asset), total=row.free + row.locked, locked=row.locked)
        for row in parse_account(body).balances
        if row.free or row.locked
    ]


def parse_permissions(body: bytes, *, futures: bool) -> Permissions:
    """Answer of `account/apiRestrictions`.

    Args:
        body: The answer.
        futures: Whether trading means that of derivatives.
    """
    row = decode(_restrictions, body, "permissions")
    expires = row.tradingAuthorityExpirationTime
    return Permissions(
        read=row.enableReading,
        trade=row.enableFutures if futures else row.enableSpotAndMarginTrading,
        withdraw=row.enableWithdrawals,
        derivatives=row.enableFutures,
        ip_restricted=row.ipRestrict,
        expires=None if expires is None else expires * MS,
    )


# --- orders ----------------------------------------------------------------------------------------------------------


class OrderRow(msgspec.Struct):
    """An order as queries and lists show it."""

    symbol: str
    orderId: int
    clientOrderId: str
    price: Decimal
    origQty: Decimal
    executedQty: Decimal
    status: str
    type: str
    side: str
    time: int
    updateTime: int
    stopPrice: Decimal = ZERO


class _AnswerFill(msgspec.Struct):
    price: Decimal
    qty: Decimal
    commission: Decimal
    commissionAsset: str
    tradeId: int


class OrderAnswer(msgspec.Struct):
    """The answer to placing (ACK, RESULT or FULL) and cancelling an order."""

    symbol: str
    orderId: int
    clientOrderId: str
    transactTime: int
    origClientOrderId: str = ""
    side: str = "BUY"
    origQty: Decimal = ZERO
    executedQty: Decimal = ZERO
    status: str = "NEW"
    fills: list[_AnswerFill] = []


class _AmendedOrder(msgspec.Struct):
    qty: Decimal


class Amended(msgspec.Struct):
    """The answer to a change in place."""

    transactTime: int
    amendedOrder: _AmendedOrder


class TradeRow(msgspec.Struct):
    """An execution as `myTrades` shows it."""

    symbol: str
    id: int
    orderId: int
    price: Decimal
    qty: Decimal
    commission: Decimal
    commissionAsset: str
    time: int
    isBuyer: bool
    isMaker: bool


_order = msgspec.json.Decoder(OrderRow)
_orders = msgspec.json.Decoder(list[OrderRow])
_placed = msgspec.json.Decoder(OrderAnswer)
_amended = msgspec.json.Decoder(Amended)
_trades = msgspec.json.Decoder(list[TradeRow])


def parse_order(body: bytes) -> OrderRow:
    """Answer of `order`."""
    return decode(_order, body, "an order")


def parse_orders(body: bytes) -> list[OrderRow]:
    """Answer of `openOrders` and `allOrders`."""
    return decode(_orders, body, "orders")


def parse_placed(body: bytes) -> OrderAnswer:
    """The answer to placing or cancelling an order."""
    return decode(_placed, body, "the answer to an order")


def parse_amended(body: bytes) -> Amended:
    """The answer to a change in place."""
    return decode(_amended, body, "the answer to a change")


def parse_trade_rows(body: bytes) -> list[TradeRow]:
    """Answer of `myTrades`, oldest first."""
    return decode(_trades, body, "executions")


def to_order(row: OrderRow, instrument: Instrument, account: AccountId) -> VenueOrder:
    """An order in the model's terms."""
    return VenueOrder(
        client_id=ClientOrderId(row.clientOrderId),
        venue_order_id=VenueOrderId(str(row.orderId)),
        account=account,
        instrument=instrument.id,
        side=side_of(row.side),
        type=type_of(row.type),
        quantity=row.origQty,
        filled=row.executedQty,
        status=_status(row.status, row.executedQty),
        created=row.time * MS,
        updated=row.updateTime * MS,
        price=or_none(row.price),
        stop_price=or_none(row.stopPrice),
    )


def _status(native: str, executed: Decimal) -> OrderStatus:
    status = status_of(native)
    return OrderStatus.PARTIALLY_FILLED if status is OrderStatus.ACCEPTED and executed else status


def to_fill(row: TradeRow, instrument: Instrument, account: AccountId, client_id: ClientOrderId) -> Fill:
    """An execution in the model's terms."""
    return Fill(
        venue=instrument.venue,
        account=account,
        instrument=instrument.id,
        trade_id=TradeId(str(row.id)),
        venue_order_id=VenueOrderId(str(row.orderId)),
        client_id=client_id,
        side=side_of("BUY" if row.isBuyer else "SELL"),
        price=row.price,
        quantity=row.qty,
        fee=row.commission,
        fee_currency=Currency(row.commissionAsset),
        liquidity=Liquidity.MAKER if row.isMaker else Liquidity.TAKER,
        ts=row.time * MS,
    )


def placed_events(answer: OrderAnswer, instrument: Instrument, account: AccountId) -> list[VenueEvent]:
    """What the answer to placing an order says, its end left to `end_of`."""
    client_id, ts = ClientOrderId(answer.clientOrderId), answer.transactTime * MS
    number = VenueOrderId(str(answer.orderId))
    events: list[VenueEvent] = [ev.OrderAccepted(client_id=client_id, venue_order_id=number, ts=ts)]
    events += [
        ev.OrderFilled(
            fill=Fill(
                venue=instrument.venue,
                account=account,
                instrument=instrument.id,
                trade_id=TradeId(str(row.tradeId)),
                venue_order_id=number,
                client_id=client_id,
                side=side_of(answer.side),
                price=row.price,
                quantity=row.qty,
                fee=row.commission,
                fee_currency=Currency(row.commissionAsset),
                # What is executed while it is placed has crossed the book.
                liquidity=Liquidity.TAKER,
                ts=ts,
            )
        )
        for row in answer.fills
    ]
    return events


def end_of(
    client_id: ClientOrderId, native: str, ts: int, *, reason: str = "", code: str = "rejected"
) -> list[VenueEvent]:
    """The event that a status means when it is an end other than by executions; else none."""
    status = status_of(native)
    if status not in ENDED:
        return []
    if status is OrderStatus.CANCELED:
        return [ev.OrderCanceled(client_id=client_id, reason=reason, ts=ts)]
    if status is OrderStatus.REJECTED:
        return [ev.OrderRejected(client_id=client_id, code=code, reason=reason or "The venue rejected it.", ts=ts)]
    words = "it would have met another order of this account" if native == "EXPIRED_IN_MATCH" else reason
    return [ev.OrderExpired(client_id=client_id, reason=words, ts=ts)]


# --- the private stream ----------------------------------------------------------------------------------------------


class SpotFrame(msgspec.Struct):
    """A message on the WebSocket API: the answer to a request, or an event."""

    id: int | str | None = None
    status: int = 0
    event: msgspec.Raw = msgspec.Raw(b"")
    error: msgspec.Raw = msgspec.Raw(b"")
    e: str = ""


class _Named(msgspec.Struct):
    e: str


class ExecutionReport(msgspec.Struct):
    """`executionReport`."""

    s: str
    c: str
    S: str
    o: str
    q: Decimal
    x: str
    X: str
    i: int
    T: int
    C: str = ""
    r: str = "NONE"
    p: Decimal = ZERO
    P: Decimal = ZERO
    l: Decimal = ZERO  # noqa: E741
    L: Decimal = ZERO
    z: Decimal = ZERO
    n: Decimal = ZERO
    N: str | None = None
    t: int = -1
    w: bool = False
    m: bool = False

    @property
    def client_id(self) -> ClientOrderId:
        """Of the order it is about: a cancel has an id of its own."""
        return ClientOrderId(self.C if self.C and self.x == "CANCELED" else self.c)


_frame = msgspec.json.Decoder(SpotFrame)
_named = msgspec.json.Decoder(_Named)
_report = msgspec.json.Decoder(ExecutionReport)


def parse_frame(frame: bytes) -> SpotFrame:
    """The envelope of a message on the WebSocket API; an event without one is its own content."""
    found = decode(_frame, frame, "a private message")
    if found.e:
        found.event = msgspec.Raw(frame)
    elif found.event:
        found.e = decode(_named, found.event, "a private event").e
    return found


def parse_report(event: bytes | msgspec.Raw) -> ExecutionReport:
    """An `executionReport`."""
    return decode(_report, event, "a report")


def report_events(report: ExecutionReport, instrument: Instrument, account: AccountId) -> list[VenueEvent]:
    """What a report says."""
    client_id, ts = report.client_id, report.T * MS
    number = VenueOrderId(str(report.i))
    waits = report.o.startswith(("STOP", "TAKE"))
    events: list[VenueEvent] = []
    if waits and (report.x == "TRADE" or (report.x == "NEW" and report.w)):
        events.append(ev.OrderTriggered(client_id=client_id, ts=ts))
    if report.x == "NEW":
        events.insert(0, ev.OrderAccepted(client_id=client_id, venue_order_id=number, ts=ts))
    elif report.x == "TRADE":
        events.append(ev.OrderFilled(fill=_report_fill(report, instrument, account)))
    elif report.x == "REPLACED":
        events.append(ev.OrderAmended(client_id=client_id, ts=ts, quantity=report.q))
    if report.x in ("CANCELED", "EXPIRED", "REJECTED", "TRADE_PREVENTION"):
        words = "" if report.r == "NONE" else report.r
        events += end_of(client_id, report.X, ts, reason=words, code=words or "rejected")
    return events


def _report_fill(report: ExecutionReport, instrument: Instrument, account: AccountId) -> Fill:
    if report.t < 0 or report.l <= 0:
        raise DataValidationError(f"Binance reported an execution of {report.client_id} without number or quantity.")
    return Fill(
        venue=instrument.venue,
        account=account,
        instrument=instrument.id,
        trade_id=TradeId(str(report.t)),
        venue_order_id=VenueOrderId(str(report.i)),
        client_id=report.client_id,
        side=side_of(report.S),
        price=report.L,
        quantity=report.l,
        fee=report.n,
        fee_currency=Currency(report.N or instrument.quote),
        liquidity=Liquidity.MAKER if report.m else Liquidity.TAKER,
        ts=report.T * MS,
    )
