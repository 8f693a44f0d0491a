"""Coinbase Advanced Trade as tables: addresses, requests, channels, limits, timeframes, capabilities."""

from __future__ import annotations

from decimal import Decimal

from engine.model.instrument import InstrumentKind
from engine.model.order import OrderType, TimeInForce
from engine.model.venue import Capabilities
from engine.venues.native.request import Endpoint, Priority
from engine.venues.native.search import VISIBLE_AFTER_S

__all__ = [
    "ACCOUNTS",
    "ADDRESSES",
    "AMEND",
    "BOOK",
    "CANCEL",
    "CANDLES",
    "CANDLES_A_PAGE",
    "COLLAR",
    "FEES",
    "FILLS",
    "FIND",
    "GRANULARITY",
    "HISTORY",
    "NO_SANDBOX",
    "OPEN",
    "ORDER",
    "ORDERS_A_PAGE",
    "PERMISSIONS",
    "PLACE",
    "PRODUCTS",
    "TICKER",
    "TIME",
    "capabilities",
]

ADDRESSES = {
    "rest": "https://api.coinbase.com",
    "public": "wss://advanced-trade-ws.coinbase.com",
    "private": "wss://advanced-trade-ws-user.coinbase.com",
}
"""Market data and reports of orders come over different addresses."""

NO_SANDBOX = (
    "Coinbase has no testnet for Advanced Trade, only a sandbox of fixed answers. Set `testnet = false` and begin with "
    "a read-only session: a key without the permission to trade, which shows markets, balances and orders and sends "
    "none. Trade after that with the smallest orders until `quarterdeck venue check` has passed."
)

_PUBLIC = ("v3", "public")
_PRIVATE = ("v3", "private")
_ASKED = {"points": 1.0, "private": 1.0}
_SHOWN = {"points": 1.0, "public": 1.0}

TIME = Endpoint(name="time", method="GET", path="brokerage/time", api=_PUBLIC, cost=_SHOWN)
PRODUCTS = Endpoint(name="products", method="GET", path="brokerage/market/products", api=_PUBLIC, cost=_SHOWN)
BOOK = Endpoint(name="book", method="GET", path="brokerage/market/product_book", api=_PUBLIC, cost=_SHOWN)
TICKER = Endpoint(
    name="ticker", method="GET", path="brokerage/market/products/{product_id}/ticker", api=_PUBLIC, cost=_SHOWN
)
CANDLES = Endpoint(
    name="candles", method="GET", path="brokerage/market/products/{product_id}/candles", api=_PUBLIC, cost=_SHOWN
)


def _question(name: str, path: str) -> Endpoint:
    return Endpoint(
        name=name, method="GET", path=f"brokerage/{path}", api=_PRIVATE, cost=_ASKED, priority=Priority.QUERY
    )


PERMISSIONS = _question("permissions", "key_permissions")
FEES = _question("fees", "transaction_summary")
ACCOUNTS = _question("accounts", "accounts")
ORDER = _question("order", "orders/historical/{order_id}")
HISTORY = _question("orders", "orders/historical/batch")
OPEN = _question("open_orders", "orders/historical/batch")
FIND = _question("find_order", "orders/historical/batch")
FILLS = _question("fills", "orders/historical/fills")

_ORDERED = {**_ASKED, "orders": 1.0}

PLACE = Endpoint(
    name="place",
    method="POST",
    path="brokerage/orders",
    api=_PRIVATE,
    cost=_ORDERED,
    priority=Priority.ORDER,
    changes=True,
)
AMEND = Endpoint(
    name="amend",
    method="POST",
    path="brokerage/orders/edit",
    api=_PRIVATE,
    cost=_ORDERED,
    priority=Priority.ORDER,
    changes=True,
)
CANCEL = Endpoint(
    name="cancel",
    method="POST",
    path="brokerage/orders/batch_cancel",
    api=_PRIVATE,
    cost=_ASKED,
    priority=Priority.EMERGENCY,
    changes=True,
)

GRANULARITY = {
    "1m": "ONE_MINUTE",
    "5m": "FIVE_MINUTE",
    "15m": "FIFTEEN_MINUTE",
    "30m": "THIRTY_MINUTE",
    "1h": "ONE_HOUR",
    "2h": "TWO_HOUR",
    "6h": "SIX_HOUR",
    "1d": "ONE_DAY",
}
"""What Coinbase calls a timeframe."""
CANDLES_A_PAGE = 350
"""Most candles in one answer; a longer span is refused."""
ORDERS_A_PAGE = 250
"""Orders or executions asked for in one page."""
COLLAR = Decimal("0.05")
"""Coinbase has no stop-market orders: a stop or take-profit order without a price is sent as a stop-limit order whose
limit is this fraction beyond its trigger, so that it fills at the market unless the market is further away."""


def capabilities(timeout_s: float) -> Capabilities:
    """What Coinbase can do.

    There is no look-up by client id, so an order counts as unknown to the venue only when a listing that was asked for
    30 s after the deadline of its request does not hold it. Stop and take-profit orders become limit orders within a
    collar when triggered. An order pair that cancels each other is left to the engine. Only resting limit orders can
    be changed in place.

    Args:
        timeout_s: Longest time one request may take, in seconds.
    """
    return Capabilities(
        kinds=frozenset({InstrumentKind.SPOT}),
        order_types=frozenset(OrderType),
        times_in_force=frozenset(TimeInForce),
        post_only=True,
        reduce_only=False,
        amend=True,
        oco=False,
        lookup_by_client_id=False,
        candles=True,
        visibility_delay_s=timeout_s + VISIBLE_AFTER_S,
        fills_kept_s=None,
        verified_books=True,
    )
