"""The arithmetic of quoting against values worked out by hand."""

from __future__ import annotations

import math

import pytest

from engine.strategy.making.inventory import InventoryAction, InventoryRules, reservation_price
from engine.strategy.making.measuring import Arrivals, DayResult
from engine.strategy.making.optimal import avellaneda_stoikov, glft
from engine.strategy.making.spread import (
    SpreadRules,
    best_foreign,
    competitive,
    quote_prices,
    size_of_level,
)

S = 10**9
RULES = InventoryRules(maximum=1.0)


@pytest.mark.parametrize(
    ("inventory", "deviation", "action"),
    [
        (0.5, 0.0, InventoryAction.QUOTE),
        (0.75, 0.25, InventoryAction.QUOTE),
        (0.76, 0.26, InventoryAction.REBALANCE),
        (0.24, -0.26, InventoryAction.REBALANCE),
        (0.0, -0.5, InventoryAction.REBALANCE),
        (1.9, 1.0, InventoryAction.REBALANCE),
        (2.0, 1.0, InventoryAction.LIQUIDATE),
        (-2.5, -1.0, InventoryAction.LIQUIDATE),
    ],
)
def test_what_an_inventory_asks_for(inventory: float, deviation: float, action: InventoryAction) -> None:
    assert RULES.deviation(inventory) == pytest.approx(deviation)
    assert RULES.action(inventory) is action


def test_room_ends_at_the_maximum_and_at_nothing() -> None:
    assert RULES.room(1, 0.4) == pytest.approx(0.6)
    assert RULES.room(1, 1.2) == 0.0
    assert RULES.room(-1, 0.4) == 0.4
    assert RULES.room(-1, -0.1) == 0.0


def test_too_much_inventory_lowers_the_reservation_price() -> None:
    assert reservation_price(100.0, 1.0, 0.1, 0.02) == pytest.approx(99.8)
    assert reservation_price(100.0, -0.5, 0.1, 0.02) == pytest.approx(100.1)
    assert reservation_price(100.0, 0.0, 0.1, 0.02) == 100.0


@pytest.mark.parametrize(
    ("volatility", "average", "spread"),
    [(1.0, 1.0, 0.001), (1.5, 1.0, 0.002), (2.0, 1.0, 0.003), (0.5, 1.0, 0.001), (1.0, 0.0, 0.001), (9e9, 1.0, 0.05)],
)
def test_the_spread_widens_with_volatility(volatility: float, average: float, spread: float) -> None:
    assert SpreadRules().wanted(volatility, average) == pytest.approx(spread)


def test_unknown_volatility_leaves_the_base() -> None:
    assert SpreadRules().wanted(math.nan, 1.0) == SpreadRules().wanted(1.0, math.nan) == 0.001


def test_it_widens_at_once_and_narrows_past_the_hysteresis_alone() -> None:
    rules = SpreadRules()
    assert rules.next(0.002, 2.0, 1.0) == pytest.approx(0.003)
    assert rules.next(0.003, 1.95, 1.0) == 0.003
    assert rules.next(0.003, 1.8, 1.0) == pytest.approx(0.0026)
    assert rules.next(0.00105, 1.0, 1.0) == 0.001


def test_the_cost_of_a_round_trip() -> None:
    assert SpreadRules().cost(0.001, 0.0002) == pytest.approx(0.0022)
    assert SpreadRules().cost(-0.001, 0.0002) == 0.0


def test_own_orders_are_no_competition() -> None:
    levels = [(100.0, 2.0), (99.0, 1.0), (98.0, 4.0)]
    assert best_foreign(levels, [], 1.0) == 100.0
    assert best_foreign(levels, [(100.0, 1.5)], 1.0) == 100.0
    assert best_foreign(levels, [(100.0, 1.5), (100.0, 0.5), (99.0, 1.0)], 1.0) == 98.0
    assert best_foreign([], [], 1.0) == 0.0


@pytest.mark.parametrize(
    ("own", "best", "side", "limit", "price"),
    [
        (99.0, 99.5, 1, 99.8, 99.6),
        (99.0, 99.75, 1, 99.8, 99.8),
        (99.0, 98.0, 1, 99.8, 98.1),
        (99.0, 0.0, 1, 99.8, 99.0),
        (101.0, 100.5, -1, 100.2, 100.4),
        (101.0, 100.2, -1, 100.2, 100.2),
        (101.0, 103.0, -1, 100.2, 102.9),
    ],
)
def test_a_competitive_quote_is_one_tick_ahead_within_its_limit(
    own: float, best: float, side: int, limit: float, price: float
) -> None:
    assert competitive(own, best, 0.1, side, limit) == pytest.approx(price)


def test_quotes_are_never_below_cost() -> None:
    assert quote_prices(100.0, 100.0, 0.002, 0.001) == pytest.approx((99.9, 100.1))
    assert quote_prices(100.0, 100.0, 0.002, 0.004) == pytest.approx((99.8, 100.2))
    # Skewed far up: the bid would cross the fair price and stops where a fill still pays half the cost.
    bid, ask = quote_prices(101.0, 100.0, 0.002, 0.001)
    assert bid == pytest.approx(99.95)
    assert ask == pytest.approx(101.101)


def test_sizes_of_levels() -> None:
    assert [size_of_level(2.0, level, "exponential") for level in range(3)] == [2.0, 3.0, 4.5]
    assert [size_of_level(2.0, level, "linear") for level in range(3)] == [2.0, 3.0, 4.0]
    assert [size_of_level(2.0, level, "constant") for level in range(3)] == [2.0, 2.0, 2.0]


def test_avellaneda_stoikov_as_in_the_paper() -> None:
    # The paper's own example: gamma 0.1, kappa 1.5, sigma 2 at the beginning of a day of length 1.
    flat = avellaneda_stoikov(0.0, gamma=0.1, kappa=1.5, sigma=2.0, horizon=1.0)
    assert flat.bid == flat.ask == pytest.approx(0.2 + 10.0 * math.log(1.0 + 0.1 / 1.5))
    long = avellaneda_stoikov(3.0, gamma=0.1, kappa=1.5, sigma=2.0, horizon=1.0)
    assert long.bid - flat.bid == pytest.approx(3 * 0.1 * 4.0)
    assert long.bid + long.ask == pytest.approx(flat.bid + flat.ask)
    ended = avellaneda_stoikov(3.0, gamma=0.1, kappa=1.5, sigma=2.0, horizon=0.0)
    assert ended.bid == ended.ask == pytest.approx(10.0 * math.log(1.0 + 0.1 / 1.5))


def test_glft_as_in_the_paper() -> None:
    gamma, kappa, arrival, sigma = 0.01, 0.3, 0.9, 0.3
    root = math.sqrt(sigma**2 * gamma / (2 * kappa * arrival) * (1 + gamma / kappa) ** (1 + kappa / gamma))
    for q in (-3.0, 0.0, 2.0):
        quotes = glft(q, gamma=gamma, kappa=kappa, arrival=arrival, sigma=sigma)
        assert quotes.bid == pytest.approx(math.log(1 + gamma / kappa) / gamma + (2 * q + 1) / 2 * root)
        assert quotes.ask == pytest.approx(math.log(1 + gamma / kappa) / gamma - (2 * q - 1) / 2 * root)


def test_glft_of_a_tiny_risk_is_the_risk_neutral_depth() -> None:
    quotes = glft(0.0, gamma=1e-12, kappa=0.3, arrival=0.9, sigma=0.3)
    assert quotes.bid == pytest.approx(1 / 0.3, rel=1e-3)


def test_the_result_of_a_day_begins_anew_at_midnight() -> None:
    day, result = 86_400 * S, DayResult()
    result.begin(2.0, 100.0)
    assert result.look(3 * day, 2.0, 100.0) == 0.0
    result.fill(-1, 1.0, 110.0, 0.1)
    assert result.look(3 * day + 5, 1.0, 105.0) == pytest.approx(10.0 + 5.0 - 0.1)
    assert result.look(4 * day, 1.0, 106.0) == 0.0
    result.fill(1, 1.0, 106.0, -0.2)
    assert result.look(4 * day + 1, 2.0, 100.0) == pytest.approx(-12.0 + 0.2)
    result.begin(9.0, 9.0)
    assert result.look(4 * day + 2, 2.0, 100.0) == pytest.approx(-11.8)


def test_arrivals_are_fitted_to_their_exponential() -> None:
    arrivals, a, kappa = Arrivals(), 2.0, 0.5
    arrivals.trade(1, 0.0, 0.5)
    arrivals.counts = [a * math.exp(-kappa * (i + 1) * 0.5) * 1000.0 for i in range(20)]
    arrivals.weight = 1000.0
    fitted = arrivals.fit()
    assert fitted == pytest.approx((a, kappa))


def test_arrivals_count_every_depth_that_was_reached_and_fade() -> None:
    arrivals = Arrivals()
    arrivals.trade(1, 1.2, 0.5, bins=4)
    arrivals.trade(1, 0.5, 0.5, bins=4)
    assert arrivals.counts == [2.0, 1.0, 0.0, 0.0]
    assert arrivals.fit() is None
    arrivals.pass_time(1 + 10 * S, 10.0)
    assert arrivals.counts == [1.0, 0.5, 0.0, 0.0]
    assert arrivals.weight == pytest.approx(10.0)
    arrivals.trade(2, 1.0, 0.25, bins=4)
    assert arrivals.counts == [1.0, 1.0, 1.0, 1.0]
