"""Triangular arbitrage: described behaviour at one made-up venue."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec
import pytest

from engine.errors import ConfigurationError
from engine.strategy.intents import Legs, Take
from strategies.arbitrage.triangular import TriangularArbitrage
from tests.kit.event_conformance import EventConformance
from tests.kit.event_driver import START_NS, EventDriver, Tick, make_instrument

if TYPE_CHECKING:
    from engine.model.instrument import Instrument

MS = 1_000_000
PATH = "BTC/USDT,ETH/BTC,ETH/USDT"
SYMBOLS = ("BTC/USDT", "ETH/BTC", "ETH/USDT")


class TestTriangularArbitrage(EventConformance):
    strategy = "triangular_arbitrage"
    markets = (("SIM", "BTC/USDT", 100.0), ("SIM", "ETH/BTC", 100.0), ("SIM", "ETH/USDT", 10_000.0))
    values: ClassVar[dict[str, object]] = {
        "triangular_paths": PATH,
        "stale_after": 60_000.0,
        "slippage_limit": 0.01,
        "max_position_size": 1.0,
    }
    volatility = 0.004

    def instruments(self) -> list[Instrument]:
        # Books of the made-up market are a few units deep, less than its usual least value in BTC.
        return [
            msgspec.structs.replace(
                found, rules=(msgspec.structs.replace(found.current_rules, min_notional=Decimal("0.001")),)
            )
            for found in super().instruments()
        ]


def made(**values: Any) -> EventDriver:
    instruments = [
        make_instrument("SIM", symbol, tick=tick, lot="0.0001")
        for symbol, tick in zip(SYMBOLS, ("0.01", "0.000001", "0.01"), strict=True)
    ]
    driver = EventDriver(lambda: TriangularArbitrage.build({"triangular_paths": PATH} | values), instruments)
    # The made-up exchange's least order value is 5 of whatever the quote currency is.
    for market in driver.markets:
        market.min_notional = 0.0
    return driver


def prices(driver: EventDriver, ms: float, *mids: float, size: float = 100.0) -> None:
    for index, mid in enumerate(mids):
        half = mid * 0.0001
        driver.tick(Tick(START_NS + int(ms * MS) + index, index, mid - half, mid + half, size, size))


def orders(driver: EventDriver) -> list[tuple[str, str]]:
    return [
        (take.instrument[4:], str(take.side))
        for _, intent in driver.log
        if isinstance(intent, Legs)
        for take in intent.legs
    ]


FORWARD = [("BTC/USDT", "buy"), ("ETH/BTC", "buy"), ("ETH/USDT", "sell")]
REVERSE = [("ETH/USDT", "buy"), ("ETH/BTC", "sell"), ("BTC/USDT", "sell")]


@pytest.mark.parametrize(("last", "expected"), [(2020.0, FORWARD), (1980.0, REVERSE)])
def test_both_directions_are_traded_leg_after_leg(last: float, expected: list[tuple[str, str]]) -> None:
    driver = made()
    prices(driver, 0, 20_000.0, 0.1, last)
    assert orders(driver) == expected
    memory = driver.context.memory
    assert not memory.trades
    assert memory.realised > 0
    # What lots leave over on the way is small beside what was put in.
    assert memory.realised == pytest.approx(memory.expected, abs=0.005 * 1000)


def test_each_leg_uses_what_the_one_before_brought() -> None:
    driver = made()
    prices(driver, 0, 20_000.0, 0.1, 2020.0)
    first, second, third = driver.fills
    assert second.quantity * second.price <= first.quantity
    assert second.quantity * second.price == pytest.approx(first.quantity, rel=0.02)
    assert third.quantity <= second.quantity


def test_three_fees_must_be_paid() -> None:
    driver = made()
    prices(driver, 0, 20_000.0, 0.1, 2005.0)
    assert not orders(driver)
    assert driver.context.memory.refused == {}
    near = made()
    prices(near, 0, 20_000.0, 0.1, 2007.0)
    assert not orders(near)
    assert near.context.memory.refused == {"the profit of is below": 1}


def test_a_partial_leg_is_brought_back_to_the_start_currency_and_told() -> None:
    driver = made(retries=0, crosses=0)
    sent = driver._take

    def take(order: Take) -> None:
        market = driver.context.markets[order.instrument]
        if order.key.endswith("-2"):
            market.ask_size = 0.1
        sent(order)

    driver._take = take  # type: ignore[method-assign, assignment]
    prices(driver, 0, 20_000.0, 0.1, 2020.0)
    assert orders(driver)[:2] == FORWARD[:2]
    assert set(orders(driver)[2:]) == {("BTC/USDT", "sell"), ("ETH/USDT", "sell")}
    assert abs(driver.markets[0].position) < 0.011
    assert "leg 2 was not filled" in driver.alerts[0]
    memory = driver.context.memory
    assert not memory.trades
    assert memory.realised < memory.expected


def test_a_first_leg_that_finds_nothing_ends_it_quietly() -> None:
    driver = made()
    driver.refuse = lambda order: "no" if isinstance(order, Take) and "BTC/USDT" in order.instrument else ""
    prices(driver, 0, 20_000.0, 0.1, 2020.0)
    assert orders(driver) == FORWARD[:1]
    prices(driver, 5000, 20_000.0, 0.1, 2000.0)
    assert orders(driver) == FORWARD[:1]
    assert not driver.context.memory.trades
    assert not driver.alerts


def test_no_further_leg_is_sent_when_the_time_is_over() -> None:
    driver = made()
    sent, held = driver._take, []

    def late(order: Take) -> None:
        if order.key.endswith("-1"):
            held.append(order)
        else:
            sent(order)

    driver._take = late  # type: ignore[method-assign, assignment]
    prices(driver, 0, 20_000.0, 0.1, 2020.0)
    driver.context.now += 700 * MS
    driver._call(lambda: sent(held[0]))
    assert orders(driver) == [FORWARD[0], ("BTC/USDT", "sell")]
    assert "took too long" in driver.alerts[0]
    assert driver.markets[0].position == pytest.approx(0.0, abs=1e-4)


def test_what_cannot_be_brought_back_stops_the_bot() -> None:
    driver = made(retries=0, crosses=0, unwinds=1)
    driver.refuse = lambda order: "no" if isinstance(order, Take) and not order.key.endswith("-1") else ""
    for second in range(0, 40, 2):
        prices(driver, second * 1000, 20_000.0, 0.1, 2020.0 if not second else 2000.0)
    assert "could not be brought back" in driver.stopped


def test_an_order_whose_end_is_not_known_is_waited_for() -> None:
    driver = made()
    sent = driver._take
    driver._take = lambda order: None if order.key.endswith("-2") else sent(order)  # type: ignore[method-assign, assignment]
    prices(driver, 0, 20_000.0, 0.1, 2020.0)
    for ms in range(100, 3000, 100):
        prices(driver, ms, 20_000.0, 0.1, 2000.0)
    assert orders(driver) == FORWARD[:2]
    assert len(driver.alerts) == 1
    assert "is not known" in driver.alerts[0]


def test_after_a_restart_an_order_that_works_no_more_has_ended() -> None:
    driver = made()
    sent = driver._take
    driver._take = lambda order: None if order.key.endswith("-2") else sent(order)  # type: ignore[method-assign, assignment]
    prices(driver, 0, 20_000.0, 0.1, 2020.0)
    driver._take = sent  # type: ignore[method-assign]
    driver.restart()
    driver.strategy.on_start(driver.context)
    for ms in range(1000, 9000, 500):
        prices(driver, ms, 20_000.0, 0.1, 2000.0)
    memory = driver.context.memory
    assert not memory.trades
    assert memory.past[0].why == "the loop took too long"
    assert memory.past[0].steps[1].amount == 0.0
    assert memory.past[0].recovered == pytest.approx(997, abs=2)
    assert "took too long" in driver.alerts[0]


def test_a_chain_that_leads_nowhere_is_none() -> None:
    driver = made(start_currency="EUR")
    prices(driver, 0, 20_000.0, 0.1, 2020.0)
    assert not orders(driver)
    with pytest.raises(ConfigurationError, match="three symbols"):
        TriangularArbitrage.build({"triangular_paths": "BTC/USDT,ETH/BTC"})
