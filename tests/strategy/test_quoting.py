"""Event strategies: what they see, what they ask for, how they are found, and what is refused."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest

from engine.errors import ConfigurationError, StrategyLoadError
from engine.model.ids import Currency, InstrumentId
from engine.model.market import BookUpdate, OrderBook
from engine.model.order import OrderSide, OrderStatus
from engine.strategy.contract import StrategyMemory
from engine.strategy.estimators import Average, Volatility
from engine.strategy.intents import CancelAll, Quote, Take, Want
from engine.strategy.loader import StrategyRegistry
from engine.strategy.views import Context, MarketView, OrderUpdate
from tests.kit.event_driver import START_NS, EventDriver, make_instrument

if TYPE_CHECKING:
    from pathlib import Path

    from engine.model.ids import VenueId

SECOND = 1_000_000_000
HEAD = "from engine.strategy.quoting import EventStrategy\n\n\n"


class Money:
    def free(self, venue: VenueId, currency: Currency) -> float:
        return 5.0

    def total(self, venue: VenueId, currency: Currency) -> float:
        return 7.0


def a_market() -> MarketView:
    market = MarketView(make_instrument())
    market.bid, market.ask, market.bid_size, market.ask_size = 99.0, 101.0, 3.0, 1.0
    return market


def written(tmp_path: Path, body: str) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(HEAD + body, encoding="utf-8")
    return path


class TestMarketView:
    def test_the_middle_and_the_weighted_middle(self) -> None:
        market = a_market()
        assert (market.mid, market.spread, market.ready) == (100.0, 2.0, True)
        assert market.micro == pytest.approx((99 * 1 + 101 * 3) / 4)
        market.bid = 0.0
        assert (market.mid, market.micro, market.spread, market.ready) == (0.0, 0.0, 0.0, False)

    def test_depth_comes_from_the_book(self) -> None:
        market = a_market()
        assert market.asks(5) == [(101.0, 1.0)]
        book = OrderBook(market.id)
        unit = 10**8
        asks = ((101 * unit, unit), (102 * unit, 2 * unit), (104 * unit, 4 * unit))
        book.apply(BookUpdate(market.id, 1, 0, True, ((99 * unit, 3 * unit),), asks))
        market.book = book
        assert [pytest.approx(level) for level in market.asks(2)] == [(101.0, 1.0), (102.0, 2.0)]
        assert pytest.approx(market.cost(OrderSide.BUY, 2.0)) == (2.0, 101.5, 102.0)
        got, mean, worst = market.cost(OrderSide.BUY, 100.0)
        assert pytest.approx((got, worst)) == (7.0, 104.0)
        assert mean == pytest.approx((101 + 204 + 416) / 7)
        assert market.imbalance(1) == pytest.approx(0.5)
        assert market.imbalance(3) == pytest.approx((3 - 7) / 10)

    def test_an_empty_side_costs_nothing_and_gives_nothing(self) -> None:
        market = MarketView(make_instrument())
        assert market.cost(OrderSide.SELL, 1.0) == (0.0, 0.0, 0.0)
        assert market.imbalance() == 0.0

    def test_rules_are_applied(self) -> None:
        market = a_market()
        assert market.round_price(100.017, up=False) == pytest.approx(100.01)
        assert market.round_price(100.011, up=True) == pytest.approx(100.02)
        assert market.round_price(100.01, up=True) == pytest.approx(100.01)
        assert market.floor_quantity(0.00019) == pytest.approx(0.0001)
        assert market.tradable(0.05, 100.0)
        assert not market.tradable(0.0499, 100.0)
        assert not market.tradable(0.00009, 1e9)


class TestContext:
    def test_what_is_asked_for_is_drained_in_order(self) -> None:
        market = a_market()
        ctx = Context([market], Money(), StrategyMemory())
        want = Want("bid", OrderSide.BUY, 99.0, 1.0)
        ctx.quote(market, [want], 0.1)
        ctx.take(market, "t", OrderSide.SELL, 2.0, 98.0)
        ctx.cancel_all(reason="enough")
        assert ctx.asked
        assert ctx.drain() == [
            Quote(market.id, (want,), 0.1),
            Take(market.id, "t", OrderSide.SELL, 2.0, 98.0),
            CancelAll(None, "enough"),
        ]
        assert not ctx.asked

    def test_money_is_asked_of_the_host(self) -> None:
        market = a_market()
        ctx = Context([market], Money(), StrategyMemory())
        assert ctx.free(market.venue, market.quote) == 5.0
        assert ctx.total(market.venue, market.quote) == 7.0
        assert ctx.order(market, "none") is None

    def test_an_update_knows_whether_it_is_the_end(self) -> None:
        at = (InstrumentId("SIM:BTC/USDT"), OrderSide.BUY)
        ended = {status for status in OrderStatus if OrderUpdate("k", *at, status, 1.0, 1.0, 0.0, 0).ended}
        assert ended == {OrderStatus.FILLED, OrderStatus.CANCELED, OrderStatus.REJECTED, OrderStatus.EXPIRED}


class TestFinding:
    def test_it_is_found_like_any_other(self, tmp_path: Path) -> None:
        body = 'class Mine(EventStrategy):\n    name = "mine"\n\n    def on_timer(self, ctx):\n        pass\n'
        written(tmp_path, body)
        loaded = StrategyRegistry(tmp_path).get("mine")
        assert loaded.on_events
        assert loaded.build_event().name == "mine"
        with pytest.raises(ConfigurationError, match="decides on books"):
            loaded.build()

    def test_one_on_bars_is_no_event_strategy(self) -> None:
        loaded = StrategyRegistry().get("trend_following")
        assert not loaded.on_events
        with pytest.raises(ConfigurationError, match="decides on bars"):
            loaded.build_event()

    def test_one_that_hears_nothing_is_refused(self, tmp_path: Path) -> None:
        path = written(
            tmp_path, 'class Mine(EventStrategy):\n    name = "mine"\n\n    def on_fill(self, fill, ctx): ...\n'
        )
        with pytest.raises(StrategyLoadError, match="none of the hooks on_book, on_trade, on_bar, on_timer"):
            StrategyRegistry().get(str(path))


class TestEstimators:
    def test_volatility_of_a_walk_is_found(self) -> None:
        import numpy as np

        rng, price, estimate = np.random.default_rng(1), 100.0, Volatility(halflife_s=600.0)
        for second in range(5000):
            price *= math.exp(0.001 * float(rng.standard_normal()))
            estimate.update(START_NS + second * SECOND, price)
        assert estimate.value == pytest.approx(0.001, rel=0.1)
        assert estimate.over(100.0) == pytest.approx(10 * estimate.value)

    def test_volatility_answers_within_its_halflife(self) -> None:
        estimate, calm = Volatility(halflife_s=5.0), 0.0
        for second in range(200):
            step = 0.001 if second < 100 else 0.004
            estimate.update(START_NS + second * SECOND, 100.0 * (1 + step * (second % 2)))
            if second == 99:
                calm = estimate.value
        assert estimate.value == pytest.approx(4 * calm, rel=0.01)

    def test_updates_within_a_sample_change_nothing(self) -> None:
        estimate = Volatility()
        for ts, price in ((0, 100.0), (SECOND // 2, 150.0), (SECOND, 100.0), (SECOND, -1.0)):
            estimate.update(START_NS + ts, price)
        assert estimate.value == 0.0
        assert estimate.price == 100.0

    def test_an_average_halves_its_memory(self) -> None:
        average = Average(halflife_s=10.0)
        average.update(START_NS, 1.0)
        for second in range(1, 400):
            average.update(START_NS + second * SECOND, 1.0)
        average.update(START_NS + 409 * SECOND, 3.0)
        assert average.value == pytest.approx(2.0, rel=0.01)


class TestDriver:
    """The small exchange of the suite itself."""

    def test_a_quote_within_tolerance_stays_and_others_are_replaced(self, tmp_path: Path) -> None:
        body = 'class Mine(EventStrategy):\n    name = "mine"\n\n    def on_timer(self, ctx):\n        pass\n'
        loaded = StrategyRegistry().get(str(written(tmp_path, body)))
        driver = EventDriver(loaded.build_event, [make_instrument()])
        market = driver.markets[0]
        market.bid, market.ask, market.ts = 99.0, 101.0, 1
        ctx = driver.context
        for price, bids in ((98.0, [98.0]), (98.05, [98.0]), (97.0, [97.0])):
            ctx.quote(market, [Want("bid", OrderSide.BUY, price, 1.0)], tolerance=0.001)
            driver._call(lambda: None)
            assert [order.price for order in ctx.orders[market.id].values()] == bids
        ctx.quote(market, [])
        driver._call(lambda: None)
        assert ctx.orders[market.id] == {}
        assert [update.status for update in driver.updates] == [
            OrderStatus.ACCEPTED, OrderStatus.CANCELED, OrderStatus.ACCEPTED, OrderStatus.CANCELED,
        ]  # fmt: skip
