"""Answers of Coinbase: every recorded one becomes model objects with exact decimals."""

from decimal import Decimal
from pathlib import Path

import pytest

from engine.errors import DataValidationError, ExchangeError
from engine.model.ids import AccountId, ClientOrderId, InstrumentId, VenueId
from engine.model.instrument import Instrument
from engine.model.order import Liquidity, OrderSide, OrderStatus, OrderType
from engine.model.venue import VenueBalance
from engine.venues.coinbase.parse import (
    balances,
    book,
    fees,
    fill,
    instrument,
    is_listed,
    market_trade,
    order,
    permissions,
    product_of,
    read_book,
    read_candles,
    read_order,
    read_products,
    read_time,
    status_of,
    symbol,
    ticker,
)
from engine.venues.coinbase.values import iso_ns
from engine.venues.coinbase.wire import (
    AccountPage,
    Fees,
    FillPage,
    FillRow,
    OneOrder,
    OrderPage,
    PriceBookAnswer,
    Product,
    Rights,
    TradeList,
    decoded,
)
from tests.venues.coinbase.data import answers, payloads

D = Decimal
VENUE, MAIN = VenueId("COINBASE"), AccountId("main")


@pytest.fixture
def btc(shared_data: Path) -> Instrument:
    product = read_products(payloads(shared_data)["http_products"])[0]
    return instrument(product, VENUE)


def test_every_recorded_product_becomes_an_instrument(shared_data: Path) -> None:
    fixture = payloads(shared_data)
    products = [decoded(Product, fixture["http_product"]), *read_products(fixture["http_products"])]
    (captured,) = answers(shared_data)
    products += read_products(captured)
    assert len(products) > 900
    listed = [product for product in products if is_listed(product)]
    assert len(listed) > 500
    for product in listed:
        found = instrument(product, VENUE, maker_fee=D("0.004"), taker_fee=D("0.006"))
        rules = found.current_rules
        assert found.id == f"COINBASE:{product.base_currency_id}/{product.quote_currency_id}"
        assert product_of(found.symbol) == product.product_id
        assert found.price_from_int(found.price_to_int(rules.price_tick)) == rules.price_tick
        assert found.quantity_from_int(found.quantity_to_int(rules.lot)) == rules.lot
        assert rules.lot == D(product.base_increment)
        assert rules.min_notional == D(product.quote_min_size)
        assert (rules.maker_fee, rules.taker_fee) == (D("0.004"), D("0.006"))
        assert ticker(product, found.id, 1).last == (D(product.price) if product.price else None)


def test_the_rules_of_bitcoin_are_those_recorded(btc: Instrument) -> None:
    rules = btc.current_rules
    assert (btc.id, btc.symbol, btc.base, btc.quote, btc.settle) == ("COINBASE:BTC/USD", "BTC/USD", "BTC", "USD", "USD")
    assert (rules.price_tick, rules.lot) == (D("0.01"), D("0.00000001"))
    assert (rules.min_quantity, rules.max_quantity, rules.min_notional) == (D("0.00000001"), D(3400), D(1))
    assert (btc.price_scale, btc.quantity_scale) == (2, 8)


@pytest.mark.parametrize("flag", ["is_disabled", "view_only"])
def test_products_that_cannot_be_traded_are_not_listed(shared_data: Path, flag: str) -> None:
    from msgspec.structs import replace

    product = read_products(payloads(shared_data)["http_products"])[0]
    assert is_listed(product)
    assert not is_listed(replace(product, **{flag: True}))
    assert not is_listed(replace(product, product_type="FUTURE"))
    with pytest.raises(DataValidationError):
        instrument(replace(product, base_increment="0"), VENUE)


def test_an_alias_names_the_product_whose_book_it_shares(shared_data: Path) -> None:
    usd, usdc = read_products(payloads(shared_data)["http_products"])
    assert (usd.alias, usdc.alias) == ("", "BTC-USD")


def test_what_is_available_and_what_is_held_make_the_balance(shared_data: Path) -> None:
    page = decoded(AccountPage, payloads(shared_data)["http_accounts"])
    assert not page.has_next
    assert balances([*page.accounts]) == [
        VenueBalance(currency="BTC", total=D("1.23956789"), locked=D("0.00500000")),  # type: ignore[arg-type]
        VenueBalance(currency="USD", total=D("10450.50"), locked=D("450.00")),  # type: ignore[arg-type]
    ]
    # Two wallets of one currency are one balance.
    assert [b.total for b in balances([*page.accounts, page.accounts[0]])] == [D("2.47913578"), D("10450.50")]


def test_a_book_is_cut_to_the_depth_asked_for(shared_data: Path, btc: Instrument) -> None:
    body = payloads(shared_data)["http_product_book"]
    found = read_book(body, btc, 3)
    assert found.snapshot
    assert found.bids == ((6892366, 17189468), (6892300, 5795895), (6892299, 2177956))
    assert found.asks[0] == (6892367, 16987193)
    assert found.ts == iso_ns("2026-04-07T00:28:59.662782Z")
    assert book(decoded(PriceBookAnswer, body).pricebook, btc, 50).asks[-1] == (6892800, 5800000)


def test_candles_are_turned_round_and_the_growing_one_is_not_closed(shared_data: Path, btc: Instrument) -> None:
    body = payloads(shared_data)["http_candles"]
    hour = 3_600_000_000_000
    now = 1_712_192_400_000_000_000 + hour // 2
    found = read_candles(body, btc.id, "1h", now)
    assert [candle.ts for candle in found] == [1_712_188_800_000_000_000, 1_712_192_400_000_000_000]
    assert [candle.closed for candle in found] == [True, False]
    assert (found[0].open, found[0].high, found[0].low, found[0].close) == (65984.18, 66387.77, 65857.35, 66314.59)


def test_the_aggressor_is_the_other_side(shared_data: Path, btc: Instrument) -> None:
    fixture = decoded(TradeList, payloads(shared_data)["http_ticker"])
    real = decoded(TradeList, payloads(shared_data, "coinbase_rest_real")["product ticker"])
    trades = [market_trade(row, btc) for row in (*fixture.trades, *real.trades)]
    assert [trade.aggressor for trade in trades] == [OrderSide.BUY, OrderSide.BUY, OrderSide.SELL, OrderSide.SELL]
    assert (trades[0].price, trades[0].quantity, trades[0].trade_id) == (6892367, 64000, "995098663")


def test_an_order_is_read_with_its_terms(shared_data: Path, btc: Instrument) -> None:
    found = read_order(payloads(shared_data)["http_order"], VENUE, MAIN, btc)
    assert (found.type, found.side, found.price, found.quantity) == (
        OrderType.LIMIT,
        OrderSide.BUY,
        D(10000),
        D("0.001"),
    )
    assert (found.status, found.filled) == (OrderStatus.PARTIALLY_FILLED, D("0.001"))
    assert (found.client_id, found.venue_order_id) == ("11111-000000-000000", "0000-000000-000000")
    assert (found.created, found.updated) == (iso_ns("2021-05-31T09:59:59Z"), iso_ns("2021-05-31T10:30:00Z"))
    assert found.reason == ""


def test_listed_orders_are_read_whatever_their_kind(shared_data: Path, btc: Instrument) -> None:
    page = decoded(OrderPage, payloads(shared_data)["http_orders_list"])
    working, ended = (order(row, VENUE, MAIN, btc) for row in page.orders)
    assert (working.status, working.filled, working.price) == (OrderStatus.ACCEPTED, D(0), D(45000))
    # Sent by value: its quantity is what was executed of it.
    assert (ended.type, ended.status, ended.quantity) == (OrderType.MARKET, OrderStatus.FILLED, D("0.0325"))
    assert ended.instrument == "COINBASE:ETH/USD"
    real = decoded(OrderPage, payloads(shared_data, "coinbase_rest_real")["list orders (spot, filled market)"])
    (sold,) = (order(row, VENUE, MAIN, None) for row in real.orders)
    assert (real.has_next, real.cursor) == (True, "748478308")
    assert (sold.status, sold.quantity, sold.filled, sold.reason) == (OrderStatus.FILLED, D(10), D(10), "")
    assert sold.updated == iso_ns("2023-11-26T10:19:47.504Z")


def test_executions_have_their_natural_key_and_their_fee(shared_data: Path) -> None:
    mine = ClientOrderId("Qmine")
    page = decoded(FillPage, payloads(shared_data)["http_fills"])
    bought, sold = (fill(row, VENUE, MAIN, mine) for row in page.fills)
    assert bought is not None
    assert sold is not None
    assert bought.key == "COINBASE|main|COINBASE:BTC/USD|1111-11111-111111|0000-000000-000000"
    assert (bought.price, bought.quantity, bought.fee, bought.fee_currency) == (
        D("45123.45"),
        D("0.005"),
        D("1.14"),
        "USD",
    )
    assert (bought.liquidity, sold.liquidity) == (Liquidity.MAKER, Liquidity.TAKER)
    assert (bought.side, sold.side, bought.client_id) == (OrderSide.BUY, OrderSide.SELL, mine)
    (real,) = decoded(FillPage, payloads(shared_data, "coinbase_rest_real")["list fills (spot)"]).fills
    found = fill(real, VENUE, MAIN, mine)
    assert found is not None
    assert (found.fee, found.fee_currency, found.ts) == (D("0.03136"), "USDT", iso_ns("2023-11-26T10:19:47.504Z"))


def test_an_execution_told_in_quote_currency_is_turned_into_base_units() -> None:
    row = FillRow(
        trade_id="1",
        order_id="2",
        product_id="BTC-USD",
        side="BUY",
        price="40000",
        size="10",
        commission="0.06",
        trade_time="2024-01-15T10:30:00Z",
        size_in_quote=True,
    )
    found = fill(row, VENUE, MAIN, ClientOrderId(""))
    assert found is not None
    assert (found.quantity, found.liquidity) == (D("0.00025"), Liquidity.TAKER)


def test_what_books_an_execution_back_is_no_execution(shared_data: Path) -> None:
    from msgspec.structs import replace

    row = decoded(FillPage, payloads(shared_data)["http_fills"]).fills[0]
    assert fill(replace(row, trade_type="REVERSAL"), VENUE, MAIN, ClientOrderId("")) is None


@pytest.mark.parametrize(
    ("told", "filled", "immediate", "ours"),
    [
        ("PENDING", "0", False, OrderStatus.ACCEPTED),
        ("OPEN", "0", False, OrderStatus.ACCEPTED),
        ("OPEN", "1", False, OrderStatus.PARTIALLY_FILLED),
        ("QUEUED", "0", False, OrderStatus.ACCEPTED),
        ("CANCEL_QUEUED", "1", False, OrderStatus.PARTIALLY_FILLED),
        ("FILLED", "1", False, OrderStatus.FILLED),
        ("CANCELLED", "1", False, OrderStatus.CANCELED),
        ("CANCELLED", "0", True, OrderStatus.EXPIRED),
        ("EXPIRED", "0", False, OrderStatus.EXPIRED),
        ("FAILED", "0", False, OrderStatus.REJECTED),
        ("FAILED", "1", False, OrderStatus.CANCELED),
        ("UNKNOWN_ORDER_STATUS", "0", False, OrderStatus.UNKNOWN),
        ("SOMETHING_NEW", "0", False, OrderStatus.UNKNOWN),
    ],
)
def test_coinbases_order_life_is_ours(told: str, filled: str, immediate: bool, ours: OrderStatus) -> None:
    assert status_of(told, filled=D(filled), immediate=immediate) is ours


def test_a_side_that_nobody_knows_is_refused(shared_data: Path) -> None:
    from msgspec.structs import replace

    row = decoded(FillPage, payloads(shared_data)["http_fills"]).fills[0]
    with pytest.raises(DataValidationError):
        fill(replace(row, side="SIDEWAYS"), VENUE, MAIN, ClientOrderId(""))


def test_terms_that_are_null_are_none() -> None:
    body = (
        b'{"order":{"order_id":"1","product_id":"BTC-USD","side":"BUY","status":"OPEN","created_time":null,'
        b'"order_configuration":{"limit_limit_gtc":{"base_size":"1","limit_price":"2","quote_size":null,'
        b'"post_only":null}}}}'
    )
    found = read_order(body, VENUE, MAIN, None)
    assert (found.quantity, found.price, found.created) == (D(1), D(2), 0)


def test_small_answers_are_read() -> None:
    assert read_time(b'{"iso":"2024-02-27T03:37:14Z","epochSeconds":"1709005034","epochMillis":"1709005034333"}') == (
        1_709_005_034_333_000_000
    )
    assert read_time(b'{"iso":"2024-02-27T03:37:14Z"}') == 1_709_005_034_000_000_000
    rights = decoded(Rights, b'{"can_view":true,"can_trade":false,"can_transfer":true,"portfolio_uuid":"1"}')
    told = permissions(rights)
    assert (told.read, told.trade, told.withdraw) == (True, False, True)
    summary = decoded(Fees, b'{"total_volume":1,"fee_tier":{"maker_fee_rate":"0.004","taker_fee_rate":"0.006"}}')
    assert fees(summary) == (D("0.004"), D("0.006"))
    assert (symbol("BTC-USD"), product_of("BTC/USD")) == ("BTC/USD", "BTC-USD")


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"order":{"order_id":1}}', b"\xff\xfe"])
def test_what_is_no_answer_is_an_error_that_proves_nothing(body: bytes) -> None:
    with pytest.raises(ExchangeError) as caught:
        decoded(OneOrder, body)
    assert type(caught.value) is ExchangeError
    assert caught.value.error_code == "unreadable"


def test_no_float_reaches_the_model_but_in_candles(shared_data: Path, btc: Instrument) -> None:
    import msgspec

    page = decoded(OrderPage, payloads(shared_data)["http_orders_list"])
    rows = decoded(FillPage, payloads(shared_data)["http_fills"]).fills
    objects: list[object] = [order(row, VENUE, MAIN, btc) for row in page.orders]
    objects += [fill(row, VENUE, MAIN, ClientOrderId("")) for row in rows]
    objects += [btc, read_book(payloads(shared_data)["http_product_book"], btc, 5)]

    def walk(value: object) -> None:
        assert not isinstance(value, float)
        if isinstance(value, msgspec.Struct):
            value = [getattr(value, name) for name in value.__struct_fields__]
        if isinstance(value, list | tuple):
            for part in value:
                walk(part)

    walk(objects)
    assert btc.id == InstrumentId("COINBASE:BTC/USD")
