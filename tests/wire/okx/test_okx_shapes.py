"""Every kind of message of the server has the shape of the recorded one; kinds without a recording are listed."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from engine.clock import SimulatedClock
from engine.model.order import OrderSide
from tests.venues.okx.recorded import current, errors, fixtures
from tests.wire.harness import START
from tests.wire.markets import ScriptedMarket
from tests.wire.okx import simulator
from tests.wire.okx.common import sign
from tests.wire.okx.simulator import MAIN, OkxSimulator
from tests.wire.okx.streams import PRIVATE, PUBLIC
from tests.wire.shapes import differences

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


BTC, SWAP = simulator.INSTRUMENTS[0][0], simulator.INSTRUMENTS[3][0]
RECORDED = {
    "public/instruments", "public/position-tiers", "public/mark-price", "market/books", "market/trades",
    "market/candles", "account/balance", "account/trade-fee", "account/positions", "trade/order",
    "trade/orders-pending", "trade/orders-history", "trade/fills", "trade/order-algo", "trade/orders-algo-pending",
    "trade/cancel-algos",
}  # fmt: skip
"""Requests whose answers are compared here."""
NOT_RECORDED = {
    "public/time", "public/funding-rate", "system/status", "market/tickers", "market/ticker",
    "market/history-candles", "account/config", "account/leverage-info", "account/set-leverage", "account/bills",
    "account/bills-archive",
    "asset/balances", "asset/currencies", "trade/batch-orders", "trade/cancel-order", "trade/cancel-batch-orders",
    "trade/amend-order", "trade/amend-algos", "trade/cancel-all-after", "trade/fills-history",
}  # fmt: skip
"""Requests whose answers no recording shows: their shapes follow the documentation alone."""
CHANNELS_RECORDED = {
    "books", "books5", "bbo-tbt", "trades", "tickers", "funding-rate", "orders", "orders-algo", "account",
}  # fmt: skip
"""Channels whose messages are compared here, besides candles."""
CHANNELS_NOT_RECORDED = {"mark-price", "index-tickers", "positions"}
"""Channels whose messages follow those of the requests of the same name, or the documentation."""
CHANNELS_SILENT = {"instruments", "fills"}
"""Channels that can be subscribed and never say anything."""
ADDED_ORDER = frozenset(
    f"data[].{name}"
    for name in (
        "amendResult", "amendSource", "code", "fillFee", "fillFeeCcy", "fillFwdPx", "fillIdxPx", "fillMarkPx",
        "fillMarkVol", "fillNotionalUsd", "fillPnl", "fillPxUsd", "fillPxVol", "lastPx", "msg", "notionalUsd", "reqId",
        "tradeQuoteCcy",
    )
)  # fmt: skip
"""What the documentation of 2026 has and the recorded pushes of 2025 lack."""
ADDED_ALGO = frozenset(
    f"data[].{name}"
    for name in (
        "activePx", "actualSide", "amendPxOnTriggerType", "amendResult", "attachAlgoOrds", "ccy", "closeFraction",
        "failCode", "last", "lever", "linkedOrd", "ordIdList", "ordPx", "posSide", "quickMgnType", "reduceOnly",
        "reqId", "slOrdPx", "slTriggerPx", "slTriggerPxType", "tgtCcy", "tpOrdPx", "tpTriggerPx", "tpTriggerPxType",
        "triggerPx", "triggerPxType", "tdMode",
    )
)  # fmt: skip
ALGO_ONLY = frozenset(
    f"data[].{name}" for name in ("pxLimit", "pxSpread", "pxVar", "szLimit", "triggerPxType", "notionalUsd")
)
"""What the recorded rows have for kinds (iceberg, twap, trigger) that the server does not take."""


class Client:
    """Asks and listens without anybody's library."""

    def __init__(self, session: aiohttp.ClientSession, server: OkxSimulator) -> None:
        self.session = session
        self.server = server

    async def ask(self, method: str, path: str, body: Any = None) -> Any:
        """A signed request."""
        key = self.server.exchange.keys.of(MAIN)
        text = "" if body is None else json.dumps(body)
        ms = self.server.exchange.ms()
        stamp = f"2026-09-21T14:13:{ms // 1000 % 60:02d}.{ms % 1000:03d}Z"
        headers = {
            "OK-ACCESS-KEY": key.key,
            "OK-ACCESS-PASSPHRASE": key.passphrase,
            "OK-ACCESS-TIMESTAMP": stamp,
            "OK-ACCESS-SIGN": sign(key.secret, stamp + method + path + text),
            "Content-Type": "application/json",
        }
        async with self.session.request(method, path, data=text or None, headers=headers) as answer:
            return await answer.json()

    async def public(self, path: str) -> Any:
        """A public request."""
        async with self.session.get(path) as answer:
            return await answer.json()

    async def listen(self, kind: str, *args: dict[str, str]) -> aiohttp.ClientWebSocketResponse:
        """A connection with these subscriptions, logged in where that is needed."""
        ws = await self.session.ws_connect(f"/ws/v5/{kind}")
        if kind != "public":
            key, stamp = self.server.exchange.keys.of(MAIN), str(self.server.exchange.ms() // 1000)
            row = {
                "apiKey": key.key,
                "passphrase": key.passphrase,
                "timestamp": stamp,
                "sign": sign(key.secret, f"{stamp}GET/users/self/verify"),
            }
            await ws.send_json({"op": "login", "args": [row]})
            assert (await ws.receive_json(timeout=5))["event"] == "login"
        await ws.send_json({"op": "subscribe", "args": list(args)})
        return ws


@pytest.fixture
def clock() -> SimulatedClock:
    return SimulatedClock(START)


@pytest.fixture
def market() -> ScriptedMarket:
    made = ScriptedMarket([BTC, SWAP], START)
    for instrument in (BTC, SWAP):
        made.book(instrument.id, {"60000": "2", "59999": "3"}, {"60001": "2", "60002": "3"})
    return made


@pytest.fixture
async def client(clock: SimulatedClock, market: ScriptedMarket) -> AsyncIterator[Client]:
    server = simulator.make(clock, market=market)
    await server.start(follow=False)
    server.exchange.follow()
    async with aiohttp.ClientSession(server.rest) as session:
        yield Client(session, server)
    await server.stop()


def limit(name: str, price: str = "59000", size: str = "0.1") -> dict[str, Any]:
    return {
        "instId": "BTC-USDT", "tdMode": "cash", "side": "buy", "ordType": "limit", "px": price, "sz": size,
        "clOrdId": name,
    }  # fmt: skip


def stop(name: str) -> dict[str, Any]:
    return {
        "instId": "BTC-USDT", "tdMode": "cash", "side": "sell", "ordType": "conditional", "sz": "0.05",
        "slTriggerPx": "50000", "slOrdPx": "-1", "algoClOrdId": name,
    }  # fmt: skip


async def until(ws: aiohttp.ClientWebSocketResponse, channel: str) -> Any:
    """The next data of a channel."""
    while True:
        message = await ws.receive_json(timeout=5)
        if "data" in message and message["arg"]["channel"] == channel:
            return message


async def test_answers_to_requests(client: Client, market: ScriptedMarket, shared_data: Path) -> None:
    recorded = {name: json.loads(body) for name, body in fixtures(shared_data).items()}

    def same(ours: Any, name: str, **more: Any) -> None:
        assert ours["data"], name
        assert differences(ours, recorded[name], **more) == [], name

    market.trade(BTC.id, OrderSide.BUY, "60001", "0.1")
    client.server.exchange.follow()
    added = frozenset({"data[].groupId", "data[].contTdSwTime"})
    newer = frozenset(
        f"data[].{n}" for n in ("contTdSwTime", "futureSettlement", "groupId", "instIdCode", "maxPlatOILmt", "openType",
        "posLmtAmt", "posLmtPct", "preMktSwTime", "tradeQuoteCcyList")
    )  # fmt: skip
    same(await client.public("/api/v5/public/instruments?instType=SPOT"), "http_get_instruments_spot", added=newer)
    same(await client.public("/api/v5/public/instruments?instType=SWAP"), "http_get_instruments_swap", added=added)
    tiers = "/api/v5/public/position-tiers?instType=SWAP&tdMode=isolated&instFamily=BTC-USDT"
    same(await client.public(tiers), "http_get_position_tiers")
    same(await client.public("/api/v5/public/mark-price?instType=SWAP"), "http_get_mark_price")
    same(await client.public("/api/v5/market/books?instId=BTC-USDT&sz=5"), "http_get_order_book")
    same(await client.public("/api/v5/market/trades?instId=BTC-USDT"), "http_get_trades")
    candles = await client.public("/api/v5/market/candles?instId=BTC-USDT&bar=1m")
    same(candles, "http_get_candlesticks_full")
    same(
        await client.ask("GET", "/api/v5/account/balance"),
        "http_get_account_balance",
        added=frozenset({"data[].availEq"}),
    )
    fee = await client.ask("GET", "/api/v5/account/trade-fee?instType=SPOT")
    same(
        fee,
        "http_get_trade_fee_response",
        added=frozenset(f"data[].{n}" for n in ("feeGroup", "fiat", "ruleType", "settle")),
    )
    placed = await client.ask("POST", "/api/v5/trade/order", limit("l1"))
    assert differences(placed["data"][0], recorded["http_place_order_response"], added=frozenset({"ts"})) == []
    same(await client.ask("GET", "/api/v5/trade/orders-pending"), "http_get_orders_pending")
    await client.ask("POST", "/api/v5/trade/order", limit("l2", "60001"))
    same(await client.ask("GET", "/api/v5/trade/orders-history?instType=SPOT"), "http_get_orders_history")
    fills = await client.ask("GET", "/api/v5/trade/fills")
    newest = frozenset(
        n for n in fills["data"][0] if n not in recorded["http_transaction_detail"]
    )  # fmt: skip
    assert differences(fills["data"][0], recorded["http_transaction_detail"], added=newest) == []
    algo = await client.ask("POST", "/api/v5/trade/order-algo", stop("s1"))
    same(algo, "http_place_algo_order_response", added=frozenset({"inTime", "outTime"}))
    pending = await client.ask("GET", "/api/v5/trade/orders-algo-pending?ordType=conditional")
    same(pending, "http_get_orders_algo_pending_close_fraction", added=ADDED_ALGO)
    ended = await client.ask("POST", "/api/v5/trade/cancel-algos", [{"instId": "BTC-USDT", "algoClOrdId": "s1"}])
    same(ended, "http_cancel_algo_order_response", added=frozenset({"inTime", "outTime", "data[].algoClOrdId"}))
    await client.ask(
        "POST", "/api/v5/account/set-leverage", {"instId": "BTC-USDT-SWAP", "lever": "5", "mgnMode": "cross"}
    )
    swap = {"instId": "BTC-USDT-SWAP", "tdMode": "cross", "side": "buy", "ordType": "market", "sz": "1"}
    await client.ask("POST", "/api/v5/trade/order", swap)
    positions = await client.ask("GET", "/api/v5/account/positions")
    same(positions, "http_get_positions", added=frozenset({"data[].imr"}))


async def test_refusals(client: Client, shared_data: Path) -> None:
    known = {row["http_status"]: json.loads(row["body"]) for row in errors(shared_data) if row["channel"] == "rest"}
    poor = await client.ask("POST", "/api/v5/trade/order", limit("l1", size="1000"))
    assert differences(poor, known[200]) == []
    assert poor["data"][0]["sCode"] == "51008"
    for _ in range(10):
        await client.public("/api/v5/public/time")
    assert differences(await client.public("/api/v5/public/time"), known[429], added=frozenset({"data"})) == []
    ws = await client.listen("public")
    client.server.upgrade()
    (notice,) = (json.loads(row["body"]) for row in errors(shared_data) if row["channel"] == "ws")
    assert differences(await ws.receive_json(timeout=5), notice, added=frozenset({"connId"})) == []
    await ws.close()


async def test_market_streams(client: Client, market: ScriptedMarket, clock: SimulatedClock, shared_data: Path) -> None:
    bodies = [body for name, body in fixtures(shared_data).items() if name.startswith("ws_")]
    known: dict[tuple[str, str], Any] = {}
    for body in (*bodies, *(body for _, body in current(shared_data))):
        message = json.loads(body)
        # The newest of a kind decides: those of 2026 come last.
        known[message["arg"]["channel"], message.get("action", message.get("event", ""))] = message
    channels = ("books", "books5", "bbo-tbt", "trades", "tickers", "funding-rate")
    ws = await client.listen("public", *({"channel": c, "instId": "BTC-USDT-SWAP"} for c in channels))
    business = await client.listen("business", {"channel": "candle1m", "instId": "BTC-USDT-SWAP"})
    assert differences(await business.receive_json(timeout=5), known["books5", "subscribe"]) == []
    seen: set[tuple[str, str]] = set()
    wanted = {
        ("books", "snapshot"), ("books", "update"), ("books5", ""), ("bbo-tbt", ""), ("trades", ""), ("tickers", ""),
        ("funding-rate", ""),
    }  # fmt: skip
    while not seen >= {("books", "snapshot")}:
        seen |= await _next(ws, known)
    market.trade(SWAP.id, OrderSide.BUY, "60001", "3")
    market.change(SWAP.id, {"60000": "0"}, {"60003": "1"})
    client.server.exchange.follow()
    await clock.advance(0.2)
    client.server.exchange.follow()
    while not seen >= wanted:
        seen |= await _next(ws, known)
    candle = await until(business, "candle1m")
    assert differences(candle, known["candle1m", ""]) == []
    await ws.close()
    await business.close()


async def _next(ws: aiohttp.ClientWebSocketResponse, known: dict[tuple[str, str], Any]) -> set[tuple[str, str]]:
    message = await ws.receive_json(timeout=5)
    if "event" in message:
        assert differences(message, known["books5", "subscribe"]) == []
        return set()
    kind = message["arg"]["channel"], message.get("action", "")
    # The recorded books of the documentation say nothing of their sequence where the stream of 2026 does.
    added = frozenset({"data[].seqId", "data[].prevSeqId", "data[].instId"})
    optional = frozenset({"data[].checksum", "data[].nextFundingRate"})
    assert differences(message, known[kind], added=added, optional=optional) == [], kind
    return {kind}


async def test_private_streams(client: Client, shared_data: Path) -> None:
    recorded = {name: json.loads(body) for name, body in fixtures(shared_data).items()}
    ws = await client.listen("private", {"channel": "orders", "instType": "ANY"}, {"channel": "account"})
    algos = await client.listen("business", {"channel": "orders-algo", "instType": "ANY"})
    account = await until(ws, "account")
    later = frozenset(f"data[].details[].{n}" for n in ("coinUsdPrice", "colBorrAutoConversion", "collateralRestrict"))
    assert differences(account, recorded["ws_account"], optional=later) == []
    uid = frozenset({"arg.uid"})
    await client.ask("POST", "/api/v5/trade/order", limit("l1", "60001"))
    live, filled = await until(ws, "orders"), await until(ws, "orders")
    assert (live["data"][0]["state"], filled["data"][0]["state"]) == ("live", "filled")
    for push in (live, filled):
        assert differences(push, recorded["ws_orders"], added=ADDED_ORDER | uid) == []
    assert Decimal(filled["data"][0]["fillFee"]) < 0
    await client.ask("POST", "/api/v5/trade/order-algo", stop("s1"))
    push = await until(algos, "orders-algo")
    assert differences(push, recorded["ws_orders_algo"], added=ADDED_ALGO | uid, optional=ALGO_ONLY) == []
    await ws.close()
    await algos.close()


def test_every_kind_is_compared_or_listed() -> None:
    paths = {route.path.removeprefix("/api/v5/") for route in OkxSimulator.routes}
    assert paths == RECORDED | NOT_RECORDED
    channels = PUBLIC.union(*PRIVATE.values())
    assert channels == CHANNELS_RECORDED | CHANNELS_NOT_RECORDED | CHANNELS_SILENT
