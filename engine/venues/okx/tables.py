"""OKX's tables: addresses, requests with their limits, channels, timeframes.

Limits are those of the v5 documentation. OKX counts each endpoint apart over 2 s: public ones by address, private ones
by user, and those that place, change or cancel by user and instrument. `OKX_LIMITS` holds what goes for all of them
(spec VENUE-22, VENUE-24), `ENDPOINT_LIMITS` what is lower than that or counted by instrument. Settings may lower any.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from engine.errors import ConfigurationError
from engine.model.instrument import InstrumentKind
from engine.model.order import OrderType, TimeInForce
from engine.model.venue import Capabilities, MarginMode
from engine.venues.limits.rules import OKX_LIMITS, Limit
from engine.venues.native.request import Endpoint, Priority

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "ADDRESSES",
    "BAR_OF",
    "CAPABILITIES",
    "DEFAULT_FEES",
    "DEMO_ADDRESSES",
    "ENDPOINTS",
    "ENDPOINT_LIMITS",
    "KINDS",
    "LIMITS",
    "REGIONS",
    "addresses",
    "request",
]


# --- where ------------------------------------------------------------------------------------------------------------

REGIONS: Mapping[str, tuple[str, str]] = {
    "global": ("www.okx.com", "ws.okx.com:8443"),
    "eea": ("eea.okx.com", "wseea.okx.com:8443"),
    "us": ("us.okx.com", "wsus.okx.com:8443"),
}
"""Hosts of requests and of streams by where an account was opened; a key is known in its own region only."""
_DEMO_STREAMS = {
    "global": "wspap.okx.com:8443",
    "eea": "wseeapap.okx.com:8443",
    "us": "wsuspap.okx.com:8443",
}


def _of_region(region: str, streams: str) -> dict[str, str]:
    return {
        "rest": f"https://{REGIONS[region][0]}",
        "public": f"wss://{streams}/ws/v5/public",
        "private": f"wss://{streams}/ws/v5/private",
        "business": f"wss://{streams}/ws/v5/business",
    }


ADDRESSES: Mapping[str, Mapping[str, str]] = {name: _of_region(name, REGIONS[name][1]) for name in REGIONS}
"""Addresses by region."""
DEMO_ADDRESSES: Mapping[str, Mapping[str, str]] = {name: _of_region(name, _DEMO_STREAMS[name]) for name in REGIONS}
"""Addresses of demo trading by region. Requests go to the same host, marked with `x-simulated-trading: 1`."""


def addresses(overrides: Mapping[str, str], *, demo: bool) -> dict[str, str]:
    """All addresses of an account.

    Args:
        overrides: Addresses by name (`rest`, `public`, `private`, `business`); `ws` stands for the base of all three
            streams. With the `rest` address of a region come that region's streams.
        demo: Whether demo trading is meant.

    Raises:
        ConfigurationError: A name is unknown.
    """
    host = urlsplit(overrides.get("rest", "")).netloc
    region = next((name for name, (rest, _) in REGIONS.items() if rest == host), "global")
    found = dict((DEMO_ADDRESSES if demo else ADDRESSES)[region])
    if "ws" in overrides:
        base = overrides["ws"].rstrip("/")
        found |= {name: f"{base}/ws/v5/{name}" for name in ("public", "private", "business")}
    for name, address in overrides.items():
        if name in found:
            found[name] = address
        elif name != "ws":
            raise ConfigurationError(f"OKX has no address called {name}; there are {', '.join([*found, 'ws'])}.")
    return found


# --- what can be asked ------------------------------------------------------------------------------------------------


def _row(
    name: str,
    method: str,
    path: str,
    *,
    signed: bool = True,
    priority: Priority = Priority.QUERY,
    changes: bool = False,
    orders: float = 0,
) -> Endpoint:
    cost: dict[str, float] = {"endpoint": 1, name: 1}
    if orders:
        cost["orders"] = orders
    return Endpoint(
        name=name,
        method=method,
        path=path,
        api="private" if signed else "public",
        cost=cost,
        priority=priority if signed else Priority.DATA,
        changes=changes,
    )


_ENDPOINTS = (
    # market and venue, without a key
    _row("time", "GET", "public/time", signed=False),
    _row("status", "GET", "system/status", signed=False),
    _row("instruments", "GET", "public/instruments", signed=False),
    _row("tiers", "GET", "public/position-tiers", signed=False),
    _row("book", "GET", "market/books", signed=False),
    _row("trades", "GET", "market/trades", signed=False),
    _row("tickers", "GET", "market/tickers", signed=False),
    _row("ticker", "GET", "market/ticker", signed=False),
    _row("candles", "GET", "market/candles", signed=False),
    _row("history_candles", "GET", "market/history-candles", signed=False),
    # account
    _row("config", "GET", "account/config"),
    _row("fees", "GET", "account/trade-fee"),
    _row("balance", "GET", "account/balance"),
    _row("assets", "GET", "asset/balances"),
    _row("positions", "GET", "account/positions"),
    _row("bills", "GET", "account/bills"),
    _row("bills_archive", "GET", "account/bills-archive"),
    _row("leverage", "GET", "account/leverage-info"),
    _row("set_leverage", "POST", "account/set-leverage", priority=Priority.ORDER, changes=True),
    # orders
    _row("place", "POST", "trade/order", priority=Priority.ORDER, changes=True, orders=1),
    _row("cancel", "POST", "trade/cancel-order", priority=Priority.EMERGENCY, changes=True),
    _row("amend", "POST", "trade/amend-order", priority=Priority.ORDER, changes=True, orders=1),
    _row("order", "GET", "trade/order"),
    _row("orders_pending", "GET", "trade/orders-pending"),
    _row("orders_history", "GET", "trade/orders-history"),
    _row("fills", "GET", "trade/fills"),
    _row("fills_history", "GET", "trade/fills-history"),
    _row("cancel_all_after", "POST", "trade/cancel-all-after", priority=Priority.EMERGENCY, changes=True),
    # stop and take-profit orders
    _row("place_algo", "POST", "trade/order-algo", priority=Priority.PROTECT, changes=True, orders=1),
    _row("cancel_algo", "POST", "trade/cancel-algos", priority=Priority.EMERGENCY, changes=True),
    _row("amend_algo", "POST", "trade/amend-algos", priority=Priority.PROTECT, changes=True),
    _row("algo", "GET", "trade/order-algo"),
    _row("algos_pending", "GET", "trade/orders-algo-pending"),
)
ENDPOINTS: Mapping[str, Endpoint] = {row.name: row for row in _ENDPOINTS}
"""By name."""

_BY_USER = ("account",)
_BY_INSTRUMENT = ("account", "instId")
_PER_2_S: Mapping[str, tuple[float, tuple[str, ...]]] = {
    "time": (10, ()),
    "instruments": (20, ()),
    "tiers": (10, ()),
    "book": (40, ()),
    "trades": (100, ()),
    "tickers": (20, ()),
    "ticker": (20, ()),
    "candles": (40, ()),
    "history_candles": (20, ()),
    "config": (5, _BY_USER),
    "fees": (5, _BY_USER),
    "balance": (10, _BY_USER),
    "assets": (12, _BY_USER),
    "positions": (10, _BY_USER),
    "bills": (10, _BY_USER),
    "bills_archive": (10, _BY_USER),
    "leverage": (20, _BY_USER),
    "set_leverage": (40, _BY_USER),
    "place": (60, _BY_INSTRUMENT),
    "cancel": (60, _BY_INSTRUMENT),
    "amend": (60, _BY_INSTRUMENT),
    "order": (60, _BY_INSTRUMENT),
    "orders_pending": (60, _BY_USER),
    "orders_history": (40, _BY_USER),
    "fills": (60, _BY_USER),
    "fills_history": (10, _BY_USER),
    "place_algo": (20, _BY_INSTRUMENT),
    "cancel_algo": (20, _BY_INSTRUMENT),
    "amend_algo": (20, _BY_INSTRUMENT),
    "algo": (20, _BY_USER),
    "algos_pending": (20, _BY_USER),
}
ENDPOINT_LIMITS = (
    *(Limit(name=n, unit=n, capacity=most, per_s=2, scope=scope) for n, (most, scope) in _PER_2_S.items()),
    Limit(name="status", unit="status", capacity=1, per_s=5),
    Limit(name="cancel_all_after", unit="cancel_all_after", capacity=1, per_s=1, scope=_BY_USER),
)
LIMITS = (*OKX_LIMITS, *ENDPOINT_LIMITS)
"""Everything that is counted, for the coordinator."""


# --- what it can do ---------------------------------------------------------------------------------------------------

KINDS: Mapping[str, InstrumentKind] = {"SPOT": InstrumentKind.SPOT, "SWAP": InstrumentKind.LINEAR_PERPETUAL}
"""Kinds that are traded here, by `instType`: no inverse swaps, dated futures, options and no margin on spot."""

CAPABILITIES = Capabilities(
    kinds=frozenset(KINDS.values()),
    order_types=frozenset(OrderType),
    times_in_force=frozenset(TimeInForce),
    post_only=True,
    reduce_only=True,
    amend=True,
    # OKX has an order with two triggers under one id; two orders with an id each, as asked for here, it cannot link.
    oco=False,
    lookup_by_client_id=True,
    candles=True,
    visibility_delay_s=30.0,
    fills_kept_s=90 * 86_400.0,
    margin_modes=frozenset(MarginMode),
    max_leverage=Decimal(125),
    countdown=True,
    verified_books=True,
)
"""Reduce-only holds for swaps; for spot the engine's own check stands alone."""

BAR_OF: Mapping[str, str] = {
    "1m": "1m",
    "3m": "3m",
    "5m": "5m",
    "15m": "15m",
    "30m": "30m",
    "1h": "1H",
    "2h": "2H",
    "4h": "4H",
    "6h": "6Hutc",
    "12h": "12Hutc",
    "1d": "1Dutc",
}
"""OKX's names of the timeframes; without `utc` its longer bars begin at midnight in Hong Kong."""

DEFAULT_FEES: Mapping[str, tuple[Decimal, Decimal]] = {
    "SPOT": (Decimal("0.0008"), Decimal("0.001")),
    "SWAP": (Decimal("0.0002"), Decimal("0.0005")),
}
"""(maker, taker) of the lowest level, used where no account tells its own."""


def request(name: str, **params: Any) -> tuple[Endpoint, dict[str, Any]]:
    """An endpoint by its name and its parameters without those that are None."""
    return ENDPOINTS[name], {key: value for key, value in params.items() if value is not None}
