"""Binance USD-M perpetuals as a table: requests with their weights, addresses, limits, capabilities.

Decisions:

- Stop and take-profit orders go to the conditional ("algo") service, which has ids, lists and queries of its own; the
  regular path answers -4120 for them. They trigger at the last price (`CONTRACT_PRICE`).
- `amend` is on: `PUT order` changes price and quantity of limit orders in place. Conditional orders cannot be changed;
  a change of one is refused, and the caller replaces it.
- `countdown` uses `countdownCancelAll`, which the venue keeps by symbol: all symbols with open orders are fed. It
  cancels regular orders only; conditional ones, and so protective stops, outlive it.
- Executions are kept by symbol; the symbols that were traded are found in the income history, of three months.
- The testnet is the venue's demo service.
"""

from __future__ import annotations

from decimal import Decimal

from engine.model.instrument import InstrumentKind
from engine.model.margin import MarginMode
from engine.model.order import OrderType, TimeInForce
from engine.model.venue import Capabilities
from engine.venues.binance.spot_parse import parse_server_time
from engine.venues.binance.table import binance_failures
from engine.venues.limits.rules import BINANCE_USDM_LIMITS, Reading
from engine.venues.native.request import Endpoint, Priority
from engine.venues.native.transport import VenueTable

__all__ = ["ADDRESSES", "CAPABILITIES", "DEFAULT_FEES", "TESTNET_ADDRESSES", "USDM", "UsdmEndpoints"]

_STREAMS = "wss://fstream.binance.com"
_TEST_STREAMS = "wss://fstream.binancefuture.com"
ADDRESSES = {part: f"{_STREAMS}/{part}" for part in ("public", "market", "private")}
TESTNET_ADDRESSES = {part: f"{_TEST_STREAMS}/{part}" for part in ("public", "market", "private")}

CAPABILITIES = Capabilities(
    kinds=frozenset({InstrumentKind.LINEAR_PERPETUAL}),
    order_types=frozenset({OrderType.MARKET, OrderType.LIMIT, OrderType.STOP_LOSS, OrderType.TAKE_PROFIT}),
    times_in_force=frozenset({TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK}),
    post_only=True,
    reduce_only=True,
    amend=True,
    oco=False,
    lookup_by_client_id=True,
    candles=True,
    visibility_delay_s=30.0,
    fills_kept_s=90 * 86_400.0,
    margin_modes=frozenset({MarginMode.ISOLATED, MarginMode.CROSS}),
    max_leverage=Decimal(125),
    countdown=True,
)
DEFAULT_FEES = (Decimal("0.0002"), Decimal("0.0005"))
"""Maker's and taker's, of accounts without better ones."""


def _read(name: str, path: str, weight: float, api: str = "fapiPrivate") -> Endpoint:
    return Endpoint(name=name, method="GET", path=path, api=api, cost={"weight": weight}, priority=Priority.QUERY)


def _public(name: str, path: str, weight: float) -> Endpoint:
    return Endpoint(name=name, method="GET", path=path, api="fapiPublic", cost={"weight": weight})


def _change(name: str, method: str, path: str, weight: float, priority: Priority, orders: float = 0.0) -> Endpoint:
    cost = {"weight": weight, "orders": orders} if orders else {"weight": weight}
    return Endpoint(name=name, method=method, path=path, api="fapiPrivate", cost=cost, priority=priority, changes=True)


class UsdmEndpoints:
    """Every request that the adapter makes."""

    time = _public("time", "time", 1)
    instruments = _public("instruments", "exchangeInfo", 1)
    depth = _public("depth", "depth", 20)
    trades = _public("trades", "trades", 5)
    candles = _public("candles", "klines", 10)
    tickers = _public("tickers", "ticker/24hr", 40)

    brackets = _read("brackets", "leverageBracket", 1)
    position_mode = _read("position_mode", "positionSide/dual", 30)
    account_config = _read("account_config", "accountConfig", 5)
    symbol_config = _read("symbol_config", "symbolConfig", 5)
    account = _read("account", "account", 5, "fapiPrivateV2")
    positions = _read("positions", "positionRisk", 5, "fapiPrivateV2")
    commission = _read("commission", "commissionRate", 20)
    income = _read("income", "income", 30)
    order = _read("order", "order", 1)
    algo_order = _read("algo_order", "algoOrder", 1)
    open_orders = _read("open_orders", "openOrders", 40)
    open_algo_orders = _read("open_algo_orders", "openAlgoOrders", 40)
    all_orders = _read("all_orders", "allOrders", 5)
    fills = _read("fills", "userTrades", 5)
    restrictions = _read("restrictions", "account/apiRestrictions", 1, "sapi")

    place = _change("place", "POST", "order", 1, Priority.ORDER, 1)
    place_algo = _change("place_algo", "POST", "algoOrder", 1, Priority.PROTECT, 1)
    amend = _change("amend", "PUT", "order", 1, Priority.ORDER, 1)
    cancel = _change("cancel", "DELETE", "order", 1, Priority.EMERGENCY)
    cancel_algo = _change("cancel_algo", "DELETE", "algoOrder", 1, Priority.EMERGENCY)
    countdown = _change("countdown", "POST", "countdownCancelAll", 10, Priority.EMERGENCY)
    margin_type = _change("margin_type", "POST", "marginType", 1, Priority.ORDER)
    leverage = _change("leverage", "POST", "leverage", 1, Priority.ORDER)
    # These change nothing that matters: asked again, they give the same key.
    listen_key = Endpoint(
        name="listen_key",
        method="POST",
        path="listenKey",
        api="fapiPrivate",
        cost={"weight": 1},
        priority=Priority.QUERY,
    )
    renew_key = Endpoint(
        name="renew_key", method="PUT", path="listenKey", api="fapiPrivate", cost={"weight": 1}, priority=Priority.QUERY
    )


USDM = VenueTable(
    exchange="binanceusdm",
    limits=BINANCE_USDM_LIMITS,
    readings=(
        Reading(header="x-mbx-used-weight-1m", limit="weight_per_minute"),
        Reading(header="x-mbx-order-count-10s", limit="orders_per_10_seconds"),
        Reading(header="x-mbx-order-count-1m", limit="orders_per_minute"),
    ),
    failures=binance_failures("Binance USD-M"),
    testnet="demo",
    time=UsdmEndpoints.time,
    read_time=parse_server_time,
)
