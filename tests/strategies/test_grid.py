"""The grid's described behaviour, on made-up quotes."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import ConfigurationError
from engine.model.order import OrderSide
from engine.strategy.intents import Take
from strategies.static.grid import Grid
from tests.kit.event_conformance import EventConformance
from tests.kit.event_driver import START_NS, EventDriver, Tick, make_instrument

S = 1_000_000_000
TEN = {"lower": 90.0, "upper": 110.0, "levels": 10, "spacing": "arithmetic"}


class TestGrid(EventConformance):
    strategy = "grid"
    values: ClassVar[dict[str, object]] = {"range_pct": 0.01, "levels": 30, "fund": False}


def at(second: float, price: float) -> Tick:
    return Tick(START_NS + int(second * S), 0, price - 0.01, price + 0.01, bid_size=1e6, ask_size=1e6)


def made(**values: Any) -> EventDriver:
    return EventDriver(lambda: Grid.build(TEN | values), [make_instrument()])


def working(driver: EventDriver) -> dict[str, float]:
    return {key: order.price for key, order in driver.context.orders[driver.markets[0].id].items()}


def test_buys_wait_below_and_what_was_bought_for_the_steps_above_waits_to_be_sold() -> None:
    driver = made()
    driver.tick(at(0, 100.5))
    driver.tick(at(1, 100.5))
    assert driver.fills[0].key == "fund"
    assert {key: price for key, price in working(driver).items() if key.endswith("b")} == {
        f"g{number}-b": 90.0 + 2 * number for number in range(6)
    }
    assert {key: price for key, price in working(driver).items() if key.endswith("s")} == {
        f"g{number}-s": 92.0 + 2 * number for number in range(6, 10)
    }


def test_a_step_down_and_up_again_earns_the_step_less_fees() -> None:
    driver = made()
    for second, price in enumerate((100.5, 100.5, 99.0, 99.0, 102.5, 102.5)):
        driver.tick(at(second, price))
    memory = driver.context.memory
    interval = memory.intervals[5]
    assert (interval.low, interval.high) == (100.0, 102.0)
    assert interval.trips == 1
    buy, sell = (fill for fill in driver.fills if fill.key.startswith("g5"))
    assert memory.profit == pytest.approx(interval.quantity * 2.0 - sell.fee - buy.fee)
    assert buy.quantity == sell.quantity == interval.quantity
    assert working(driver)["g5-b"] == 100.0


def test_without_funding_the_steps_above_wait_for_the_price() -> None:
    driver = made(fund=False)
    driver.tick(at(0, 100.5))
    driver.tick(at(1, 100.5))
    assert not driver.fills
    assert max(working(driver).values()) == 100.0
    driver.tick(at(2, 104.5))
    assert max(working(driver).values()) == 104.0


def test_the_whole_grid_costs_no_more_than_may_be_invested() -> None:
    driver = made(invest=0.5, fund=False)
    driver.tick(at(0, 200.0))
    wanted = driver.context.memory.intervals
    assert sum(interval.low * interval.quantity for interval in wanted) <= 0.5 * 10_000
    assert sum(interval.high * interval.quantity for interval in wanted) == pytest.approx(5_000, rel=0.01)


@pytest.mark.parametrize(("spacing", "edges"), [("arithmetic", [100, 150, 200]), ("geometric", [100, 141.42, 200])])
def test_steps_are_even_in_price_or_in_ratio(spacing: str, edges: list[float]) -> None:
    strategy = Grid.build({"lower": 100.0, "upper": 200.0, "levels": 2, "spacing": spacing})
    assert strategy.edges(150.0) == pytest.approx(edges, abs=0.01)


def test_below_its_range_everything_is_sold_and_the_grid_ends() -> None:
    driver = made(stop_below=0.02)
    for second, price in enumerate((100.5, 100.5, 95.0, 91.0, 88.5, 88.0, 88.0)):
        driver.tick(at(second, price))
    taken = [intent for _, intent in driver.log if isinstance(intent, Take)]
    assert taken[-1].key == "exit"
    assert driver.markets[0].position == pytest.approx(0.0)
    assert not working(driver)
    assert "below the range" in driver.alerts[0]
    driver.tick(at(9, 100.0))
    assert not working(driver)


def test_a_range_that_cannot_be_traded_stops_the_bot_with_the_reason() -> None:
    driver = made(levels=200, invest=0.01)
    driver.tick(at(0, 100.0))
    assert "fewer levels" in driver.stopped
    empty = EventDriver(lambda: Grid.build({"upper": 50.0}), [make_instrument()])
    empty.tick(at(0, 100.0))
    assert "is empty" in empty.stopped
    with pytest.raises(ConfigurationError, match="must be below"):
        Grid.build({"lower": 5.0, "upper": 4.0})


def test_only_the_nearest_orders_work() -> None:
    driver = made(max_open=4)
    driver.tick(at(0, 100.5))
    driver.tick(at(1, 100.5))
    assert sorted(working(driver).values()) == [96.0, 98.0, 100.0, 104.0]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(88.0, 112.0), min_size=5, max_size=60))
def test_what_the_steps_hold_is_what_the_bot_holds(prices: list[float]) -> None:
    driver = made(stop_below=0.0)
    for second, price in enumerate([100.5, *prices]):
        driver.tick(at(second, round(price, 2)))
    memory = driver.context.memory
    assert sum(interval.held for interval in memory.intervals) == pytest.approx(driver.markets[0].position, abs=1e-9)
    assert all(0.0 <= interval.held <= interval.quantity + 1e-9 for interval in memory.intervals)
    orders = driver.context.orders[driver.markets[0].id].values()
    assert sum(order.left for order in orders if order.side is OrderSide.SELL) <= driver.markets[0].position + 1e-9
    assert memory.profit >= 0.0
