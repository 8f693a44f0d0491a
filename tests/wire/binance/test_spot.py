"""Binance spot as its documents and its recorded errors have it: signatures, refusals, order types, lists, limits."""

from __future__ import annotations

import base64
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_plus

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from engine.model.ids import InstrumentId
from engine.model.order import OrderSide
from tests.wire.binance.spot import MAIN
from tests.wire.faults import Fault

if TYPE_CHECKING:
    import aiohttp

    from engine.clock import SimulatedClock
    from tests.wire.binance.raw_client import RawClient
    from tests.wire.binance.spot import BinanceSpot
    from tests.wire.markets import ScriptedMarket

BTC = InstrumentId("BINANCE:BTC/USDT")
ORDER = "/api/v3/order"


def limit(name: str, side: str = "BUY", price: str = "59000.00", quantity: str = "0.01", **more: Any) -> dict[str, Any]:
    return {
        "symbol": "BTCUSDT", "side": side, "type": "LIMIT", "timeInForce": "GTC", "quantity": quantity, "price": price,
        "newClientOrderId": name, **more,
    }  # fmt: skip


def market(name: str, side: str = "BUY", quantity: str | None = "0.01", **more: Any) -> dict[str, Any]:
    named = {"symbol": "BTCUSDT", "side": side, "type": "MARKET", "newClientOrderId": name, "quantity": quantity}
    return {k: v for k, v in {**named, **more}.items() if v is not None}


async def follow_account(client: RawClient) -> aiohttp.ClientWebSocketResponse:
    """A private stream that has begun."""
    ws = await client.session.ws_connect("/ws-api/v3")
    await ws.send_json(client.message("userDataStream.subscribe.signature"))
    answer = await ws.receive_json(timeout=5)
    assert (answer["status"], answer["result"]) == (200, {"subscriptionId": 0})
    assert answer["rateLimits"][0]["rateLimitType"] == "REQUEST_WEIGHT"
    return ws


async def events(ws: aiohttp.ClientWebSocketResponse) -> list[dict[str, Any]]:
    """What a private stream has said until now."""
    await ws.send_json({"id": "end", "method": "time"})
    found = []
    while "event" in (message := await ws.receive_json(timeout=5)):
        found.append(message["event"])
    assert message["id"] == "end"
    return found


# --- who asks --------------------------------------------------------------------------------------------------------


async def test_a_request_must_be_signed_in_time_by_a_key_that_may(client: RawClient, server: BinanceSpot) -> None:
    assert (await client.ask("GET", "/api/v3/account"))["canTrade"] is True
    query = client.signed({})
    assert (await client.raw("GET", "/api/v3/account", query[:-1] + ("0" if query[-1] != "0" else "1")))[1][
        "code"
    ] == -1022
    assert (await client.raw("GET", "/api/v3/account", ""))[1]["code"] == -1102
    now = server.exchange.ms()
    assert (await client.refused("GET", "/api/v3/account", timestamp=now - 5001))[1] == -1021
    assert (await client.refused("GET", "/api/v3/account", timestamp=now + 1001))[1] == -1021
    await client.ask("GET", "/api/v3/account", timestamp=now - 5001, recvWindow=6000)
    server.exchange.skew_ns = 10_000_000_000
    assert (await client.refused("GET", "/api/v3/account", timestamp=now))[1] == -1021
    assert (await client.public("/api/v3/time"))["serverTime"] == now + 10_000
    client.key.trade = False
    assert (await client.refused("POST", ORDER, **limit("a")))[:2] == (401, -2015)
    server.expire_key(client.key)
    assert (await client.refused("GET", "/api/v3/account"))[:2] == (401, -2015)
    client.key.key = ""
    assert (await client.refused("GET", "/api/v3/account"))[:2] == (401, -2014)


async def test_an_ed25519_key_signs_too(client: RawClient, server: BinanceSpot) -> None:
    private = Ed25519PrivateKey.generate()
    client.key = server.exchange.keys.issue(MAIN, public=private.public_key())
    query = f"timestamp={server.exchange.ms()}"
    signature = quote_plus(base64.b64encode(private.sign(query.encode())).decode())
    assert (await client.raw("GET", "/api/v3/account", f"{query}&signature={signature}"))[0] == 200
    assert (await client.raw("GET", "/api/v3/account", f"{query}0&signature={signature}"))[1]["code"] == -1022


async def test_weights_and_orders_are_counted_told_and_limited(
    client: RawClient, server: BinanceSpot, clock: SimulatedClock
) -> None:
    await client.public("/api/v3/depth", symbol="BTCUSDT", limit=5000)
    assert client.headers["X-MBX-USED-WEIGHT-1M"] == "250"
    for number in range(100):
        await client.ask("POST", ORDER, **limit(f"a{number}"))
    assert client.headers["X-MBX-ORDER-COUNT-10S"] == "100"
    assert (await client.refused("POST", ORDER, **limit("one more")))[:2] == (429, -1015)
    assert 1 <= int(client.headers["Retry-After"]) <= 10
    await clock.advance(10)
    await client.ask("POST", ORDER, **limit("one more"))
    answers = [await client.raw("GET", "/api/v3/depth", "symbol=BTCUSDT&limit=5000") for _ in range(34)]
    assert [status for status, _ in answers] == [200] * 22 + [429] * 8 + [418] * 4
    assert {body["code"] for _, body in answers[22:]} == {-1003}
    assert "IP banned until" in answers[-1][1]["msg"]
    await clock.advance(int(client.headers["Retry-After"]))
    await client.public("/api/v3/ping")
    assert server.limits.peaks["weight"] <= 6000


# --- orders ----------------------------------------------------------------------------------------------------------


async def test_orders_live_and_tell_of_it(client: RawClient, server: BinanceSpot) -> None:
    ws = await follow_account(client)
    bought = await client.ask("POST", ORDER, **market("m1", quantity="1"))
    assert (bought["status"], bought["executedQty"], bought["cummulativeQuoteQty"]) == (
        "FILLED", "1.00000000", "60001.50000000",
    )  # fmt: skip
    assert [(f["price"], f["qty"], f["commission"], f["commissionAsset"]) for f in bought["fills"]] == [
        ("60001.00000000", "0.50000000", "0.00050000", "BTC"),
        ("60002.00000000", "0.50000000", "0.00050000", "BTC"),
    ]
    told = await events(ws)
    assert [(e["e"], e.get("x"), e.get("X")) for e in told] == [
        ("executionReport", "NEW", "NEW"),
        ("executionReport", "TRADE", "PARTIALLY_FILLED"),
        ("executionReport", "TRADE", "FILLED"),
        ("outboundAccountPosition", None, None),
    ]
    resting = await client.ask("POST", ORDER, **limit("l1", "SELL", "61000.00", "0.5", newOrderRespType="ACK"))
    assert set(resting) == {"symbol", "orderId", "orderListId", "clientOrderId", "transactTime"}
    (row,) = await client.ask("GET", "/api/v3/openOrders")
    assert (row["clientOrderId"], row["status"], row["isWorking"]) == ("l1", "NEW", True)
    gone = await client.ask("DELETE", ORDER, symbol="BTCUSDT", origClientOrderId="l1")
    assert (gone["origClientOrderId"], gone["status"]) == ("l1", "CANCELED")
    told = [e for e in await events(ws) if e["e"] == "executionReport"]
    assert [(e["x"], e["C"]) for e in told] == [("NEW", ""), ("CANCELED", "l1")]
    assert told[1]["c"] == gone["clientOrderId"] != "l1"
    assert (await client.refused("DELETE", ORDER, symbol="BTCUSDT", origClientOrderId="l1"))[1] == -2011
    assert (await client.refused("GET", ORDER, symbol="BTCUSDT", origClientOrderId="never"))[1] == -2013
    assert [t["id"] for t in await client.ask("GET", "/api/v3/myTrades", symbol="BTCUSDT", fromId=2)] == [2]
    rows = await client.ask("GET", "/api/v3/allOrders", symbol="BTCUSDT")
    assert [(r["clientOrderId"], r["status"]) for r in rows] == [("m1", "FILLED"), ("l1", "CANCELED")]
    assert await client.ask("GET", "/api/v3/allOrders", symbol="ETHUSDT") == []
    server.exchange.deposit(MAIN, "USDT", Decimal(5))
    assert [e["e"] for e in await events(ws)] == ["balanceUpdate", "outboundAccountPosition"]
    await ws.close()


@pytest.mark.parametrize(
    ("order", "code", "words"),
    [
        (limit("x", price="59000.001"), -1013, "PRICE_FILTER"),
        (limit("x", quantity="0.000001"), -1013, "LOT_SIZE"),
        (limit("x", quantity="0.00001"), -1013, "NOTIONAL"),
        (limit("x", quantity="50"), -2010, "insufficient balance"),
        (limit("x", "SELL"), -2010, "insufficient balance"),
        (limit("x", type="LIMIT_MAKER", price="60001.00", timeInForce=""), -2010, "immediately match"),
        (limit("x", symbol="NOSUCH"), -1121, "Invalid symbol"),
        (limit("x", timeInForce=""), -1102, "timeInForce"),
        (limit("x", price=""), -1102, "price"),
        (market("x", price="1"), -1106, "price"),
        (market("x", type="WISH"), -1116, "orderType"),
        (market("x", quantity="1e3"), -1100, "quantity"),
        (market("x", type="STOP_LOSS"), -1102, "stopPrice"),
    ],
)
async def test_orders_against_the_rules_are_refused(
    client: RawClient, order: dict[str, Any], code: int, words: str
) -> None:
    status, said, message = await client.refused("POST", ORDER, **order)
    assert (status, said) == (400, code)
    assert words in message


async def test_what_ends_at_once_has_expired(client: RawClient) -> None:
    for tif in ("IOC", "FOK"):
        row = await client.ask("POST", ORDER, **limit(tif, timeInForce=tif))
        assert (row["status"], row["executedQty"]) == ("EXPIRED", "0.00000000")
    assert (await client.refused("POST", ORDER, **limit("IOC")))[2] == "Duplicate order sent."
    row = await client.ask("POST", ORDER, **market("q", quantity=None, quoteOrderQty="100"))
    assert (row["status"], row["executedQty"]) == ("FILLED", "0.00166000")


async def test_a_stop_waits_is_told_and_takes(
    client: RawClient, server: BinanceSpot, spot_market: ScriptedMarket, clock: SimulatedClock
) -> None:
    ws = await follow_account(client)
    await client.ask("POST", ORDER, **market("m1", quantity="0.4"))
    stop = {"type": "STOP_LOSS", "stopPrice": "59500.00"}
    await client.ask("POST", ORDER, **market("s1", "SELL", "0.1", **stop))
    assert (await client.refused("POST", ORDER, **market("s2", "SELL", "0.1", **{**stop, "stopPrice": "60002.00"})))[
        2
    ] == ("Stop price would trigger immediately.")
    (row,) = await client.ask("GET", "/api/v3/openOrders", symbol="BTCUSDT")
    assert (row["type"], row["stopPrice"], row["isWorking"]) == ("STOP_LOSS", "59500.00000000", False)
    await events(ws)
    spot_market.trade(BTC, OrderSide.SELL, "59500.00", "0.1")
    await clock.advance(0.1)
    row = await client.ask("GET", ORDER, symbol="BTCUSDT", origClientOrderId="s1")
    assert (row["status"], row["executedQty"]) == ("FILLED", "0.10000000")
    told = [e for e in await events(ws) if e["e"] == "executionReport"]
    assert [(e["x"], e["X"], e["w"]) for e in told] == [("NEW", "NEW", True), ("TRADE", "FILLED", False)]
    await ws.close()


async def test_of_a_list_one_wins(
    client: RawClient, server: BinanceSpot, spot_market: ScriptedMarket, clock: SimulatedClock
) -> None:
    await client.ask("POST", ORDER, **market("m1", quantity="0.4"))
    pair = {
        "symbol": "BTCUSDT", "side": "SELL", "quantity": "0.3", "listClientOrderId": "pair",
        "aboveType": "LIMIT_MAKER", "abovePrice": "61000.00", "aboveClientOrderId": "target",
        "belowType": "STOP_LOSS", "belowStopPrice": "59000.00", "belowClientOrderId": "stop",
    }  # fmt: skip
    made = await client.ask("POST", "/api/v3/orderList/oco", **pair)
    assert (made["contingencyType"], made["listOrderStatus"], len(made["orderReports"])) == ("OCO", "EXECUTING", 2)
    assert len(await client.ask("GET", "/api/v3/openOrderList")) == 1
    ws = await follow_account(client)
    spot_market.trade(BTC, OrderSide.BUY, "61000.00", "0.1")
    await clock.advance(0.1)
    rows = await client.ask("GET", "/api/v3/allOrders", symbol="BTCUSDT")
    assert [(r["clientOrderId"], r["status"], r["executedQty"]) for r in rows[1:]] == [
        ("target", "PARTIALLY_FILLED", "0.10000000"),
        ("stop", "EXPIRED", "0.00000000"),
    ]
    assert {e["e"] for e in await events(ws)} == {"executionReport", "outboundAccountPosition", "listStatus"}
    await client.ask("DELETE", "/api/v3/orderList", symbol="BTCUSDT", listClientOrderId="pair")
    assert await client.ask("GET", "/api/v3/openOrders") == []
    assert (await client.refused("DELETE", "/api/v3/orderList", symbol="BTCUSDT", listClientOrderId="pair"))[1] == -2011
    await ws.close()


async def test_an_order_is_replaced_or_made_smaller(client: RawClient) -> None:
    await client.ask("POST", ORDER, **limit("a"))
    replace = {"cancelReplaceMode": "STOP_ON_FAILURE", "cancelOrigClientOrderId": "a"}
    both = await client.ask("POST", f"{ORDER}/cancelReplace", **limit("b", price="58000.00"), **replace)
    assert (both["cancelResult"], both["newOrderResult"]) == ("SUCCESS", "SUCCESS")
    assert both["newOrderResponse"]["price"] == "58000.00000000"
    status, code, _ = await client.refused("POST", f"{ORDER}/cancelReplace", **limit("c"), **replace)
    assert (status, code) == (400, -2022)
    replace["cancelOrigClientOrderId"] = "b"
    status, code, _ = await client.refused("POST", f"{ORDER}/cancelReplace", **limit("d", quantity="99"), **replace)
    assert (status, code) == (409, -2021)
    await client.ask("POST", ORDER, **limit("e", quantity="0.02"))
    amend = {"symbol": "BTCUSDT", "origClientOrderId": "e", "newQty": "0.01", "newClientOrderId": "f"}
    made = await client.ask("PUT", f"{ORDER}/amend/keepPriority", **amend)
    assert (made["amendedOrder"]["origClientOrderId"], made["amendedOrder"]["qty"]) == ("e", "0.01000000")
    assert (await client.ask("GET", ORDER, symbol="BTCUSDT", origClientOrderId="f"))["origQty"] == "0.01000000"
    assert len(await client.ask("DELETE", "/api/v3/openOrders", symbol="BTCUSDT")) == 1


# --- streams ---------------------------------------------------------------------------------------------------------


async def test_diffs_join_the_snapshot_without_a_gap(
    client: RawClient, server: BinanceSpot, spot_market: ScriptedMarket, clock: SimulatedClock
) -> None:
    ws = await client.session.ws_connect("/stream?streams=btcusdt@depth@100ms")
    await client.public("/api/v3/ping")
    book = await client.public("/api/v3/depth", symbol="BTCUSDT")
    levels = dict(book["bids"])
    for price in ("59990.00", "59991.00", "59992.00"):
        spot_market.change(BTC, {price: "1"}, {})
        spot_market.change(BTC, {price: "2"}, {})
        await clock.advance(0.11)
        server.exchange.follow()
    last = book["lastUpdateId"]
    for _ in range(3):
        message = await ws.receive_json(timeout=5)
        assert message["stream"] == "btcusdt@depth@100ms"
        diff = message["data"]
        assert (diff["U"], diff["u"]) == (last + 1, last + 2)
        last = diff["u"]
        levels.update(diff["b"])
    assert levels == dict((await client.public("/api/v3/depth", symbol="BTCUSDT"))["bids"])
    await ws.close()


async def test_streams_are_joined_left_and_listed(client: RawClient, server: BinanceSpot) -> None:
    ws = await client.session.ws_connect("/ws")

    async def ask(method: str, *names: str) -> Any:
        await ws.send_json({"id": 7, "method": method, "params": list(names)})
        return await ws.receive_json(timeout=5)

    assert await ask("SUBSCRIBE", "btcusdt@trade", "btcusdt@kline_1m") == {"result": None, "id": 7}
    assert (await ask("LIST_SUBSCRIPTIONS"))["result"] == ["btcusdt@trade", "btcusdt@kline_1m"]
    assert await ask("UNSUBSCRIBE", "btcusdt@trade") == {"result": None, "id": 7}
    assert server.subscriptions == {"btcusdt@kline_1m": 1}
    assert (await ask("SUBSCRIBE", "nosuch@trade"))["error"]["code"] == 2
    await ws.close()


async def test_a_connection_ends_after_a_day(client: RawClient, server: BinanceSpot, clock: SimulatedClock) -> None:
    ws = await client.session.ws_connect("/ws/btcusdt@trade")
    await client.public("/api/v3/ping")
    await clock.advance(86_400)
    server.exchange.follow()
    assert (await ws.receive(timeout=5)).type.name == "CLOSE"


async def test_the_old_way_to_private_events_is_gone(client: RawClient, server: BinanceSpot) -> None:
    async with client.session.post("/api/v3/userDataStream", headers={"X-MBX-APIKEY": client.key.key}) as answer:
        assert answer.status == 410
    ws = await client.session.ws_connect("/ws-api/v3")
    await ws.send_json({"id": 1, "method": "userDataStream.start", "params": {"apiKey": client.key.key}})
    assert (await ws.receive_json(timeout=5))["status"] == 410
    await ws.close()


async def test_a_session_trades_over_the_socket(client: RawClient) -> None:
    async with client.session.ws_connect("/ws-api/v3") as ws:

        async def ask(message: dict[str, Any]) -> Any:
            await ws.send_json(message)
            return await ws.receive_json(timeout=5)

        assert (await ask({"id": 1, "method": "userDataStream.subscribe", "params": {}}))["status"] == 401
        assert (await ask(client.message("session.logon")))["result"]["apiKey"] == client.key.key
        assert (await ask({"id": 1, "method": "userDataStream.subscribe", "params": {}}))["status"] == 200
        placed = await ask(client.message("order.place", **limit("a", newOrderRespType="RESULT")))
        while "event" in placed:
            placed = await ws.receive_json(timeout=5)
        assert placed["result"]["status"] == "NEW"
        wrong = client.message("order.place", **limit("b"))
        wrong["params"]["price"] = "1.00"
        answer = await ask(wrong)
        while "event" in answer:
            answer = await ws.receive_json(timeout=5)
        assert answer["error"]["code"] == -1022


async def test_a_key_taken_away_ends_the_private_stream(client: RawClient, server: BinanceSpot) -> None:
    ws = await follow_account(client)
    server.expire_key(client.key)
    assert [e["e"] for e in await events(ws)] == ["eventStreamTerminated"]
    await ws.close()


async def test_a_dead_private_stream_still_answers(client: RawClient, server: BinanceSpot) -> None:
    ws = await follow_account(client)
    server.faults.arm(Fault.PRIVATE_SILENT)
    await client.ask("POST", ORDER, **limit("a"))
    assert await events(ws) == []
    await client.ask("POST", ORDER, **limit("b"))
    assert await events(ws) == []
    assert len(await client.ask("GET", "/api/v3/openOrders")) == 2
    await ws.close()


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        (Fault.RATE_LIMIT, 429, -1003),
        (Fault.BAN, 418, -1003),
        (Fault.MAINTENANCE, 503, -1016),
        (Fault.KEY_EXPIRED, 401, -2015),
        (Fault.CLOCK_SKEW, 400, -1021),
        (Fault.SERVER_ERROR, 503, -1007),
    ],
)
async def test_faults_speak_as_binance_does(
    client: RawClient, server: BinanceSpot, kind: Fault, status: int, code: int
) -> None:
    server.faults.arm(kind, where="POST /api/v3/order", delay_s=3.0)
    assert (await client.refused("POST", ORDER, **limit("a")))[:2] == (status, code)
    assert ("Retry-After" in client.headers) is (kind in (Fault.RATE_LIMIT, Fault.BAN))
    taken = server.exchange.ledger.find(MAIN, "a") is not None
    assert taken is (kind is Fault.SERVER_ERROR)
    assert server.faults.struck == {kind: 1}


async def test_who_says_too_much_or_answers_no_ping_is_cut_off(
    client: RawClient, server: BinanceSpot, clock: SimulatedClock
) -> None:
    ws = await client.session.ws_connect("/ws")
    for number in range(6):
        await ws.send_json({"id": number, "method": "LIST_SUBSCRIPTIONS"})
    answers = [await ws.receive(timeout=5) for _ in range(6)]
    assert [a.type.name for a in answers] == ["TEXT"] * 5 + ["CLOSE"]
    assert (answers[-1].data, server.limits.violations) == (1008, {"messages": 1})
    server.patience_s = 0.0
    deaf = await client.session.ws_connect("/ws", autoping=False)
    await client.public("/api/v3/ping")
    for _ in range(5):
        await clock.advance(20)
    heard = [(await deaf.receive(timeout=5)).type.name for _ in range(4)]
    assert heard[:3] == ["PING"] * 3
    assert heard[3] != "PING"
    assert deaf.closed or deaf.exception() is not None or deaf.close_code == 1006
