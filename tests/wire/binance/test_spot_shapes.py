"""Every kind of message of the spot server has the shape of the recorded one; kinds without a recording are listed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.model.order import OrderSide
from tests.wire.binance import spot
from tests.wire.binance.recorded import captured, fixture
from tests.wire.binance.test_spot import BTC, ORDER, events, follow_account, limit, market
from tests.wire.shapes import differences

if TYPE_CHECKING:
    from pathlib import Path

    from engine.clock import SimulatedClock
    from tests.wire.binance.raw_client import RawClient
    from tests.wire.binance.spot import BinanceSpot
    from tests.wire.markets import ScriptedMarket

NOT_RECORDED = {
    "24hrMiniTicker", "24hrTicker", "eventStreamTerminated", "listStatus", "partialDepth", "cancelReplace",
    "keepPriority", "orderList", "session", "sapi",
}  # fmt: skip
"""Kinds that no recording shows: their shapes follow the documents alone. (`24hrTicker` was recorded on USD-M only.)"""
STREAMS = "btcusdt@trade/btcusdt@aggTrade/btcusdt@bookTicker/btcusdt@depth@100ms/btcusdt@kline_1m"


async def test_answers_to_requests(client: RawClient, shared_data: Path, spot_market: ScriptedMarket) -> None:
    def same(ours: Any, name: str, **more: Any) -> None:
        assert differences(ours, fixture(shared_data, f"spot/http_json/{name}"), **more) == [], name

    bought = await client.ask("POST", ORDER, **market("m1", quantity="0.6"))
    same(bought, "new_order_full_response")
    await client.ask("POST", ORDER, **limit("l1"))
    same(await client.public("/api/v3/ping"), "ping_response")
    same(await client.public("/api/v3/time"), "server_time_response")
    same(await client.public("/api/v3/depth", symbol="BTCUSDT"), "depth_response")
    same(await client.public("/api/v3/trades", symbol="BTCUSDT"), "trades_response")
    same(await client.public("/api/v3/avgPrice", symbol="BTCUSDT"), "avg_price_response")
    same(await client.public("/api/v3/ticker/24hr", symbol="BTCUSDT"), "ticker_24hr_response")
    same(await client.public("/api/v3/ticker/price", symbol="BTCUSDT"), "ticker_price_response")
    same(await client.public("/api/v3/ticker/bookTicker", symbol="BTCUSDT"), "book_ticker_response")
    rows = await client.public("/api/v3/klines", symbol="BTCUSDT", interval="1m")
    assert len(rows) == 1
    same(rows, "klines_response")
    same(await client.ask("GET", ORDER, symbol="BTCUSDT", origClientOrderId="l1"), "order_response")
    same(await client.ask("GET", "/api/v3/openOrders"), "open_orders_response")
    same(await client.ask("GET", "/api/v3/allOrders", symbol="BTCUSDT"), "all_orders_response")
    same(await client.ask("GET", "/api/v3/myTrades", symbol="BTCUSDT"), "account_trades_response")
    same(await client.ask("GET", "/api/v3/account"), "account_response")
    same(await client.ask("DELETE", ORDER, symbol="BTCUSDT", origClientOrderId="l1"), "cancel_order_response")
    await client.ask("POST", ORDER, **limit("l2"))
    same(await client.ask("DELETE", "/api/v3/openOrders", symbol="BTCUSDT"), "cancel_open_orders_response")


async def test_what_it_says_about_itself(client: RawClient, shared_data: Path) -> None:
    info = await client.public("/api/v3/exchangeInfo")
    documented = fixture(shared_data, "spot/http_json/exchange_info_response")
    assert differences(info, documented) == []
    recorded = captured(shared_data, "spot_4sym_20211012.jsonl.gz")["exchangeInfo"]
    assert differences({"rateLimits": info["rateLimits"]}, {"rateLimits": recorded["rateLimits"]}) == []
    filters = {f["filterType"]: f for f in recorded["symbols"][0]["filters"]}
    ours = {f["filterType"]: f for f in info["symbols"][0]["filters"]}
    common = set(filters) & set(ours)
    assert common == {
        "PRICE_FILTER", "LOT_SIZE", "ICEBERG_PARTS", "MARKET_LOT_SIZE", "MAX_NUM_ORDERS", "MAX_NUM_ALGO_ORDERS",
    }  # fmt: skip
    for name in common:
        assert differences(ours[name], filters[name]) == []


async def test_market_streams(
    client: RawClient, server: BinanceSpot, shared_data: Path, spot_market: ScriptedMarket, clock: SimulatedClock
) -> None:
    ws = await client.session.ws_connect(f"/stream?streams={STREAMS}")
    await client.public("/api/v3/ping")
    spot_market.trade(BTC, OrderSide.BUY, "60001.00", "0.1")
    spot_market.book(BTC, {"60000.50": "1"}, {"60001.00": "1"})
    server.exchange.follow()
    await clock.advance(0.2)
    server.exchange.follow()
    recorded = captured(shared_data, "spot_4sym_20211012.jsonl.gz") | captured(
        shared_data, "spot_btcusdt_20240808.jsonl.gz"
    )
    seen: set[str] = set()
    while len(seen) < 5:
        message = await ws.receive_json(timeout=5)
        kind = message["data"].get("e", "bookTicker")
        assert message["stream"].startswith("btcusdt@")
        assert differences(message["data"], recorded[kind]) == [], kind
        seen.add(kind)
    assert seen == {"trade", "aggTrade", "bookTicker", "depthUpdate", "kline"}
    await ws.close()


async def test_private_stream(client: RawClient, server: BinanceSpot, shared_data: Path) -> None:
    ws = await follow_account(client)
    await client.ask("POST", ORDER, **market("m1", quantity="0.6"))
    await client.ask("POST", ORDER, **limit("l1"))
    await client.ask("DELETE", ORDER, symbol="BTCUSDT", origClientOrderId="l1")
    server.exchange.deposit(spot.MAIN, "USDT", server.exchange.balances(spot.MAIN)[0].total)
    names = {
        "NEW": "execution_report_wrapped",
        "TRADE": "execution_report_wrapped",
        "CANCELED": "execution_report_wrapped",
        "outboundAccountPosition": "account_position",
        "balanceUpdate": "balance_update",
    }
    seen = set()
    for event in await events(ws):
        kind = event.get("x", event["e"])
        recorded = fixture(shared_data, f"spot/user_data_json/{names[kind]}")
        assert differences(event, recorded.get("event", recorded)) == [], kind
        seen.add(kind)
    assert seen == set(names)
    await ws.close()


async def test_refusals(client: RawClient, shared_data: Path) -> None:
    import msgspec

    bodies = [
        msgspec.json.decode(line) for line in (shared_data / "payloads" / "errors.jsonl").read_text().splitlines()
    ]
    recorded = [msgspec.json.decode(b["body"]) for b in bodies if b["exchange"] == "binance"]
    assert len(recorded) == 4
    status, body = await client.raw("POST", ORDER, client.signed(limit("x", quantity="0.000001")))
    assert status == 400
    for known in recorded:
        assert differences(body, known) == []
    assert body in recorded
