"""ccxt's own `okx`, REST and streaming, unmodified, trades against the server."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from engine.clock import SystemClock
from tests.wire.ccxt_client import ccxt_client
from tests.wire.certificates import make_authority
from tests.wire.okx import simulator
from tests.wire.okx.market_requests import SEQ
from tests.wire.okx.rows import levels

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from tests.wire.okx.simulator import OkxSimulator

pytestmark = pytest.mark.filterwarnings("ignore")
"""What ccxt's own code warns of is not ours."""
BTC = simulator.INSTRUMENTS[0][0]


@pytest.fixture(params=["plain", "tls"])
async def server(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[OkxSimulator]:
    made = simulator.make(SystemClock(), rate=20.0)
    authority = make_authority(tmp_path) if request.param == "tls" else None
    await made.start(authority)
    yield made
    await made.stop()


@pytest.fixture
async def ccxt(server: OkxSimulator, tmp_path: Path) -> AsyncIterator[Any]:
    ca_file = str(tmp_path / "test-ca.pem") if server.tls else ""
    options = {"options": {"fetchMarkets": {"types": ["spot", "swap"]}}}
    client = ccxt_client("okx", server, server.exchange.keys.of(simulator.MAIN), ca_file=ca_file, options=options)
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


async def test_it_trades_and_hears_of_it(ccxt: Any, server: OkxSimulator) -> None:
    markets = await soon(ccxt.load_markets())
    rules, swap = markets["BTC/USDT"], markets["BTC/USDT:USDT"]
    assert (rules["precision"]["price"], rules["precision"]["amount"]) == (0.01, 1e-08)
    assert (swap["contractSize"], swap["linear"]) == (0.01, True)
    waiting = [asyncio.ensure_future(w) for w in (until_closed(ccxt), ccxt.watch_my_trades(), ccxt.watch_balance())]
    await soon(ccxt.watch_trades("BTC/USDT"))
    await until(lambda: {"orders", "account"} <= {k.channel for s in server.sockets for k in s.state["lines"].values()})
    placed = await soon(ccxt.create_order("BTC/USDT", "market", "buy", 0.01, None, {"clOrdId": "first"}))
    order = await soon(ccxt.fetch_order(placed["id"], "BTC/USDT"))
    assert (order["status"], order["filled"], order["clientOrderId"]) == ("closed", 0.01, "first")
    ended, trades, balance = [await soon(w) for w in waiting]
    assert (ended["clientOrderId"], ended["filled"]) == ("first", 0.01)
    known = server.exchange.ledger.fills
    assert sum(Decimal(str(t["amount"])) for t in trades) <= sum(f.quantity for f in known)
    assert trades[0]["fee"]["currency"] == "BTC"
    # Charged fees are negative on OKX's stream, and ccxt hands them on so.
    assert trades[0]["fee"]["cost"] == pytest.approx(-float(known[0].fee))
    assert balance["USDT"]["total"] <= 100_000
    price = float(BTC.price_from_int(server.exchange.books[BTC.id].best_ask or 0)) * 1.05
    params = {"clOrdId": "second", "postOnly": True}
    resting = await soon(ccxt.create_order("BTC/USDT", "limit", "sell", 0.005, price, params))
    assert [o["clientOrderId"] for o in await soon(ccxt.fetch_open_orders("BTC/USDT"))] == ["second"]
    moved = await soon(ccxt.edit_order(resting["id"], "BTC/USDT", "limit", "sell", 0.004, price * 1.01))
    assert (await soon(ccxt.fetch_order(moved["id"], "BTC/USDT")))["amount"] == 0.004
    await soon(ccxt.cancel_order(resting["id"], "BTC/USDT"))
    assert (await soon(ccxt.fetch_order(resting["id"], "BTC/USDT")))["status"] == "canceled"
    stop = await soon(
        ccxt.create_order("BTC/USDT", "market", "sell", 0.005, None, {"stopLossPrice": price / 2, "tdMode": "cash"})
    )
    found = await soon(ccxt.fetch_open_orders("BTC/USDT", params={"trigger": True, "ordType": "conditional"}))
    assert [(o["id"], o["stopLossPrice"], o["status"]) for o in found] == [
        (stop["id"], pytest.approx(price / 2, 1e-3), "open")
    ]
    await soon(ccxt.cancel_order(stop["id"], "BTC/USDT", {"trigger": True}))
    assert await soon(ccxt.fetch_open_orders("BTC/USDT", params={"trigger": True, "ordType": "conditional"})) == []
    mine = await soon(ccxt.fetch_my_trades("BTC/USDT"))
    assert sum(Decimal(str(t["amount"])) for t in mine) == Decimal("0.01")
    funds = await soon(ccxt.fetch_balance())
    assert funds["BTC"]["total"] == pytest.approx(0.00999)
    assert server.unknown == {}


async def test_it_follows_the_market(ccxt: Any, server: OkxSimulator) -> None:
    await soon(ccxt.load_markets())
    book = await soon(ccxt.watch_order_book("BTC/USDT"))
    assert book["bids"][0][0] < book["asks"][0][0]
    ours = server.exchange.books[BTC.id]
    seen = 0
    while seen < 20:
        book = await soon(ccxt.watch_order_book("BTC/USDT"))
        seen += 1
        if book["nonce"] == SEQ + ours.seq:
            bids = [[float(p), float(q)] for p, q, *_ in levels(BTC, ours.top_bids(400))]
            assert [list(level[:2]) for level in book["bids"]] == bids
            break
    assert seen < 20, "no book was ever at the exchange's own number"
    assert (await soon(ccxt.watch_trades("ETH/USDT")))[-1]["amount"] > 0
    assert (await soon(ccxt.watch_ohlcv("BTC/USDT", "1m")))[-1][4] > 0
    assert (await soon(ccxt.watch_ticker("BTC/USDT:USDT")))["last"] > 0
    candles = await soon(ccxt.fetch_ohlcv("BTC/USDT", "1m", limit=50))
    assert [b[0] - a[0] for a, b in pairwise(candles)] == [60_000] * (len(candles) - 1)
    assert len(candles) >= 49
    assert set(await soon(ccxt.fetch_tickers(["BTC/USDT", "ETH/BTC"]))) == {"BTC/USDT", "ETH/BTC"}
    assert len(await soon(ccxt.fetch_trades("BTC/USDT", limit=1))) == 1
    assert server.unknown == {}


async def test_it_understands_refusals(ccxt: Any, server: OkxSimulator) -> None:
    import ccxt as errors

    await soon(ccxt.load_markets())
    with pytest.raises(errors.InsufficientFunds):
        await soon(ccxt.create_order("BTC/USDT", "market", "sell", 1))
    with pytest.raises(errors.OrderNotFound):
        await soon(ccxt.fetch_order("12345", "BTC/USDT"))
    key = server.exchange.keys.of(simulator.MAIN)
    server.exchange.skew_ns = 60_000_000_000
    with pytest.raises(errors.InvalidNonce):
        await soon(ccxt.fetch_balance())
    server.exchange.skew_ns = 0
    for field, value in (("passphrase", "other"), ("secret", "other"), ("expired", True)):
        kept = getattr(key, field)
        setattr(key, field, value)
        with pytest.raises(errors.AuthenticationError):
            await soon(ccxt.fetch_balance())
        setattr(key, field, kept)
    assert (await soon(ccxt.fetch_balance()))["USDT"]["free"] == 100_000
