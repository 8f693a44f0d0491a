"""Binance spot as a table: requests with their weights, addresses, limits, capabilities.

Decisions:

- `amend` is off: the venue only lowers a quantity in place (`order/amend/keepPriority`), which the adapter does when
  asked; its cancel-replace is two requests of which the second may fail, no change in place.
- `oco` is off: the venue takes both legs in one request only, while the engine sends each order by itself, so that the
  engine keeps the groups.
- Orders are looked up by our id together with the symbol; see `directory.py` for where the symbol comes from.
"""

from __future__ import annotations

from decimal import Decimal

from engine.model.instrument import InstrumentKind
from engine.model.order import OrderType, TimeInForce
from engine.model.venue import Capabilities
from engine.venues.binance.spot_parse import parse_server_time
from engine.venues.binance.table import binance_failures
from engine.venues.limits.rules import BINANCE_LIMITS, Reading
from engine.venues.native.request import Endpoint, Priority
from engine.venues.native.transport import VenueTable

__all__ = ["ADDRESSES", "SPOT", "SpotEndpoints", "TESTNET_ADDRESSES"]

ADDRESSES = {"public": "wss://stream.binance.com:9443", "private": "wss://ws-api.binance.com:443/ws-api/v3"}
TESTNET_ADDRESSES = {
    "public": "wss://stream.testnet.binance.vision",
    "private": "wss://ws-api.testnet.binance.vision/ws-api/v3",
}

CAPABILITIES = Capabilities(
    kinds=frozenset({InstrumentKind.SPOT}),
    order_types=frozenset({OrderType.MARKET, OrderType.LIMIT, OrderType.STOP_LOSS, OrderType.TAKE_PROFIT}),
    times_in_force=frozenset({TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK}),
    post_only=True,
    reduce_only=False,
    amend=False,
    oco=False,
    lookup_by_client_id=True,
    candles=True,
    visibility_delay_s=30.0,
)
DEFAULT_FEE = Decimal("0.001")
"""Of accounts without a better one; used while no account is there to ask for."""


class SpotEndpoints:
    """Every request that the adapter makes."""

    time = Endpoint(name="time", method="GET", path="time", cost={"weight": 1})
    instruments = Endpoint(name="instruments", method="GET", path="exchangeInfo", cost={"weight": 20})
    depth = Endpoint(name="depth", method="GET", path="depth", cost={"weight": 5})
    trades = Endpoint(name="trades", method="GET", path="trades", cost={"weight": 25})
    candles = Endpoint(name="candles", method="GET", path="klines", cost={"weight": 2})
    tickers = Endpoint(name="tickers", method="GET", path="ticker/24hr", cost={"weight": 80})

    account = Endpoint(
        name="account", method="GET", path="account", api="private", cost={"weight": 20}, priority=Priority.QUERY
    )
    fees = Endpoint(
        name="fees", method="GET", path="asset/tradeFee", api="sapi", cost={"weight": 1}, priority=Priority.DATA
    )
    restrictions = Endpoint(
        name="restrictions", method="GET", path="account/apiRestrictions", api="sapi", cost={"weight": 1}
    )
    place = Endpoint(
        name="place",
        method="POST",
        path="order",
        api="private",
        cost={"weight": 1, "orders": 1},
        priority=Priority.ORDER,
        changes=True,
    )
    amend = Endpoint(
        name="amend",
        method="PUT",
        path="order/amend/keepPriority",
        api="private",
        cost={"weight": 4},
        priority=Priority.ORDER,
        changes=True,
    )
    cancel = Endpoint(
        name="cancel",
        method="DELETE",
        path="order",
        api="private",
        cost={"weight": 1},
        priority=Priority.EMERGENCY,
        changes=True,
    )
    order = Endpoint(
        name="order", method="GET", path="order", api="private", cost={"weight": 4}, priority=Priority.QUERY
    )
    open_orders = Endpoint(
        name="open_orders", method="GET", path="openOrders", api="private", cost={"weight": 80}, priority=Priority.QUERY
    )
    all_orders = Endpoint(
        name="all_orders", method="GET", path="allOrders", api="private", cost={"weight": 20}, priority=Priority.QUERY
    )
    fills = Endpoint(
        name="fills", method="GET", path="myTrades", api="private", cost={"weight": 20}, priority=Priority.QUERY
    )


SPOT = VenueTable(
    exchange="binance",
    limits=BINANCE_LIMITS,
    readings=(
        Reading(header="x-mbx-used-weight-1m", limit="weight_per_minute"),
        Reading(header="x-mbx-order-count-10s", limit="orders_per_10_seconds"),
        Reading(header="x-mbx-order-count-1d", limit="orders_per_24_hours"),
    ),
    failures=binance_failures("Binance"),
    testnet="sandbox",
    time=SpotEndpoints.time,
    read_time=parse_server_time,
)
