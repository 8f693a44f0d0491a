"""Equity as a curve: equal steps over a record with gaps, grown at its end by the present value."""

from __future__ import annotations

from datetime import UTC

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.control.views import EquityPoint
from screens.equity import POINTS, RANGES, EquityHistory, EquityLine, equity_line, range_words, start_label

S = 1_000_000_000
MINUTE, HOUR, DAY = 60 * S, 3600 * S, 86_400 * S
NOW = 1_773_500_966 * S

records = st.lists(
    st.tuples(st.integers(0, 400 * DAY // S).map(lambda ago: NOW - ago * S), st.floats(1, 1e9)), min_size=1, max_size=60
).map(lambda points: sorted(points))


@given(records, st.sampled_from(list(RANGES.values())))
def test_a_line_is_bounded_ends_with_the_newest_value_and_invents_none(
    points: list[tuple[int, float]], span: int | None
) -> None:
    line = equity_line(points, NOW, span)
    assert 2 <= len(line.values) <= POINTS + 2
    assert line.values[-1] == points[-1][1]
    assert set(line.values) <= {value for _, value in points}
    assert line.start >= points[0][0]
    if span is not None:
        assert line.start >= NOW - span


def test_between_two_records_the_last_value_holds() -> None:
    line = equity_line([(NOW - 4 * HOUR, 10.0), (NOW - HOUR, 20.0)], NOW, DAY)
    share = line.values.count(10.0) / len(line.values)
    assert line.values[0] == 10.0
    assert share == pytest.approx(3 / 4, abs=0.02)


def test_a_range_begins_with_what_was_true_at_its_beginning() -> None:
    line = equity_line([(NOW - 9 * DAY, 5.0), (NOW - 8 * DAY, 7.0), (NOW - HOUR, 9.0)], NOW, 7 * DAY)
    assert line.values[0] == 7.0
    assert line.start == NOW - 7 * DAY


def test_a_young_account_fills_the_whole_width() -> None:
    line = equity_line([(NOW - 2 * MINUTE, 10.0), (NOW - MINUTE, 11.0)], NOW, DAY)
    assert line.start == NOW - 2 * MINUTE
    assert len(line.values) > 20


def test_a_picture_at_rest_stays_the_same_picture() -> None:
    points = [(NOW - 20 * HOUR - HOUR // 2, 10.0), (NOW - 3 * HOUR, 12.0)]
    assert equity_line(points, NOW, None).values == equity_line(points, NOW + 30 * S, None).values


@pytest.mark.parametrize(("points", "now"), [([], NOW), ([(NOW, 1.0)], 0)])
def test_nothing_recorded_or_no_clock_is_an_empty_line(points: list[tuple[int, float]], now: int) -> None:
    line = equity_line(points, now, DAY)
    assert line == EquityLine()
    assert line.change is None
    assert line.drawdown is None


def test_change_and_deepest_fall() -> None:
    line = EquityLine((100.0, 120.0, 90.0, 110.0), NOW - DAY)
    assert line.change == pytest.approx(0.1)
    assert line.drawdown == pytest.approx(0.25)


def test_the_present_value_ends_the_line_and_one_in_ten_seconds_is_kept() -> None:
    history = EquityHistory()
    history.take([EquityPoint(ts=NOW - HOUR, equity=100.0)])
    for second in range(40):
        assert history.live(NOW + second * S, 100.0 + second)
    line = history.line(NOW + 40 * S)
    assert line.values[-1] == 139.0
    assert len(history._points) == 1 + 4


def test_the_same_value_again_is_no_movement_and_an_older_one_is_not_taken() -> None:
    history = EquityHistory()
    assert history.live(NOW, 5.0)
    assert not history.live(NOW + S, 5.0)
    assert not history.live(NOW, 6.0)
    assert not history.live(0, 6.0)
    assert history.line(NOW + S).values[-1] == 5.0


def test_another_range_forgets_the_record_but_not_the_present() -> None:
    history = EquityHistory()
    history.take([EquityPoint(ts=NOW - HOUR, equity=100.0)])
    history.live(NOW, 101.0)
    history.choose("week")
    assert history.line(NOW).values == (101.0, 101.0)


def test_the_heading_says_what_fits() -> None:
    line = EquityLine((100.0, 120.0, 90.0, 110.0), NOW - DAY)
    assert range_words("day", line, 60) == "Equity, 24 hours: +10.00 %, max drawdown 25.00 %"
    assert range_words("week", line, 40) == "Equity, 7 days: +10.00 %, max dd 25.00 %"
    assert range_words("month", line, 20) == "Equity, 31 days: +10.00 %"
    assert range_words("all", EquityLine(), 60) == "Equity, whole time"


def test_the_beginning_has_its_date_when_it_is_not_of_the_last_day() -> None:
    assert start_label(EquityLine((1.0,), NOW - HOUR), UTC, NOW) == "14:09"
    assert start_label(EquityLine((1.0,), NOW - 3 * DAY), UTC, NOW) == "2026-03-11 15:09"
    assert start_label(EquityLine(), UTC, NOW) == ""
