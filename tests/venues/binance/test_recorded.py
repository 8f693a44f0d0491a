"""Every recorded message of Binance is read: books beside, all of the captures' and all single payloads."""

from __future__ import annotations

import gzip
from collections import Counter
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec
import orjson
import pytest

from engine import events as ev
from engine.model.fill import FillCause
from engine.model.ids import AccountId, ClientOrderId
from engine.model.margin import MarginMode
from engine.model.market import MarketTrade
from engine.model.order import Liquidity, OrderSide, OrderStatus, OrderType
from engine.venues.binance import market_parse, numbers, spot_parse, usdm_parse
from tests.venues.binance.payloads import instrument, payloads

if TYPE_CHECKING:
    from pathlib import Path

MAIN = AccountId("main")
MS = 1_000_000
CAPTURES = {
    "spot_4sym_20210814": {"aggTrade": 28, "kline": 17, "bookTicker": 412},
    "spot_4sym_20211012": {"aggTrade": 2, "kline": 2, "bookTicker": 84},
    "usdm_4sym_20210722": {"aggTrade": 91, "kline": 67, "bookTicker": 613},
    "spot_btcusdt_20240808": {"trade": 9757},
    "usdm_btcusdt_20240808": {"trade": 21313},
}


def messages(folder: Path, name: str) -> list[tuple[str, bytes]]:
    found = []
    with gzip.open(folder / "captures" / "binance" / f"{name}.jsonl.gz") as lines:
        for raw in lines:
            line = orjson.loads(raw)
            if line["t"] in ("recv", "http"):
                found.append((line.get("url") or "", line["data"].encode()))
    return found


@pytest.mark.parametrize("name", CAPTURES)
def test_every_recorded_market_message_is_read_exactly(shared_data: Path, name: str) -> None:
    counts: Counter[str] = Counter()
    known: dict[str, Any] = {}
    perpetual = name.startswith("usdm")
    for _, data in messages(shared_data, name):
        envelope = market_parse.parse_combined(data)
        if not envelope.stream:
            continue
        raw = orjson.loads(bytes(envelope.data))
        kind = raw.get("e", "bookTicker")
        counts[kind] += 1
        symbol = raw["s"]
        traded = known.setdefault(symbol, instrument(symbol[:-4], symbol[-4:], perpetual=perpetual))
        if kind in ("trade", "aggTrade"):
            trade = market_parse.parse_trade(envelope.data, traded)
            if raw.get("X", "MARKET") != "MARKET" or not Decimal(raw["q"]):
                assert trade is None
                continue
            assert isinstance(trade, MarketTrade)
            assert traded.price_from_int(trade.price) == Decimal(raw["p"])
            assert traded.quantity_from_int(trade.quantity) == Decimal(raw["q"])
            assert trade.aggressor is (OrderSide.SELL if raw["m"] else OrderSide.BUY)
            assert trade.ts == raw["T"] * MS
        elif kind == "kline":
            candle = market_parse.parse_candle(envelope.data, traded)
            assert [candle.ts, candle.timeframe, candle.closed] == [raw["k"]["t"] * MS, raw["k"]["i"], raw["k"]["x"]]
            assert [candle.open, candle.close] == [float(raw["k"]["o"]), float(raw["k"]["c"])]
    expected = CAPTURES[name]
    assert {kind: counts[kind] for kind in expected} == expected


@pytest.mark.parametrize("name", ["spot_4sym_20210814", "spot_4sym_20211012", "usdm_4sym_20210722"])
def test_recorded_lists_of_instruments_give_rules(shared_data: Path, name: str) -> None:
    body = next(data for _, data in messages(shared_data, name) if b'"symbols"' in data)
    raw = orjson.loads(body)
    fee = (Decimal("0.001"), Decimal("0.002"))
    if name.startswith("usdm"):
        found, halted, foreign = usdm_parse.parse_instruments(body, instrument("A", "B", perpetual=True).venue, {}, fee)
        assert all(i.kind == "linear_perpetual" and i.id.endswith(f":{i.settle}") for _, i in found)
        assert not any(row["contractType"] != "PERPETUAL" for row in raw["symbols"] if row["symbol"] in dict(found))
        # Everything listed is either known, or known not to be traded here.
        assert {*dict(found), *dict(halted), *foreign} == {row["symbol"] for row in raw["symbols"]}
    else:
        found, halted = spot_parse.parse_instruments(body, instrument("A", "B").venue, {}, fee)
        trading = [r for r in raw["symbols"] if r["status"] == "TRADING" and r["isSpotTradingAllowed"]]
        assert len(found) == len(trading)
        assert len(found) + len(halted) == len(raw["symbols"])
    assert len(found) > 100
    by_symbol = {row["symbol"]: row for row in raw["symbols"]}
    for symbol, traded in found:
        filters = {f["filterType"]: f for f in by_symbol[symbol]["filters"]}
        rules = traded.current_rules
        assert rules.price_tick == Decimal(filters["PRICE_FILTER"]["tickSize"])
        assert rules.lot == Decimal(filters["LOT_SIZE"]["stepSize"])
        assert rules.price_tick > 0
        assert rules.lot > 0
        assert (rules.maker_fee, rules.taker_fee) == fee
        traded.price_to_int(rules.price_tick)
        traded.quantity_to_int(rules.lot)


def test_a_spot_account_and_what_it_holds(shared_data: Path) -> None:
    body = payloads(shared_data)["spot/http_json/account_response"]
    account = spot_parse.parse_account(body)
    assert [account.canTrade, account.canWithdraw] == [True, True]
    assert account.commissionRates is not None
    assert account.commissionRates.maker == Decimal("0.0015")
    btc, ltc = spot_parse.parse_balances(body)
    assert [btc.currency, btc.total, btc.locked] == ["BTC", Decimal("4723846.89208129"), 0]
    assert ltc.currency == "LTC"


def test_spot_orders_and_executions(shared_data: Path) -> None:
    found, traded = payloads(shared_data), instrument("LTC", "BTC")
    row = spot_parse.parse_order(found["spot/http_json/order_response"])
    order = spot_parse.to_order(row, traded, MAIN)
    assert (order.client_id, order.price, order.stop_price, order.status) == (
        "myOrder1",
        Decimal("0.1"),
        None,
        OrderStatus.ACCEPTED,
    )
    for name in ("open_orders_response", "all_orders_response"):
        assert [r.orderId for r in spot_parse.parse_orders(found[f"spot/http_json/{name}"])] == [1]
    (trade,) = spot_parse.parse_trade_rows(found["spot/http_json/account_trades_response"])
    fill = spot_parse.to_fill(trade, traded, MAIN, ClientOrderId("a"))
    assert (fill.fee, fill.fee_currency, fill.liquidity) == (Decimal("10.1"), "BNB", Liquidity.TAKER)


def test_a_placed_spot_order_is_accepted_and_executed_in_its_answer(shared_data: Path) -> None:
    answer = spot_parse.parse_placed(payloads(shared_data)["spot/http_json/new_order_full_response"])
    accepted, *fills = spot_parse.placed_events(answer, instrument("BTC", "USDT"), MAIN)
    assert isinstance(accepted, ev.OrderAccepted)
    assert sum(e.fill.quantity for e in fills if isinstance(e, ev.OrderFilled)) == 10
    assert {e.fill.trade_id for e in fills if isinstance(e, ev.OrderFilled)} == {"56", "57", "58", "59", "60"}
    canceled = spot_parse.parse_placed(payloads(shared_data)["spot/http_json/cancel_order_response"])
    (event,) = spot_parse.end_of(ClientOrderId(canceled.origClientOrderId), canceled.status, 5)
    assert event == ev.OrderCanceled(client_id=ClientOrderId("myOrder1"), reason="", ts=5)


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("execution_report_new", ["OrderAccepted"]),
        ("execution_report_wrapped", ["OrderAccepted"]),
        ("execution_report_trade", ["OrderFilled"]),
        ("execution_report_canceled", ["OrderCanceled"]),
    ],
)
def test_spot_reports(shared_data: Path, name: str, kinds: list[str]) -> None:
    frame = spot_parse.parse_frame(payloads(shared_data)[f"spot/user_data_json/{name}"])
    assert frame.e == "executionReport"
    report = spot_parse.parse_report(frame.event)
    events = spot_parse.report_events(report, instrument(report.s[:3], report.s[3:]), MAIN)
    assert [type(event).__name__ for event in events] == kinds
    if isinstance(events[0], ev.OrderFilled):
        fill = events[0].fill
        assert [fill.price, fill.quantity, fill.fee, fill.fee_currency] == [2500, 1, Decimal("0.001"), "ETH"]
        assert (fill.trade_id, fill.liquidity, fill.ts) == ("98765432", Liquidity.MAKER, 1_709_654_401_000 * MS)


@pytest.mark.parametrize("name", ["account_position", "account_position_wrapped", "balance_update_wrapped"])
def test_other_private_events_of_spot_are_named(shared_data: Path, name: str) -> None:
    frame = spot_parse.parse_frame(payloads(shared_data)[f"spot/user_data_json/{name}"])
    assert frame.e in ("outboundAccountPosition", "balanceUpdate")


def test_public_answers_of_spot(shared_data: Path) -> None:
    found, traded = payloads(shared_data), instrument("LTC", "BTC")
    assert spot_parse.parse_server_time(found["spot/http_json/server_time_response"]) == 1_499_827_319_559 * MS
    book = market_parse.parse_book(found["spot/http_json/depth_response"], traded, 5, 7)
    assert [book.seq, book.ts, book.bids] == [1_027_024, 7, ((400_000_000, 43_100_000_000),)]
    (trade,) = market_parse.parse_trades(found["spot/http_json/trades_response"], traded)
    assert [trade.trade_id, trade.aggressor] == ["28457", OrderSide.SELL]
    (candle,) = market_parse.parse_candles(found["spot/http_json/klines_response"], traded, "1w", 10**20)
    assert [candle.open, candle.volume, candle.closed] == [0.0163479, 148976.11427815, True]
    (ticker,) = market_parse.parse_tickers(found["spot/http_json/ticker_24hr_response"], lambda _: traded)
    assert [ticker.bid, ticker.ask, ticker.last] == [Decimal(4), Decimal("4.000002"), Decimal("4.000002")]
    assert spot_parse.parse_instruments(
        found["spot/http_json/exchange_info_response"], traded.venue, {}, (Decimal(0), Decimal(0))
    ) == ([], [])  # no filters, so that nothing is known about its steps


def test_futures_accounts_and_positions(shared_data: Path) -> None:
    found, traded = payloads(shared_data), instrument("BTC", "USDT", perpetual=True)
    (balance,) = usdm_parse.parse_balances(found["futures/http_json/account_info_v2"])
    assert [balance.currency, balance.total, balance.locked] == ["USDT", Decimal("23.72469206"), 0]
    assert usdm_parse.parse_trading(found["futures/http_json/account_info_v2"]) == (True, True)
    (position,) = usdm_parse.parse_positions(found["futures/http_json/position_risk"], MAIN, lambda _: traded)
    assert [position.quantity, position.leverage, position.margin_mode] == [Decimal("0.001"), 20, MarginMode.CROSS]
    assert position.margin == Decimal("2.55")
    assert position.liquidation_price == 45_000


def test_futures_orders(shared_data: Path) -> None:
    found, traded = payloads(shared_data), instrument("BTC", "USDT", perpetual=True)
    row = usdm_parse.parse_order(found["futures/http_json/order_response"])
    order = usdm_parse.to_order(row, traded, MAIN)
    assert (order.client_id, order.status, order.type) == ("testOrder123", OrderStatus.ACCEPTED, OrderType.LIMIT)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("order_update_new", "OrderAccepted"),
        ("order_update_trade", "OrderFilled"),
        ("order_update_trade_partial", "OrderFilled"),
    ],
)
def test_futures_reports(shared_data: Path, name: str, kind: str) -> None:
    frame = usdm_parse.parse_frame(payloads(shared_data)[f"futures/user_data_json/{name}"])
    assert frame.e == "ORDER_TRADE_UPDATE"
    report = usdm_parse.parse_report(frame)
    traded = instrument("BTC", "USDT", perpetual=True)
    (event,) = usdm_parse.report_events(report, traded, MAIN, ClientOrderId("mine"))
    assert type(event).__name__ == kind
    if isinstance(event, ev.OrderFilled):
        assert (event.fill.client_id, event.fill.fee, event.fill.cause) == ("mine", Decimal("0.01"), FillCause.TRADE)


def test_a_conditional_order_is_told(shared_data: Path) -> None:
    frame = usdm_parse.parse_frame(payloads(shared_data)["futures/user_data_json/algo_update_new"])
    update = usdm_parse.parse_update(frame)
    (event,) = usdm_parse.algo_events(update, frame.T * MS)
    assert event == ev.OrderAccepted(
        client_id=ClientOrderId("Q5xaq5EGKgXXa0fD7fs0Ip"),
        venue_order_id=usdm_parse.algo_number(2_148_719),
        ts=1_750_515_742_297 * MS,
    )


def test_marks(shared_data: Path) -> None:
    body = payloads(shared_data)["futures/market_data_json/mark_price_stream"]
    mark = market_parse.parse_mark(body, instrument("BTC", "USDT", perpetual=True))
    assert (mark.mark, mark.index, mark.funding_rate) == (
        Decimal("11794.15"),
        Decimal("11784.62659091"),
        Decimal("0.00038167"),
    )
    assert mark.next_funding == 1_562_306_400_000 * MS


def test_margin_tiers_are_exact_though_told_as_numbers() -> None:
    body = msgspec.json.encode(
        [
            {
                "symbol": "BTCUSDT",
                "brackets": [
                    {"initialLeverage": 75, "notionalFloor": 10000, "maintMarginRatio": 0.0065, "cum": 25.0},
                    {"initialLeverage": 125, "notionalFloor": 0, "maintMarginRatio": 0.004, "cum": 0.0},
                ],
            }
        ]
    )
    first, second = usdm_parse.parse_brackets(body)["BTCUSDT"]
    assert [first.maintenance, first.max_leverage] == [Decimal("0.004"), 125]
    assert [second.maintenance, second.from_notional, second.deduction] == [Decimal("0.0065"), 10_000, 25]


def test_the_venues_own_closings_say_why() -> None:
    assert numbers.cause_of("autoclose-161") is FillCause.LIQUIDATION
    assert numbers.cause_of("settlement_autoclose-7") is FillCause.LIQUIDATION
    assert numbers.cause_of("adl_autoclose") is FillCause.DELEVERAGING
    assert numbers.cause_of("q1a7") is FillCause.TRADE
