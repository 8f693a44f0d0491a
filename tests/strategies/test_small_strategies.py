"""The small signal strategies keep the contract, and enter and leave where their descriptions say."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pytest
import talib

from engine.errors import ConfigurationError
from engine.strategy.toolkit import Toolkit
from strategies.static.bollinger_reversion import BollingerReversion
from strategies.static.macd_cross import MacdCross
from strategies.static.supertrend import Supertrend
from strategies.static.turtle import Turtle
from tests.kit.candles import walk_bars
from tests.kit.strategy_conformance import StrategyConformance

if TYPE_CHECKING:
    from engine.model.candle import Bars


class TestBollinger(StrategyConformance):
    strategy = "bollinger_reversion"
    recorded = "binance_BTCUSDT_1h"
    count = 500
    made_up = 400
    values: ClassVar[dict[str, object]] = {"period": 15, "deviations": 1.5, "trend_adx": 100.0, "max_bars": 20}
    exits: ClassVar[dict[str, dict[str, object]]] = {"at the mean": {}, "stop": {"stop_atr": 0.5}}


class TestTurtle(StrategyConformance):
    strategy = "turtle"
    timeframe = "4h"
    recorded = "binance_BTCUSDT_1h"
    count = 500
    made_up = 400
    values: ClassVar[dict[str, object]] = {"entry_bars": 10, "exit_bars": 5, "max_units": 2, "max_bars": 50}
    exits: ClassVar[dict[str, dict[str, object]]] = {
        "opposite extreme": {"stop_n": 20.0},
        "stop": {},
        "time limit": {"max_bars": 2, "stop_n": 20.0},
    }


class TestMacd(StrategyConformance):
    strategy = "macd_cross"
    recorded = "binance_BTCUSDT_1h"
    count = 500
    made_up = 400
    values: ClassVar[dict[str, object]] = {"fast": 5, "slow": 12, "signal": 4, "trend_ma": 0, "max_bars": 30}
    exits: ClassVar[dict[str, dict[str, object]]] = {"opposite cross": {}, "trailing stop": {"stop_atr": 1.0}}


class TestSupertrend(StrategyConformance):
    strategy = "supertrend"
    recorded = "binance_BTCUSDT_1h"
    count = 500
    made_up = 400
    values: ClassVar[dict[str, object]] = {"atr_period": 7, "factor": 2.0, "trend_adx": 15.0, "max_bars": 60}
    exits: ClassVar[dict[str, dict[str, object]]] = {"turned back": {}, "time limit": {"max_bars": 3}}


@pytest.fixture(scope="module")
def bars() -> Bars:
    return walk_bars(21, 3000, "1h")


def test_bollinger_enters_where_the_close_comes_back_and_leaves_at_the_mean(bars: Bars) -> None:
    found = BollingerReversion.build({"trend_adx": 100.0}).columns(bars, Toolkit())
    upper, mean, lower = talib.BBANDS(bars.close, 20, 2.0, 2.0)
    back = (bars.close[1:] > lower[1:]) & (bars.close[:-1] <= lower[:-1])
    fell = (bars.close[1:] < upper[1:]) & (bars.close[:-1] >= upper[:-1])
    late = slice(40, None)
    np.testing.assert_array_equal(found["entry"][1:][late] > 0, (back & (bars.close[1:] < mean[1:]))[late])
    np.testing.assert_array_equal(found["entry"][1:][late] < 0, (fell & (bars.close[1:] > mean[1:]))[late])
    assert (found["entry"] > 0).sum() > 10
    np.testing.assert_array_equal(found["exit_long"][late] > 0, (bars.close >= mean)[late])
    strong = BollingerReversion.build({"trend_adx": 20.0}).columns(bars, Toolkit())
    assert (strong["adx"][strong["entry"] != 0] < 20.0).all()


def test_turtle_buys_the_new_high_of_the_bars_before(bars: Bars) -> None:
    found = Turtle.build({}).columns(bars, Toolkit())
    for row in range(40, len(bars)):
        before, short = slice(row - 20, row), slice(row - 10, row)
        assert (found["entry"][row] > 0) == (bars.close[row] > bars.high[before].max())
        assert (found["entry"][row] < 0) == (bars.close[row] < bars.low[before].min())
        assert (found["exit_long"][row] > 0) == (bars.close[row] < bars.low[short].min())
    n = talib.ATR(bars.high, bars.low, bars.close, 20)
    np.testing.assert_allclose(found["stop_distance"][40:], 2.0 * n[40:])
    np.testing.assert_allclose(found["add_distance"][40:], 0.5 * n[40:])
    assert Turtle.build({}).position_rules.max_levels == 4


def test_macd_crosses_on_the_side_of_the_trend(bars: Bars) -> None:
    found = MacdCross.build({}).columns(bars, Toolkit())
    line, signal, _ = talib.MACD(bars.close, 12, 26, 9)
    trend = bars.close - talib.SMA(bars.close, 200)
    up = (line[1:] > signal[1:]) & (line[:-1] <= signal[:-1])
    np.testing.assert_array_equal((found["entry"][1:] > 0)[250:], (up & (trend[1:] >= 0))[250:])
    np.testing.assert_array_equal((found["exit_short"][1:] > 0)[250:], up[250:])
    with pytest.raises(ConfigurationError, match=r"fast \(26\) must be below slow \(26\)"):
        MacdCross.build({"fast": 26})


def test_supertrend_enters_at_turns_with_the_line_as_the_stop(bars: Bars) -> None:
    found = Supertrend.build({}).columns(bars, Toolkit())
    line, side = Toolkit().supertrend(bars, 10, 3.0)
    entered = np.flatnonzero(found["entry"])
    assert len(entered) > 10
    assert all(side[row] == found["entry"][row] == -side[row - 1] for row in entered if row > 30)
    np.testing.assert_allclose(found["stop_distance"][30:], np.abs(bars.close - line)[30:])
    np.testing.assert_array_equal(found["exit_long"][30:] > 0, side[30:] < 0)
