"""Avellaneda–Stoikov and GLFT: described behaviour, on made-up quotes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from engine.model.order import OrderSide
from engine.strategy.intents import Quote
from strategies.market_making.avellaneda_stoikov import AvellanedaStoikov
from strategies.market_making.glft import Glft
from tests.kit.event_conformance import EventConformance
from tests.kit.event_driver import START_NS, EventDriver, Tick, make_instrument

if TYPE_CHECKING:
    from engine.strategy.quoting import EventStrategy

S = 1_000_000_000


class TestAvellanedaStoikov(EventConformance):
    strategy = "avellaneda_stoikov"
    values: ClassVar[dict[str, object]] = {"cyclic": False, "gamma": 5.0, "target_inventory_pct": 0.0}


class TestGlft(EventConformance):
    strategy = "glft"
    values: ClassVar[dict[str, object]] = {"gamma": 0.5, "order_size_pct": 0.1}


def run(strategy: type[EventStrategy], values: dict[str, Any], position: float, swing: float = 4.0) -> dict[str, float]:
    """Last quotes by key after two minutes of a mid that swings; capital 10,000, so 0.125 is the target."""
    driver = EventDriver(lambda: strategy.build(values), [make_instrument()])
    driver.markets[0].position = position
    for second in range(120):
        mid = 20_000.0 + swing * (second % 2)
        driver.tick(Tick(START_NS + second * S, 0, mid - 1.0, mid + 1.0))
        driver.markets[0].position = position
    last = [intent for _, intent in driver.log if isinstance(intent, Quote)][-1]
    return {want.key: want.price for want in last.wants}


BOTH = pytest.mark.parametrize("strategy", [AvellanedaStoikov, Glft])
STILL = {"least_profit": 0.0}


@BOTH
def test_at_its_target_it_quotes_around_the_mid(strategy: type[EventStrategy]) -> None:
    quotes = run(strategy, STILL, 0.125)
    assert (quotes["bid"] + quotes["ask"]) / 2 == pytest.approx(20_002, abs=2.5)


@BOTH
def test_too_much_lowers_both_quotes_and_too_little_raises_them(strategy: type[EventStrategy]) -> None:
    values = {"gamma": 50.0}
    much, right, little = (run(strategy, values, position) for position in (0.22, 0.125, 0.03))
    assert much["bid"] < right["bid"] < little["bid"]
    assert much["ask"] < right["ask"] < little["ask"]


@BOTH
def test_a_wilder_market_is_quoted_wider(strategy: type[EventStrategy]) -> None:
    calm, wild = run(strategy, {"gamma": 20.0}, 0.125), run(strategy, {"gamma": 20.0}, 0.125, swing=60.0)
    assert wild["ask"] - wild["bid"] > calm["ask"] - calm["bid"]


@BOTH
def test_it_buys_up_to_its_maximum_and_sells_what_is_there(strategy: type[EventStrategy]) -> None:
    assert set(run(strategy, {}, 0.26)) == {"ask"}
    assert set(run(strategy, {}, 0.0)) == {"bid"}


@BOTH
def test_it_is_never_nearer_than_the_fees_allow(strategy: type[EventStrategy]) -> None:
    quotes = run(strategy, {"kappa": 1e6, "gamma": 0.001, "least_profit": 0.0005}, 0.125)
    assert (quotes["ask"] - quotes["bid"]) / 20_000 >= 2 * 0.0002 + 0.0005 - 1e-6


def test_the_time_left_falls_and_begins_anew() -> None:
    strategy = AvellanedaStoikov.build({"horizon_s": 600.0})
    assert strategy._time_left(1200 * S) == 600.0
    assert strategy._time_left(1700 * S) == pytest.approx(100.0)
    assert AvellanedaStoikov.build({"cyclic": False})._time_left(1700 * S) == 3600.0


def test_glft_fits_arrivals_to_the_trades_it_hears() -> None:
    driver = EventDriver(lambda: Glft.build({"fit_s": 86_400.0}), [make_instrument()])
    # Of 2,000 trades half as many reach each next depth of 2: ln 2 per 2 in price.
    for index in range(2000):
        depth = 2.0 * (1 + min(int(math.log2(2000 / (index + 1))), 6)) + 0.1
        mid = 20_000.0 + index % 2
        tick = Tick(START_NS + index * S, 0, mid - depth, mid + depth, trade=OrderSide.BUY, quantity=0.01)
        driver.tick(tick)
    fitted = driver.context.memory.arrivals[driver.markets[0].id].fit()
    assert fitted is not None
    assert fitted[1] == pytest.approx(math.log(2) / 2, rel=0.1)
    assert driver.context.notes["arrivals"] == pytest.approx(fitted[0], rel=0.2)
