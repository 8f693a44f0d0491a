"""Indicators agree with TA-Lib, and do not depend on how the history was cut."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pandas_ta_classic as pta
import pytest
import talib
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import StrategyError
from engine.model.candle import timeframe_ns
from engine.strategy.toolkit import Toolkit
from tests.kit.candles import START, recorded_bars, walk_bars

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from engine.model.candle import Bars, FloatArray

    Columns = Callable[[Bars, Toolkit], dict[str, FloatArray]]


def everything(bars: Bars, ta: Toolkit) -> dict[str, FloatArray]:
    """One column of every indicator, some fed with others, some on higher frames."""
    hour, day = ta.higher(bars, "1h"), ta.higher(bars, "4h")
    quick, slow = ta.ema(bars.close, 9), ta.sma(bars.close, 33)
    return {
        "quick": quick,
        "slow": slow,
        "smoothed": ta.ema(ta.rsi(bars.close), 5),
        "std": ta.std(bars.close, 20),
        "zscore": ta.zscore(bars.close, 20, ddof=1),
        "highest": ta.highest(bars.high, 13),
        "lowest": ta.lowest(bars.low, 16),
        "atr": ta.atr(bars, 14),
        "volume": ta.volume_ratio(bars, 20),
        "before": ta.previous(bars.close, 3),
        "up": ta.crossed_above(quick, slow),
        "down": ta.crossed_below(bars.close, 100.0),
        "hour": hour.align(hour.sma(hour.bars.close, 5)),
        "hour_rsi": hour.align(hour.rsi(hour.bars.close, 4)),
        "hour_volume": hour.align(hour.bars.volume),
        "day_atr": day.align(day.atr(day.bars, 3)),
        "after": ta.wilder(bars.volume, 7),
        **more(bars, ta),
    }


def more(bars: Bars, ta: Toolkit) -> dict[str, FloatArray]:
    """The indicators of the second module."""
    lower, middle, upper = ta.bollinger(bars.close, 17)
    low, high = ta.donchian(bars, 11)
    line, side = ta.supertrend(bars, 7, 2.0)
    macd, signal, between = ta.macd(bars.close, 5, 13, 4)
    k, d = ta.stochastic(bars, 9)
    adx, plus, minus = ta.adx(bars, 6)
    swing, dip = ta.swing_high(bars.high, 2), ta.swing_low(bars.low, 3)
    return {
        "lower": lower, "middle": middle, "upper": upper, "low": low, "high": high, "line": line, "side": side,
        "keltner": ta.keltner(bars, 9)[0], "macd": macd, "signal": signal, "between": between, "k": k, "d": d,
        "adx": adx, "plus": plus, "minus": minus, "swing": swing, "dip": dip, "obv": ta.obv(bars),
        "mfi": ta.mfi(bars, 8), "vwap": ta.vwap(bars), "roc": ta.roc(bars.close, 4),
        "touches": ta.touches(swing, high, 20, 0.002), "rank": ta.percentile(bars.volume, 30),
        "volatility": ta.volatility(bars.close, 12), "together": ta.correlation(bars.close, bars.volume, 15),
    }  # fmt: skip


def in_chunks(columns: Columns, bars: Bars, cuts: list[int]) -> dict[str, FloatArray]:
    """The columns computed chunk by chunk, put together."""
    parts: dict[str, list[FloatArray]] = {}
    carry: dict[str, FloatArray] = {}
    edges = [0, *sorted(cut for cut in cuts if cut <= len(bars)), len(bars)]
    for start, stop in pairwise(edges):
        ta = Toolkit(carry)
        for name, column in columns(bars.slice(start, stop), ta).items():
            assert len(column) == stop - start, name
            parts.setdefault(name, []).append(column)
        carry = ta.carry
    return {name: np.concatenate(part) for name, part in parts.items()}


def assert_same_bits(left: dict[str, FloatArray], right: dict[str, FloatArray]) -> None:
    assert left.keys() == right.keys()
    for name, column in left.items():
        assert column.tobytes() == right[name].tobytes(), name


@settings(deadline=None, max_examples=40)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 400),
    st.integers(0, 287),
    st.lists(st.integers(0, 400), max_size=12),
)
def test_any_cutting_gives_the_same_bits(seed: int, count: int, shift: int, cuts: list[int]) -> None:
    bars = walk_bars(seed, count, start=START + shift * timeframe_ns("5m"), gaps=0.1)
    assert_same_bits(everything(bars, Toolkit()), in_chunks(everything, bars, cuts))


def test_bar_by_bar_gives_the_same_bits_on_recorded_candles(shared_data: Path) -> None:
    bars = recorded_bars(shared_data, "bittrex_ADA-BTC_5m", count=1500)
    assert_same_bits(everything(bars, Toolkit()), in_chunks(everything, bars, list(range(1, len(bars)))))


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32 - 1), st.integers(1, 299))
def test_what_comes_later_changes_no_row(seed: int, cut: int) -> None:
    bars = walk_bars(seed, 300)
    whole = everything(bars, Toolkit())
    part = everything(bars.slice(0, cut), Toolkit())
    assert_same_bits({name: column[:cut] for name, column in whole.items()}, part)


@pytest.fixture(scope="module")
def btc(shared_data: Path) -> Bars:
    return recorded_bars(shared_data, "binance_BTCUSDT_1h")


def oracle(bars: Bars) -> dict[str, tuple[FloatArray, FloatArray]]:
    """Our column and TA-Lib's (or pandas-ta-classic's) for every shared definition."""
    import pandas as pd

    ta, close = Toolkit(), bars.close
    ours_z1 = ta.zscore(close, 30, ddof=1)
    theirs_z1 = pta.zscore(pd.Series(close), length=30).to_numpy(dtype=np.float64)
    return {
        "sma": (ta.sma(close), talib.SMA(close, 20)),
        "sma50": (ta.sma(close, 50), talib.SMA(close, 50)),
        "ema": (ta.ema(close), talib.EMA(close, 20)),
        "std": (ta.std(close), talib.STDDEV(close, 20, 1.0)),
        "zscore": (ta.zscore(close), (close - talib.SMA(close, 20)) / talib.STDDEV(close, 20, 1.0)),
        "zscore1": (ours_z1, theirs_z1),
        "rsi": (ta.rsi(close), talib.RSI(close, 14)),
        "true_range": (ta.true_range(bars), talib.TRANGE(bars.high, bars.low, close)),
        "atr": (ta.atr(bars), talib.ATR(bars.high, bars.low, close, 14)),
        "highest": (ta.highest(bars.high), talib.MAX(bars.high, 20)),
        "lowest": (ta.lowest(bars.low), talib.MIN(bars.low, 20)),
    }


@pytest.mark.parametrize("name", list(oracle(walk_bars(1, 60, "1h"))))
def test_the_definition_is_the_reference_librarys(btc: Bars, name: str) -> None:
    ours, theirs = oracle(btc)[name]
    # TA-Lib's running variance loses digits at bitcoin's price, ours does not; the z-scores inherit its error.
    loose = name in {"std", "zscore", "zscore1"}
    np.testing.assert_array_equal(np.isnan(ours), np.isnan(theirs))
    np.testing.assert_allclose(ours, theirs, rtol=1e-6 if loose else 1e-9, atol=1e-6 if loose else 0.0)


def test_rolling_deviation_is_numpys(btc: Bars) -> None:
    windows = np.lib.stride_tricks.sliding_window_view(btc.close, 20)
    np.testing.assert_allclose(Toolkit().std(btc.close, 20)[19:], windows.std(axis=1), rtol=1e-9)
    np.testing.assert_allclose(Toolkit().std(btc.close, 20, ddof=1)[19:], windows.std(axis=1, ddof=1), rtol=1e-9)
    z = (btc.close[19:] - windows.mean(axis=1)) / windows.std(axis=1)
    np.testing.assert_allclose(Toolkit().zscore(btc.close, 20)[19:], z, rtol=1e-9, atol=1e-9)


def test_a_market_at_rest_has_no_deviation_no_score_and_a_neutral_rsi() -> None:
    flat = np.full(60, 0.1)
    ta = Toolkit()
    assert (ta.std(flat, 20)[19:] == 0.0).all()
    assert np.isnan(ta.zscore(flat, 20)).all()
    assert (ta.rsi(flat, 14)[14:] == 50.0).all()


def test_rsi_ends_at_its_bounds_in_a_market_of_one_direction() -> None:
    ta = Toolkit()
    assert ta.rsi(np.arange(1.0, 40.0), 14)[-1] == 100.0
    assert ta.rsi(np.arange(40.0, 1.0, -1.0), 14)[-1] == 0.0


def test_crossings_are_seen_on_the_bar_that_crosses_and_only_there() -> None:
    values = np.array([1.0, 3.0, 3.0, 2.0, 1.0, 2.0, 3.0])
    ta = Toolkit()
    np.testing.assert_array_equal(ta.crossed_above(values, 2.0), [0, 1, 0, 0, 0, 0, 1])
    np.testing.assert_array_equal(ta.crossed_below(values, 2.0), [0, 0, 0, 0, 1, 0, 0])


def test_volume_without_any_trade_has_no_ratio() -> None:
    bars = walk_bars(3, 30)
    bars.volume[:] = 0.0
    assert np.isnan(Toolkit().volume_ratio(bars, 20)).all()


def test_a_recursive_average_passes_over_rows_it_does_not_know() -> None:
    values = np.array([np.nan, 1.0, 3.0, np.nan, 5.0])
    np.testing.assert_array_equal(Toolkit().ema(values, 2), [np.nan, np.nan, 2.0, np.nan, 4.0])


def test_a_call_that_earlier_bars_did_not_have_is_refused() -> None:
    bars = walk_bars(5, 40)
    first = Toolkit()
    first.sma(bars.close, 20)
    with pytest.raises(StrategyError, match="same order"):
        Toolkit(first.carry).sma(bars.close, 21)


def test_a_period_too_short_to_mean_anything_is_refused() -> None:
    close = walk_bars(5, 40).close
    ta = Toolkit()
    with pytest.raises(StrategyError, match="too short"):
        ta.sma(close, 0)
    with pytest.raises(StrategyError, match="too short"):
        ta.rsi(close, 1)
    with pytest.raises(StrategyError, match="too short"):
        ta.std(close, 1, ddof=1)
