"""The further indicators agree with TA-Lib, or with a plain reading of their definition."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import talib

from engine.errors import StrategyError
from engine.model.candle import Bars
from engine.strategy.toolkit import Toolkit
from tests.kit.candles import START, recorded_bars, walk_bars

if TYPE_CHECKING:
    from pathlib import Path

    from engine.model.candle import FloatArray


@pytest.fixture(scope="module")
def btc(shared_data: Path) -> Bars:
    return recorded_bars(shared_data, "binance_BTCUSDT_1h", count=3000)


def oracle(bars: Bars) -> dict[str, tuple[FloatArray, FloatArray]]:
    """Our column and TA-Lib's for every shared definition."""
    ta, high, low, close = Toolkit(), bars.high, bars.low, bars.close
    upper, middle, lower = talib.BBANDS(close, 20, 2.0, 2.0)
    ours = ta.bollinger(close)
    macd, theirs_macd = ta.macd(close), talib.MACD(close)
    slow, theirs_slow = (
        ta.stochastic(bars),
        talib.STOCH(high, low, close, fastk_period=14, slowk_period=3, slowd_period=3),
    )
    adx = ta.adx(bars)
    keltner = ta.keltner(bars)
    reach = 2.0 * talib.ATR(high, low, close, 10)
    return {
        "bollinger lower": (ours[0], lower),
        "bollinger middle": (ours[1], middle),
        "bollinger upper": (ours[2], upper),
        "macd": (macd[0], theirs_macd[0]),
        "macd signal": (macd[1], theirs_macd[1]),
        "macd histogram": (macd[2], theirs_macd[2]),
        "roc": (ta.roc(close), talib.ROC(close, 10)),
        "stochastic k": (slow[0], theirs_slow[0]),
        "stochastic d": (slow[1], theirs_slow[1]),
        "adx": (adx[0], talib.ADX(high, low, close, 14)),
        "plus": (adx[1], talib.PLUS_DI(high, low, close, 14)),
        "minus": (adx[2], talib.MINUS_DI(high, low, close, 14)),
        "obv": (ta.obv(bars), talib.OBV(close, bars.volume)),
        "mfi": (ta.mfi(bars), talib.MFI(high, low, close, bars.volume, 14)),
        "keltner lower": (keltner[0], talib.EMA(close, 20) - reach),
        "keltner upper": (keltner[2], talib.EMA(close, 20) + reach),
        "donchian low": (ta.donchian(bars)[0], talib.MIN(low, 20)),
        "donchian high": (ta.donchian(bars)[1], talib.MAX(high, 20)),
        "correlation": (ta.correlation(close, bars.volume), talib.CORREL(close, bars.volume, 50)),
    }


@pytest.mark.parametrize("name", list(oracle(walk_bars(1, 80, "1h"))))
def test_the_definition_is_ta_libs(btc: Bars, name: str) -> None:
    ours, theirs = oracle(btc)[name]
    # TA-Lib's running sums lose digits at bitcoin's price, ours do not.
    loose = name.startswith(("bollinger", "stochastic", "mfi", "macd", "correlation"))
    np.testing.assert_array_equal(np.isnan(ours), np.isnan(theirs))
    np.testing.assert_allclose(ours, theirs, rtol=1e-6 if loose else 1e-9, atol=1e-5 if loose else 1e-9)


def test_supertrend_turns_where_a_close_leaves_its_band(btc: Bars) -> None:
    line, side = Toolkit().supertrend(btc, 10, 3.0)
    width = 3.0 * talib.ATR(btc.high, btc.low, btc.close, 10)
    middle = (btc.high + btc.low) / 2.0
    lower, upper, direction = middle[10] - width[10], middle[10] + width[10], -1
    for row in range(11, len(btc)):
        low, high, last = middle[row] - width[row], middle[row] + width[row], btc.close[row - 1]
        lower = max(low, lower) if last >= lower else low
        upper = min(high, upper) if last <= upper else high
        if direction > 0 and btc.close[row] < lower:
            direction = -1
        elif direction < 0 and btc.close[row] > upper:
            direction = 1
        assert side[row] == direction
        assert line[row] == pytest.approx(lower if direction > 0 else upper)
    assert np.isnan(line[:10]).all()
    assert {1.0, -1.0} <= set(side[10:])


def test_vwap_begins_anew_with_the_day() -> None:
    bars = walk_bars(3, 60, "1h", start=START)
    ours, price = Toolkit().vwap(bars), (bars.high + bars.low + bars.close) / 3.0
    day = bars.ts // 86_400_000_000_000
    for row in range(60):
        today = (day == day[row]) & (np.arange(60) <= row)
        assert ours[row] == pytest.approx(float((price[today] * bars.volume[today]).sum() / bars.volume[today].sum()))


def test_swings_are_known_only_after_the_bars_that_confirm_them() -> None:
    highs = np.array([1.0, 2.0, 5.0, 3.0, 2.0, 2.0, 4.0, 4.0, 1.0, 1.0])
    ours = Toolkit().swing_high(highs, 2)
    assert ours[4] == 5.0
    assert ours[8] == 4.0
    assert np.isnan(np.delete(ours, [4, 8])).all()
    np.testing.assert_array_equal(Toolkit().swing_low(-highs, 2), -ours)


def test_touches_are_the_points_near_the_level() -> None:
    points = np.array([100.0, np.nan, 100.1, 99.0, np.nan, 100.2])
    level = np.full(6, 100.2)
    np.testing.assert_array_equal(Toolkit().touches(points, level, 4, 0.002), [1, 1, 2, 2, 1, 2])


def test_a_percentile_counts_half_of_what_is_equal() -> None:
    values = np.array([1.0, 2.0, 3.0, 3.0, 0.0])
    np.testing.assert_array_equal(Toolkit().percentile(values, 4)[3:], [75.0, 12.5])
    assert np.isnan(Toolkit().percentile(values, 4)[:3]).all()


def test_a_market_at_rest_is_in_the_middle_of_everything() -> None:
    flat = np.full(60, 10.0)
    bars = Bars("1h", START + np.arange(60) * 3_600_000_000_000, flat, flat, flat, flat, np.zeros(60))
    ta = Toolkit()
    k, d = ta.stochastic(bars)
    assert (k[20:] == 50.0).all()
    assert (d[20:] == 50.0).all()
    assert (ta.mfi(bars)[14:] == 50.0).all()
    assert all((column[30:] == 0.0).all() for column in ta.adx(bars))
    assert (ta.vwap(bars) == 10.0).all()


def test_averages_of_macd_in_the_wrong_order_are_refused() -> None:
    with pytest.raises(StrategyError, match="must be shorter"):
        Toolkit().macd(np.arange(50.0), 26, 12)
