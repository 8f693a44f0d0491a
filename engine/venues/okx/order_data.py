"""OKX's orders and executions as model objects and events.

A stop or take-profit order is an *algo order* at OKX: it waits under an id of its own, and when it is triggered it
becomes an ordinary order with another id, which carries our client id as `algoClOrdId`. Here both are one order: its
client id stays, its executions carry the id of the ordinary order, as OKX's own list of executions does.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from engine import events as ev
from engine.errors import DataValidationError
from engine.model.fill import Fill, FillCause
from engine.model.ids import AccountId, ClientOrderId, Currency, TradeId, VenueOrderId
from engine.model.order import Liquidity, OrderStatus, OrderType
from engine.model.venue import VenueOrder
from engine.venues.okx.messages import AlgoRow, FillRow, OrderRow, exact, maybe, ms
from engine.venues.okx.public_data import side_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.events import VenueEvent
    from engine.model.instrument import Instrument

__all__ = [
    "algo_client_id",
    "algo_events",
    "client_id_of",
    "fill_of_order",
    "order_events",
    "parse_algo",
    "parse_fill",
    "parse_order",
    "triggered_order",
]

_IMMEDIATE = frozenset({"ioc", "fok", "market", "optimal_limit_ioc", "op_fok"})
_BY_USER = "1"
CANCEL_SOURCES = {
    "0": "Cancelled by OKX.",
    "1": "Cancelled as asked.",
    "2": "Cancelled by OKX to keep the margin.",
    "3": "Cancelled by OKX's risk control.",
    "4": "Cancelled because the borrowed amount reached its limit.",
    "6": "Cancelled because the margin ratio was too low.",
    "7": "Cancelled because of a risk of liquidation.",
    "9": "Cancelled because the balance was insufficient after funding.",
    "10": "Cancelled because the option expires.",
    "13": "A fill-or-kill order that could not be filled as a whole.",
    "14": "An immediate-or-cancel order, the rest of which could not be filled.",
    "15": "The price was beyond OKX's limit.",
    "17": "Cancelled because the position that it was to close is gone.",
    "20": "Cancelled by the dead-man's switch.",
    "21": "Cancelled because the position was closed.",
    "22": "Cancelled because a reduce-only order in the same direction exists.",
    "23": "Cancelled because a reduce-only order in the same direction exists.",
    "31": "A post-only order that would have taken.",
    "32": "Prevented from trading with another order of the same account.",
    "33": "It would have met too many orders.",
    "36": "Cancelled because the other leg was triggered.",
    "38": "Cancelled by market-maker protection.",
    "39": "Cancelled because market-maker protection was triggered.",
}
_LIQUIDATED = frozenset({"full_liquidation", "partial_liquidation"})
# 100-103 partial and 104-107 full liquidations, 110 and 111 their transfers, 125-128 deleveraging.
_LIQUIDATION_BILLS = frozenset(str(code) for code in (*range(100, 108), 110, 111))
_DELEVERAGING_BILLS = frozenset(str(code) for code in range(125, 129))

_ALGO_ENDS = {
    "canceled": OrderStatus.CANCELED,
    "order_failed": OrderStatus.CANCELED,
    "partially_failed": OrderStatus.CANCELED,
}
_TRIGGERED = frozenset({"effective", "partially_effective", "order_placed", "filled"})


def client_id_of(row: OrderRow) -> ClientOrderId:
    """Our id of an order: that of the algo order it came of, else its own; the venue's number where it has neither."""
    return ClientOrderId(row.algo_cl_ord_id or row.cl_ord_id or row.ord_id)


def algo_client_id(row: AlgoRow) -> ClientOrderId:
    """Our id of an algo order; the venue's number where it has none."""
    return ClientOrderId(row.algo_cl_ord_id or row.algo_id)


# --- ordinary orders --------------------------------------------------------------------------------------------------


def parse_order(account: AccountId, instrument: Instrument, row: OrderRow) -> VenueOrder:
    """An ordinary order.

    A market order whose size is in quote currency, which only others place, counts with what was filled of it.
    """
    filled, quantity = exact(row.acc_fill_sz), exact(row.sz)
    if row.tgt_ccy == "quote_ccy" and row.ord_type == "market" and row.inst_type == "SPOT":
        quantity = filled or quantity
    status = _status(row, filled)
    return VenueOrder(
        client_id=client_id_of(row),
        venue_order_id=VenueOrderId(row.ord_id),
        account=account,
        instrument=instrument.id,
        side=side_of(row.side),
        type=OrderType.MARKET if row.ord_type in ("market", "optimal_limit_ioc") else OrderType.LIMIT,
        quantity=quantity,
        filled=filled,
        status=status,
        created=ms(row.c_time),
        updated=ms(row.u_time) or ms(row.c_time),
        price=maybe(row.px) or None,
        reason=_why(row) if status in (OrderStatus.CANCELED, OrderStatus.EXPIRED) else "",
    )


def _status(row: OrderRow, filled: Decimal) -> OrderStatus:
    match row.state:
        case "live":
            return OrderStatus.PARTIALLY_FILLED if filled else OrderStatus.ACCEPTED
        case "partially_filled":
            return OrderStatus.PARTIALLY_FILLED
        case "filled":
            return OrderStatus.FILLED
        case "canceled" | "mmp_canceled":
            return OrderStatus.EXPIRED if _ran_out(row) else OrderStatus.CANCELED
    raise DataValidationError(f"OKX says that order {row.ord_id} is {row.state[:30]!r}, which is no state known here.")


def _ran_out(row: OrderRow) -> bool:
    """Whether it ended by its time in force rather than by a wish."""
    return row.ord_type in _IMMEDIATE and row.cancel_source != _BY_USER


def _why(row: OrderRow) -> str:
    return row.cancel_source_reason or CANCEL_SOURCES.get(row.cancel_source, "Cancelled.")


def order_events(account: AccountId, instrument: Instrument, row: OrderRow) -> list[VenueEvent]:
    """What a message of the `orders` channel says, in the order in which it happened.

    Raises:
        DataValidationError: It tells of an execution and not of its fee.
    """
    client_id, ts = client_id_of(row), ms(row.u_time)
    events: list[VenueEvent] = []
    # OrderTriggered for what an algo order became; an OrderAccepted would give the order another venue id.
    if row.algo_cl_ord_id:
        events.append(ev.OrderTriggered(client_id=client_id, ts=ms(row.c_time) or ts))
    elif row.state == "live" and not row.amend_result:
        events.append(ev.OrderAccepted(client_id=client_id, venue_order_id=VenueOrderId(row.ord_id), ts=ts))
    fill = fill_of_order(account, instrument, row)
    if fill is not None:
        events.append(ev.OrderFilled(fill=fill))
    events += _amendment(client_id, row.amend_result, row.code, row.msg, ts, sz=row.sz, price=row.px)
    if row.state in ("canceled", "mmp_canceled"):
        ended = ev.OrderExpired if _ran_out(row) else ev.OrderCanceled
        events.append(ended(client_id=client_id, reason=_why(row), ts=ts))
    return events


def _amendment(
    client_id: ClientOrderId,
    result: str,
    code: str,
    words: str,
    ts: int,
    *,
    sz: str,
    price: str = "",
    stop_price: str = "",
) -> list[VenueEvent]:
    if result == "-1":
        reason = words or "OKX did not change the order."
        return [ev.OrderCancelRejected(client_id=client_id, code=code or "amend", reason=reason, ts=ts)]
    if result != "0":
        return []
    return [
        ev.OrderAmended(
            client_id=client_id,
            ts=ts,
            quantity=maybe(sz),
            price=maybe(price) or None,
            stop_price=maybe(stop_price) or None,
        )
    ]


def fill_of_order(account: AccountId, instrument: Instrument, row: OrderRow) -> Fill | None:
    """The execution that a message of the `orders` channel tells of; None for none.

    Raises:
        DataValidationError: Its fee is not said and cannot be told from the sum.
    """
    quantity = exact(row.fill_sz)
    if not row.trade_id or not quantity or not row.exec_type:
        return None
    fee, currency = _fee(row, quantity)
    return Fill(
        venue=instrument.venue,
        account=account,
        instrument=instrument.id,
        trade_id=TradeId(row.trade_id),
        venue_order_id=VenueOrderId(row.ord_id),
        client_id=client_id_of(row),
        side=side_of(row.side),
        price=exact(row.fill_px),
        quantity=quantity,
        fee=-fee,
        fee_currency=Currency(currency or instrument.quote),
        liquidity=_liquidity(row.exec_type),
        ts=ms(row.fill_time) or ms(row.u_time),
        cause=_cause(row.category),
    )


def _fee(row: OrderRow, quantity: Decimal) -> tuple[Decimal, str]:
    if row.fill_fee:
        return exact(row.fill_fee), row.fill_fee_ccy or row.fee_ccy
    # Without the fee of this execution, the sum of all is it only where this one is all.
    if exact(row.acc_fill_sz) == quantity:
        return exact(row.fee), row.fee_ccy
    raise DataValidationError(f"OKX told of the execution {row.trade_id} of order {row.ord_id} without its fee.")


def _cause(category: str) -> FillCause:
    if category in _LIQUIDATED:
        return FillCause.LIQUIDATION
    return FillCause.DELEVERAGING if category == "adl" else FillCause.TRADE


def _liquidity(exec_type: str) -> Liquidity:
    return Liquidity.MAKER if exec_type == "M" else Liquidity.TAKER


def parse_fill(
    account: AccountId, instrument: Instrument, row: FillRow, client_id: ClientOrderId | None = None
) -> Fill:
    """An execution of OKX's list.

    Args:
        account: Whose.
        instrument: In what.
        row: As it is listed; it does not say of which algo order the order came.
        client_id: Our id, where the row has none.
    """
    bill = row.sub_type
    cause = FillCause.TRADE
    if bill in _LIQUIDATION_BILLS:
        cause = FillCause.LIQUIDATION
    elif bill in _DELEVERAGING_BILLS:
        cause = FillCause.DELEVERAGING
    return Fill(
        venue=instrument.venue,
        account=account,
        instrument=instrument.id,
        trade_id=TradeId(row.trade_id),
        venue_order_id=VenueOrderId(row.ord_id),
        client_id=client_id or ClientOrderId(row.cl_ord_id or row.ord_id),
        side=side_of(row.side),
        price=exact(row.fill_px),
        quantity=exact(row.fill_sz),
        fee=-exact(row.fee),
        fee_currency=Currency(row.fee_ccy or instrument.quote),
        liquidity=_liquidity(row.exec_type),
        ts=ms(row.fill_time) or ms(row.ts),
        cause=cause,
    )


# --- stop and take-profit orders --------------------------------------------------------------------------------------


def parse_algo(account: AccountId, instrument: Instrument, row: AlgoRow) -> VenueOrder:
    """A stop or take-profit order that waits, or has ended without having become an order.

    Raises:
        DataValidationError: Its state is unknown.
    """
    kind, stop_price, price = _trigger(row)
    return VenueOrder(
        client_id=algo_client_id(row),
        venue_order_id=VenueOrderId(row.algo_id),
        account=account,
        instrument=instrument.id,
        side=side_of(row.side),
        type=kind,
        quantity=exact(row.sz),
        filled=Decimal(0),
        status=_algo_status(row),
        created=ms(row.c_time),
        updated=ms(row.u_time) or ms(row.c_time),
        price=price,
        stop_price=stop_price,
        reason=_algo_why(row),
    )


def triggered_order(account: AccountId, instrument: Instrument, row: AlgoRow, became: Sequence[OrderRow]) -> VenueOrder:
    """A stop or take-profit order with what it became: one order, or several where OKX has split it."""
    whole = parse_algo(account, instrument, row)
    parts = [parse_order(account, instrument, part) for part in became]
    if not parts:
        return whole
    filled = sum((part.filled for part in parts), Decimal(0))
    statuses = {part.status for part in parts}
    ended = statuses & {OrderStatus.CANCELED, OrderStatus.EXPIRED}
    if statuses & {OrderStatus.ACCEPTED, OrderStatus.PARTIALLY_FILLED}:
        status = OrderStatus.PARTIALLY_FILLED if filled else OrderStatus.ACCEPTED
    else:
        status = min(ended) if ended else OrderStatus.FILLED
    return VenueOrder(
        client_id=whole.client_id,
        venue_order_id=whole.venue_order_id,
        account=account,
        instrument=instrument.id,
        side=whole.side,
        type=whole.type,
        quantity=whole.quantity,
        filled=filled,
        status=status,
        created=whole.created,
        updated=max(whole.updated, *(part.updated for part in parts)),
        price=whole.price,
        stop_price=whole.stop_price,
        reason=next((part.reason for part in parts if part.reason), whole.reason),
    )


def algo_events(row: AlgoRow) -> list[VenueEvent]:
    """What a message of the `orders-algo` channel says; what it becomes is told by the `orders` channel."""
    client_id, ts = algo_client_id(row), ms(row.u_time) or ms(row.c_time)
    _, stop_price, price = _trigger(row)
    events = _amendment(
        client_id,
        row.amend_result,
        row.fail_code,
        "",
        ts,
        sz=row.sz,
        price="" if price is None else str(price),
        stop_price="" if stop_price is None else str(stop_price),
    )
    if row.state in ("live", "pause") and not events:
        return [ev.OrderAccepted(client_id=client_id, venue_order_id=VenueOrderId(row.algo_id), ts=ts)]
    if row.state in _TRIGGERED:
        events.append(ev.OrderTriggered(client_id=client_id, ts=ms(row.trigger_time) or ts))
    elif row.state in _ALGO_ENDS:
        events.append(ev.OrderCanceled(client_id=client_id, reason=_algo_why(row), ts=ts))
    return events


def _algo_status(row: AlgoRow) -> OrderStatus:
    if row.state in ("live", "pause", *_TRIGGERED):
        return OrderStatus.ACCEPTED
    if row.state in _ALGO_ENDS:
        return _ALGO_ENDS[row.state]
    raise DataValidationError(f"OKX says that order {row.algo_id} is {row.state[:30]!r}, which is no state known here.")


def _algo_why(row: AlgoRow) -> str:
    if row.state == "canceled":
        return "Cancelled before it was triggered."
    if row.state in _ALGO_ENDS:
        return f"Triggered, but OKX refused the order (code {row.fail_code or 'unknown'})."
    return ""


def _trigger(row: AlgoRow) -> tuple[OrderType, Decimal | None, Decimal | None]:
    """Kind, trigger price and limit price (None for market)."""
    if row.ord_type in ("conditional", "oco") and not row.sl_trigger_px and row.tp_trigger_px:
        return OrderType.TAKE_PROFIT, maybe(row.tp_trigger_px), _limit(row.tp_ord_px)
    if row.sl_trigger_px:
        return OrderType.STOP_LOSS, maybe(row.sl_trigger_px), _limit(row.sl_ord_px)
    trigger, last = maybe(row.trigger_px), maybe(row.last)
    kind = OrderType.STOP_LOSS
    if trigger is not None and last is not None and (trigger < last) == (row.side == "buy"):
        kind = OrderType.TAKE_PROFIT
    return kind, trigger, _limit(row.ord_px)


def _limit(text: str) -> Decimal | None:
    price = maybe(text)
    return price if price is not None and price > 0 else None
