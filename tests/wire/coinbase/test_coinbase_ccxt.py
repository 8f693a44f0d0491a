"""ccxt's own `coinbase`, REST and streaming, unmodified, trades against the simulator."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from engine.clock import SystemClock
from tests.wire.ccxt_client import ccxt_client
from tests.wire.certificates import make_authority
from tests.wire.coinbase import simulator as sim

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from tests.wire.coinbase.simulator import Coinbase

pytestmark = pytest.mark.filterwarnings("ignore")
"""What ccxt's own code warns of is not ours."""
BTC = sim.INSTRUMENTS[0][0]


@pytest.fixture(params=["plain", "tls"])
async def server(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Coinbase]:
    made = sim.make(SystemClock(), rate=20.0)
    authority = make_authority(tmp_path) if request.param == "tls" else None
    await made.start(authority)
    yield made
    await made.stop()


def client_of(server: Coinbase, tmp_path: Path, account: Any = sim.MAIN) -> Any:
    ca_file = str(tmp_path / "test-ca.pem") if server.tls else ""
    client = ccxt_client("coinbase", server, server.exchange.keys.of(account), ca_file=ca_file)
    # ccxt leaves only `https://` out of the host that a token names.
    assert client.urls["api"]["rest"] == server.rest
    return client


@pytest.fixture
async def ccxt(server: Coinbase, tmp_path: Path) -> AsyncIterator[Any]:
    client = client_of(server, tmp_path)
    yield client
    await client.close()


async def soon(request: Awaitable[Any]) -> Any:
    return await asyncio.wait_for(request, 20)


async def until(true: Callable[[], object]) -> None:
    """Wait for something that no future tells."""
    for _ in range(2000):
        if true():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("waited in vain")


def ended(ccxt: Any, client_id: str) -> list[Any]:
    """What the private stream has told of an order that has ended; ccxt keeps it."""
    return [o for o in ccxt.orders or () if o["clientOrderId"] == client_id and o["status"] in ("closed", "canceled")]


async def test_it_trades_and_hears_of_it(ccxt: Any, server: Coinbase) -> None:
    markets = await soon(ccxt.load_markets())
    rules = markets["BTC/USD"]
    assert (rules["precision"]["price"], rules["precision"]["amount"], rules["limits"]["cost"]["min"]) == (
        0.01,
        1e-08,
        1,
    )
    assert (rules["maker"], rules["taker"]) == (0.004, 0.006)
    heard = asyncio.ensure_future(ccxt.watch_orders("BTC/USD"))
    await until(lambda: any(s.private for s in server.sockets))
    bought = await soon(ccxt.create_order("BTC/USD", "market", "buy", 0.01, 70_000, {"client_order_id": "first"}))
    await soon(heard)
    await until(lambda: ended(ccxt, "first"))
    known = server.exchange.ledger.fills
    executed = sum((f.quantity for f in known), Decimal(0))
    assert [order["filled"] for order in ended(ccxt, "first")] == [float(executed)]
    trades = await soon(ccxt.fetch_my_trades("BTC/USD"))
    assert {t["id"] for t in trades} == {f.trade_id for f in known}
    assert sum(Decimal(str(t["fee"]["cost"])) for t in trades) == sum(f.fee for f in known)
    found = await soon(ccxt.fetch_order(bought["id"], "BTC/USD"))
    assert (found["status"], found["filled"], found["clientOrderId"]) == ("closed", float(executed), "first")
    resting = await soon(
        ccxt.create_order("BTC/USD", "limit", "sell", 0.005, 99_000, {"client_order_id": "second", "postOnly": True})
    )
    (open_order,) = await soon(ccxt.fetch_open_orders("BTC/USD"))
    assert (open_order["clientOrderId"], open_order["price"], open_order["amount"]) == ("second", 99_000, 0.005)
    assert (await soon(ccxt.edit_order(resting["id"], "BTC/USD", "limit", "sell", 0.004, 98_000)))["info"]["success"]
    (open_order,) = await soon(ccxt.fetch_open_orders("BTC/USD"))
    assert (open_order["price"], open_order["amount"]) == (98_000, 0.004)
    funds = await soon(ccxt.fetch_balance({"v3": True}))
    assert (funds["BTC"]["used"], funds["BTC"]["total"]) == (0.004, float(executed))
    assert (await soon(ccxt.fetch_balance()))["BTC"]["total"] == float(executed)
    assert (await soon(ccxt.cancel_order(resting["id"], "BTC/USD")))["info"]["success"]
    assert await soon(ccxt.fetch_open_orders("BTC/USD")) == []
    stop = await soon(ccxt.create_order("BTC/USD", "limit", "sell", 0.005, 39_000, {"stopLossPrice": 40_000}))
    found = await soon(ccxt.fetch_order(stop["id"], "BTC/USD"))
    assert (found["status"], found["triggerPrice"], found["price"]) == ("open", 40_000, 39_000)
    assert {o["id"] for o in await soon(ccxt.fetch_orders("BTC/USD"))} == {bought["id"], resting["id"], stop["id"]}
    assert server.unknown == {}


async def test_it_follows_the_market(ccxt: Any, server: Coinbase) -> None:
    await soon(ccxt.load_markets())
    book = await soon(ccxt.watch_order_book("BTC/USD"))
    assert book["bids"][0][0] < book["asks"][0][0]
    ours = server.exchange.books[BTC.id]

    def same() -> bool:
        bids = [[float(BTC.price_from_int(p)), float(BTC.quantity_from_int(q))] for p, q in ours.top_bids(10_000)]
        return [list(level) for level in book["bids"]] == bids

    for _ in range(200):
        book = await soon(ccxt.watch_order_book("BTC/USD"))
        if same():
            break
    assert same()
    assert (await soon(ccxt.watch_trades("ETH/USD")))[-1]["amount"] > 0
    assert (await soon(ccxt.watch_ticker("BTC/USD")))["last"] > 0
    candles = await soon(ccxt.fetch_ohlcv("BTC/USD", "1m", limit=50))
    assert {b[0] - a[0] for a, b in pairwise(candles)} == {60_000}
    assert set(await soon(ccxt.fetch_tickers())) >= {"BTC/USD", "ETH/USD"}
    assert len(await soon(ccxt.fetch_trades("ETH/USD", limit=1))) == 1
    assert (await soon(ccxt.fetch_order_book("BTC/USD", 5)))["asks"][4][0] > 0
    assert abs(await soon(ccxt.fetch_time({"method": "v3PublicGetBrokerageTime"})) - ccxt.milliseconds()) < 5000


async def test_an_ed25519_key_is_taken_too(server: Coinbase, tmp_path: Path) -> None:
    client = client_of(server, tmp_path, sim.SECOND)
    try:
        funds = await soon(client.fetch_balance({"v3": True}))
        assert (funds["USD"]["free"], funds["USDC"]["free"]) == (100_000, 50_000)
        client.secret = server.exchange.keys.of(sim.MAIN).secret
        with pytest.raises(Exception, match="Unauthorized"):
            await soon(client.fetch_balance({"v3": True}))
    finally:
        await client.close()


async def test_ccxt_understands_the_refusals(ccxt: Any, server: Coinbase) -> None:
    import ccxt as errors

    await soon(ccxt.load_markets())
    with pytest.raises(errors.InsufficientFunds):
        await soon(ccxt.create_order("BTC/USD", "limit", "buy", 10, 50_000))
    with pytest.raises(errors.ExchangeError):
        await soon(ccxt.fetch_order("00000000-0000-4000-8000-000000000999", "BTC/USD"))
    with pytest.raises(errors.BadRequest):
        await soon(ccxt.cancel_order("00000000-0000-4000-8000-000000000999", "BTC/USD"))
    server.exchange.keys.of(sim.MAIN).expired = True
    with pytest.raises(errors.AuthenticationError):
        await soon(ccxt.fetch_balance({"v3": True}))
