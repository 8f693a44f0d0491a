"""What every event strategy must keep to: inherit `EventConformance` and name the strategy.

class TestMine(EventConformance):
    strategy = "path/to/mine.py"
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING, ClassVar

import msgspec
import numpy as np
import pytest

from engine.errors import ConfigurationError
from engine.model.candle import Candle
from engine.model.order import OrderSide, OrderStatus
from engine.strategy.intents import Legs, Place, Quote, Take, Want
from engine.strategy.loader import LoadedStrategy, StrategyRegistry
from engine.strategy.params import describe_params
from engine.strategy.quoting import EventStrategy
from engine.strategy.views import OrderUpdate
from tests.kit.event_driver import EventDriver, Tick, make_instrument, walk_ticks
from tests.kit.strategy_conformance import beyond, bounds, foreign_imports

if TYPE_CHECKING:
    from engine.model.instrument import Instrument

__all__ = ["EventConformance"]

_KEY = re.compile(r"[a-z0-9_-]{1,24}")


class EventConformance:
    """The suite; a subclass sets the attributes.

    Attributes:
        strategy: Name of a built-in strategy, or path of a file.
        markets: Venue, symbol and first price of each instrument it is tried on.
        values: Parameters to run with, beside the defaults.
        count: Ticks of the made-up market.
        volatility: Deviation of the log price between two ticks.
        spread: Between the best prices, as a fraction.
    """

    strategy: ClassVar[str]
    markets: ClassVar[tuple[tuple[str, str, float], ...]] = (("SIM", "BTC/USDT", 20_000.0),)
    values: ClassVar[dict[str, object]] = {}
    count: ClassVar[int] = 1500
    volatility: ClassVar[float] = 0.0004
    spread: ClassVar[float] = 0.0004

    @pytest.fixture
    def loaded(self) -> LoadedStrategy:
        return StrategyRegistry().get(self.strategy)

    @pytest.fixture(params=["defaults", "values"])
    def given(self, request: pytest.FixtureRequest) -> dict[str, object]:
        return dict(self.values) if request.param == "values" else {}

    def instruments(self) -> list[Instrument]:
        return [make_instrument(venue, symbol) for venue, symbol, _ in self.markets]

    def ticks(self, seed: int, count: int = 0) -> list[Tick]:
        prices = [price for _, _, price in self.markets]
        return walk_ticks(seed, count or self.count, prices, volatility=self.volatility, spread=self.spread)

    def drive(self, loaded: LoadedStrategy, given: dict[str, object], seed: int = 1, count: int = 0) -> EventDriver:
        driver = EventDriver(lambda: loaded.build_event(given), self.instruments())
        return driver.run(self.ticks(seed, count))

    # ------------------------------------------------------------------------------------------------------ behaviour

    def test_it_asks_for_something(self, loaded: LoadedStrategy) -> None:
        assert self.drive(loaded, dict(self.values)).log

    def test_two_runs_are_the_same(self, loaded: LoadedStrategy, given: dict[str, object]) -> None:
        assert self.drive(loaded, given).summary() == self.drive(loaded, given).summary()

    def test_a_restart_at_any_moment_changes_nothing(self, loaded: LoadedStrategy, given: dict[str, object]) -> None:
        restarts = set(np.random.default_rng(3).integers(0, self.count, 60).tolist())
        driver = EventDriver(lambda: loaded.build_event(given), self.instruments())
        assert driver.run(self.ticks(1), restart_at=restarts).summary() == self.drive(loaded, given).summary()

    def test_it_keeps_nothing_on_itself(self, loaded: LoadedStrategy, given: dict[str, object]) -> None:
        strategy = self.drive(loaded, given).strategy
        assert set(vars(strategy)) <= {"params", "source_hash"}

    def test_what_it_asks_for_can_be_sent(self, loaded: LoadedStrategy, given: dict[str, object]) -> None:
        for _, intent in self.drive(loaded, given, seed=5).log:
            asked: list[Want | Take] = []
            if isinstance(intent, Quote):
                asked += intent.wants
                assert len({want.key for want in intent.wants}) == len(intent.wants)
                assert intent.tolerance >= 0
            elif isinstance(intent, Place):
                asked.append(intent.want)
            elif isinstance(intent, Take):
                asked.append(intent)
            elif isinstance(intent, Legs):
                asked += intent.legs
            for order in asked:
                assert _KEY.fullmatch(order.key)
                assert order.quantity > 0
                assert order.price is None or order.price > 0

    def test_it_does_not_ask_for_more_and_more(self, loaded: LoadedStrategy, given: dict[str, object]) -> None:
        driver = self.drive(loaded, given)
        assert sum(len(orders) for orders in driver.context.orders.values()) <= 200
        assert len(msgspec.msgpack.encode(driver.context.memory)) < 1 << 20

    def test_refused_orders_do_not_stop_it(self, loaded: LoadedStrategy, given: dict[str, object]) -> None:
        driver = EventDriver(lambda: loaded.build_event(given), self.instruments())
        driver.refuse = lambda _: "not enough money"
        driver.run(self.ticks(1))
        assert driver.fills == []

    def test_paused_it_goes_on_without_failing(self, loaded: LoadedStrategy, given: dict[str, object]) -> None:
        driver = EventDriver(lambda: loaded.build_event(given), self.instruments())
        driver.context.may_enter = False
        driver.run(self.ticks(2, 300))

    # -------------------------------------------------------------------------------------------------------- bad data

    def test_empty_books_and_strange_facts_do_not_stop_it(self, loaded: LoadedStrategy) -> None:
        driver = self.drive(loaded, dict(self.values), count=50)
        market, now = driver.markets[0], driver.context.now
        side = OrderSide.BUY
        unknown = OrderUpdate("never-heard-of", market.id, side, OrderStatus.CANCELED, 1.0, 1.0, 0.0, now)
        driver.strategy.on_order(unknown, driver.context)
        market.bid = market.ask = market.bid_size = market.ask_size = 0.0
        market.live = False
        driver.strategy.on_timer(driver.context)
        price = self.markets[0][2]
        flat = Candle(market.id, driver.strategy.timeframe, now, price, price, price, price, 0.0)
        driver.strategy.on_bar(market, flat, driver.context)
        driver.strategy.on_start(driver.context)
        for other in driver.markets[1:]:
            other.bid = other.ask = 0.0
        market.bid, market.ask, market.bid_size, market.ask_size = price * 0.99, price * 1.01, 0.0, 0.0
        driver.strategy.on_book(market, driver.context)

    def test_it_starts_in_an_empty_market(self, loaded: LoadedStrategy) -> None:
        driver = EventDriver(lambda: loaded.build_event(), self.instruments(), money=0.0)
        driver.strategy.on_start(driver.context)
        driver.strategy.on_timer(driver.context)
        assert not any(isinstance(intent, Take | Legs) for intent in driver.context.drain())

    # ------------------------------------------------------------------------------------------- parameters and source

    def test_values_out_of_bounds_are_refused(self, loaded: LoadedStrategy) -> None:
        for spec in describe_params(loaded.cls):
            for value in beyond(spec):
                with pytest.raises(ConfigurationError, match=spec.name):
                    loaded.build_event({spec.name: value})
        with pytest.raises(ConfigurationError, match="is not known"):
            loaded.build_event({"no_such_parameter": 1})

    def test_it_runs_at_every_bound(self, loaded: LoadedStrategy) -> None:
        for spec in describe_params(loaded.cls):
            for value in bounds(spec):
                try:
                    loaded.build_event({spec.name: value})
                except ConfigurationError:
                    continue  # the bound of one parameter may contradict the default of another
                self.drive(loaded, {spec.name: value}, seed=7, count=60)

    def test_every_parameter_is_explained(self, loaded: LoadedStrategy) -> None:
        assert [spec.name for spec in describe_params(loaded.cls) if not spec.help.endswith(".")] == []

    def test_it_imports_the_contract_and_the_nouns_alone(self, loaded: LoadedStrategy) -> None:
        assert foreign_imports(loaded.path) == set()

    def test_its_memory_survives_being_saved(self, loaded: LoadedStrategy) -> None:
        memory = self.drive(loaded, dict(self.values), count=300).context.memory
        assert msgspec.msgpack.decode(msgspec.msgpack.encode(memory), type=type(memory)) == memory

    def test_it_is_an_event_strategy(self, loaded: LoadedStrategy) -> None:
        assert loaded.on_events
        assert issubclass(loaded.cls, EventStrategy)
        assert len(self.markets) >= loaded.cls.min_markets
        for instrument in self.instruments():
            assert instrument.current_rules.price_tick > Decimal(0)
