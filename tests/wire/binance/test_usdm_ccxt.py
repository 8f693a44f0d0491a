"""ccxt's own `binanceusdm`, REST and streaming, unmodified, trades against the USD-M server."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from engine.clock import SystemClock
from tests.wire.binance import usdm
from tests.wire.binance.test_spot_ccxt import soon, until, until_closed
from tests.wire.ccxt_client import ccxt_client

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.wire.binance.usdm import BinanceUsdm

pytestmark = pytest.mark.filterwarnings("ignore")
"""What ccxt's own code warns of is not ours."""
BTC = "BTC/USDT:USDT"


@pytest.fixture
async def server() -> AsyncIterator[BinanceUsdm]:
    made = usdm.make(SystemClock(), rate=20.0)
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
async def ccxt(server: BinanceUsdm) -> AsyncIterator[Any]:
    client = ccxt_client("binanceusdm", server, server.exchange.keys.of(usdm.MAIN))
    yield client
    await client.close()


async def test_it_trades_and_hears_of_it(ccxt: Any, server: BinanceUsdm) -> None:
    markets = await soon(ccxt.load_markets())
    assert (markets[BTC]["linear"], markets[BTC]["contractSize"], markets[BTC]["precision"]["amount"]) == (
        True,
        1,
        0.001,
    )
    assert (await soon(ccxt.set_leverage(10, BTC)))["leverage"] == 10
    await soon(ccxt.set_margin_mode("isolated", BTC))
    waits = (until_closed(ccxt), ccxt.watch_my_trades(), ccxt.watch_balance(), ccxt.watch_positions())
    waiting = [asyncio.ensure_future(w) for w in waits]
    await soon(ccxt.watch_trades(BTC))
    await until(lambda: any(s.private for s in server.sockets))
    order = await soon(ccxt.create_order(BTC, "market", "sell", 0.01, None, {"newClientOrderId": "first"}))
    assert order["clientOrderId"] == "first"
    ended, trades, balance, positions = [await soon(w) for w in waiting]
    assert (ended["clientOrderId"], ended["filled"]) == ("first", 0.01)
    known = server.exchange.ledger.fills
    assert trades[0]["fee"] == {"currency": "USDT", "cost": float(known[0].fee)}
    assert balance["USDT"]["total"] < 100_000
    assert (positions[0]["side"], positions[0]["contracts"]) == ("short", 0.01)
    (position,) = await soon(ccxt.fetch_positions([BTC]))
    assert (position["side"], position["contracts"], position["marginMode"]) == ("short", 0.01, "isolated")
    assert position["liquidationPrice"] > position["entryPrice"]
    terms = {"stopLossPrice": 90_000, "reduceOnly": True, "clientAlgoId": "guard"}
    stop = await soon(ccxt.create_order(BTC, "market", "buy", 0.01, None, terms))
    assert await soon(ccxt.fetch_open_orders(BTC)) == []
    assert [o["clientOrderId"] for o in await soon(ccxt.fetch_open_orders(BTC, params={"trigger": True}))] == ["guard"]
    await soon(ccxt.cancel_order(stop["id"], BTC, {"trigger": True}))
    resting = await soon(ccxt.create_order(BTC, "limit", "buy", 0.01, 40_000, {"newClientOrderId": "low"}))
    assert (await soon(ccxt.fetch_order(resting["id"], BTC)))["status"] == "open"
    edited = await soon(ccxt.edit_order(resting["id"], BTC, "limit", "buy", 0.02, 41_000))
    assert (edited["price"], edited["amount"]) == (41_000, 0.02)
    assert (await soon(ccxt.cancel_order(resting["id"], BTC)))["status"] == "canceled"
    await soon(ccxt.create_order(BTC, "market", "buy", 0.01, None, {"reduceOnly": True}))
    assert await soon(ccxt.fetch_positions([BTC])) == []
    assert sum(t["amount"] for t in await soon(ccxt.fetch_my_trades(BTC))) == pytest.approx(0.02)
    assert (await soon(ccxt.fetch_balance()))["USDT"]["used"] == 0
    assert server.unknown == {}


async def test_it_follows_the_market(ccxt: Any, server: BinanceUsdm) -> None:
    await soon(ccxt.load_markets())
    book = await soon(ccxt.watch_order_book(BTC))
    details = usdm.INSTRUMENTS[0][0]
    ours = server.exchange.books[details.id]
    while book["nonce"] < server.update_id(ours.seq):
        book = await soon(ccxt.watch_order_book(BTC))
    bids = [[float(p), float(q)] for p, q in server.levels(details, ours.top_bids(1000))]
    assert [list(level) for level in book["bids"]] == bids
    assert (await soon(ccxt.watch_trades("ETH/USDT:USDT")))[-1]["amount"] > 0
    assert (await soon(ccxt.watch_ohlcv(BTC, "1m")))[-1][4] > 0
    assert (await soon(ccxt.watch_mark_price(BTC)))["markPrice"] > 0
    rate = await soon(ccxt.fetch_funding_rate(BTC))
    assert rate["fundingRate"] == 0.0001
    assert len(await soon(ccxt.fetch_ohlcv(BTC, "1m", limit=50))) == 50
    assert len(await soon(ccxt.fetch_leverage_tiers([BTC])))
    assert server.unknown == {}
