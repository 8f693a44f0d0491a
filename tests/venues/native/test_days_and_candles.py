"""Every exchange's stream tells the last 24 hours and candles of what is watched, as its requests do."""

from __future__ import annotations

from decimal import Decimal
from typing import TypeVar

import pytest

from engine.model.candle import Candle
from engine.model.market import MarketTrade, Ticker
from tests.wire.harness import WireHarness, adapter_harness

T = TypeVar("T", Ticker, MarketTrade, Candle)
CANDLES = {
    ("binance", "BTC/USDT"): ("1m", True),
    ("binanceusdm", "BTC/USDT:USDT"): ("1m", True),
    ("okx", "BTC/USDT"): ("1m", True),
    ("okx", "BTC/USDT:USDT"): ("1m", True),
    ("coinbase", "BTC/USD"): ("5m", False),
}
"""Which candles come of a market, and whether it is told of them that they have ended."""


@pytest.fixture(params=CANDLES, ids=lambda param: " ".join(param))
async def h(request: pytest.FixtureRequest) -> WireHarness:
    kind, symbol = request.param
    return await adapter_harness(kind, symbol, Decimal("0.01"), speed=100.0)


def of(h: WireHarness, kind: type[T]) -> list[T]:
    return [event for event in h.market if isinstance(event, kind) and event.instrument == h.instrument.id]


async def test_what_is_watched_tells_its_day_and_its_candles(h: WireHarness, request: pytest.FixtureRequest) -> None:
    timeframe, ends = CANDLES[request.node.callspec.params["h"]]
    await h.call(h.venue.watch([h.instrument.id]))
    await h.until(lambda: of(h, Ticker) and of(h, MarketTrade) and of(h, Candle))
    day = of(h, Ticker)[-1]
    assert day.base_volume
    assert day.low is not None
    assert day.last is not None
    assert day.high is not None
    assert day.low <= day.last <= day.high
    (asked,) = await h.call(h.venue.tickers([h.instrument.id]))
    assert asked.open is not None
    assert asked.open == pytest.approx(day.open, rel=Decimal("0.001"))
    assert {candle.timeframe for candle in of(h, Candle)} == {timeframe}
    if ends:
        await h.until(lambda: [c for c in of(h, Candle) if c.closed])
        told = next(c for c in of(h, Candle) if c.closed)
        known = await h.call(h.venue.candles(h.instrument.id, timeframe, limit=5))
        assert [(c.open, c.high, c.low, c.close) for c in known if c.ts == told.ts] == [
            (told.open, told.high, told.low, told.close)
        ]
    else:
        assert not any(candle.closed for candle in of(h, Candle))
    await h.call(h.venue.unwatch([h.instrument.id]))
    await h.rest(2)
    seen = len(h.market)
    await h.rest(8)
    assert len(h.market) == seen
    await h.close()
