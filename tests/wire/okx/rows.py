"""OKX's rows as it writes them: numbers as text, every key that the recorded messages have."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from engine.model.fill import FillCause
from engine.model.instrument import InstrumentKind
from engine.model.order import Liquidity, OrderSide, OrderStatus, OrderType, TimeInForce

if TYPE_CHECKING:
    from engine.model.candle import Candle
    from engine.model.fill import Fill
    from engine.model.instrument import Instrument
    from engine.model.market import MarketTrade
    from engine.model.venue import FundingPayment, VenueBalance, VenuePosition
    from tests.wire.exchange import Exchange
    from tests.wire.ledger import WireOrder
    from tests.wire.tape import Day

__all__ = [
    "WAITING",
    "algo_row",
    "bill_id",
    "balance_row",
    "bill_row",
    "candle_row",
    "fill_row",
    "inst_id",
    "instrument_row",
    "is_algo",
    "levels",
    "order_id",
    "order_row",
    "position_row",
    "text",
    "ticker_row",
    "trade_row",
]

WAITING = (OrderType.STOP_LOSS, OrderType.TAKE_PROFIT)
_IDS = 2_900_000_000_000_000_000
_STATE = {
    OrderStatus.ACCEPTED: "live",
    OrderStatus.PARTIALLY_FILLED: "partially_filled",
    OrderStatus.FILLED: "filled",
    OrderStatus.CANCELED: "canceled",
    OrderStatus.EXPIRED: "canceled",
}


_CATEGORIES = {
    FillCause.TRADE: "normal",
    FillCause.LIQUIDATION: "full_liquidation",
    FillCause.DELEVERAGING: "adl",
}
_BILLS = {
    (FillCause.TRADE, OrderSide.BUY): "1",
    (FillCause.TRADE, OrderSide.SELL): "2",
    (FillCause.LIQUIDATION, OrderSide.BUY): "106",
    (FillCause.LIQUIDATION, OrderSide.SELL): "107",
    (FillCause.DELEVERAGING, OrderSide.BUY): "127",
    (FillCause.DELEVERAGING, OrderSide.SELL): "128",
}


def text(value: Decimal | None) -> str:
    """A number without an exponent and without needless zeros; nothing for None."""
    if value is None:
        return ""
    return format(value.normalize(), "f") if value else "0"


def inst_id(instrument: Instrument) -> str:
    """OKX's name of an instrument."""
    name = f"{instrument.base}-{instrument.quote}"
    return name if instrument.kind is InstrumentKind.SPOT else f"{name}-SWAP"


def inst_type(instrument: Instrument) -> str:
    """OKX's name of its kind."""
    return "SPOT" if instrument.kind is InstrumentKind.SPOT else "SWAP"


def order_id(order: WireOrder) -> str:
    """OKX's number of an ordinary order, or of what an algo order became."""
    return str(_IDS + order.number)


def algo_id(order: WireOrder) -> str:
    """OKX's number of an algo order."""
    return str(_IDS // 2 + order.number)


def number_of(text_id: str) -> int:
    """The exchange's number of an order behind OKX's; -1 for none."""
    if not text_id.isdecimal():
        return -1
    number = int(text_id)
    return number - _IDS if number > _IDS else number - _IDS // 2


def is_algo(order: WireOrder) -> bool:
    """Whether it was asked for as a stop or take-profit order."""
    return order.command.type in WAITING


def client_id(order: WireOrder) -> str:
    """The client's id; empty where it gave none."""
    return "" if order.terms.get("nameless") or order.terms.get("adopted") else str(order.client_id)


# --- the market -------------------------------------------------------------------------------------------------------


def instrument_row(instrument: Instrument, code: int) -> dict[str, Any]:
    """One row of `public/instruments`."""
    rules, spot = instrument.current_rules, instrument.kind is InstrumentKind.SPOT
    most = text(rules.max_quantity)
    return {
        "alias": "",
        "auctionEndTime": "",
        "baseCcy": instrument.base if spot else "",
        "category": "1",
        "contTdSwTime": "",
        "ctMult": "" if spot else "1",
        "ctType": "" if spot else "linear",
        "ctVal": "" if spot else text(instrument.multiplier),
        "ctValCcy": "" if spot else instrument.base,
        "expTime": "",
        "futureSettlement": False,
        "groupId": "1" if spot else "4",
        "instFamily": "" if spot else f"{instrument.base}-{instrument.quote}",
        "instId": inst_id(instrument),
        "instIdCode": code,
        "instType": inst_type(instrument),
        "lever": "10" if spot else "100",
        "listTime": "1548133413000",
        "lotSz": text(rules.lot),
        "maxIcebergSz": f"{most}.0000000000000000",
        "maxLmtAmt": "20000000",
        "maxLmtSz": most,
        "maxMktAmt": "1000000" if spot else "",
        "maxMktSz": "1000000" if spot else most,
        "maxPlatOILmt": "",
        "maxStopSz": "1000000" if spot else most,
        "maxTriggerSz": f"{most}.0000000000000000",
        "maxTwapSz": f"{most}.0000000000000000",
        "minSz": text(rules.min_quantity),
        "openType": "",
        "optType": "",
        "posLmtAmt": "",
        "posLmtPct": "",
        "preMktSwTime": "",
        "quoteCcy": instrument.quote if spot else "",
        "ruleType": "normal",
        "settleCcy": "" if spot else instrument.settle,
        "state": "live",
        "stk": "",
        "tickSz": text(rules.price_tick),
        "tradeQuoteCcyList": [instrument.quote] if spot else [],
        "uly": "" if spot else f"{instrument.base}-{instrument.quote}",
    }


def levels(instrument: Instrument, side: list[tuple[int, int]]) -> list[list[str]]:
    """Levels of a book."""
    return [
        [text(instrument.price_from_int(p)), text(instrument.quantity_from_int(q)), "0", "1" if q else "0"]
        for p, q in side
    ]


def trade_row(instrument: Instrument, trade: MarketTrade, exchange: Exchange) -> dict[str, Any]:
    """One row of `market/trades`."""
    return {
        "instId": inst_id(instrument),
        "side": trade.aggressor.value,
        "sz": text(instrument.quantity_from_int(trade.quantity)),
        "px": text(instrument.price_from_int(trade.price)),
        "tradeId": str(trade.trade_id),
        "ts": str(exchange.ms(trade.ts)),
    }


def candle_row(instrument: Instrument, candle: Candle, *, closed: bool) -> list[str]:
    """One candle."""
    prices = [text(_decimal(p, instrument.price_scale)) for p in (candle.open, candle.high, candle.low, candle.close)]
    volume = _decimal(candle.volume, instrument.quantity_scale)
    base = volume * instrument.multiplier
    value = base * _decimal(candle.close, instrument.price_scale)
    spot = instrument.kind is InstrumentKind.SPOT
    return [
        str(candle.ts // 1_000_000),
        *prices,
        text(volume),
        text(value if spot else base),
        text(value),
        "1" if closed else "0",
    ]


def ticker_row(instrument: Instrument, exchange: Exchange, day: Day | None) -> dict[str, Any]:
    """One row of `market/tickers`."""
    book = exchange.books[instrument.id]
    (bid, bid_size), (ask, ask_size) = (*book.top_bids(1), (0, 0))[0], (*book.top_asks(1), (0, 0))[0]
    price, size = instrument.price_from_int, instrument.quantity_from_int
    spot = instrument.kind is InstrumentKind.SPOT
    return {
        "instType": inst_type(instrument),
        "instId": inst_id(instrument),
        "last": text(day.last) if day else "",
        "lastSz": text(day.last_quantity) if day else "",
        "askPx": text(price(ask)),
        "askSz": text(size(ask_size)),
        "bidPx": text(price(bid)),
        "bidSz": text(size(bid_size)),
        "open24h": text(day.open) if day else "",
        "high24h": text(day.high) if day else "",
        "low24h": text(day.low) if day else "",
        "volCcy24h": text((day.value if spot else day.volume * instrument.multiplier) if day else None),
        "vol24h": text(day.volume) if day else "",
        "sodUtc0": text(day.open) if day else "",
        "sodUtc8": text(day.open) if day else "",
        "ts": str(exchange.ms()),
    }


def _decimal(value: float, places: int) -> Decimal:
    return Decimal(round(value * 10**places)).scaleb(-places)


# --- orders -----------------------------------------------------------------------------------------------------------


def ord_type(order: WireOrder) -> str:
    """What kind of ordinary order it is, or has become."""
    named = order.terms.get("ordType")
    if is_algo(order):
        return "market" if order.price is None else "limit"
    if named:
        return str(named)
    command = order.command
    if command.type is OrderType.MARKET:
        return "market"
    return {TimeInForce.GTC: "limit", TimeInForce.IOC: "ioc", TimeInForce.FOK: "fok"}[command.tif]


def order_row(order: WireOrder, instrument: Instrument, exchange: Exchange) -> dict[str, Any]:
    """One row of `trade/order`; for an algo order what it became."""
    last = order.fills[-1] if order.fills else None
    fee = -sum((f.fee for f in order.fills), Decimal(0))
    command, spot = order.command, instrument.kind is InstrumentKind.SPOT
    kind = ord_type(order)
    return {
        "accFillSz": text(order.filled),
        "algoClOrdId": client_id(order) if is_algo(order) else "",
        "algoId": algo_id(order) if is_algo(order) else "",
        "attachAlgoClOrdId": "",
        "attachAlgoOrds": [],
        "avgPx": text(order.average) if order.fills else "",
        "cTime": str(exchange.ms(order.created)),
        "cancelSource": cancel_source(order),
        "cancelSourceReason": order.reason,
        "category": _CATEGORIES[last.cause] if last else "normal",
        "ccy": "",
        "clOrdId": "" if is_algo(order) else client_id(order),
        "fee": text(fee),
        "feeCcy": last.fee_currency if last else (instrument.base if command.side == "buy" else instrument.quote),
        "fillPx": text(last.price) if last else "",
        "fillSz": text(last.quantity) if last else "0",
        "fillTime": str(exchange.ms(last.ts)) if last else "",
        "instId": inst_id(instrument),
        "instType": inst_type(instrument),
        "isTpLimit": "false",
        "lever": "" if spot else "1",
        "linkedAlgoOrd": {"algoId": ""},
        "ordId": order_id(order),
        "ordType": kind,
        "pnl": "0",
        "posSide": "net",
        "px": text(order.price) if kind != "market" else "",
        "pxType": "",
        "pxUsd": "",
        "pxVol": "",
        "quickMgnType": "",
        "rebate": "0",
        "rebateCcy": instrument.quote,
        "reduceOnly": "true" if command.reduce_only else "false",
        "side": command.side.value,
        "slOrdPx": "",
        "slTriggerPx": "",
        "slTriggerPxType": "",
        "source": "7" if is_algo(order) else "",
        "state": _STATE[order.status],
        "stpId": "",
        "stpMode": "cancel_maker",
        "sz": text(order.quantity),
        "tag": str(order.terms.get("tag", "")),
        "tdMode": str(order.terms.get("tdMode", "cash")),
        "tgtCcy": str(order.terms.get("tgtCcy", "")),
        "tpOrdPx": "",
        "tpTriggerPx": "",
        "tpTriggerPxType": "",
        "tradeId": trade_id(last) if last else "",
        "uTime": str(exchange.ms(order.updated)),
    }


def cancel_source(order: WireOrder) -> str:
    """Why it ended early, as a code; empty while it has not."""
    if order.status is OrderStatus.EXPIRED:
        return "13" if order.command.tif is TimeInForce.FOK else "14"
    if order.status is OrderStatus.CANCELED:
        return str(order.terms.get("cancelSource", "1"))
    return ""


def trade_id(fill: Fill) -> str:
    """OKX's number of an execution."""
    return "".join(c for c in fill.trade_id if c.isdecimal()) or "0"


def pushed_fill(fill: Fill | None, exchange: Exchange) -> dict[str, str]:
    """What a message of the `orders` channel says of the execution that it tells of."""
    return {
        "execType": ("M" if fill.liquidity is Liquidity.MAKER else "T") if fill else "",
        "fillFee": text(-fill.fee) if fill else "0",
        "fillFeeCcy": str(fill.fee_currency) if fill else "",
        "fillPx": text(fill.price) if fill else "",
        "fillSz": text(fill.quantity) if fill else "0",
        "fillTime": str(exchange.ms(fill.ts)) if fill else "",
        "tradeId": trade_id(fill) if fill else "",
    }


def algo_row(order: WireOrder, instrument: Instrument, exchange: Exchange) -> dict[str, Any]:
    """One row of `trade/order-algo`."""
    command, stop = order.command, order.command.type is OrderType.STOP_LOSS
    trigger, limit = text(order.stop_price), "-1" if order.price is None else text(order.price)
    ended_early = not order.triggered and not order.is_open
    state = "effective" if order.triggered else "canceled" if ended_early else "live"
    became = [order_id(order)] if order.triggered else []
    return {
        "activePx": "",
        "actualPx": text(order.price) if order.triggered else "",
        "actualSide": ("sl" if stop else "tp") if order.triggered else "",
        "actualSz": text(order.quantity) if order.triggered else "0",
        "algoClOrdId": client_id(order),
        "algoId": algo_id(order),
        "amendPxOnTriggerType": "0",
        "attachAlgoOrds": [],
        "cTime": str(exchange.ms(order.created)),
        "ccy": "",
        "clOrdId": "",
        "closeFraction": "",
        "failCode": "",
        "instId": inst_id(instrument),
        "instType": inst_type(instrument),
        "last": "",
        "lever": "" if instrument.kind is InstrumentKind.SPOT else "1",
        "linkedOrd": {"ordId": ""},
        "ordId": became[0] if became else "",
        "ordIdList": became,
        "ordPx": "",
        "ordType": str(order.terms.get("ordType", "conditional")),
        "posSide": "net",
        "quickMgnType": "",
        "reduceOnly": "true" if command.reduce_only else "false",
        "side": command.side.value,
        "slOrdPx": limit if stop else "",
        "slTriggerPx": trigger if stop else "",
        "slTriggerPxType": "last" if stop else "",
        "state": state,
        "sz": text(order.quantity),
        "tag": str(order.terms.get("tag", "")),
        "tdMode": str(order.terms.get("tdMode", "cash")),
        "tgtCcy": str(order.terms.get("tgtCcy", "")),
        "tpOrdPx": "" if stop else limit,
        "tpTriggerPx": "" if stop else trigger,
        "tpTriggerPxType": "" if stop else "last",
        "triggerPx": "",
        "triggerPxType": "",
        "triggerTime": str(exchange.ms(order.updated)) if order.triggered else "",
        "uTime": str(exchange.ms(order.updated)),
    }


def bill_id(number: int) -> int:
    """OKX's number of an execution."""
    return _IDS // 3 + number


def fill_row(number: int, fill: Fill, order: WireOrder, instrument: Instrument, exchange: Exchange) -> dict[str, Any]:
    """One row of `trade/fills`."""
    return {
        "instType": inst_type(instrument),
        "instId": inst_id(instrument),
        "tradeId": trade_id(fill),
        "ordId": order_id(order),
        "clOrdId": "" if is_algo(order) else client_id(order),
        "billId": str(bill_id(number)),
        "subType": _BILLS[fill.cause, fill.side],
        "tag": str(order.terms.get("tag", "")),
        "fillPx": text(fill.price),
        "fillSz": text(fill.quantity),
        "fillIdxPx": "",
        "fillPnl": "0",
        "fillPxVol": "",
        "fillPxUsd": "",
        "fillMarkVol": "",
        "fillFwdPx": "",
        "fillMarkPx": "",
        "side": fill.side.value,
        "posSide": "net",
        "execType": "M" if fill.liquidity is Liquidity.MAKER else "T",
        "feeCcy": fill.fee_currency,
        "fee": text(-fill.fee),
        "ts": str(exchange.ms(fill.ts)),
        "fillTime": str(exchange.ms(fill.ts)),
        "feeRate": "",
        "tradeQuoteCcy": instrument.quote,
    }


# --- the account ------------------------------------------------------------------------------------------------------


def position_row(position: VenuePosition, instrument: Instrument, exchange: Exchange) -> dict[str, Any]:
    """One row of `account/positions`."""
    isolated = position.margin_mode.value == "isolated"
    mark = position.mark_price
    nothing = dict.fromkeys(
        ("baseBal", "optVal", "posCcy", "quoteBal", "quoteBorrowed", "quoteInterest", "spotInUseAmt", "spotInUseCcy"),
        "",
    )
    return {
        **nothing,
        "adl": "1",
        "availPos": "",
        "avgPx": text(position.entry_price),
        "bePx": text(position.entry_price),
        "cTime": str(exchange.ms(position.updated)),
        "ccy": instrument.settle,
        "fee": "0",
        "fundingFee": "0",
        "idxPx": text(mark),
        "imr": "" if isolated else text(position.margin),
        "instId": inst_id(instrument),
        "instType": inst_type(instrument),
        "interest": "",
        "last": text(mark),
        "lever": text(position.leverage),
        "liqPenalty": "0",
        "liqPx": text(position.liquidation_price),
        "margin": text(position.margin) if isolated else "",
        "markPx": text(mark),
        "mgnMode": position.margin_mode.value,
        "mgnRatio": "",
        "mmr": text(position.maintenance),
        "notionalUsd": text(abs(position.quantity) * instrument.multiplier * mark),
        "pendingCloseOrdLiabVal": "",
        "pnl": "0",
        "pos": text(position.quantity),
        "posId": str(_IDS // 5 + sum(map(ord, position.instrument))),
        "posSide": "net",
        "realizedPnl": "0",
        "tradeId": "",
        "uTime": str(exchange.ms(position.updated)),
        "upl": text(position.unrealised),
        "uplLastPx": text(position.unrealised),
        "uplRatio": "0",
        "uplRatioLastPx": "0",
        "usdPx": "1",
    }


def bill_row(payment: FundingPayment, instrument: Instrument, exchange: Exchange) -> dict[str, Any]:
    """One row of `account/bills` that settles funding."""
    number = "".join(c for c in payment.id if c.isdecimal())
    paid = text(-payment.amount)
    rest = dict.fromkeys(("clOrdId", "execType", "from", "interest", "notes", "ordId", "tag", "to", "tradeId"), "")
    return {
        **rest,
        "bal": "0",
        "balChg": paid,
        "billId": str(_IDS // 7 + payment.ts // 1_000_000 * 10 + int(number or 0) % 10),
        "ccy": payment.currency,
        "fee": "0",
        "instId": inst_id(instrument),
        "instType": inst_type(instrument),
        "mgnMode": "isolated",
        "pnl": paid,
        "posBal": "0",
        "posBalChg": "0",
        "px": "",
        "subType": "173" if payment.amount > 0 else "174",
        "sz": "0",
        "ts": str(exchange.ms(payment.ts)),
        "type": "8",
    }


def balance_row(balances: list[VenueBalance], open_profit: dict[str, Decimal], exchange: Exchange) -> dict[str, Any]:
    """`account/balance`; the equity of a currency counts the open profit of positions settled in it."""
    now = str(exchange.ms())
    return {
        "adjEq": "",
        "availEq": "",
        "borrowFroz": "",
        "details": [_currency_row(b, open_profit.get(b.currency, Decimal(0)), now) for b in balances],
        "imr": "",
        "isoEq": "0",
        "mgnRatio": "",
        "mmr": "",
        "notionalUsd": "",
        "notionalUsdForBorrow": "",
        "notionalUsdForFutures": "",
        "notionalUsdForOption": "",
        "notionalUsdForSwap": "",
        "ordFroz": "",
        "totalEq": "",
        "uTime": now,
        "upl": "",
    }


_EMPTY_IN_CURRENCY = (
    "accAvgPx", "borrowFroz", "clSpotInUseAmt", "crossLiab", "interest", "isoLiab", "liab", "maxLoan",
    "maxSpotInUseAmt", "mgnRatio", "openAvgPx", "spotBal", "spotInUseAmt", "spotUpl", "spotUplRatio", "totalPnl",
    "totalPnlRatio", "uplLiab",
)  # fmt: skip
_NOTHING_IN_CURRENCY = (
    "disEq", "fixedBal", "imr", "isoEq", "isoUpl", "mmr", "notionalLever", "rewardBal", "smtSyncEq",
    "spotIsoBal", "spotCopyTradingEq", "stgyEq", "twap",
)  # fmt: skip


def _currency_row(balance: VenueBalance, open_profit: Decimal, now: str) -> dict[str, Any]:
    free = text(balance.total - balance.locked)
    return {
        **dict.fromkeys(_EMPTY_IN_CURRENCY, ""),
        **dict.fromkeys(_NOTHING_IN_CURRENCY, "0"),
        "availBal": free,
        "availEq": free,
        "cashBal": text(balance.total),
        "ccy": balance.currency,
        "collateralEnabled": False,
        "eq": text(balance.total + open_profit),
        "eqUsd": text(balance.total + open_profit),
        "frozenBal": text(balance.locked),
        "ordFrozen": text(balance.locked),
        "uTime": now,
        "upl": text(open_profit),
    }
