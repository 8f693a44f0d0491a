"""Scales stay still while a price trembles; ticks stand at round figures and times."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from widgets.axis import Scale, settle, ticks, time_label, time_marks

MINUTE_NS = 60 * 10**9
NOON = int(datetime(2025, 10, 9, 12, 0, tzinfo=UTC).timestamp()) * 10**9


def test_a_scale_is_kept_while_the_data_fits_and_fills_it() -> None:
    first = settle(None, 100.0, 200.0, 20)
    assert first.covers(100.0, 200.0)
    assert settle(first, 95.0, 205.0, 20) is first
    assert settle(first, 130.0, 190.0, 20) is first
    assert settle(first, 80.0, 200.0, 20) is not first
    assert settle(first, 140.0, 150.0, 20) is not first
    assert settle(first, 100.0, 200.0, 40).parts == 40


@given(st.floats(-1e9, 1e9), st.floats(0, 1e9), st.integers(1, 200))
def test_a_new_scale_covers_its_data(low: float, span: float, parts: int) -> None:
    scale = settle(None, low, low + span, parts)
    assert scale.covers(low, low + span)
    assert 0 <= scale.part(low + span) <= scale.part(low) < parts


def test_values_outside_are_put_at_the_ends_and_unknown_data_has_a_scale_too() -> None:
    scale = Scale(0.0, 10.0, 10)
    assert scale.part(99.0) == 0
    assert scale.part(-99.0) == 9
    assert settle(None, float("nan"), float("inf"), 4).covers(0.0, 1.0)


@pytest.mark.parametrize(
    ("low", "high", "count", "values", "decimals"),
    [
        (67_400.0, 67_600.0, 4, [67_400, 67_450, 67_500, 67_550, 67_600], 0),
        (0.0, 1.0, 5, [0.0, 0.2, 0.4, 0.6, 0.8, 1.0], 1),
        (0.0101, 0.0119, 3, [0.011], 3),
    ],
)
def test_ticks_are_round(low: float, high: float, count: int, values: list[float], decimals: int) -> None:
    found, places = ticks(Scale(low, high, 10), count)
    assert found == pytest.approx(values)
    assert places == decimals


def test_labels_are_as_fine_as_their_distance() -> None:
    assert time_label(NOON, 1) == "12:00:00"
    assert time_label(NOON, 900) == "12:00"
    assert time_label(NOON - 12 * 60 * MINUTE_NS, 900) == "09 Oct"
    assert time_label(NOON, 86400) == "09 Oct"
    assert time_label(NOON, 2592000) == "Oct 25"


def test_time_labels_stand_at_round_times_and_keep_their_distance() -> None:
    times = [NOON + (7 + index) * MINUTE_NS for index in range(60)]
    marks = time_marks(times, 12)
    assert [label for _, label in marks] == ["12:15", "12:30", "12:45", "13:00"]
    assert all((times[place] - NOON) // MINUTE_NS % 15 == 0 for place, _ in marks)


def test_time_labels_move_with_the_picture() -> None:
    times = [NOON + index * MINUTE_NS for index in range(60)]
    before, after = dict(time_marks(times[:-1], 12)), dict(time_marks(times[1:], 12))
    assert {place - 1: label for place, label in before.items()}.items() <= after.items()


def test_days_begin_at_midnight_of_the_zone() -> None:
    times = [NOON + index * 60 * MINUTE_NS for index in range(72)]
    zone = ZoneInfo("Asia/Tokyo")
    for place, _ in time_marks(times, 20, zone):
        assert datetime.fromtimestamp(times[place] // 10**9, zone).hour == 0


def test_no_and_one_instant_are_labelled_without_a_fault() -> None:
    assert time_marks([], 10) == []
    assert time_marks([NOON], 10) == [(0, "12:00")]
