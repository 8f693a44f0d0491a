"""Every kind of message of the USD-M server has the shape of the recorded one; kinds without a recording are listed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.model.order import OrderSide
from tests.wire.binance.recorded import captured, fixture
from tests.wire.binance.test_usdm import ALGO, BTC, ORDER, events, follow_account, limit, market, pass_time, stop
from tests.wire.shapes import differences

if TYPE_CHECKING:
    from pathlib import Path

    from engine.clock import SimulatedClock
    from tests.wire.binance.raw_client import RawClient
    from tests.wire.binance.usdm import BinanceUsdm
    from tests.wire.markets import ScriptedMarket

NOT_RECORDED = {
    "24hrMiniTicker", "listenKeyExpired", "ACCOUNT_CONFIG_UPDATE", "algoOrder", "positionRisk v3", "account v3",
    "leverageBracket", "premiumIndex", "income", "userTrades", "symbolConfig", "partialDepth",
}  # fmt: skip
"""Kinds that no recording shows: their shapes follow the documents and what ccxt reads."""
DOCUMENTED_ONLY = frozenset({"st", "ps"})
"""Fields of 2026 in the documents' examples that no capture has and that are not explained: nothing relies on them."""
STREAMS = "/".join(
    f"btcusdt@{name}"
    for name in ("trade", "aggTrade", "bookTicker", "depth@100ms", "kline_1m", "markPrice@1s", "ticker")
)


async def test_answers_to_requests(usdm_client: RawClient, shared_data: Path) -> None:
    client = usdm_client

    def same(ours: Any, name: str, **more: Any) -> None:
        assert differences(ours, fixture(shared_data, f"futures/http_json/{name}"), **more) == [], name

    await client.ask("POST", ORDER, **market("m1"))
    await client.ask("POST", ORDER, **limit("l1"))
    same(await client.ask("GET", ORDER, symbol="BTCUSDT", origClientOrderId="l1"), "order_response")
    same(await client.ask("GET", "/fapi/v2/balance"), "balance")
    same(await client.ask("GET", "/fapi/v2/positionRisk", symbol="BTCUSDT"), "position_risk")
    same(await client.ask("GET", "/fapi/v2/account"), "account_info_v2")
    recorded = captured(shared_data, "usdm_4sym_20210722.jsonl.gz")
    assert differences(await client.public("/fapi/v1/depth", symbol="BTCUSDT"), recorded["depth"]) == []
    info = await client.public("/fapi/v1/exchangeInfo")
    assert differences(info, recorded["exchangeInfo"]) == []


async def test_market_streams(
    usdm_client: RawClient,
    usdm_server: BinanceUsdm,
    shared_data: Path,
    usdm_market: ScriptedMarket,
    clock: SimulatedClock,
) -> None:
    ws = await usdm_client.session.ws_connect(f"/market/stream?streams={STREAMS}")
    await usdm_client.public("/fapi/v1/ping")
    usdm_market.trade(BTC, OrderSide.BUY, "60001.0", "0.1")
    usdm_market.book(BTC, {"60000.5": "1"}, {"60001.0": "1"})
    await pass_time(usdm_server, clock, 1.2)
    recorded = captured(shared_data, "usdm_4sym_20210722.jsonl.gz") | captured(
        shared_data, "usdm_btcusdt_20240808.jsonl.gz"
    )
    named = {"markPriceUpdate": "mark_price_stream", "24hrTicker": "ticker_stream"}
    seen: set[str] = set()
    while len(seen) < 7:
        data = (await ws.receive_json(timeout=5))["data"]
        kind = data["e"]
        if kind in named:
            known = fixture(shared_data, f"futures/market_data_json/{named[kind]}")
            assert differences(data, known, optional=DOCUMENTED_ONLY) == [], kind
        else:
            assert differences(data, recorded[kind]) == [], kind
        seen.add(kind)
    assert seen == {"trade", "aggTrade", "bookTicker", "depthUpdate", "kline", "markPriceUpdate", "24hrTicker"}
    await ws.close()


async def test_private_stream(
    usdm_client: RawClient, usdm_server: BinanceUsdm, shared_data: Path, clock: SimulatedClock
) -> None:
    client = usdm_client
    ws, _ = await follow_account(client)
    await client.ask("POST", ORDER, **market("m1"))
    await client.ask("POST", ALGO, **stop("s1"))
    trailing = frozenset({"o.AP", "o.cr"})
    known = {
        "NEW": ("order_update_new", trailing),
        "TRADE": ("order_update_trade", trailing),
        "ACCOUNT_UPDATE": ("account_update", frozenset[str]()),
        "ALGO_UPDATE": ("algo_update_new", frozenset[str]()),
    }
    seen = set()
    for event in await events(ws):
        kind = event["o"]["x"] if event["e"] == "ORDER_TRADE_UPDATE" else event["e"]
        name, optional = known[kind]
        recorded = fixture(shared_data, f"futures/user_data_json/{name}")
        assert differences(event, recorded, optional=optional) == [], kind
        seen.add(kind)
    assert seen == set(known)
    await ws.close()


async def test_liquidations(
    usdm_client: RawClient, usdm_server: BinanceUsdm, shared_data: Path, clock: SimulatedClock
) -> None:
    from decimal import Decimal

    client = usdm_client
    ws = await client.session.ws_connect("/market/ws/btcusdt@forceOrder")
    await client.ask("POST", "/fapi/v1/marginType", symbol="BTCUSDT", marginType="ISOLATED")
    await client.ask("POST", ORDER, **market("m1"))
    usdm_server.exchange.mark_overrides[BTC] = Decimal(50_000)
    await pass_time(usdm_server, clock, 2)
    recorded = fixture(shared_data, "futures/market_data_json/liquidation_stream")
    assert differences(await ws.receive_json(timeout=5), recorded) == []
    await ws.close()
