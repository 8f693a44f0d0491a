"""How Coinbase writes things: numbers, times, names, orders, executions, refusals."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from engine.model.order import OrderSide, OrderStatus, OrderType, TimeInForce
from tests.wire.simulator import Reply

if TYPE_CHECKING:
    from engine.model.fill import Fill
    from engine.model.ids import InstrumentId
    from tests.wire.ledger import WireOrder

__all__ = [
    "fill_row",
    "iso",
    "order_id",
    "order_row",
    "place_refusal",
    "product_id",
    "refusal",
    "status",
    "text",
    "user_row",
]

_TIF = {
    TimeInForce.GTC: "GOOD_UNTIL_CANCELLED",
    TimeInForce.IOC: "IMMEDIATE_OR_CANCEL",
    TimeInForce.FOK: "FILL_OR_KILL",
}
_USER = "2222-000000-000000"


def text(value: Decimal | None) -> str:
    """A number as text, without trailing zeros; empty for none."""
    return "" if value is None else f"{value.normalize():f}"


def iso(ns: int, places: int = 6) -> str:
    """A time in UTC nanoseconds."""
    seconds, rest = divmod(ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09d}"[: 20 + places] + "Z"


def product_id(instrument: InstrumentId) -> str:
    """`BTC-USD` for `COINBASE:BTC/USD`."""
    return instrument.partition(":")[2].replace("/", "-")


def order_id(order: WireOrder) -> str:
    """Coinbase's id of an order."""
    return f"00000000-0000-4000-8000-{order.number:012d}"


def status(order: WireOrder) -> str:
    """Where an order is in Coinbase's life of it."""
    if order.status is OrderStatus.CANCELED:
        return "CANCELLED"
    if order.status is OrderStatus.EXPIRED:
        # What is left of an order that had to be executed at once is called cancelled.
        return "CANCELLED"
    return "FILLED" if order.status is OrderStatus.FILLED else "OPEN"


def _waits(order: WireOrder) -> bool:
    return order.command.type in (OrderType.STOP_LOSS, OrderType.TAKE_PROFIT)


def _trigger(order: WireOrder) -> str:
    if not _waits(order):
        return "INVALID_ORDER_TYPE"
    return "STOP_TRIGGERED" if order.triggered else "STOP_PENDING"


def _kind(order: WireOrder) -> str:
    if _waits(order):
        return "STOP_LIMIT"
    return "MARKET" if order.command.type is OrderType.MARKET else "LIMIT"


def _tif(order: WireOrder) -> str:
    return "IMMEDIATE_OR_CANCEL" if order.command.type is OrderType.MARKET else _TIF[order.command.tif]


def _configuration(order: WireOrder) -> dict[str, Any]:
    """As it was sent, with what was changed since."""
    ((kind, told),) = order.terms["order_configuration"].items()
    terms = dict(told)
    if "base_size" in terms:
        terms["base_size"] = text(order.quantity)
    if "limit_price" in terms:
        terms["limit_price"] = text(order.price)
    return {kind: terms}


def _fees(order: WireOrder) -> Decimal:
    return sum((fill.fee for fill in order.fills), Decimal(0))


def order_row(order: WireOrder, shown: Any) -> dict[str, Any]:
    """An order in lists and answers; `shown` turns a time of ours into one of the venue's clock."""
    by_value = "quote_size" in next(iter(order.terms["order_configuration"].values()))
    share = 100 * order.filled / order.quantity if order.quantity else Decimal(0)
    fees = _fees(order)
    sign = 1 if order.command.side is OrderSide.BUY else -1
    return {
        "order_id": order_id(order),
        "product_id": product_id(order.command.instrument),
        "user_id": _USER,
        "order_configuration": _configuration(order),
        "side": order.command.side.upper(),
        "client_order_id": order.client_id,
        "status": status(order),
        "time_in_force": _tif(order),
        "created_time": iso(shown(order.created)),
        "completion_percentage": f"{share:.2f}",
        "filled_size": text(order.filled),
        "average_filled_price": f"{order.average:.10f}" if order.fills else "0",
        "fee": "",
        "number_of_fills": str(len(order.fills)),
        "filled_value": text(order.value),
        "pending_cancel": False,
        "size_in_quote": by_value,
        "total_fees": text(fees),
        "size_inclusive_of_fees": False,
        "total_value_after_fees": text(order.value + sign * fees),
        "trigger_status": _trigger(order),
        "order_type": _kind(order),
        "reject_reason": "REJECT_REASON_UNSPECIFIED",
        "settled": not order.is_open,
        "product_type": "SPOT",
        "reject_message": "",
        "cancel_message": order.reason if order.status is OrderStatus.CANCELED else "",
        "order_placement_source": "RETAIL_ADVANCED",
        "outstanding_hold_amount": "0",
        "is_liquidation": False,
        "last_fill_time": iso(shown(order.fills[-1].ts)) if order.fills else None,
        "leverage": "",
        "margin_type": "UNKNOWN_MARGIN_TYPE",
        "retail_portfolio_id": "",
        "originating_order_id": "",
        "attached_order_id": "",
    }


def user_row(order: WireOrder, shown: Any) -> dict[str, Any]:
    """An order on the user channel."""
    fees = _fees(order)
    ended = not order.is_open
    return {
        "order_id": order_id(order),
        "client_order_id": order.client_id,
        "cumulative_quantity": text(order.filled),
        "leaves_quantity": "0" if ended else text(order.quantity - order.filled),
        "avg_price": f"{order.average:.10f}" if order.fills else "0",
        "total_fees": text(fees),
        "status": status(order),
        "product_id": product_id(order.command.instrument),
        "creation_time": iso(shown(order.created)),
        "order_side": order.command.side.upper(),
        "order_type": {"STOP_LIMIT": "Stop Limit", "MARKET": "Market"}.get(_kind(order), "Limit"),
        "cancel_reason": order.reason if order.status is OrderStatus.CANCELED else "",
        "reject_reason": "",
        "total_value_after_fees": text(order.value),
        "contract_expiry_type": "UNKNOWN_CONTRACT_EXPIRY_TYPE",
        "product_type": "SPOT",
        "risk_managed_by": "UNKNOWN_RISK_MANAGEMENT_TYPE",
        "time_in_force": _tif(order),
        "trigger_status": _trigger(order),
        "limit_price": text(order.price),
        "stop_price": text(order.stop_price),
    }


def fill_row(number: int, fill: Fill, order: WireOrder, shown: Any) -> dict[str, Any]:
    """An execution."""
    entry = hashlib.sha256(f"{number} {fill.key}".encode()).hexdigest()
    return {
        "entry_id": entry,
        "trade_id": fill.trade_id,
        "order_id": order_id(order),
        "trade_time": iso(shown(fill.ts)),
        "trade_type": "FILL",
        "price": text(fill.price),
        "size": text(fill.quantity),
        "commission": text(fill.fee),
        "product_id": product_id(fill.instrument),
        "sequence_timestamp": iso(shown(fill.ts)),
        "liquidity_indicator": fill.liquidity.upper(),
        "size_in_quote": False,
        "user_id": _USER,
        "side": fill.side.upper(),
        "retail_portfolio_id": "",
    }


def refusal(status: int, error: str, words: str) -> Reply:
    """A refused request."""
    return Reply({"error": error, "error_details": words, "message": words}, status)


def place_refusal(error: str, preview: str, words: str, configuration: Any) -> dict[str, Any]:
    """A refused order, inside HTTP 200."""
    return {
        "success": False,
        "failure_reason": "UNKNOWN_FAILURE_REASON",
        "order_id": "",
        "error_response": {
            "error": error,
            "message": words,
            "error_details": "",
            "preview_failure_reason": preview,
        },
        "order_configuration": configuration,
    }
