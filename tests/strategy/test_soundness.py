"""Impossible bars are found and named; the sound ones stay."""

from __future__ import annotations

import math

import numpy as np
import pytest

from engine.model.candle import timeframe_ns
from engine.strategy.soundness import first_fault, sound_bars
from tests.kit.candles import START, walk_bars

STEP = timeframe_ns("5m")


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("close", math.nan, "finite"),
        ("volume", math.inf, "finite"),
        ("low", 1e6, "contradict"),
        ("high", 1.0, "contradict"),
        ("low", 0.0, "positive"),
        ("volume", -1.0, "negative volume"),
        ("ts", START + 3 * STEP, "out of order"),
        ("ts", START + 4 * STEP - 1, "overlaps"),
    ],
)
def test_an_impossible_bar_is_named_and_left_out(field: str, value: float, says: str) -> None:
    bars = walk_bars(1, 9)
    getattr(bars, field)[4] = value
    fault = first_fault(bars)
    assert fault is not None
    assert fault[0] == 4
    assert says in fault[1]
    np.testing.assert_array_equal(sound_bars(bars).close, np.delete(bars.close, 4))


def test_gaps_and_bars_without_a_trade_are_possible() -> None:
    bars = walk_bars(1, 200, gaps=0.3)
    bars.volume[10] = 0.0
    assert first_fault(bars) is None
    assert sound_bars(bars) is bars


def test_bars_must_follow_the_last_one() -> None:
    bars = walk_bars(1, 9)
    assert first_fault(bars, START - STEP) is None
    assert first_fault(bars, START) == (0, "overlaps the bar before it or is out of order")
    np.testing.assert_array_equal(sound_bars(bars, START + STEP).ts, bars.ts[2:])


def test_no_bars_have_no_fault() -> None:
    assert first_fault(walk_bars(1, 9).slice(0, 0)) is None
