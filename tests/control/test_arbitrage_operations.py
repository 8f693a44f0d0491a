"""What arbitrage there is, over the door of a running engine; the scanner on books made by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from engine.model.ids import Currency
from engine.strategy.arbitrage.scanner import ScanRules, find_cross, find_loop, loops_between, rank, scan
from engine.strategy.views import MarketView
from tests.control.house import deck
from tests.kit.event_driver import make_instrument

if TYPE_CHECKING:
    from pathlib import Path

NOW = 1_700_000_000_000_000_000
MS = 1_000_000
USDT = Currency("USDT")


def view(venue: str, symbol: str, mid: float, size: float = 10.0, age_ms: float = 0.0) -> MarketView:
    market = MarketView(make_instrument(venue, symbol, tick="0.0001"))
    market.bid, market.ask = mid * 0.9999, mid * 1.0001
    market.bid_size = market.ask_size = size
    market.ts, market.live = NOW - int(age_ms * MS), True
    market.min_notional = 0.0
    return market


async def test_a_running_engine_tells_what_there_is(tmp_path: Path) -> None:
    async with deck(tmp_path) as on:
        rows = await on.call("arbitrage.scan", min_profit=0.0, limit=5)
        assert all(row.kind in {"cross", "loop"} and row.path for row in rows)
        assert len(rows) <= 5


def test_crosses_and_loops_are_ranked_with_the_refused_last() -> None:
    markets = [
        view("AAA", "BTC/USDT", 100.0),
        view("BBB", "BTC/USDT", 101.0),
        view("BBB", "ETH/BTC", 0.1),
        view("BBB", "ETH/USDT", 10.2),
        view("CCC", "BTC/USDT", 105.0, age_ms=5000),
    ]
    found = scan({market.id: market for market in markets}, NOW, ScanRules(), start=[USDT], most=lambda _: 1.0)
    assert [(one.kind, bool(one.refused)) for one in found] == [
        ("cross", False),
        ("loop", False),
        ("cross", True),
        ("cross", True),
    ]
    assert found[0].markets == ("AAA:BTC/USDT", "BBB:BTC/USDT")
    assert found[0].sides == (1, -1)
    assert all("ms old" in one.refused for one in found[2:])


def test_a_slow_venue_a_thin_book_and_a_small_size_are_told() -> None:
    cheap, dear = view("AAA", "BTC/USDT", 100.0), view("BBB", "BTC/USDT", 101.0)
    dear.latency_ns = 500 * MS
    slow = find_cross(cheap, dear, NOW, ScanRules(), most=1.0)
    assert slow is not None
    assert slow.refused == "BBB answers in 500 ms"
    dear.latency_ns = 0
    small = find_cross(cheap, dear, NOW, ScanRules(), most=0.00001)
    assert small is not None
    assert "too small" in small.refused
    assert find_cross(dear, cheap, NOW, ScanRules(), most=1.0) is None


def test_age_latency_and_lopsided_venues_cost() -> None:
    cheap, dear = view("AAA", "BTC/USDT", 100.0), view("BBB", "BTC/USDT", 101.0, age_ms=200)
    free = find_cross(cheap, dear, NOW, ScanRules(), most=1.0)
    aged = find_cross(cheap, dear, NOW, ScanRules(latency_cost=0.01), most=1.0, extra=0.0005)
    assert free is not None
    assert aged is not None
    assert free.margin - aged.margin == pytest.approx(0.002 + 0.0005)


def test_every_loop_is_found_in_both_directions() -> None:
    markets = [view("AAA", symbol, 1.0) for symbol in ("BTC/USDT", "ETH/BTC", "ETH/USDT", "XRP/USDT")]
    loops = {tuple(market.symbol for market in loop) for loop in loops_between(markets, USDT)}
    assert loops == {("BTC/USDT", "ETH/BTC", "ETH/USDT"), ("ETH/USDT", "ETH/BTC", "BTC/USDT")}
    assert find_loop(markets[:2], USDT, NOW, ScanRules(), most=1.0) is None


def test_more_risk_ranks_lower() -> None:
    cheap, dear = view("AAA", "BTC/USDT", 100.0), view("BBB", "BTC/USDT", 101.0)
    calm = find_cross(cheap, dear, NOW, ScanRules(), most=1.0)
    wild = find_cross(cheap, dear, NOW, ScanRules(), most=1.0, volatility=0.01)
    assert calm is not None
    assert wild is not None
    assert wild.risk > calm.risk
    assert rank([wild, None, calm]) == [calm, wild]
