"""What is claimed of an exchange is what ccxt says of it, and what was tried; never more."""

from __future__ import annotations

import importlib
from typing import Any

import pytest

from engine.model.instrument import InstrumentKind
from engine.model.order import OrderType, TimeInForce
from engine.venues.generic.able import buys_by_value, capabilities, history, longest_page, needs_market, span
from engine.venues.native.search import VISIBLE_AFTER_S

pytestmark = pytest.mark.filterwarnings("ignore")
TIMEOUT_S = 10.0


@pytest.fixture(scope="module")
def exchanges() -> dict[str, Any]:
    package = importlib.import_module("ccxt.pro")
    return {name: getattr(package, name)() for name in package.exchanges}


def test_of_no_exchange_is_claimed_what_was_not_tried_or_ccxt_does_not_say(exchanges: dict[str, Any]) -> None:
    assert len(exchanges) > 50
    for name, exchange in exchanges.items():
        able = capabilities(exchange, TIMEOUT_S)
        lasts = (((exchange.features or {}).get("spot") or {}).get("createOrder") or {}).get("timeInForce") or {}
        assert able.kinds <= {InstrumentKind.SPOT}
        assert able.order_types <= {OrderType.MARKET, OrderType.LIMIT}, "stops are held by the engine"
        assert able.times_in_force == {TimeInForce.GTC} | {t for t in TimeInForce if lasts.get(t.value)}
        assert not able.post_only or lasts["PO"]
        assert not any((able.amend, able.oco, able.reduce_only, able.countdown, able.margin_modes))
        assert not able.verified_books
        assert able.lookup_by_client_id == (name in {"binance", "okx"})
        assert able.visibility_delay_s == TIMEOUT_S + VISIBLE_AFTER_S


def test_an_exchange_without_spot_markets_is_only_looked_at(exchanges: dict[str, Any]) -> None:
    assert capabilities(exchanges["binanceusdm"], TIMEOUT_S).kinds == frozenset()


def test_what_ccxt_says_of_lists_is_read(exchanges: dict[str, Any]) -> None:
    assert longest_page(exchanges["okx"], "fetchClosedOrders") == 100
    assert longest_page(exchanges["kraken"], "fetchClosedOrders") is None
    assert history(exchanges["okx"], "fetchClosedOrders") == pytest.approx(2 / 24)
    assert history(exchanges["coinbase"], "fetchOrders") is None
    assert span(exchanges["bybit"], "fetchMyTrades") == 7
    assert span(exchanges["okx"], "fetchMyTrades") is None
    assert needs_market(exchanges["binance"], "fetchOrders") is True
    assert needs_market(exchanges["coinbase"], "fetchOrders") is False
    assert needs_market(exchanges["okx"], "fetchOrders") is None
    assert capabilities(exchanges["okx"], TIMEOUT_S).fills_kept_s == 90 * 86_400


def test_it_is_known_where_a_market_buy_names_its_value(exchanges: dict[str, Any]) -> None:
    assert buys_by_value(exchanges["coinbase"])
    assert not buys_by_value(exchanges["binance"])
