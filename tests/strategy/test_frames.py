"""Higher bars appear when they are complete, not before, and hold exactly their base bars."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from engine.errors import StrategyError
from engine.model.candle import Bars, timeframe_ns
from engine.strategy.frames import aggregate, frame_ratio
from engine.strategy.toolkit import Toolkit
from tests.kit.candles import START, recorded_bars, walk_bars

if TYPE_CHECKING:
    from pathlib import Path

FIVE = timeframe_ns("5m")


def without(bars: Bars, *rows: int) -> Bars:
    """The bars with some rows missing."""
    kept = np.ones(len(bars), dtype=bool)
    kept[list(rows)] = False
    columns = (bars.open, bars.high, bars.low, bars.close, bars.volume)
    return Bars(bars.timeframe, bars.ts[kept], *(column[kept] for column in columns))


def test_an_hour_is_known_from_the_close_of_its_last_five_minutes() -> None:
    hours, known, _ = aggregate(walk_bars(1, 30), "1h", None)
    np.testing.assert_array_equal(known, [0] * 11 + [1] * 12 + [2] * 7)
    assert hours.timeframe == "1h"
    np.testing.assert_array_equal(hours.ts, [START, START + 12 * FIVE])


def test_an_hour_holds_its_base_bars() -> None:
    bars = walk_bars(2, 24)
    hours, _, _ = aggregate(bars, "1h", None)
    second = bars.slice(12, 24)
    assert hours.open[1] == second.open[0]
    assert hours.high[1] == second.high.max()
    assert hours.low[1] == second.low.min()
    assert hours.close[1] == second.close[-1]
    assert hours.volume[1] == pytest.approx(second.volume.sum(), rel=1e-12)


def test_where_the_last_base_bar_is_missing_the_next_one_completes_the_hour() -> None:
    hours, known, _ = aggregate(without(walk_bars(3, 24), 11), "1h", None)
    np.testing.assert_array_equal(known, [0] * 11 + [1] * 11 + [2])
    assert len(hours) == 2


def test_an_hour_without_a_base_bar_has_no_bar() -> None:
    hours, known, _ = aggregate(without(walk_bars(3, 36), *range(10, 26)), "1h", None)
    np.testing.assert_array_equal(hours.ts - START, [0, 24 * FIVE])
    np.testing.assert_array_equal(known, [0] * 10 + [1] * 9 + [2])


def test_a_first_hour_whose_beginning_was_not_seen_is_left_out() -> None:
    hours, known, carry = aggregate(walk_bars(4, 4, start=START + 9 * FIVE), "1h", None)
    assert len(hours) == 0
    np.testing.assert_array_equal(known, 0)
    rest = walk_bars(4, 12, start=START + 13 * FIVE)
    hours, _, _ = aggregate(rest, "1h", carry)
    np.testing.assert_array_equal(hours.ts, [START + 12 * FIVE])


def test_weeks_begin_on_mondays() -> None:
    weeks, _, _ = aggregate(walk_bars(5, 40, "1d"), "1w", None)
    days_after_the_epochs_thursday = weeks.ts // timeframe_ns("1d") % 7
    np.testing.assert_array_equal(days_after_the_epochs_thursday, 4)


def test_the_same_timeframe_passes_through() -> None:
    bars = walk_bars(6, 10)
    same, known, _ = aggregate(bars, "5m", None)
    np.testing.assert_array_equal(same.close, bars.close)
    np.testing.assert_array_equal(known, np.arange(1, 11))


def test_a_frame_that_does_not_fit_is_refused() -> None:
    assert frame_ratio("5m", "1h") == 12
    with pytest.raises(StrategyError, match="multiple"):
        Toolkit().higher(walk_bars(1, 5, "1h"), "90m")
    with pytest.raises(StrategyError, match="multiple"):
        frame_ratio("4h", "1h")


def test_recorded_quarters_of_an_hour_make_the_recorded_four_hours(shared_data: Path) -> None:
    quarters = recorded_bars(shared_data, "binance_BTCUSDT_15m")
    made, _, _ = aggregate(quarters, "4h", None)
    recorded = recorded_bars(shared_data, "binance_BTCUSDT_4h")
    common, ours, theirs = np.intersect1d(made.ts, recorded.ts, return_indices=True)
    assert len(common) > 1000
    for field in ("open", "high", "low", "close"):
        np.testing.assert_array_equal(getattr(made, field)[ours], getattr(recorded, field)[theirs], field)
    np.testing.assert_allclose(made.volume[ours], recorded.volume[theirs], rtol=1e-9)
