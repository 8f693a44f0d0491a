"""Binance USD-M as its documents have it: positions, margin, funding, liquidation, the algo service, listen keys."""

from __future__ import annotations

import itertools
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from engine.model.ids import InstrumentId
from engine.model.order import OrderSide
from tests.wire.binance.usdm import MAIN
from tests.wire.dump import dump

if TYPE_CHECKING:
    import aiohttp

    from engine.clock import SimulatedClock
    from tests.wire.binance.raw_client import RawClient
    from tests.wire.binance.usdm import BinanceUsdm
    from tests.wire.markets import ScriptedMarket

BTC = InstrumentId("BINANCEUSDM:BTC/USDT:USDT")
ORDER = "/fapi/v1/order"
ALGO = "/fapi/v1/algoOrder"


def market(name: str, side: str = "BUY", quantity: str = "0.1", **more: Any) -> dict[str, Any]:
    named = {"symbol": "BTCUSDT", "side": side, "type": "MARKET", "newClientOrderId": name, "quantity": quantity}
    return {**named, "newOrderRespType": "RESULT", **more}


def limit(name: str, side: str = "BUY", price: str = "59000.0", quantity: str = "0.1", **more: Any) -> dict[str, Any]:
    return market(name, side, quantity, **{"type": "LIMIT", "timeInForce": "GTC", "price": price, **more})


def stop(name: str, side: str = "SELL", trigger: str = "59500.0", **more: Any) -> dict[str, Any]:
    return {
        "algoType": "CONDITIONAL", "symbol": "BTCUSDT", "side": side, "type": "STOP_MARKET", "quantity": "0.1",
        "triggerPrice": trigger, "clientAlgoId": name, "reduceOnly": "true", **more,
    }  # fmt: skip


async def follow_account(client: RawClient) -> tuple[aiohttp.ClientWebSocketResponse, str]:
    """A private stream that has begun, and its listen key."""
    status, body = await client.raw("POST", "/fapi/v1/listenKey", "")
    assert status == 200
    ws = await client.session.ws_connect(f"/private/ws?listenKey={body['listenKey']}")
    return ws, body["listenKey"]


async def events(ws: aiohttp.ClientWebSocketResponse) -> list[dict[str, Any]]:
    """What a private stream has said until now."""
    await ws.send_json({"id": 99, "method": "LIST_SUBSCRIPTIONS"})
    found = []
    while "e" in (message := await ws.receive_json(timeout=5)):
        found.append(message)
    assert message["id"] == 99
    return found


async def pass_time(server: BinanceUsdm, clock: SimulatedClock, seconds: float) -> None:
    await clock.advance(seconds)
    server.exchange.follow()


async def test_a_position_opens_shrinks_turns_and_is_told(usdm_client: RawClient, usdm_server: BinanceUsdm) -> None:
    client = usdm_client
    ws, _ = await follow_account(client)
    bought = await client.ask("POST", ORDER, **market("m1", quantity="1"))
    assert (bought["status"], bought["avgPrice"], bought["cumQuote"]) == ("FILLED", "60001.500", "60001.50000000")
    told = await events(ws)
    assert [(e["e"], e.get("o", {}).get("x")) for e in told] == [
        ("ORDER_TRADE_UPDATE", "NEW"),
        ("ORDER_TRADE_UPDATE", "TRADE"),
        ("ORDER_TRADE_UPDATE", "TRADE"),
        ("ACCOUNT_UPDATE", None),
    ]
    (position,) = told[-1]["a"]["P"]
    assert (position["pa"], position["ep"], position["mt"]) == ("1.000", "60001.50000000", "cross")
    assert told[-1]["a"]["B"][0]["wb"] == "99969.99925000"
    await client.ask("POST", ORDER, **market("m2", "SELL", "1.5"))
    told = await events(ws)
    assert [e["o"]["rp"] for e in told if e.get("o", {}).get("x") == "TRADE"] == ["-1.50000000"]
    assert told[-1]["a"]["P"][0]["pa"] == "-0.500"
    (row,) = await client.ask("GET", "/fapi/v3/positionRisk")
    assert (row["positionAmt"], row["entryPrice"], row["marginAsset"]) == ("-0.500", "60000.00000000", "USDT")
    assert Decimal(row["liquidationPrice"]) > 60_000
    assert len(await client.ask("GET", "/fapi/v2/positionRisk")) == 2
    trades = await client.ask("GET", "/fapi/v1/userTrades", symbol="BTCUSDT")
    assert [(t["side"], t["realizedPnl"]) for t in trades] == [
        ("BUY", "0.00000000"), ("BUY", "0.00000000"), ("SELL", "-1.50000000"),
    ]  # fmt: skip
    income = await client.ask("GET", "/fapi/v1/income")
    assert [i["incomeType"] for i in income].count("COMMISSION") == 3
    balance = (await client.ask("GET", "/fapi/v3/balance"))[0]
    assert Decimal(balance["balance"]) == 100_000 + sum(Decimal(i["income"]) for i in income)
    await ws.close()


async def test_margin_is_set_and_refused(usdm_client: RawClient) -> None:
    client, symbol = usdm_client, {"symbol": "BTCUSDT"}
    assert (await client.ask("POST", "/fapi/v1/leverage", **symbol, leverage=5))["leverage"] == 5
    assert (await client.refused("POST", "/fapi/v1/leverage", **symbol, leverage=126))[1] == -4028
    await client.ask("POST", "/fapi/v1/marginType", **symbol, marginType="ISOLATED")
    assert (await client.refused("POST", "/fapi/v1/marginType", **symbol, marginType="ISOLATED"))[1] == -4046
    (config,) = await client.ask("GET", "/fapi/v1/symbolConfig", **symbol)
    assert (config["leverage"], config["marginType"]) == (5, "ISOLATED")
    assert (await client.refused("POST", ORDER, **market("big", quantity="50")))[1] == -2019
    await client.ask("POST", ORDER, **market("m1", quantity="0.5"))
    assert (await client.refused("POST", "/fapi/v1/marginType", **symbol, marginType="CROSSED"))[1] == -4048
    (row,) = await client.ask("GET", "/fapi/v3/positionRisk")
    assert row["isolatedWallet"] == "6000.10000000"
    assert await client.ask("GET", "/fapi/v1/positionSide/dual") == {"dualSidePosition": False}
    (bracket,) = await client.ask("GET", "/fapi/v1/leverageBracket", **symbol)
    assert [b["initialLeverage"] for b in bracket["brackets"]] == [125, 100, 50, 20]


async def test_hedge_mode_wants_a_position_side(usdm_client: RawClient) -> None:
    await usdm_client.ask("POST", "/fapi/v1/positionSide/dual", dualSidePosition="true")
    assert await usdm_client.ask("GET", "/fapi/v1/positionSide/dual") == {"dualSidePosition": True}
    assert (await usdm_client.refused("POST", ORDER, **market("m1")))[1] == -4061


@pytest.mark.parametrize(
    ("order", "code"),
    [
        (limit("x", price="59000.05"), -4014),
        (limit("x", quantity="0.0001"), -1111),
        (limit("x", quantity="0.001", price="100.0"), -4164),
        (limit("x", timeInForce="GTX", price="60001.0"), -5022),
        (limit("x", timeInForce=""), -1102),
        (market("x", reduceOnly="true"), -2022),
        (market("x", type="STOP_MARKET", stopPrice="59000.0"), -4120),
        (market("x", type="TAKE_PROFIT", price="61000.0", stopPrice="61000.0"), -4120),
        (market("x", symbol="NOSUCH"), -1121),
    ],
)
async def test_orders_against_the_rules_are_refused(usdm_client: RawClient, order: dict[str, Any], code: int) -> None:
    assert (await usdm_client.refused("POST", ORDER, **order))[:2] == (400, code)


async def test_regular_orders_are_amended_listed_and_canceled(usdm_client: RawClient) -> None:
    client = usdm_client
    ack = await client.ask("POST", ORDER, **limit("a", newOrderRespType="ACK"))
    assert (ack["status"], "time" in ack) == ("NEW", False)
    assert (await client.refused("POST", ORDER, **limit("a")))[1] == -4116
    change = {"symbol": "BTCUSDT", "side": "BUY", "origClientOrderId": "a", "price": "58000.0", "quantity": "0.2"}
    amended = await client.ask("PUT", ORDER, **change)
    assert (amended["price"], amended["origQty"]) == ("58000.0", "0.200")
    assert (await client.refused("PUT", ORDER, **change))[1] == -5027
    assert [o["clientOrderId"] for o in await client.ask("GET", "/fapi/v1/openOrders")] == ["a"]
    assert (await client.ask("DELETE", ORDER, symbol="BTCUSDT", origClientOrderId="a"))["status"] == "CANCELED"
    assert (await client.refused("DELETE", ORDER, symbol="BTCUSDT", origClientOrderId="a"))[1] == -2011
    assert (await client.refused("GET", ORDER, symbol="BTCUSDT", origClientOrderId="never"))[1] == -2013
    await client.ask("POST", ORDER, **limit("b"))
    both = await client.ask("DELETE", "/fapi/v1/batchOrders", symbol="BTCUSDT", origClientOrderIdList='["b","c"]')
    assert (both[0]["status"], both[1]["code"]) == ("CANCELED", -2011)


async def test_conditional_orders_are_the_algo_services(
    usdm_client: RawClient, usdm_server: BinanceUsdm, usdm_market: ScriptedMarket, clock: SimulatedClock
) -> None:
    client = usdm_client
    assert (await client.refused("POST", ALGO, **stop("s0")))[1] == -2022
    await client.ask("POST", ORDER, **market("m1"))
    ws, _ = await follow_account(client)
    made = await client.ask("POST", ALGO, **stop("s1"))
    assert (made["algoStatus"], made["orderType"], made["triggerPrice"]) == ("NEW", "STOP_MARKET", "59500.0")
    assert (await client.refused("POST", ALGO, **stop("s2", trigger="60500.0")))[1] == -2021
    assert await client.ask("GET", "/fapi/v1/openOrders") == []
    assert (await client.refused("GET", ORDER, symbol="BTCUSDT", origClientOrderId="s1"))[1] == -2013
    assert (await client.refused("DELETE", ORDER, symbol="BTCUSDT", origClientOrderId="s1"))[1] == -2011
    assert [a["clientAlgoId"] for a in await client.ask("GET", "/fapi/v1/openAlgoOrders")] == ["s1"]
    await client.ask("DELETE", "/fapi/v1/allOpenOrders", symbol="BTCUSDT")
    assert [a["clientAlgoId"] for a in await client.ask("GET", "/fapi/v1/openAlgoOrders")] == ["s1"]
    assert (await client.ask("DELETE", ALGO, clientAlgoId="s1"))["code"] == "200"
    assert [(e["e"], e["o"]["X"]) for e in await events(ws)] == [("ALGO_UPDATE", "NEW"), ("ALGO_UPDATE", "CANCELED")]
    made = await client.ask("POST", ALGO, **stop("s3", closePosition="true", quantity=""))
    await events(ws)
    usdm_market.trade(BTC, OrderSide.SELL, "59500.0", "0.1")
    await pass_time(usdm_server, clock, 0.1)
    told = await events(ws)
    assert [(e["e"], e["o"]["X"]) for e in told if "o" in e] == [
        ("ALGO_UPDATE", "TRIGGERING"),
        ("ALGO_UPDATE", "TRIGGERED"),
        ("ORDER_TRADE_UPDATE", "NEW"),
        ("ALGO_UPDATE", "FINISHED"),
        ("ORDER_TRADE_UPDATE", "FILLED"),
    ]
    assert told[2]["o"]["i"] == int(told[1]["o"]["ai"])
    found = await client.ask("GET", ALGO, algoId=made["algoId"])
    assert (found["algoStatus"], found["actualOrderId"]) == ("FINISHED", told[1]["o"]["ai"])
    row = await client.ask("GET", ORDER, symbol="BTCUSDT", orderId=found["actualOrderId"])
    assert (row["status"], row["type"], row["origType"], row["clientOrderId"]) == (
        "FILLED",
        "MARKET",
        "STOP_MARKET",
        "s3",
    )
    assert await client.ask("GET", "/fapi/v3/positionRisk") == []
    await ws.close()


async def test_the_countdown_spares_the_algo_service(
    usdm_client: RawClient, usdm_server: BinanceUsdm, clock: SimulatedClock
) -> None:
    client = usdm_client
    await client.ask("POST", ORDER, **market("m1"))
    await client.ask("POST", ORDER, **limit("l1"))
    await client.ask("POST", ALGO, **stop("s1"))
    await client.ask("POST", "/fapi/v1/countdownCancelAll", symbol="BTCUSDT", countdownTime=10_000)
    await pass_time(usdm_server, clock, 9)
    assert len(await client.ask("GET", "/fapi/v1/openOrders")) == 1
    await pass_time(usdm_server, clock, 2)
    assert await client.ask("GET", "/fapi/v1/openOrders") == []
    assert len(await client.ask("GET", "/fapi/v1/openAlgoOrders")) == 1


async def test_funding_is_paid_told_and_listed(
    usdm_client: RawClient, usdm_server: BinanceUsdm, clock: SimulatedClock
) -> None:
    client = usdm_client
    await client.ask("POST", ORDER, **market("m1"))
    await pass_time(usdm_server, clock, 1)
    due = (await client.public("/fapi/v1/premiumIndex", symbol="BTCUSDT"))["nextFundingTime"]
    await pass_time(usdm_server, clock, (due - usdm_server.exchange.ms()) / 1000 - 10)
    ws, _ = await follow_account(client)
    await pass_time(usdm_server, clock, 12)
    (paid,) = await client.ask("GET", "/fapi/v1/income", incomeType="FUNDING_FEE")
    assert Decimal(paid["income"]) == Decimal("-0.0001") * Decimal("0.1") * Decimal("60000.5")
    told = [e for e in await events(ws) if e.get("a", {}).get("m") == "FUNDING_FEE"]
    assert [(e["a"]["B"][0]["bc"], e["a"]["P"]) for e in told] == [(paid["income"], [])]
    await ws.close()


async def test_what_is_used_up_is_closed_by_force(
    usdm_client: RawClient, usdm_server: BinanceUsdm, clock: SimulatedClock
) -> None:
    client = usdm_client
    await client.ask("POST", "/fapi/v1/marginType", symbol="BTCUSDT", marginType="ISOLATED")
    await client.ask("POST", ORDER, **market("m1"))
    await client.ask("POST", ORDER, **limit("l1"))
    ws, _ = await follow_account(client)
    market_ws = await client.session.ws_connect("/market/ws/btcusdt@forceOrder")
    await client.public("/fapi/v1/ping")
    (row,) = await client.ask("GET", "/fapi/v3/positionRisk")
    usdm_server.exchange.mark_overrides[BTC] = Decimal(row["liquidationPrice"]).quantize(Decimal("0.1")) - 10
    await pass_time(usdm_server, clock, 2)
    told = [e["o"] for e in await events(ws) if e["e"] == "ORDER_TRADE_UPDATE"]
    assert [(o["x"], o["X"], o["o"]) for o in told] == [
        ("CANCELED", "CANCELED", "LIMIT"),
        ("CALCULATED", "FILLED", "LIQUIDATION"),
    ]
    assert told[1]["c"].startswith("autoclose-")
    assert (await market_ws.receive_json(timeout=5))["o"]["s"] == "BTCUSDT"
    assert await client.ask("GET", "/fapi/v3/positionRisk") == []
    assert dump(usdm_server.exchange)["positions"] == {MAIN: {}}
    await market_ws.close()
    await ws.close()


async def test_deleveraging_has_its_own_name(usdm_client: RawClient, usdm_server: BinanceUsdm) -> None:
    client, exchange = usdm_client, usdm_server.exchange
    await client.ask("POST", ORDER, **market("m1"))
    ws, _ = await follow_account(client)
    exchange._settle(exchange.paper.deleverage(MAIN, BTC, Decimal("0.04"), exchange.clock.now()))
    told = [e["o"] for e in await events(ws) if e["e"] == "ORDER_TRADE_UPDATE"]
    assert [(o["c"], o["S"], o["l"]) for o in told] == [("adl_autoclose", "SELL", "0.040")]
    await ws.close()


async def test_a_listen_key_must_be_renewed(
    usdm_client: RawClient, usdm_server: BinanceUsdm, clock: SimulatedClock
) -> None:
    client = usdm_client
    assert (await client.raw("PUT", "/fapi/v1/listenKey", ""))[1]["code"] == -1125
    ws, key = await follow_account(client)
    await pass_time(usdm_server, clock, 3000)
    assert (await client.raw("PUT", "/fapi/v1/listenKey", ""))[1] == {"listenKey": key}
    await pass_time(usdm_server, clock, 3000)
    assert await events(ws) == []
    await pass_time(usdm_server, clock, 700)
    assert [(e["e"], e["listenKey"]) for e in await events(ws)] == [("listenKeyExpired", key)]
    await client.ask("POST", ORDER, **market("m1"))
    assert await events(ws) == []
    await ws.close()


async def test_diffs_tell_what_came_before(
    usdm_client: RawClient, usdm_server: BinanceUsdm, usdm_market: ScriptedMarket, clock: SimulatedClock
) -> None:
    ws = await usdm_client.session.ws_connect("/public/ws/btcusdt@depth@100ms")
    book = await usdm_client.public("/fapi/v1/depth", symbol="BTCUSDT", limit=1000)
    last = book["lastUpdateId"]
    for price in ("59990.0", "59991.0", "59992.0"):
        usdm_market.change(BTC, {price: "1"}, {})
        await pass_time(usdm_server, clock, 0.11)
    for _ in range(3):
        diff = await ws.receive_json(timeout=5)
        assert (diff["pu"], diff["U"]) == (last, last + 1)
        last = diff["u"]
    assert (await usdm_client.raw("GET", "/fapi/v1/depth", "symbol=BTCUSDT&limit=7"))[1]["code"] == -4021
    await ws.close()


async def test_marks_are_told_every_second(
    usdm_client: RawClient, usdm_server: BinanceUsdm, clock: SimulatedClock
) -> None:
    ws = await usdm_client.session.ws_connect("/market/ws/btcusdt@markPrice@1s")
    await usdm_client.public("/fapi/v1/ping")
    await pass_time(usdm_server, clock, 3)
    told = [await ws.receive_json(timeout=5) for _ in range(3)]
    assert [b["E"] - a["E"] for a, b in itertools.pairwise(told)] == [1000, 1000]
    assert told[0]["p"] == "60000.50000000"
    await ws.close()
