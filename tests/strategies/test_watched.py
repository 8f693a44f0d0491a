"""Bars of other markets stand beside those of the traded one: the bar before, its last close where there is none."""

from __future__ import annotations

import numpy as np
import pytest

from engine.bots.isolation.protocol import packed
from engine.model.candle import Bars
from engine.model.watched import beside, symbols_of
from engine.strategy.soundness import sound_bars

HOUR = 3_600_000_000_000


def hours(first: int, *closes: float, without: tuple[int, ...] = ()) -> Bars:
    """Hourly bars from that hour on, with some left out."""
    kept = [place for place in range(len(closes)) if first + place not in without]
    close = np.array(closes)[kept]
    ts = (first + np.array(kept, dtype=np.int64)) * HOUR
    return Bars("1h", ts, close - 1, close + 2, close - 2, close, np.full(len(kept), 7.0))


def test_each_row_sees_the_bar_before_and_nothing_newer() -> None:
    bars = beside(hours(10, 1, 2, 3, 4), {"B": hours(10, 50, 60, 70, 80)})
    seen = bars.other("B")
    np.testing.assert_array_equal(seen.close, [np.nan, 50, 60, 70])
    np.testing.assert_array_equal(seen.high, [np.nan, 52, 62, 72])
    np.testing.assert_array_equal(seen.volume, [np.nan, 7, 7, 7])
    newer = beside(hours(10, 1, 2, 3, 4), {"B": hours(10, 50, 60, 70, 999)})
    np.testing.assert_array_equal(newer.other("B").close, seen.close)


def test_a_market_without_a_bar_stands_still() -> None:
    seen = beside(hours(10, 1, 2, 3, 4), {"B": hours(9, 40, 50, 60, 70, without=(11,))}).other("B")
    np.testing.assert_array_equal(seen.close, [40, 50, 50, 70])
    np.testing.assert_array_equal(seen.low, [38, 48, 50, 68])
    np.testing.assert_array_equal(seen.volume, [7, 7, 0, 7])


def test_what_is_cut_from_the_bars_is_cut_from_the_others() -> None:
    bars = beside(hours(10, 10, 20, 30, 40), {"B": hours(9, 40, 50, 60, 70)})
    np.testing.assert_array_equal(bars.slice(1, 3).other("B").close, [50, 60])
    np.testing.assert_array_equal(bars.slice(0, 0).other("B").close, [])
    bars.high[2] = -1.0
    np.testing.assert_array_equal(sound_bars(bars.slice(1, 4)).other("B").close, [50, 70])
    np.testing.assert_array_equal(packed(bars).unpacked().other("B").close, [40, 50, 60, 70])


def test_a_market_that_nobody_knows_is_nothing_but_unknown() -> None:
    bars = beside(hours(10, 1, 2), {"B": hours(10)})
    assert np.isnan(bars.other("B").close).all()
    assert np.isnan(bars.other("C").close).all()
    assert len(hours(10, 1, 2).other("C")) == 2


@pytest.mark.parametrize(
    ("text", "symbols"),
    [("", ()), ("btc/usdt,ETH/USDT", ("BTC/USDT", "ETH/USDT")), (" A/B ,, A/B", ("A/B",))],
)
def test_symbols_are_written_with_commas(text: str, symbols: tuple[str, ...]) -> None:
    assert symbols_of(text) == symbols
