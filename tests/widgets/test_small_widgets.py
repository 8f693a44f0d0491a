"""Sparkline, limit bar, metric, status line and activity log: one line of truth each."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.widgets.showing import ASCII, COLOURED, PLAIN, UNICODE, Showing, inks, seen, text
from widgets.activity_log import ActivityLog, LogLine, log_rows
from widgets.limit_bar import LimitBar, LimitState, limit_rows, verdict
from widgets.metric import Metric, MetricState, metric_rows
from widgets.sparkline import Sparkline, direction_ink, spark, spark_rows
from widgets.status_line import StatusLine, StatusState, age_text, status_rows

# ------------------------------------------------------------------------------------------------------------ sparkline


def test_a_sparkline_runs_from_lowest_to_highest_column() -> None:
    assert spark([1, 2, 3, 4, 5, 6, 7, 8], 8, UNICODE) == "▁▂▃▄▅▆▇█"
    assert spark([5.0, 5.0], 8, UNICODE) == "▄▄"
    assert spark([], 8, UNICODE) == ""
    assert spark([float("nan"), 1.0], 8, UNICODE) == "▄"


@given(st.lists(st.floats(-1e6, 1e6), max_size=300), st.integers(1, 60))
def test_a_sparkline_never_exceeds_its_width(values: list[float], width: int) -> None:
    assert len(spark(values, width, UNICODE)) <= width
    assert spark_rows(values, width, PLAIN, ASCII)[0].cell_length == width


def test_the_direction_has_a_sign() -> None:
    assert direction_ink([1.0, 2.0]) == "gain"
    assert direction_ink([2.0, 1.0]) == "loss"
    assert direction_ink([2.0]) == "neutral"
    assert "▼" in spark_rows([2.0, 1.0], 10, PLAIN, UNICODE)[0].text


async def test_the_sparkline_widget_draws_what_it_is_given() -> None:
    line = Sparkline()
    async with Showing(line).run_test(size=(20, 3)) as pilot:
        line.set_values([1.0, 3.0])
        line.drain()
        await pilot.pause()
        assert seen(line)[0].endswith("▲ ▁█")
        line.set_values([1.0, 3.0])
        assert not line.drain()


# ------------------------------------------------------------------------------------------------------------ limit bar


@pytest.mark.parametrize(
    ("share", "word", "ink"),
    [
        (0.0, "OK", "ok"),
        (0.79, "OK", "ok"),
        (0.8, "WARN", "warn"),
        (1.0, "FULL", "warn"),
        (1.001, "BREACH", "breach"),
        (None, "UNKNOWN", "stale"),
        (float("nan"), "UNKNOWN", "stale"),
    ],
)
def test_the_use_of_a_limit_has_a_word(share: float | None, word: str, ink: str) -> None:
    assert verdict(LimitState("x", share)) == (word, ink)


def test_a_limit_shows_bar_figures_share_and_word() -> None:
    line = limit_rows(LimitState("Daily loss", 0.42, "210 / 500"), 70, PLAIN, UNICODE)[0].text
    assert line.startswith("Daily loss")
    assert "██" in line
    assert "210 / 500" in line
    assert " 42.0 %  ✓ OK" in line
    plain = limit_rows(LimitState("Daily loss", 1.2, "600 / 500"), 70, PLAIN, ASCII)[0].text
    assert plain.isascii()
    assert "120.0 %  X BREACH" in plain


def test_an_unknown_use_is_not_shown_as_none() -> None:
    line = limit_rows(LimitState("Daily loss"), 70, PLAIN, UNICODE)[0].text
    assert "UNKNOWN" in line
    assert "0.0 %" not in line


@given(st.floats(0, 50) | st.none(), st.integers(1, 140), st.text(max_size=30))
def test_a_limit_fills_exactly_its_line(share: float | None, width: int, figures: str) -> None:
    assert limit_rows(LimitState("Drawdown", share, figures), width, PLAIN, UNICODE)[0].cell_length == width


async def test_the_limit_widget_draws_only_news() -> None:
    bar = LimitBar("Exposure")
    async with Showing(bar).run_test(size=(60, 3)) as pilot:
        bar.show(0.9, "9 / 10")
        bar.drain()
        await pilot.pause()
        assert "WARN" in seen(bar)[0]
        bar.show(0.9, "9 / 10")
        assert not bar.drain()
        bar.show(0.9, "9 / 10", warn_at=0.95)
        assert bar.drain()
        assert "OK" in seen(bar)[0]


# --------------------------------------------------------------------------------------------------------------- metric


def test_a_metric_fits_three_two_and_one_line() -> None:
    state = MetricState("Equity", "10,012.40", "strong", "▲ +12.40", "gain")
    assert [line.strip() for line in text(metric_rows(state, 14, 3, PLAIN, UNICODE))] == [
        "Equity",
        "10,012.40",
        "▲ +12.40",
    ]
    assert len(metric_rows(state, 14, 2, PLAIN, UNICODE)) == 2
    assert metric_rows(state, 20, 1, PLAIN, UNICODE)[0].text == "Equity 10,012.40    "


async def test_a_metric_changes_in_place() -> None:
    tile = Metric("Equity")
    async with Showing(tile).run_test(size=(30, 5)) as pilot:
        assert [line.strip() for line in seen(tile)][:2] == ["Equity", "–"]
        tile.show("10.00", "gain", note="today")
        tile.drain()
        await pilot.pause()
        assert [line.strip() for line in seen(tile)] == ["Equity", "10.00", "today"]
        tile.show("10.00", "gain", note="today")
        assert not tile.drain()


# ---------------------------------------------------------------------------------------------------------- status line

STATUS = StatusState(
    mode="PAPER",
    account="main",
    feed_age_s=0.2,
    lag_ms=3.0,
    equity="10,012.40 USDT",
    clock="14:03:22 UTC",
    hint="? help",
)


def line(state: StatusState, width: int = 100) -> str:
    return status_rows(state, width, PLAIN, UNICODE)[0].text


def test_the_status_line_says_everything_that_must_be_known() -> None:
    shown = line(STATUS)
    for part in (
        " PAPER ",
        "main",
        "● embedded",
        "feed  <1s",
        "lag   3ms",
        "eq 10,012.40 USDT",
        "? help",
        "14:03:22 UTC",
    ):
        assert part in shown, part
    assert shown.endswith("14:03:22 UTC")


def test_paper_and_live_differ_in_word_and_ink() -> None:
    paper = status_rows(STATUS, 100, COLOURED, UNICODE)[0]
    live = status_rows(replace(STATUS, mode="LIVE"), 100, COLOURED, UNICODE)[0]
    assert inks(paper, COLOURED)["paper"] == " PAPER "
    assert inks(live, COLOURED)["live"] == " LIVE "


@given(st.integers(32, 200))
def test_mode_halt_and_clock_stay_when_it_is_narrow(width: int) -> None:
    shown = line(replace(STATUS, halt="HALTED", alerts=3), width)
    assert len(shown) == width
    for part in ("PAPER", "HALTED", "14:03:22 UTC"):
        assert part in shown


def test_a_new_second_and_age_move_nothing_else() -> None:
    later = line(replace(STATUS, feed_age_s=12.0, lag_ms=250.0, clock="14:03:23 UTC"))
    assert len(later) == len(line(STATUS))
    assert later.index("eq ") == line(STATUS).index("eq ")


def test_old_data_and_a_slow_loop_are_told_by_ink() -> None:
    warned = inks(status_rows(replace(STATUS, feed_age_s=3.0, lag_ms=30.0), 100, COLOURED, UNICODE)[0], COLOURED)
    assert "3.0s" in warned["warn"]
    assert "30ms" in warned["warn"]
    bad = inks(status_rows(replace(STATUS, feed_age_s=30.0, lag_ms=300.0), 100, COLOURED, UNICODE)[0], COLOURED)
    assert "30s" in bad["breach"]


def test_a_lost_link_makes_the_age_unknown() -> None:
    shown = line(replace(STATUS, link="lost"))
    assert "✗ lost" in shown
    assert "feed    –" in shown


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (None, "–"),
        (0.0, "<1s"),
        (9.9, "9.9s"),
        (12.4, "12s"),
        (180.0, "3m"),
        (7200.0, "2h"),
        (200000.0, "56h"),
        (864000.0, "10d"),
    ],
)
def test_ages_are_short(seconds: float | None, expected: str) -> None:
    assert age_text(seconds) == expected


async def test_the_status_widget_draws_only_news_and_knows_its_fields() -> None:
    status = StatusLine()
    async with Showing(status).run_test(size=(100, 3)) as pilot:
        status.show(mode="LIVE", clock="14:00:00 UTC")
        status.drain()
        await pilot.pause()
        assert "LIVE" in seen(status)[0]
        status.show(clock="14:00:00 UTC")
        assert not status.drain()
        with pytest.raises(TypeError):
            status.show(mood="good")


# --------------------------------------------------------------------------------------------------------- activity log


def entry(number: int) -> LogLine:
    return LogLine("14:00:00", "FILL", f"line {number}")


def test_a_log_line_has_time_kind_and_text() -> None:
    assert log_rows([entry(1)], 60, PLAIN, UNICODE)[0].text.rstrip() == "14:00:00 FILL    line 1"
    assert "14:00" not in log_rows([entry(1)], 30, PLAIN, UNICODE)[0].text


async def test_the_log_follows_until_one_looks_back() -> None:
    log = ActivityLog(capacity=100)
    app = Showing(log)
    async with app.run_test(size=(60, 10)) as pilot:
        assert any("Nothing has happened yet." in line for line in seen(log))
        log.extend(entry(number) for number in range(50))
        log.drain()
        await pilot.pause()
        assert seen(log)[-1].endswith("line 49")
        await pilot.press("k", "k")
        assert not log.following
        assert seen(log)[-1].endswith("line 47")
        log.append(entry(50))
        log.drain()
        assert seen(log)[-1].endswith("line 47")
        await pilot.pause()
        assert "3 newer" in (log.border_subtitle or "")
        await pilot.press("G")
        assert log.following
        assert seen(log)[-1].endswith("line 50")
        await pilot.press("g")
        assert seen(log)[0].endswith("line 0")
        await pilot.press("y")
        log.clear()
        log.drain()
        assert log.following
    assert app.copied[0].splitlines()[0] == "14:00:00 FILL line 0"


async def test_the_log_is_bounded() -> None:
    log = ActivityLog(capacity=20)
    async with Showing(log).run_test(size=(60, 10)) as pilot:
        log.extend(entry(number) for number in range(500))
        await pilot.press("g")
        assert seen(log)[0].endswith("line 480")
