"""Conversion rates and the value of accounts."""

from __future__ import annotations

import decimal
from decimal import Decimal as D
from typing import TYPE_CHECKING

import pytest

from engine.model.account import Balance
from engine.model.decimals import EXACT
from engine.model.ids import Currency, InstrumentId
from engine.model.valuation import Rates, account_equity, account_value
from tests.risk.house import BTC, BUY, PAPER, PERP, SELL, House, instrument

if TYPE_CHECKING:
    from engine.model.instrument import Instrument

MARKETS = [
    instrument(InstrumentId(f"SIM:{symbol}"), "0.00000001", "0.00000001")
    for symbol in ("BTC/USDT", "ETH/BTC", "SOL/ETH", "USDC/USDT", "EUR/USD", "BTC/USDT-PERP")
]
MARKS = {"SIM:BTC/USDT": D(50000), "SIM:ETH/BTC": D("0.05"), "SIM:SOL/ETH": D("0.04"), "SIM:EUR/USD": D("1.1")}


def rates(**changed: D | None) -> Rates:
    known: dict[InstrumentId, Instrument] = {one.id: one for one in MARKETS}
    marks = {**MARKS, **{f"SIM:{name.replace('_', '/')}": mark for name, mark in changed.items()}}
    return Rates(known, lambda key: marks.get(key))


@pytest.mark.parametrize(
    ("source", "target", "expected"),
    [
        ("USDT", "USDT", D(1)),
        ("BTC", "USDT", D(50000)),
        ("USDT", "BTC", D("0.00002")),
        ("ETH", "USDT", D(2500)),
        ("USDT", "ETH", D("0.0004")),
        ("SOL", "BTC", D("0.002")),
        ("SOL", "USDT", None),
        ("USDC", "USDT", None),
        ("EUR", "USDT", None),
        ("XYZ", "USDT", None),
    ],
)
def test_a_rate_is_found_directly_inverted_or_over_one_currency(source: str, target: str, expected: D | None) -> None:
    assert rates().rate(Currency(source), Currency(target)) == expected


def test_the_perpetual_stands_in_for_a_spot_market_without_a_price() -> None:
    without = rates(BTC_USDT=None, **{"BTC_USDT-PERP": D(50100)})
    assert without.rate(Currency("BTC"), Currency("USDT")) == 50100
    assert rates(**{"BTC_USDT-PERP": D(50100)}).rate(Currency("BTC"), Currency("USDT")) == 50000


@pytest.mark.parametrize("mark", [D(0), D(-1), None])
def test_a_price_that_is_no_price_gives_no_rate(mark: D | None) -> None:
    assert rates(BTC_USDT=mark).rate(Currency("BTC"), Currency("USDT")) is None
    assert rates(BTC_USDT=mark).rate(Currency("USDT"), Currency("BTC")) is None


def test_rates_do_not_depend_on_the_decimal_context_around() -> None:
    with decimal.localcontext(EXACT):
        assert str(rates(BTC_USDT=D(3)).rate(Currency("USDT"), Currency("BTC"))).startswith(
            "0.33333333333333333333333333"
        )


def test_balances_without_a_rate_are_named_and_not_counted_as_zero() -> None:
    balances = [
        Balance(currency=Currency(name), total=D(total), reserved=D(1))
        for name, total in (("USDT", "100"), ("BTC", "0.1"), ("XYZ", "7"), ("ABC", "0"))
    ]
    value, missing = account_value(balances, rates().into(Currency("USDT")), Currency("USDT"))
    assert value == 5100
    assert missing == ("XYZ",)


def test_equity_follows_prices_and_is_moved_by_fees_only_when_trading_at_the_mark() -> None:
    house = House()
    house.fill(house.submit(BUY, "0.019", price="50000"), fee="1")
    picture = house.risk.picture
    picture.look()
    assert picture.equity(PAPER).value == 9999
    house.price(BTC, "51000")
    picture.look()
    assert picture.equity(PAPER).value == 10018


def test_open_profit_of_derivatives_is_part_of_equity() -> None:
    house = House()
    house.risk.change_limits("test", {"allow_short": True})
    house.trade(SELL, "0.02", PERP)
    house.price(PERP, "49000")
    marks = house.markets
    value = account_equity(
        house.state, PAPER, house.risk.picture.rates, lambda key: marks[key].mark if key in marks else None
    )
    assert value.known
    assert value.value == 10020
    del house.markets[PERP]
    value = account_equity(house.state, PAPER, house.risk.picture.rates, lambda key: None)
    assert value.missing == (PERP,)
