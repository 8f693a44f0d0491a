"""Cross-exchange arbitrage: described behaviour on two made-up venues."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, ClassVar

import msgspec
import pytest

from engine.model.instrument import InstrumentKind
from engine.model.order import OrderSide
from engine.strategy.arbitrage.legs import Phase
from engine.strategy.intents import Legs, Take
from strategies.arbitrage.cross_exchange import CrossExchangeArbitrage
from tests.kit.event_conformance import EventConformance
from tests.kit.event_driver import START_NS, EventDriver, Tick, make_instrument

MS = 1_000_000


class TestCrossExchangeArbitrage(EventConformance):
    strategy = "cross_exchange_arbitrage"
    markets = (("AAA", "BTC/USDT", 20_000.0), ("BBB", "BTC/USDT", 20_000.0))
    values: ClassVar[dict[str, object]] = {"stale_after": 60_000.0, "slippage_limit": 0.01, "rebalance_cost": 0.0}
    volatility = 0.001


def made(*symbols: str, **values: Any) -> EventDriver:
    instruments = [
        make_instrument(venue, symbol)
        for venue, symbol in zip(("AAA", "BBB"), symbols or ("BTC/USDT",) * 2, strict=True)
    ]
    return EventDriver(lambda: CrossExchangeArbitrage.build({"rebalance_cost": 0.0} | values), instruments)


def at(ms: float, market: int, mid: float, size: float = 1.0) -> Tick:
    return Tick(START_NS + int(ms * MS), market, mid - 1.0, mid + 1.0, size, size)


def taken(driver: EventDriver) -> list[tuple[str, str, float]]:
    return [
        (take.instrument[:3], str(take.side), take.price or 0.0)
        for _, intent in driver.log
        if isinstance(intent, Legs)
        for take in intent.legs
    ]


def test_it_buys_where_it_is_cheap_and_sells_where_it_is_dear_at_once() -> None:
    driver = made()
    driver.tick(at(0, 0, 20_000.0))
    driver.tick(at(10, 1, 20_100.0))
    assert taken(driver) == [("AAA", "buy", 20_001.0), ("BBB", "sell", 20_099.0)]
    # A tenth of 10,000, the fee kept free.
    assert driver.fills[0].quantity == pytest.approx(1000 / (20_001 * 1.001), abs=1e-4)
    memory = driver.context.memory
    assert not memory.trades
    assert memory.realised == pytest.approx(memory.expected, rel=1e-3)
    assert memory.realised > 0


@pytest.mark.parametrize(
    ("values", "spread", "word"),
    [
        ({"min_profit_threshold": 0.004}, 100.0, "the profit of is below"),
        ({"rebalance_cost": 0.01}, 100.0, "the profit of is below"),
        ({"max_position_size": 1e-6}, 100.0, "the size is too small for the venues, or nothing is free"),
    ],
)
def test_what_fails_a_limit_is_recorded_with_its_reason_and_not_traded(
    values: dict[str, Any], spread: float, word: str
) -> None:
    driver = made(**values)
    driver.tick(at(0, 0, 20_000.0))
    driver.tick(at(10, 1, 20_000.0 + spread))
    assert not taken(driver)
    assert driver.context.memory.refused == {word: 1}
    assert "BBB" in str(driver.context.notes["last refused"])


def test_a_spread_that_pays_only_one_fee_is_none() -> None:
    driver = made()
    driver.tick(at(0, 0, 20_000.0))
    driver.tick(at(10, 1, 20_030.0))
    assert not taken(driver)
    assert not driver.context.memory.refused


def test_old_books_and_slow_venues_are_left_out_and_told_once() -> None:
    driver = made()
    driver.tick(at(0, 0, 20_000.0))
    driver.tick(at(1500, 1, 20_100.0))
    assert not taken(driver)
    driver.markets[0].latency_ns = 300 * MS
    driver.tick(at(1600, 0, 20_000.0))
    driver.tick(at(1700, 1, 20_100.0))
    driver.tick(at(1900, 1, 20_100.0))
    assert not taken(driver)
    assert ["left out" in alert for alert in driver.alerts] == [True]
    driver.markets[0].latency_ns = 50 * MS
    driver.tick(at(2100, 0, 20_000.0))
    assert "again" in driver.alerts[-1]
    assert taken(driver)


def test_quote_currencies_are_converted_by_a_market_or_by_a_rate() -> None:
    unknown = made("BTC/USD", "BTC/USDT")
    unknown.tick(at(0, 0, 20_000.0))
    unknown.tick(at(10, 1, 20_100.0))
    assert not taken(unknown)
    par = made("BTC/USD", "BTC/USDT", quote_rates="USD=1 USDT=1")
    par.tick(at(0, 0, 20_000.0))
    par.tick(at(10, 1, 20_100.0))
    assert taken(par)
    dear = made("BTC/USD", "BTC/USDT", quote_rates="USD=1.01 USDT=1")
    dear.tick(at(0, 0, 20_000.0))
    dear.tick(at(10, 1, 20_100.0))
    # At 1.01 the first is the dearer one.
    assert [(venue, side) for venue, side, _ in taken(dear)] == [("BBB", "buy"), ("AAA", "sell")]


class OneSided:
    """Lets the first `full` orders at a venue through and gives nothing after that, or for a while."""

    def __init__(self, driver: EventDriver, venue: str, refuse: range) -> None:
        self.count = 0
        self.venue, self.refused = venue, refuse
        self.driver = driver

    def __call__(self, order: Any) -> str:
        if not isinstance(order, Take) or not order.instrument.startswith(self.venue):
            return ""
        self.count += 1
        return "no" if self.count - 1 in self.refused else ""


def test_a_leg_that_lags_is_tried_again_at_its_limit() -> None:
    driver = made()
    driver.tick(at(0, 0, 20_000.0, 0.02))
    # The dear side shows enough when it is looked at, and a part of it is gone when the order comes.
    driver.markets[1].bid_size = 0.02
    driver.tick(Tick(START_NS + 10 * MS, 1, 20_099.0, 20_101.0, 1.0, 1.0))
    first = driver.fills[0].quantity
    assert first == pytest.approx(0.02)
    assert {fill.quantity for fill in driver.fills} == {first}


def partly_gone(driver: EventDriver, *, later_bid: float) -> None:
    """The sale finds a tenth of what was seen; then the bid is another one."""
    strategy = driver.strategy
    sent = driver._legs

    def legs(intent: Legs) -> None:
        for leg in intent.legs:
            market = driver.context.markets[leg.instrument]
            if leg.side is OrderSide.SELL and leg.instrument.startswith("BBB") and leg.key.endswith("-1"):
                market.bid_size = 0.005
        sent(intent)
        driver.markets[1].bid, driver.markets[1].bid_size = later_bid, 1.0

    driver._legs = legs  # type: ignore[method-assign]
    driver.tick(at(0, 0, 20_000.0))
    driver.tick(at(10, 1, 20_100.0))
    assert strategy is driver.strategy


def test_the_rest_is_sold_across_the_spread_when_the_price_is_near() -> None:
    driver = made()
    partly_gone(driver, later_bid=20_085.0)
    assert [price for venue, _, price in taken(driver) if venue == "BBB"] == pytest.approx(
        [20_099.0, 20_099.0, 20_085.0 * 0.999]
    )
    memory = driver.context.memory
    assert not memory.trades
    assert driver.markets[0].position + driver.markets[1].position == pytest.approx(0.0)
    assert memory.realised < memory.expected
    assert memory.shortfall > 0


def test_what_cannot_be_completed_is_unwound_and_told() -> None:
    driver = made(retries=0, crosses=0)
    partly_gone(driver, later_bid=20_099.0)
    venue, side, price = taken(driver)[-1]
    assert (venue, side) == ("AAA", "sell")
    assert price == pytest.approx(19_999 * 0.995)
    assert driver.markets[0].position + driver.markets[1].position == pytest.approx(0.0)
    assert "unwound" in driver.alerts[0]


def test_what_can_neither_be_completed_nor_unwound_stops_the_bot() -> None:
    driver = made(retries=0, crosses=0, unwinds=2)
    refused: list[str] = []

    def refuse(order: Any) -> str:
        if isinstance(order, Take) and order.side is OrderSide.SELL and order.instrument.startswith("AAA"):
            refused.append(order.key)
            return "no"
        return ""

    driver.refuse = refuse
    partly_gone(driver, later_bid=20_099.0)
    # A refusal is not answered in the same moment: the next attempt waits, ever longer.
    assert len(refused) == 1
    for ms in range(500, 20_000, 500):
        driver.tick(at(ms, 0, 20_000.0))
    assert len(refused) == 2
    assert "could neither be completed nor unwound" in driver.stopped


def test_an_order_whose_end_is_not_known_is_waited_for() -> None:
    driver = made()
    driver.tick(at(0, 0, 20_000.0))
    silent = driver._take
    driver._take = lambda take: None if take.instrument.startswith("BBB") else silent(take)  # type: ignore[method-assign]
    driver.tick(at(10, 1, 20_100.0))
    for ms in range(100, 3000, 100):
        driver.tick(at(ms, 0, 20_000.0))
    trade = driver.context.memory.trades[0]
    assert trade.phase is Phase.SENT
    assert len(taken(driver)) == 2
    assert len(driver.alerts) == 1
    assert "is not known" in driver.alerts[0]


def test_after_a_restart_an_order_that_works_no_more_has_ended() -> None:
    driver = made()
    driver.tick(at(0, 0, 20_000.0))
    silent = driver._take
    driver._take = lambda take: None if take.instrument.startswith("BBB") else silent(take)  # type: ignore[method-assign]
    driver.tick(at(10, 1, 20_100.0))
    driver._take = silent  # type: ignore[method-assign]
    driver.restart()
    driver.strategy.on_start(driver.context)
    for ms in range(200, 9_000, 200):
        driver.tick(at(ms, ms // 200 % 2, 20_000.0))
    assert not driver.context.memory.trades
    assert driver.markets[0].position + driver.markets[1].position == pytest.approx(0.0)


def test_an_execution_after_the_end_is_brought_into_balance() -> None:
    driver = made()
    driver.tick(at(0, 0, 20_000.0))
    driver.tick(at(10, 1, 20_100.0))
    first = driver.fills[0]
    driver.markets[0].position += 0.01
    late = msgspec.structs.replace(first, quantity=0.01, ts=driver.context.now)
    driver._call(lambda: driver.strategy.on_fill(late, driver.context))
    assert "after its end" in driver.alerts[0]
    for ms in range(200, 3_000, 200):
        driver.tick(at(ms, ms // 200 % 2, 20_000.0))
    assert driver.markets[0].position + driver.markets[1].position == pytest.approx(0.0, abs=1e-9)
    assert not driver.context.memory.trades


def test_only_the_same_thing_is_paired() -> None:
    spot = make_instrument("AAA", "BTC/USDT")
    contract = msgspec.structs.replace(
        make_instrument("BBB", "BTC/USDT"), kind=InstrumentKind.LINEAR_PERPETUAL, multiplier=Decimal("0.01")
    )
    driver = EventDriver(lambda: CrossExchangeArbitrage.build({"rebalance_cost": 0.0}), [spot, contract])
    driver.tick(at(0, 0, 20_000.0))
    driver.tick(at(10, 1, 20_400.0))
    assert not taken(driver)


def test_not_more_than_one_trade_in_a_market_and_so_many_in_all() -> None:
    driver = made(max_open_arbitrages=1)
    driver._take = lambda take: None  # type: ignore[method-assign]
    for ms in range(0, 100, 10):
        driver.tick(at(ms, ms // 10 % 2, 20_000.0 + 100 * (ms // 10 % 2)))
    assert len(driver.context.memory.trades) == 1


def test_shortfalls_raise_the_threshold_and_are_forgotten() -> None:
    memory = CrossExchangeArbitrage.Memory()
    memory.fade(START_NS)
    memory.learn(10.0, 2.0, 1000.0)
    assert memory.shortfall == pytest.approx(0.0008)
    strategy = CrossExchangeArbitrage.build({})
    assert strategy.params.scan(memory.shortfall).min_profit == pytest.approx(0.0018)
    memory.fade(START_NS + 3_600_000 * MS)
    assert memory.shortfall == pytest.approx(0.0004)
