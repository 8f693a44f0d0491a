"""ccxt's own `binance`, REST and streaming, unmodified, trades against the spot server."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from engine.clock import SystemClock
from tests.wire.binance import spot
from tests.wire.ccxt_client import ccxt_client
from tests.wire.certificates import make_authority

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from tests.wire.binance.spot import BinanceSpot

pytestmark = pytest.mark.filterwarnings("ignore")
"""What ccxt's own code warns of is not ours."""


@pytest.fixture(params=["plain", "tls"])
async def server(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[BinanceSpot]:
    made = spot.make(SystemClock(), rate=20.0)
    authority = make_authority(tmp_path) if request.param == "tls" else None
    await made.start(authority)
    yield made
    await made.stop()


@pytest.fixture
async def ccxt(server: BinanceSpot, tmp_path: Path) -> AsyncIterator[Any]:
    ca_file = str(tmp_path / "test-ca.pem") if server.tls else ""
    client = ccxt_client("binance", server, server.exchange.keys.of(spot.MAIN), ca_file=ca_file)
    yield client
    await client.close()


async def soon(request: Awaitable[Any]) -> Any:
    return await asyncio.wait_for(request, 10)


async def until(true: Callable[[], object]) -> None:
    """Wait for something that no future tells."""
    for _ in range(2000):
        if true():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("waited in vain")


async def until_closed(ccxt: Any) -> Any:
    """Wait on the private stream for an order that has ended."""
    while True:
        for order in await soon(ccxt.watch_orders()):
            if order["status"] == "closed":
                return order


async def test_it_trades_and_hears_of_it(ccxt: Any, server: BinanceSpot) -> None:
    markets = await soon(ccxt.load_markets())
    rules = markets["BTC/USDT"]
    assert (rules["precision"]["price"], rules["precision"]["amount"], rules["limits"]["cost"]["min"]) == (
        0.01,
        1e-05,
        5,
    )
    waiting = [asyncio.ensure_future(w) for w in (until_closed(ccxt), ccxt.watch_my_trades(), ccxt.watch_balance())]
    await soon(ccxt.watch_trades("BTC/USDT"))
    await until(lambda: any(s.private for s in server.sockets))
    order = await soon(ccxt.create_order("BTC/USDT", "market", "buy", 0.01, None, {"newClientOrderId": "first"}))
    assert (order["status"], order["filled"], order["clientOrderId"]) == ("closed", 0.01, "first")
    ended, trades, balance = [await soon(w) for w in waiting]
    assert (ended["clientOrderId"], ended["filled"], ended["average"]) == (
        "first",
        0.01,
        pytest.approx(order["average"]),
    )
    known = server.exchange.ledger.fills
    assert [t["id"] for t in trades] == [f.trade_id[1:] for f in known][: len(trades)]
    assert trades[0]["fee"] == {"currency": "BTC", "cost": float(known[0].fee)}
    assert balance["BTC"]["total"] == pytest.approx(0.00999)
    resting = await soon(
        ccxt.create_order("BTC/USDT", "limit", "sell", 0.005, 99_000, {"newClientOrderId": "second", "postOnly": True})
    )
    assert [o["clientOrderId"] for o in await soon(ccxt.fetch_open_orders("BTC/USDT"))] == ["second"]
    assert (await soon(ccxt.cancel_order(resting["id"], "BTC/USDT")))["status"] == "canceled"
    stop = await soon(ccxt.create_order("BTC/USDT", "market", "sell", 0.005, None, {"stopLossPrice": 40_000}))
    found = await soon(ccxt.fetch_order(stop["id"], "BTC/USDT"))
    assert (found["info"]["type"], found["stopPrice"], found["status"]) == ("STOP_LOSS", 40_000, "open")
    mine = await soon(ccxt.fetch_my_trades("BTC/USDT"))
    assert sum(Decimal(str(t["amount"])) for t in mine) == Decimal("0.01")
    funds = await soon(ccxt.fetch_balance())
    assert funds["BTC"]["used"] == 0.005
    assert server.unknown == {}


async def test_it_follows_the_market(ccxt: Any, server: BinanceSpot) -> None:
    await soon(ccxt.load_markets())
    book = await soon(ccxt.watch_order_book("BTC/USDT"))
    assert book["bids"][0][0] < book["asks"][0][0]
    ours = server.exchange.books[spot.INSTRUMENTS[0][0].id]
    while book["nonce"] < server.update_id(ours.seq):
        book = await soon(ccxt.watch_order_book("BTC/USDT"))
    bids = [[float(p), float(q)] for p, q in server.levels(spot.INSTRUMENTS[0][0], ours.top_bids(1000))]
    assert [list(level) for level in book["bids"]] == bids
    assert (await soon(ccxt.watch_trades("ETH/USDT")))[-1]["amount"] > 0
    assert (await soon(ccxt.watch_ohlcv("BTC/USDT", "1m")))[-1][4] > 0
    assert (await soon(ccxt.watch_ticker("BTC/USDT")))["last"] > 0
    candles = await soon(ccxt.fetch_ohlcv("BTC/USDT", "1m", limit=50))
    assert [b[0] - a[0] for a, b in pairwise(candles)] == [60_000] * 49
    earlier = await soon(ccxt.fetch_ohlcv("BTC/USDT", "1m", since=candles[10][0], limit=5))
    assert earlier == candles[10:15]
    assert set(await soon(ccxt.fetch_tickers())) >= {"BTC/USDT", "ETH/BTC"}
    assert len(await soon(ccxt.fetch_trades("BTC/USDT", limit=1))) == 1
    assert server.unknown == {}


async def test_it_understands_refusals(ccxt: Any, server: BinanceSpot) -> None:
    import ccxt as errors

    await soon(ccxt.load_markets())
    with pytest.raises(errors.InsufficientFunds):
        await soon(ccxt.create_order("BTC/USDT", "market", "sell", 1))
    with pytest.raises(errors.OrderNotFound):
        await soon(ccxt.fetch_order("12345", "BTC/USDT"))
    server.exchange.skew_ns = 60_000_000_000
    with pytest.raises(errors.InvalidNonce):
        await soon(ccxt.fetch_balance())
    server.exchange.skew_ns = 0
    server.exchange.keys.of(spot.MAIN).expired = True
    with pytest.raises(errors.AuthenticationError):
        await soon(ccxt.fetch_balance())
