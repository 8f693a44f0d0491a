"""Trend following keeps the contract and its own rules."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pytest
import talib

from engine.errors import ConfigurationError
from engine.model.signal import SignalAction, SignalDirection
from engine.strategy.contract import Holding, Strategy, Wish
from engine.strategy.signals import SignalMemory
from engine.strategy.toolkit import Toolkit
from strategies.static.trend_following import TrendFollowing
from tests.kit.candles import recorded_bars
from tests.kit.strategy_conformance import StrategyConformance
from tests.kit.strategy_driver import drive_batch

if TYPE_CHECKING:
    from pathlib import Path


class TestConformance(StrategyConformance):
    strategy = "trend_following"
    timeframe = "1h"
    recorded = "binance_BTCUSDT_1h"
    start = 8000
    values: ClassVar[dict[str, object]] = {
        "fast_ma": 5, "slow_ma": 20, "rsi_period": 7, "max_bars": 30, "trail_atr": 3.0, "volume_factor": 0.8,
    }  # fmt: skip
    exits: ClassVar[dict[str, dict[str, object]]] = {
        "trailing stop": {},
        "opposite crossover": {"trail_atr": 20.0, "fast_ma": 5},
        "time limit": {"max_bars": 5, "trail_atr": 10.0},
    }


def row(close: float, **others: float) -> SimpleNamespace:
    """A bar of no width with an ATR of 2 and nothing else going on."""
    plain = {"high": close, "low": close, "rsi": 50.0, "trail_distance": 4.0, "add_distance": 2.0, "entry": 0.0}
    return SimpleNamespace(close=close, **(plain | others))


class Position:
    """A strategy with its memory, and the position that follows its wishes at the very close."""

    def __init__(self, **values: object) -> None:
        self.strategy: Strategy = TrendFollowing.build(values)
        self.memory = SignalMemory()
        self.holding = Holding()

    def at(self, close: float, **others: float) -> Wish | None:
        wish = self.strategy.decide(row(close, **others), self.memory, self.holding)
        held, side = self.holding, 1.0 if wish and wish.direction is SignalDirection.BUY else -1.0
        if wish and wish.action is SignalAction.ENTER:
            quantity = held.quantity + side
            self.holding = Holding(quantity, (held.entry_price * held.quantity + close * side) / quantity)
        elif wish and wish.action is SignalAction.EXIT:
            self.holding = Holding()
        return wish


def test_entries_are_confirmed_crossovers_and_nothing_else(shared_data: Path) -> None:
    bars = recorded_bars(shared_data, "binance_BTCUSDT_1h")
    columns = TrendFollowing.build().columns(bars, Toolkit())
    gap = talib.SMA(bars.close, 20) - talib.SMA(bars.close, 50)
    before = np.concatenate((np.array([np.nan]), gap[:-1]))
    busy = bars.volume >= 1.2 * talib.SMA(bars.volume, 20)
    rsi = talib.RSI(bars.close, 14)
    long, short = (before <= 0) & (gap > 0), (before >= 0) & (gap < 0)
    expected = 1.0 * (long & busy & (rsi > 60)) - 1.0 * (short & busy & (rsi < 40))
    np.testing.assert_array_equal(columns["entry"], expected)
    np.testing.assert_array_equal(columns["exit_short"], 1.0 * long)
    np.testing.assert_array_equal(columns["exit_long"], 1.0 * short)
    np.testing.assert_allclose(columns["trail_distance"][14:], 2 * talib.ATR(bars.high, bars.low, bars.close, 14)[14:])
    np.testing.assert_allclose(columns["add_distance"], columns["trail_distance"] / 2)
    assert (expected > 0).sum() > 30
    assert (expected < 0).sum() > 30


def test_an_entry_carries_its_stop_two_atr_away() -> None:
    wish = Position().at(100.0, entry=1.0, confidence=0.8, rsi=70.0)
    assert wish == Wish.enter(1, 0.8, "crossover up: RSI 70", stop=96.0)
    wish = Position().at(100.0, entry=-1.0, entry_tag=1.0, rsi=15.0)
    assert wish == Wish.enter(-1, 1.0, "crossover down: RSI 15", stop=104.0)


def test_the_confidence_grows_with_the_momentum_of_the_side(shared_data: Path) -> None:
    bars = recorded_bars(shared_data, "binance_BTCUSDT_1h")
    columns = TrendFollowing.build().columns(bars, Toolkit())
    for side, momentum in ((1, columns["rsi"] - 60), (-1, 40 - columns["rsi"])):
        rows = columns["entry"] == side
        expected = np.minimum(1.0, 0.6 + 0.02 * momentum[rows])
        np.testing.assert_allclose(columns["confidence"][rows], expected)
        assert (expected < 1.0).any()


def test_shorts_can_be_switched_off(shared_data: Path) -> None:
    bars = recorded_bars(shared_data, "binance_BTCUSDT_1h", count=5000)
    columns = TrendFollowing.build({"allow_short": False}).columns(bars, Toolkit())
    assert (columns["entry"] >= 0).all()
    assert (columns["entry"] > 0).any()


@pytest.mark.parametrize("side", [1, -1])
def test_levels_are_added_one_atr_apart_and_no_more_than_three(side: int) -> None:
    position = Position()
    position.at(100.0, entry=float(side), rsi=50.0 + 20.0 * side)
    wishes = [position.at(100.0 + side * move) for move in (1.9, 2.0, 3.9, 4.0, 6.0, 8.0)]
    actions = [wish.action.value if wish else "" for wish in wishes]
    assert actions == ["protect", "enter", "protect", "enter", "protect", "protect"]
    assert abs(position.holding.quantity) == 3
    assert all(wish and wish.direction is wishes[1].direction for wish in (wishes[1], wishes[3]) if wishes[1])


def test_a_level_that_was_not_filled_is_not_counted() -> None:
    position = Position()
    position.at(100.0, entry=1.0, rsi=70.0)
    held = position.holding
    for close in (102.0, 103.0, 104.0):
        wish = position.at(close)
        assert wish is not None
        assert wish.reason == "level 2"
        position.holding = held


def test_a_level_counts_from_the_price_it_was_filled_at() -> None:
    position = Position()
    position.at(100.0, entry=1.0, rsi=70.0)
    position.at(102.0)
    position.holding = Holding(2.0, 101.5)  # the second unit was filled at 103
    wish = position.at(104.9)
    assert wish is not None
    assert wish.action is SignalAction.PROTECT
    wish = position.at(105.0)
    assert wish is not None
    assert wish.reason == "level 3"


@pytest.mark.parametrize("side", [1, -1])
def test_the_stop_follows_the_best_price_and_never_moves_back(side: int) -> None:
    position = Position(max_levels=1)
    position.at(100.0, entry=float(side), rsi=50.0 + 20.0 * side)
    extreme = "high" if side > 0 else "low"
    wish = position.at(100.0 + side, **{extreme: 100.0 + 3 * side})
    assert wish == Wish.protect("trailing stop", stop=100.0 - side)
    assert position.at(100.0 + side, trail_distance=10.0) is None
    assert position.at(100.0) is None
    wish = position.at(100.0 - 1.5 * side)
    assert wish == Wish.exit("trailing stop")


def test_the_opposite_crossover_closes_without_any_confirmation() -> None:
    position = Position()
    position.at(100.0, entry=1.0, rsi=70.0)
    assert position.at(100.0, exit_short=1.0) is None
    assert position.at(100.0, exit_long=1.0) == Wish.exit("opposite crossover")


def test_time_closes_after_the_hundredth_bar() -> None:
    position = Position(max_levels=1)
    position.at(100.0, entry=1.0, rsi=70.0)
    assert [position.at(100.0) for _ in range(99)] == [None] * 99
    assert position.at(100.0) == Wish.exit("time limit")


def test_a_position_it_does_not_remember_is_trailed_all_the_same() -> None:
    position = Position(max_levels=1)
    position.holding = Holding(-1.0, 100.0)
    assert position.at(99.0) is None, "the bot's own stop, 2 % from the entry, is the tighter one"
    assert position.at(97.0) == Wish.protect("trailing stop", stop=101.0)


def test_on_recorded_candles_no_stop_ever_moves_back(shared_data: Path) -> None:
    bars = recorded_bars(shared_data, "binance_BTCUSDT_1h")
    trades: list[list[float]] = []
    side = 0
    for signal in drive_batch(lambda: TrendFollowing.build(), bars):
        if signal.reason.startswith("crossover"):
            side = 1 if signal.direction is SignalDirection.BUY else -1
            trades.append([])
        if signal.stop is not None:
            trades[-1].append(side * signal.stop)
    assert len(trades) > 100
    assert all(stops == sorted(stops) for stops in trades)


def test_the_fast_average_must_be_the_faster_one() -> None:
    with pytest.raises(ConfigurationError, match=r"fast_ma \(50\) must be below slow_ma \(50\)"):
        TrendFollowing.build({"fast_ma": 50})
