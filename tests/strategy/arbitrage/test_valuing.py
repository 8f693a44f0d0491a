"""The value of an arbitrage against hand-computed and brute-force results."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.strategy.arbitrage.valuing import ChainLeg, best_chain, best_cross, convert

ASKS = ((100.0, 1.0), (101.0, 1.0), (103.0, 5.0))
BIDS = ((102.0, 1.5), (101.5, 1.0), (90.0, 5.0))


def test_a_cross_takes_what_pays_and_no_more() -> None:
    quote = best_cross(ASKS, BIDS, buy_fee=0.0, sell_fee=0.0, most=10.0)
    assert quote.quantity == pytest.approx(2.0)
    assert quote.cost == pytest.approx(201.0)
    assert quote.proceeds == pytest.approx(1.5 * 102 + 0.5 * 101.5)
    assert (quote.buy_limit, quote.sell_limit) == (101.0, 101.5)
    assert quote.slippage == pytest.approx((1.0 + 0.25) / 201.0)


def test_fees_a_margin_and_a_rate_narrow_it() -> None:
    assert best_cross(ASKS, BIDS, buy_fee=0.01, sell_fee=0.01, most=10.0).quantity == 0.0
    some = best_cross(ASKS, BIDS, buy_fee=0.001, sell_fee=0.001, most=10.0, least_margin=0.005)
    assert some.quantity == pytest.approx(1.5)
    assert some.margin >= 0.005
    # A quote currency that is worth 1 % more makes the second ask level a loss.
    assert best_cross(ASKS, BIDS, buy_fee=0.0, sell_fee=0.0, most=10.0, rate=1.01).quantity == pytest.approx(1.0)


def test_the_largest_quantity_is_kept_and_an_empty_book_gives_nothing() -> None:
    assert best_cross(ASKS, BIDS, buy_fee=0.0, sell_fee=0.0, most=0.25).quantity == 0.25
    assert best_cross((), BIDS, buy_fee=0.0, sell_fee=0.0, most=1.0).quantity == 0.0
    assert best_cross(ASKS, (), buy_fee=0.0, sell_fee=0.0, most=1.0).margin == 0.0


LOOP = (
    ChainLeg(1, ((30_000.0, 0.1), (30_030.0, 1.0)), 0.001),
    ChainLeg(1, ((0.066, 2.0), (0.0661, 30.0)), 0.001),
    ChainLeg(-1, ((2_000.0, 1.0), (1_999.0, 10.0), (1_980.0, 9.0)), 0.001),
)


def through(legs: tuple[ChainLeg, ...], amount: float) -> float:
    for leg in legs:
        amount, rest = convert(leg, amount)
        assert rest == 0.0, "the book is too short for the test"
    return amount


def test_a_loop_yields_most_at_its_amount() -> None:
    quote = best_chain(LOOP, 30_000.0)
    assert quote.amount > 0
    assert quote.result == pytest.approx(through(LOOP, quote.amount), rel=1e-12)
    for other in (quote.amount * 0.9, quote.amount * 1.05):
        assert through(LOOP, other) - other < quote.profit
    assert quote.slippage > 0


def test_a_loop_that_does_not_pay_is_left_alone() -> None:
    dear = (*LOOP[:2], ChainLeg(-1, ((1_900.0, 5.0),), 0.001))
    assert best_chain(dear, 30_000.0).amount == 0.0
    assert best_chain((), 1.0).amount == 0.0
    assert best_chain((*LOOP[:2], ChainLeg(-1, (), 0.001)), 1.0).amount == 0.0


@st.composite
def book(draw: st.DrawFn, side: int, middle: float) -> tuple[tuple[float, float], ...]:
    prices = [middle * (1 + side * 0.001 * draw(st.integers(-3, 12))) for _ in range(draw(st.integers(1, 5)))]
    prices = sorted(set(prices), reverse=side < 0)
    return tuple((price, draw(st.floats(0.01, 3.0))) for price in prices)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_no_other_amount_yields_more(data: st.DataObject) -> None:
    legs = (
        ChainLeg(1, data.draw(book(1, 100.0)), 0.0005),
        ChainLeg(1, data.draw(book(1, 0.5)), 0.0005),
        ChainLeg(-1, data.draw(book(-1, 50.5)), 0.0005),
    )
    quote = best_chain(legs, 200.0)

    def yielded(amount: float) -> float:
        start, value = amount, amount
        for leg in legs:
            value, rest = convert(leg, value)
            if rest > 1e-9 * amount:
                return float("-inf")
        return value - start

    best = max((yielded(200.0 * k / 400) for k in range(1, 401)), default=0.0)
    assert quote.profit >= best - 1e-9
    if quote.amount:
        assert yielded(quote.amount * (1 - 1e-12)) == pytest.approx(quote.profit, rel=1e-6, abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_no_other_quantity_crosses_better(data: st.DataObject) -> None:
    asks, bids = data.draw(book(1, 100.0)), data.draw(book(-1, 100.6))
    quote = best_cross(asks, bids, buy_fee=0.0004, sell_fee=0.0006, most=4.0)

    def yielded(quantity: float) -> float:
        cost, rest = _walk(asks, quantity)
        proceeds, other = _walk(bids, quantity)
        return float("-inf") if rest + other > 1e-12 else proceeds * (1 - 0.0006) - cost * (1 + 0.0004)

    assert quote.profit >= max(yielded(4.0 * k / 400) for k in range(401)) - 1e-9


def _walk(levels: tuple[tuple[float, float], ...], quantity: float) -> tuple[float, float]:
    value = 0.0
    for price, there in levels:
        step = min(there, quantity)
        value, quantity = value + step * price, quantity - step
    return value, quantity
