"""Orders in Coinbase's words and back."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from engine.errors import ValidationError
from engine.model.ids import AccountId, ClientOrderId, InstrumentId, VenueId
from engine.model.instrument import Instrument
from engine.model.order import OrderSide, OrderType, TimeInForce
from engine.model.venue import OrderCommand
from engine.venues.coinbase.parse import instrument
from engine.venues.coinbase.terms import Asked, asked, check_open_for, collared, configuration
from engine.venues.coinbase.wire import Product, Terms

D = Decimal
PRODUCT = Product(
    product_id="BTC-USD",
    base_increment="0.00000001",
    base_min_size="0.00000001",
    base_max_size="3400",
    quote_increment="0.01",
    quote_min_size="1",
    quote_max_size="150000000",
    base_currency_id="BTC",
    quote_currency_id="USD",
    price_increment="0.01",
)
BTC: Instrument = instrument(PRODUCT, VenueId("COINBASE"))


def command(side: str = "buy", type_: str = "limit", **more: Any) -> OrderCommand:
    base: dict[str, Any] = {
        "client_id": ClientOrderId("Q1"),
        "account": AccountId("main"),
        "instrument": InstrumentId("COINBASE:BTC/USD"),
        "side": OrderSide(side),
        "type": OrderType(type_),
        "quantity": D("0.0100"),
    }
    return OrderCommand(**{**base, **more})


CASES = [
    (command(type_="market"), {"market_market_ioc": {"base_size": "0.01"}}),
    (
        command(price=D("50000.00")),
        {"limit_limit_gtc": {"base_size": "0.01", "limit_price": "50000", "post_only": False}},
    ),
    (
        command(price=D("1E+5"), post_only=True),
        {"limit_limit_gtc": {"base_size": "0.01", "limit_price": "100000", "post_only": True}},
    ),
    (
        command(price=D("50000"), tif=TimeInForce.IOC),
        {"sor_limit_ioc": {"base_size": "0.01", "limit_price": "50000"}},
    ),
    (
        command(price=D("50000"), tif=TimeInForce.FOK),
        {"limit_limit_fok": {"base_size": "0.01", "limit_price": "50000"}},
    ),
    (
        command("sell", "stop_loss", stop_price=D("40000"), price=D("39000")),
        {
            "stop_limit_stop_limit_gtc": {
                "base_size": "0.01",
                "limit_price": "39000",
                "stop_price": "40000",
                "stop_direction": "STOP_DIRECTION_STOP_DOWN",
            }
        },
    ),
    (
        command("sell", "stop_loss", stop_price=D("40000")),
        {
            "stop_limit_stop_limit_gtc": {
                "base_size": "0.01",
                "limit_price": "38000",
                "stop_price": "40000",
                "stop_direction": "STOP_DIRECTION_STOP_DOWN",
            }
        },
    ),
    (
        command("buy", "stop_loss", stop_price=D("40000")),
        {
            "stop_limit_stop_limit_gtc": {
                "base_size": "0.01",
                "limit_price": "42000",
                "stop_price": "40000",
                "stop_direction": "STOP_DIRECTION_STOP_UP",
            }
        },
    ),
    (
        command("sell", "take_profit", stop_price=D("70000"), price=D("69000")),
        {
            "stop_limit_stop_limit_gtc": {
                "base_size": "0.01",
                "limit_price": "69000",
                "stop_price": "70000",
                "stop_direction": "STOP_DIRECTION_STOP_UP",
            }
        },
    ),
]


@pytest.mark.parametrize(("order", "words"), CASES)
def test_an_order_has_its_configuration(order: OrderCommand, words: dict[str, Any]) -> None:
    assert configuration(order, BTC) == words


@pytest.mark.parametrize(("order", "words"), CASES)
def test_a_configuration_says_again_what_was_asked(order: OrderCommand, words: dict[str, Any]) -> None:
    tif = TimeInForce.IOC if order.type is OrderType.MARKET else order.tif
    assert asked(order.side, msgspec.convert(words, dict[str, Terms]), BTC) == Asked(
        type=order.type,
        tif=tif,
        quantity=order.quantity,
        price=order.price,
        stop_price=order.stop_price,
        post_only=order.post_only,
    )


def test_a_collar_stays_on_the_grid_and_above_zero() -> None:
    assert collared(BTC, OrderSide.SELL, D("33.33")) == D("31.67")
    assert collared(BTC, OrderSide.BUY, D("33.33")) == D("34.99")
    assert collared(BTC, OrderSide.SELL, D("0.01")) == D("0.01")


@pytest.mark.parametrize(
    "order",
    [
        command(),
        command(type_="stop_loss"),
        command(price=D(1), post_only=True, tif=TimeInForce.IOC),
        command("sell", "stop_loss", stop_price=D(1), tif=TimeInForce.IOC),
        command(price=D(1), reduce_only=True),
    ],
)
def test_what_coinbase_does_not_have_is_refused_with_a_sentence(order: OrderCommand) -> None:
    with pytest.raises(ValidationError) as caught:
        configuration(order, BTC)
    assert caught.value.message.endswith(".")


def test_an_order_by_value_has_no_quantity() -> None:
    found = asked(OrderSide.BUY, {"market_market_ioc": Terms(quote_size="10")}, BTC)
    assert found == Asked(type=OrderType.MARKET, tif=TimeInForce.IOC, quantity=None, value=D(10))


def test_a_bracket_is_a_limit_order_with_a_stop() -> None:
    terms = Terms(base_size="1", limit_price="70000", stop_trigger_price="40000")
    found = asked(OrderSide.SELL, {"trigger_bracket_gtc": terms}, BTC)
    assert found is not None
    assert (found.type, found.price, found.stop_price) == (OrderType.LIMIT, D(70000), D(40000))


def test_an_unknown_kind_is_not_guessed() -> None:
    assert asked(OrderSide.SELL, {"twap_something": Terms(base_size="1")}, BTC) is None
    assert asked(OrderSide.SELL, {}, BTC) is None


@pytest.mark.parametrize(
    ("flags", "order", "code"),
    [
        ({"trading_disabled": True}, command(price=D(1)), "closed"),
        ({"cancel_only": True}, command(price=D(1)), "closed"),
        ({"limit_only": True}, command(type_="market"), "limit_only"),
        ({"post_only": True}, command(price=D(1)), "post_only"),
    ],
)
def test_a_product_that_takes_less_refuses_the_rest(flags: dict[str, bool], order: OrderCommand, code: str) -> None:
    with pytest.raises(ValidationError) as caught:
        check_open_for(msgspec.structs.replace(PRODUCT, **flags), order)
    assert caught.value.error_code == code


def test_a_product_without_flags_takes_everything() -> None:
    for order, _ in CASES:
        check_open_for(PRODUCT, order)
    check_open_for(msgspec.structs.replace(PRODUCT, post_only=True), command(price=D(1), post_only=True))
