"""DCA's described behaviour, on made-up quotes."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

from engine.model.candle import Candle
from strategies.static.dca import Dca
from tests.kit.event_conformance import EventConformance
from tests.kit.event_driver import START_NS, EventDriver, Tick, make_instrument

S = 1_000_000_000


class TestDca(EventConformance):
    strategy = "dca"
    values: ClassVar[dict[str, object]] = {"trail_profit": 0.002, "take_profit": 0.003, "stop_loss": 0.05}


def at(second: float, price: float) -> Tick:
    return Tick(START_NS + int(second * S), 0, price - 0.01, price + 0.01, bid_size=1e6, ask_size=1e6)


def made(**values: Any) -> EventDriver:
    return EventDriver(lambda: Dca.build(values), [make_instrument()])


def working(driver: EventDriver) -> dict[str, float]:
    return {key: order.price for key, order in driver.context.orders[driver.markets[0].id].items()}


def run(driver: EventDriver, *prices: float) -> EventDriver:
    began = (driver.context.now - START_NS) // S + 1 if driver.context.now else 0
    for second, price in enumerate(prices):
        driver.tick(at(began + second, price))
    return driver


def test_safety_orders_lie_ever_farther_below_and_grow() -> None:
    strategy = Dca.build({"max_safety_orders": 3, "step_scale": 2.0, "volume_scale": 1.5, "base_order_pct": 0.05})
    base, orders = strategy.ladder(100.0, 1000.0)
    assert base == pytest.approx(50.0)
    assert [price for price, _ in orders] == pytest.approx([99.0, 97.0, 93.0])
    assert [value for _, value in orders] == pytest.approx([100.0, 150.0, 225.0])


def test_a_ladder_beyond_the_capital_is_made_smaller_as_a_whole() -> None:
    base, orders = Dca.build({"max_safety_orders": 8, "volume_scale": 2.0}).ladder(100.0, 1000.0)
    values = [value for _, value in orders]
    assert base + sum(values) == pytest.approx(1000.0)
    assert values[1] == pytest.approx(2 * values[0])
    assert base == pytest.approx(values[0])


def test_a_deal_buys_down_and_sells_all_at_a_profit_over_the_average() -> None:
    driver = run(made(max_safety_orders=2), 100.0, 100.0)
    assert set(working(driver)) == {"s0", "s1", "profit"}
    first = working(driver)["profit"]
    run(driver, 98.9)
    assert set(working(driver)) == {"s1", "profit"}
    second = working(driver)["profit"]
    average = driver.markets[0].entry_price
    assert second < first
    assert second == pytest.approx(average * 1.015 * 1.001 / (1 - 0.0002), abs=0.011)
    run(driver, 101.6)
    assert driver.markets[0].position == pytest.approx(0.0)
    assert not working(driver)
    paid = sum(fill.side.sign * fill.quantity * fill.price + fill.fee for fill in driver.fills)
    cost = sum(fill.quantity * fill.price for fill in driver.fills if fill.side.sign > 0)
    assert -paid / cost >= 0.015 - 1e-4


def test_the_next_deal_waits_for_its_pause_and_the_last_is_the_last() -> None:
    driver = run(made(max_safety_orders=0, cooldown_s=10.0, max_deals=2), 100.0, 102.0, 102.0)
    assert driver.context.memory.deals == 1
    run(driver, *[102.0] * 7)
    assert driver.markets[0].position == 0.0
    run(driver, *[102.0] * 5, 104.5, *[104.5] * 30)
    assert driver.context.memory.deals == 2
    assert driver.markets[0].position == 0.0


def test_profit_may_be_trailed() -> None:
    driver = run(made(max_safety_orders=0, trail_profit=0.01), 100.0, 100.0, 101.9, 104.0, 103.5)
    assert driver.markets[0].position > 0
    assert not working(driver)
    run(driver, 102.9)
    assert driver.markets[0].position == pytest.approx(0.0)
    assert driver.fills[-1].price == pytest.approx(102.89)


def test_a_stop_loss_ends_the_deal() -> None:
    driver = run(made(max_safety_orders=1, stop_loss=0.05), 100.0, 100.0, 98.9, 94.0)
    assert driver.markets[0].position == pytest.approx(0.0)
    assert not working(driver)
    assert driver.context.memory.deals == 1


def test_it_begins_only_while_the_rsi_is_low() -> None:
    driver = made(start_rsi=30.0, rsi_period=2)
    run(driver, 100.0)
    market, strategy = driver.markets[0], driver.strategy
    for close in (100.0, 101.0, 102.0, 103.0):
        bar = Candle(market.id, "1h", START_NS, close, close, close, close, 1.0)
        strategy.on_bar(market, bar, driver.context)
    run(driver, 103.0)
    assert not driver.fills
    for close in (101.0, 98.0, 95.0):
        bar = Candle(market.id, "1h", START_NS, close, close, close, close, 1.0)
        strategy.on_bar(market, bar, driver.context)
    run(driver, 95.0)
    assert driver.fills


def test_a_base_order_that_brings_nothing_is_tried_again_after_the_pause() -> None:
    driver = made(cooldown_s=5.0)
    driver.refuse = lambda _: "not now"
    run(driver, 100.0, 100.0)
    assert not driver.context.memory.began
    driver.refuse = lambda _: ""
    run(driver, 100.0)
    assert not driver.fills
    run(driver, *[100.0] * 6)
    assert driver.fills
