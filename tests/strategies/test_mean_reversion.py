"""Mean reversion keeps the contract and its own rules."""

from __future__ import annotations

from copy import deepcopy
from types import SimpleNamespace
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pandas as pd
import pytest
import talib

from engine.errors import ConfigurationError, StrategyError
from engine.strategy.contract import Holding, Wish
from engine.strategy.signals import SignalMemory
from engine.strategy.toolkit import Toolkit
from strategies.static.mean_reversion import MeanReversion
from tests.kit.candles import recorded_bars, walk_bars
from tests.kit.strategy_conformance import StrategyConformance

if TYPE_CHECKING:
    from pathlib import Path

    from engine.model.candle import Bars, FloatArray


class TestConformance(StrategyConformance):
    strategy = "mean_reversion"
    timeframe = "5m"
    recorded = "okx_BTC-USDT-SWAP_5m"
    start = 20_000
    values: ClassVar[dict[str, object]] = {
        "lookback_period": 30, "entry_threshold": 1.5, "exit_threshold": 0.0, "confirm_ma": 10, "max_bars": 40,
    }  # fmt: skip
    exits: ClassVar[dict[str, dict[str, object]]] = {
        "back at the mean": {},
        "stop": {"stop_atr": 0.5},
        "target": {"target_atr": 0.2},
        "time limit": {"max_bars": 2},
    }


def row(close: float = 100.0, z: float = 0.0, entry: float = 0.0) -> SimpleNamespace:
    """A bar of no width with an ATR of 2."""
    return SimpleNamespace(
        close=close,
        high=close,
        low=close,
        z=z,
        entry=entry,
        entry_tag=float(entry < 0),
        confidence=min(1.0, 0.6 + 0.4 * (abs(z) - 2.0)) if entry else 1.0,
        exit_long=float(z >= -0.5),
        exit_short=float(z <= 0.5),
        stop_distance=4.0,
        target_distance=6.0,
    )


@pytest.fixture
def bars(shared_data: Path) -> Bars:
    return recorded_bars(shared_data, "okx_BTC-USDT-SWAP_5m", 20_000, 20_000)


def hourly_trend(bars: Bars) -> FloatArray:
    """The trend of the last complete hour at every row, by another road: pandas resampling and a join on time."""
    index = pd.to_datetime(bars.ts, utc=True)
    close = pd.Series(bars.close, index=index).resample("1h").last()
    mean = close.rolling(50).mean()
    up, down = (close > mean) & (mean > mean.shift()), (close < mean) & (mean < mean.shift())
    trend = (up * 1.0 - down * 1.0).where(mean.shift().notna())
    # An hour is known from the close of the five minutes that end it: 55 minutes after it opened.
    trend.index = trend.index + pd.Timedelta(minutes=55)
    return np.asarray(trend.reindex(index, method="ffill"), dtype=np.float64)


def test_entries_pass_every_filter_and_nothing_else_is_one(bars: Bars) -> None:
    columns = MeanReversion.build().columns(bars, Toolkit())
    z = (bars.close - talib.SMA(bars.close, 20)) / talib.STDDEV(bars.close, 20, 1.0)
    span = talib.ATR(bars.high, bars.low, bars.close, 14) / bars.close
    fit = (bars.volume >= talib.SMA(bars.volume, 20)) & (span >= 0.001) & (span <= 0.05)
    trend = hourly_trend(bars)
    expected = 1.0 * (fit & (z <= -2) & (trend >= 0)) - 1.0 * (fit & (z >= 2) & (trend <= 0))
    np.testing.assert_array_equal(columns["entry"], expected)
    assert (expected > 0).sum() > 30
    assert (expected < 0).sum() > 30


def test_confirmation_takes_out_entries_and_can_be_switched_off(bars: Bars) -> None:
    confirmed = MeanReversion.build().columns(bars, Toolkit())["entry"]
    alone = MeanReversion.build({"confirm": False}).columns(bars, Toolkit())["entry"]
    assert (confirmed[confirmed != 0] == alone[confirmed != 0]).all()
    assert np.count_nonzero(confirmed) < 0.9 * np.count_nonzero(alone)


def test_shorts_can_be_switched_off(bars: Bars) -> None:
    entry = MeanReversion.build({"allow_short": False}).columns(bars, Toolkit())["entry"]
    assert (entry >= 0).all()
    assert (entry > 0).any()


def test_quiet_and_wild_markets_are_left_alone(bars: Bars) -> None:
    for band in ({"atr_min": 0.02}, {"atr_max": 0.0011}):
        entry = MeanReversion.build({"confirm": False, **band}).columns(bars, Toolkit())["entry"]
        assert np.count_nonzero(entry) < 20


def test_an_entry_carries_stop_and_target_and_grows_surer_with_distance() -> None:
    strategy = MeanReversion.build()
    long = strategy.decide(row(100.0, -2.0, 1.0), SignalMemory(), Holding())
    assert long == Wish.enter(1, 0.6, "below the mean: z-score -2.00", stop=96.0, target=106.0)
    short = strategy.decide(row(100.0, 2.5, -1.0), SignalMemory(), Holding())
    assert short == Wish.enter(-1, 0.8, "above the mean: z-score +2.50", stop=104.0, target=94.0)
    far = strategy.decide(row(100.0, -7.0, 1.0), SignalMemory(), Holding())
    assert far is not None
    assert far.confidence == 1.0


@pytest.mark.parametrize("side", [1, -1])
def test_it_leaves_at_the_mean_stop_target_or_time(side: int) -> None:
    strategy = MeanReversion.build({"max_bars": 3})
    memory, holding = SignalMemory(), Holding(float(side), 100.0)
    strategy.decide(row(100.0, -2.0 * side, float(side)), memory, Holding())

    def leaves(close: float, z: float) -> str:
        copy = deepcopy(memory)
        wish = strategy.decide(row(close, z), copy, holding)
        return wish.reason if wish else ""

    assert leaves(100.0, -1.0 * side) == ""
    assert leaves(100.0, -0.5 * side) == "back at the mean"
    assert leaves(100.0, 1.7 * side) == "back at the mean"
    assert leaves(100.0 - 4.0 * side, -3.0 * side) == "stop"
    assert leaves(100.0 + 6.0 * side, -1.0 * side) == "target"
    assert leaves(100.0, float("nan")) == ""
    memory.bars = 2
    assert leaves(100.0, -1.0 * side) == "time limit"


def test_it_waits_for_the_higher_timeframe_to_be_known() -> None:
    strategy = MeanReversion.build()
    assert strategy.warmup("5m") == 12 * 52
    assert strategy.warmup("1h") == 52
    assert MeanReversion.build({"confirm": False}).warmup("5m") == 20


def test_a_timeframe_that_cannot_confirm_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="15x"):
        MeanReversion.build({"confirm_timeframe": "15x"})
    with pytest.raises(StrategyError, match="multiple"):
        MeanReversion.build().columns(walk_bars(1, 50, "4h"), Toolkit())


def test_bounds_must_be_in_order() -> None:
    with pytest.raises(ConfigurationError, match="exit_threshold"):
        MeanReversion.build({"exit_threshold": 2.0})
    with pytest.raises(ConfigurationError, match="atr_min"):
        MeanReversion.build({"atr_min": 0.06})
