"""Binance USD-M's messages about accounts and orders, and its list of symbols, from bytes to model objects. Pure."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from engine import events as ev
from engine.errors import DataValidationError
from engine.model.fill import Fill
from engine.model.ids import AccountId, ClientOrderId, Currency, TradeId, VenueId, VenueOrderId, instrument_id
from engine.model.instrument import Instrument, InstrumentKind
from engine.model.margin import MarginMode, MarginTier, initial_margin, maintenance_margin
from engine.model.order import Liquidity, OrderStatus
from engine.model.venue import FundingPayment, VenueBalance, VenueOrder, VenuePosition
from engine.venues.binance.filters import PRICE_SCALE, Filter, Listed, has_rules, quantity_scale, rules_of
from engine.venues.binance.market_parse import decode
from engine.venues.binance.numbers import ZERO, cause_of, or_none, side_of, status_of, type_of
from engine.venues.binance.spot_parse import end_of
from engine.venues.binance.table import MS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from engine.events import VenueEvent

__all__ = [
    "AlgoRow",
    "AlgoUpdate",
    "OrderReport",
    "OrderRow",
    "PrivateFrame",
    "TradeRow",
    "algo_events",
    "algo_number",
    "parse_algo",
    "parse_algos",
    "parse_balances",
    "parse_brackets",
    "parse_commission",
    "parse_frame",
    "parse_funding",
    "parse_held",
    "parse_income_symbols",
    "parse_instruments",
    "parse_listen_key",
    "parse_order",
    "parse_orders",
    "parse_position_mode",
    "parse_positions",
    "parse_trade_rows",
    "parse_report",
    "parse_trading",
    "parse_update",
    "report_events",
    "to_algo_order",
    "to_fill",
    "to_order",
]

SETTLED = frozenset({"USDT", "USDC"})
"""Currencies of the margins that are supported."""


# --- instruments -----------------------------------------------------------------------------------------------------


class _Symbol(msgspec.Struct):
    symbol: str
    status: str
    contractType: str
    baseAsset: str
    quoteAsset: str
    marginAsset: str
    filters: list[Filter]


class _Symbols(msgspec.Struct):
    symbols: list[_Symbol]


class _Bracket(msgspec.Struct):
    initialLeverage: Decimal
    notionalFloor: Decimal
    maintMarginRatio: Decimal
    cum: Decimal = ZERO


class _Brackets(msgspec.Struct):
    symbol: str
    brackets: list[_Bracket]


class _Commission(msgspec.Struct):
    makerCommissionRate: Decimal
    takerCommissionRate: Decimal


_symbols = msgspec.json.Decoder(_Symbols)
_brackets = msgspec.json.Decoder(list[_Brackets])
_commission = msgspec.json.Decoder(_Commission)


def parse_brackets(body: bytes) -> dict[str, tuple[MarginTier, ...]]:
    """Answer of `leverageBracket`: margin tiers by symbol, the smallest first."""
    return {
        row.symbol: tuple(
            MarginTier(
                maintenance=bracket.maintMarginRatio,
                max_leverage=bracket.initialLeverage,
                from_notional=bracket.notionalFloor,
                deduction=bracket.cum,
            )
            for bracket in sorted(row.brackets, key=lambda bracket: bracket.notionalFloor)
        )
        for row in decode(_brackets, body, "margin tiers")
    }


def parse_commission(body: bytes) -> tuple[Decimal, Decimal]:
    """Answer of `commissionRate`: maker's and taker's fee as fractions."""
    row = decode(_commission, body, "fees")
    return row.makerCommissionRate, row.takerCommissionRate


def parse_instruments(
    body: bytes, venue: VenueId, tiers: Mapping[str, tuple[MarginTier, ...]], fee: tuple[Decimal, Decimal]
) -> tuple[Listed, Listed, list[str]]:
    """Answer of `exchangeInfo`: perpetuals that can be traded now, each with its symbol, and those that are halted.

    Returns:
        Both, and the symbols of what is no linear perpetual: dated futures above all.
    """
    listed, halted, foreign = Listed(), Listed(), []
    for row in decode(_symbols, body, "instruments").symbols:
        settled = row.quoteAsset in SETTLED and row.marginAsset == row.quoteAsset
        if not settled or not row.contractType.startswith("PERPETUAL"):
            foreign.append(row.symbol)
        elif has_rules(row.filters):
            traded = row.status == "TRADING" and row.contractType == "PERPETUAL"
            instrument = _instrument(row, venue, tiers.get(row.symbol, ()), fee)
            (listed if traded else halted).append((row.symbol, instrument))
    return listed, halted, foreign


def _instrument(
    row: _Symbol, venue: VenueId, tiers: tuple[MarginTier, ...], fee: tuple[Decimal, Decimal]
) -> Instrument:
    symbol = f"{row.baseAsset}/{row.quoteAsset}:{row.marginAsset}"
    rules = rules_of(row.filters, fee, tiers)
    return Instrument(
        id=instrument_id(venue, symbol),
        venue=venue,
        symbol=symbol,
        kind=InstrumentKind.LINEAR_PERPETUAL,
        base=Currency(row.baseAsset),
        quote=Currency(row.quoteAsset),
        settle=Currency(row.marginAsset),
        rules=(rules,),
        price_scale=PRICE_SCALE,
        quantity_scale=quantity_scale(rules),
    )


# --- accounts --------------------------------------------------------------------------------------------------------


class _Asset(msgspec.Struct):
    asset: str
    walletBalance: Decimal
    initialMargin: Decimal


class _Account(msgspec.Struct):
    canTrade: bool
    canWithdraw: bool
    assets: list[_Asset]


class _Mode(msgspec.Struct):
    dualSidePosition: bool


class _Key(msgspec.Struct):
    listenKey: str


class _Risk(msgspec.Struct):
    symbol: str
    positionAmt: Decimal
    entryPrice: Decimal
    markPrice: Decimal
    unRealizedProfit: Decimal
    liquidationPrice: Decimal
    leverage: Decimal
    marginType: str
    isolatedMargin: Decimal
    updateTime: int


class _Income(msgspec.Struct):
    symbol: str
    incomeType: str
    income: Decimal
    asset: str
    time: int
    tranId: int


_account = msgspec.json.Decoder(_Account)
_mode = msgspec.json.Decoder(_Mode)
_key = msgspec.json.Decoder(_Key)
_risks = msgspec.json.Decoder(list[_Risk])
_income = msgspec.json.Decoder(list[_Income])


def parse_listen_key(body: bytes) -> str:
    """Answer of `listenKey`."""
    return decode(_key, body, "a listen key").listenKey


def parse_position_mode(body: bytes) -> bool:
    """Answer of `positionSide/dual` or `accountConfig`: whether the account is in hedge mode."""
    return decode(_mode, body, "a position mode").dualSidePosition


def parse_trading(body: bytes) -> tuple[bool, bool]:
    """Answer of `account`: whether it may trade, and withdraw."""
    row = decode(_account, body, "an account")
    return row.canTrade, row.canWithdraw


def parse_balances(body: bytes) -> list[VenueBalance]:
    """Answer of `account`: wallets, of which the margin of positions and orders is locked."""
    return [
        VenueBalance(currency=Currency(row.asset), total=row.walletBalance, locked=row.initialMargin)
        for row in decode(_account, body, "an account").assets
        if row.walletBalance or row.initialMargin
    ]


def parse_positions(body: bytes, account: AccountId, find: Callable[[str], Instrument | None]) -> list[VenuePosition]:
    """Answer of `positionRisk` (version 2): the open positions of known instruments."""
    return [
        _position(row, instrument, account)
        for row in decode(_risks, body, "positions")
        if row.positionAmt and (instrument := find(row.symbol)) is not None
    ]


def parse_held(body: bytes) -> list[str]:
    """Answer of `positionRisk`: symbols in which something is held."""
    return [row.symbol for row in decode(_risks, body, "positions") if row.positionAmt]


def _position(row: _Risk, instrument: Instrument, account: AccountId) -> VenuePosition:
    isolated = row.marginType == "isolated"
    value = instrument.notional(row.markPrice, abs(row.positionAmt))
    # An isolated margin counts the open profit in, which is not set aside.
    margin = row.isolatedMargin - row.unRealizedProfit if isolated else initial_margin(value, row.leverage)
    return VenuePosition(
        account=account,
        instrument=instrument.id,
        quantity=row.positionAmt,
        entry_price=row.entryPrice,
        mark_price=row.markPrice,
        unrealised=row.unRealizedProfit,
        leverage=row.leverage,
        margin_mode=MarginMode.ISOLATED if isolated else MarginMode.CROSS,
        margin=margin,
        maintenance=maintenance_margin(instrument.current_rules.margin, value, abs(row.positionAmt)),
        updated=row.updateTime * MS,
        liquidation_price=row.liquidationPrice if row.liquidationPrice > 0 else None,
    )


def parse_funding(
    body: bytes, account: AccountId, find: Callable[[str], Instrument | None]
) -> list[tuple[int, FundingPayment]]:
    """Answer of `income` for funding, each with its number there, oldest first."""
    return [
        (
            row.tranId,
            FundingPayment(
                id=f"{row.symbol}-{row.tranId}",
                account=account,
                instrument=instrument.id,
                currency=Currency(row.asset),
                amount=-row.income,
                ts=row.time * MS,
            ),
        )
        for row in decode(_income, body, "income")
        if row.incomeType == "FUNDING_FEE" and (instrument := find(row.symbol)) is not None
    ]


def parse_income_symbols(body: bytes) -> list[tuple[str, int]]:
    """Answer of `income`: symbol and time (milliseconds) of each row of one, oldest first."""
    return [(row.symbol, row.time) for row in decode(_income, body, "income") if row.symbol]


# --- orders ----------------------------------------------------------------------------------------------------------


class OrderRow(msgspec.Struct):
    """An order of the matching engine, as answers, queries and lists show it."""

    symbol: str
    orderId: int
    clientOrderId: str
    price: Decimal
    origQty: Decimal
    executedQty: Decimal
    status: str
    type: str
    side: str
    updateTime: int
    time: int = 0
    stopPrice: Decimal = ZERO
    origType: str = ""


class AlgoRow(msgspec.Struct):
    """An order of the conditional service, as answers, queries and lists show it."""

    algoId: int
    clientAlgoId: str
    orderType: str
    symbol: str
    side: str
    quantity: Decimal
    algoStatus: str
    triggerPrice: Decimal
    createTime: int
    updateTime: int
    price: Decimal = ZERO
    actualOrderId: str = ""
    triggerTime: int = 0


class TradeRow(msgspec.Struct):
    """An execution as `userTrades` shows it."""

    symbol: str
    id: int
    orderId: int
    side: str
    price: Decimal
    qty: Decimal
    commission: Decimal
    commissionAsset: str
    time: int
    maker: bool


_order = msgspec.json.Decoder(OrderRow)
_orders = msgspec.json.Decoder(list[OrderRow])
_algo = msgspec.json.Decoder(AlgoRow)
_algos = msgspec.json.Decoder(list[AlgoRow])
_trades = msgspec.json.Decoder(list[TradeRow])


def parse_order(body: bytes) -> OrderRow:
    """Answer of `order`, to placing, changing, cancelling and asking."""
    return decode(_order, body, "an order")


def parse_orders(body: bytes) -> list[OrderRow]:
    """Answer of `openOrders` and `allOrders`."""
    return decode(_orders, body, "orders")


def parse_algo(body: bytes) -> AlgoRow:
    """Answer of `algoOrder`, to placing and asking."""
    return decode(_algo, body, "a conditional order")


def parse_algos(body: bytes) -> list[AlgoRow]:
    """Answer of `openAlgoOrders`."""
    return decode(_algos, body, "conditional orders")


def parse_trade_rows(body: bytes) -> list[TradeRow]:
    """Answer of `userTrades`, oldest first."""
    return decode(_trades, body, "executions")


def algo_number(number: int) -> VenueOrderId:
    """The number of a conditional order, told apart from those of the matching engine."""
    return VenueOrderId(f"algo{number}")


def to_order(row: OrderRow, instrument: Instrument, account: AccountId, client_id: str = "") -> VenueOrder:
    """An order in the model's terms; `client_id` is that of the conditional order that it was, if any."""
    status = status_of(row.status)
    if status is OrderStatus.ACCEPTED and row.executedQty:
        status = OrderStatus.PARTIALLY_FILLED
    return VenueOrder(
        client_id=ClientOrderId(client_id or row.clientOrderId),
        venue_order_id=VenueOrderId(str(row.orderId)),
        account=account,
        instrument=instrument.id,
        side=side_of(row.side),
        type=type_of(row.origType or row.type),
        quantity=row.origQty,
        filled=row.executedQty,
        status=status,
        created=(row.time or row.updateTime) * MS,
        updated=row.updateTime * MS,
        price=or_none(row.price),
        stop_price=or_none(row.stopPrice),
    )


def to_algo_order(row: AlgoRow, instrument: Instrument, account: AccountId) -> VenueOrder:
    """A conditional order that has not reached the matching engine, in the model's terms."""
    return VenueOrder(
        client_id=ClientOrderId(row.clientAlgoId),
        venue_order_id=algo_number(row.algoId),
        account=account,
        instrument=instrument.id,
        side=side_of(row.side),
        type=type_of(row.orderType),
        quantity=row.quantity,
        filled=ZERO,
        status=status_of(row.algoStatus),
        created=row.createTime * MS,
        updated=row.updateTime * MS,
        price=or_none(row.price),
        stop_price=or_none(row.triggerPrice),
    )


def to_fill(row: TradeRow, instrument: Instrument, account: AccountId, client_id: ClientOrderId) -> Fill:
    """An execution in the model's terms."""
    return Fill(
        venue=instrument.venue,
        account=account,
        instrument=instrument.id,
        trade_id=TradeId(str(row.id)),
        venue_order_id=VenueOrderId(str(row.orderId)),
        client_id=client_id,
        side=side_of(row.side),
        price=row.price,
        quantity=row.qty,
        fee=row.commission,
        fee_currency=Currency(row.commissionAsset),
        liquidity=Liquidity.MAKER if row.maker else Liquidity.TAKER,
        ts=row.time * MS,
        cause=cause_of(client_id),
    )


# --- the private stream ----------------------------------------------------------------------------------------------


class PrivateFrame(msgspec.Struct):
    """A message of the private stream."""

    e: str = ""
    T: int = 0
    E: int = 0
    o: msgspec.Raw = msgspec.Raw(b"null")
    ac: msgspec.Raw = msgspec.Raw(b"null")
    listenKey: str = ""


class OrderReport(msgspec.Struct):
    """`o` of `ORDER_TRADE_UPDATE`."""

    s: str
    c: str
    S: str
    o: str
    q: Decimal
    p: Decimal
    x: str
    X: str
    i: int
    T: int
    l: Decimal = ZERO  # noqa: E741
    z: Decimal = ZERO
    L: Decimal = ZERO
    n: Decimal = ZERO
    N: str = ""
    t: int = 0
    m: bool = False
    ot: str = ""


class AlgoUpdate(msgspec.Struct):
    """`o` of `ALGO_UPDATE`."""

    caid: str
    aid: int
    s: str
    X: str
    ai: str = ""
    rm: str = ""


_frame = msgspec.json.Decoder(PrivateFrame)
_report = msgspec.json.Decoder(OrderReport)
_update = msgspec.json.Decoder(AlgoUpdate)


def parse_frame(frame: bytes) -> PrivateFrame:
    """The envelope of a message of the private stream."""
    return decode(_frame, frame, "a private message")


def parse_report(frame: PrivateFrame) -> OrderReport:
    """What an `ORDER_TRADE_UPDATE` is about."""
    return decode(_report, frame.o, "a report")


def parse_update(frame: PrivateFrame) -> AlgoUpdate:
    """What an `ALGO_UPDATE` is about."""
    return decode(_update, frame.o, "a report of a conditional order")


def report_events(
    report: OrderReport, instrument: Instrument, account: AccountId, client_id: ClientOrderId
) -> list[VenueEvent]:
    """What a report of the matching engine says about the order with this id of ours."""
    ts = report.T * MS
    if report.x in ("TRADE", "CALCULATED") and report.l > 0:
        return [ev.OrderFilled(fill=_report_fill(report, instrument, account, client_id))]
    if report.x == "NEW":
        return [ev.OrderAccepted(client_id=client_id, venue_order_id=VenueOrderId(str(report.i)), ts=ts)]
    if report.x == "AMENDMENT":
        return [ev.OrderAmended(client_id=client_id, ts=ts, quantity=report.q, price=report.p)]
    return end_of(client_id, report.X, ts)


def _report_fill(report: OrderReport, instrument: Instrument, account: AccountId, client_id: ClientOrderId) -> Fill:
    if not report.t:
        raise DataValidationError(f"Binance reported an execution of {report.c} without a number.")
    return Fill(
        venue=instrument.venue,
        account=account,
        instrument=instrument.id,
        trade_id=TradeId(str(report.t)),
        venue_order_id=VenueOrderId(str(report.i)),
        client_id=client_id,
        side=side_of(report.S),
        price=report.L,
        quantity=report.l,
        fee=report.n,
        fee_currency=Currency(report.N or instrument.settle),
        liquidity=Liquidity.MAKER if report.m else Liquidity.TAKER,
        ts=report.T * MS,
        cause=cause_of(report.c),
    )


def algo_events(update: AlgoUpdate, ts: int) -> list[VenueEvent]:
    """What a report of the conditional service says at a time (UTC nanoseconds at the venue).

    Ends after the trigger are told by the matching engine.
    """
    client_id = ClientOrderId(update.caid)
    match update.X:
        case "NEW":
            return [ev.OrderAccepted(client_id=client_id, venue_order_id=algo_number(update.aid), ts=ts)]
        case "TRIGGERED":
            return [ev.OrderTriggered(client_id=client_id, ts=ts)]
        case "REJECTED":
            # Refused by the matching engine once triggered: an end, and no refusal of what had been accepted.
            return [ev.OrderExpired(client_id=client_id, reason=update.rm or "refused when triggered", ts=ts)]
        case "CANCELED" | "EXPIRED" if not update.ai:
            return end_of(client_id, update.X, ts, reason=update.rm)
        case _:
            return []
