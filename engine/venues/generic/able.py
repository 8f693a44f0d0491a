"""What an exchange can do through ccxt: by ccxt's own word for it, and only what is the same at every exchange.

Nothing rests at an exchange for a trigger: ccxt hands stop orders on, but whether they are then listed, looked up,
cancelled and reported like others differs from exchange to exchange and is not among the things that ccxt says. So the
engine holds them, and says so. Derivatives are looked at and not traded: ccxt does not say whether an account holds
contracts one way or both ways, nor what was paid for funding.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from engine.errors import ValidationError
from engine.model.candle import timeframe_ns
from engine.model.instrument import InstrumentKind
from engine.model.order import OrderType, TimeInForce
from engine.model.venue import Capabilities
from engine.venues.native.search import VISIBLE_AFTER_S
from engine.venues.native.venue import visible_after

__all__ = [
    "PLAIN", "Peculiar", "buys_by_value", "capabilities", "history", "longest_page", "needs_market", "peculiar", "span",
    "timeframes",
]  # fmt: skip


FOR_EVER_DAYS = 3_650
"""What reaches back so far has no end: ccxt writes ten thousand days for none."""


class Peculiar(msgspec.Struct, frozen=True, kw_only=True):
    """What one exchange does differently, as far as it was tried over its simulator."""

    options: Mapping[str, Any] = {}
    """ccxt's options: only what is traded here is listed, and nothing that needs a key before there is one."""
    finds: bool = False
    """Whether its single-order request takes our id; at all others every order since the intent is listed."""
    echoes: bool = False
    """Whether its lists are known to carry our ids."""
    id_param: str = ""
    """What it calls our order id, where ccxt's unified name is not handed on."""
    refused: str = ""
    """What its answer says when it has certainly refused an order, whatever the reason; empty where nothing does."""
    market_buy: Mapping[str, Any] = {}
    """What makes a market buy count in the base currency where it would count in the quote currency."""


PLAIN = Peculiar()
_PECULIAR: Mapping[str, Peculiar] = {
    "binance": Peculiar(
        options={"fetchMarkets": {"types": ["spot"]}, "fetchCurrencies": False}, finds=True, echoes=True
    ),
    "binanceusdm": Peculiar(options={"fetchCurrencies": False}),
    "okx": Peculiar(
        options={"fetchMarkets": {"types": ["spot", "swap"]}},
        finds=True,
        echoes=True,
        market_buy={"tgtCcy": "base_ccy"},
    ),
    "coinbase": Peculiar(
        # The older list of wallets, which is ccxt's default, does not tell what orders hold.
        options={"fetchBalance": "v3PrivateGetBrokerageAccounts"},
        echoes=True,
        id_param="client_order_id",
        refused='"success":false',
    ),
}


def peculiar(exchange: str) -> Peculiar:
    """What is known of an exchange by ccxt's id of it."""
    return _PECULIAR.get(exchange, PLAIN)


def _features(exchange: Any, method: str) -> Mapping[str, Any]:
    """What ccxt says of a method in spot markets; empty where it says nothing."""
    spot = (exchange.features or {}).get("spot") or {}
    return spot.get(method) or {}


def longest_page(exchange: Any, method: str) -> int | None:
    """Rows of the longest page of a list; None where ccxt does not say it."""
    limit = _features(exchange, method).get("limit")
    return int(limit) if limit else None


def history(exchange: Any, method: str) -> float | None:
    """Days for which a list reaches back, whatever became of an order; None where ccxt names no end."""
    return _days(exchange, method, "daysBack", "daysBackCanceled")


def span(exchange: Any, method: str) -> float | None:
    """Days that one question for a list may cover; None where ccxt names no bound."""
    return _days(exchange, method, "untilDays")


def _days(exchange: Any, method: str, *names: str) -> float | None:
    told = _features(exchange, method)
    found = min((float(told[name]) for name in names if told.get(name)), default=None)
    return None if found is None or found >= FOR_EVER_DAYS else found


def needs_market(exchange: Any, method: str) -> bool | None:
    """Whether a list has to be asked for market by market; None where ccxt does not say it."""
    needed = _features(exchange, method).get("symbolRequired")
    return None if needed is None else bool(needed)


def buys_by_value(exchange: Any) -> bool:
    """Whether a market buy names what is to be spent, so that nobody knows how much it will buy."""
    asks = exchange.options.get("createMarketBuyOrderRequiresPrice")
    return bool(asks or _features(exchange, "createOrder").get("marketBuyRequiresPrice"))


def capabilities(exchange: Any, timeout_s: float) -> Capabilities:
    """What can be claimed of an exchange.

    Args:
        exchange: ccxt's object of it.
        timeout_s: Longest time one request may take, in seconds.
    """
    kept = history(exchange, "fetchMyTrades")
    has, lasts = exchange.has, _features(exchange, "createOrder").get("timeInForce") or {}
    tifs = {tif for tif in TimeInForce if tif is TimeInForce.GTC or lasts.get(tif.value.upper())}
    able = Capabilities(
        kinds=frozenset({InstrumentKind.SPOT} if has.get("spot") is not False else ()),
        order_types=frozenset({OrderType.LIMIT} | ({OrderType.MARKET} if has.get("createMarketOrder") else set())),
        times_in_force=frozenset(tifs),
        post_only=bool(lasts.get("PO") and has.get("createPostOnlyOrder")),
        reduce_only=False,
        amend=False,
        oco=False,
        lookup_by_client_id=peculiar(exchange.id).finds and bool(has.get("fetchOrder")),
        candles=bool(has.get("fetchOHLCV")),
        visibility_delay_s=VISIBLE_AFTER_S,
        fills_kept_s=None if kept is None else kept * 86_400,
        verified_books=False,
    )
    return visible_after(able, timeout_s)


def timeframes(exchange: Any) -> list[str]:
    """Lengths of its candles that are known here."""
    found = []
    for timeframe in exchange.timeframes or {}:
        try:
            timeframe_ns(timeframe)
        except (ValidationError, ValueError, KeyError):
            continue
        found.append(timeframe)
    return found
