"""The curves of a run: two lines that can be told apart without colour, and the falls below."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.widgets.showing import ASCII, COLOURED, PLAIN, UNICODE, Showing, inks, seen, text
from widgets.result_curve import ResultCurve, ResultView, falls, result_rows, thinned

RISING = tuple(10_000.0 + 25 * step for step in range(200))
FALLING = tuple(10_000.0 - 10 * step for step in range(200))


def test_a_fall_is_measured_from_the_highest_before() -> None:
    assert falls([100.0, 110.0, 99.0, 110.0, 121.0]) == pytest.approx([0.0, 0.0, 0.1, 0.0, 0.0])


@given(st.lists(st.floats(1, 1e9), min_size=1, max_size=50))
def test_falls_lie_between_nothing_and_everything(values: list[float]) -> None:
    assert all(0 <= depth < 1 for depth in falls(values))


@given(st.lists(st.floats(1, 1e6), max_size=100), st.integers(2, 40))
def test_thinning_keeps_both_ends_and_never_adds(values: list[float], points: int) -> None:
    kept = thinned(values, points)
    assert len(kept) == min(len(values), points)
    if values:
        assert (kept[0], kept[-1]) == (values[0], values[-1])


@pytest.mark.parametrize("size", [(80, 20), (40, 11), (30, 5), (9, 3)])
@pytest.mark.parametrize("glyphs", [UNICODE, ASCII], ids=["unicode", "ascii"])
def test_every_line_has_exactly_the_width(size: tuple[int, int], glyphs: object) -> None:
    width, height = size
    view = ResultView(RISING, FALLING, "2022-01-01", "2025-06-30")
    lines = result_rows(view, width, height, COLOURED, glyphs)  # type: ignore[arg-type]
    assert len(lines) <= height
    assert {line.cell_length for line in lines} == {width}


def test_the_run_gains_in_its_ink_and_holding_has_another() -> None:
    page = "\n".join(text(result_rows(ResultView(RISING, FALLING), 60, 14, COLOURED, UNICODE)))
    assert "run 14,975" in page
    assert "hold 8,010" in page
    assert "0 %" in page


def test_last_values_that_meet_are_written_one_below_the_other() -> None:
    lines = text(result_rows(ResultView(RISING, RISING), 60, 14, COLOURED, UNICODE))
    assert sum("14,975" in line for line in lines) == 2
    assert not any(line.count("14,975") > 1 for line in lines)


def test_without_colour_the_compared_line_has_gaps() -> None:
    flat = tuple([5_000.0] * 200)
    lines = text(result_rows(ResultView(RISING, flat), 60, 14, PLAIN, ASCII))
    row = next(line for line in lines if "hold 5,000" in line).partition("<")[0]
    assert ".. .. .." in row


def test_a_run_that_never_fell_shows_no_fall() -> None:
    lines = result_rows(ResultView(RISING), 60, 14, COLOURED, UNICODE)
    assert "-0.0 %" in text(lines)[-1]
    assert "drawdown" not in inks(lines[-1], COLOURED)


async def test_nothing_to_draw_is_said() -> None:
    curve = ResultCurve(empty="No run is chosen.")
    async with Showing(curve).run_test(size=(50, 12)):
        assert any("No run is chosen." in line for line in seen(curve))


async def test_equal_data_costs_nothing() -> None:
    curve = ResultCurve()
    async with Showing(curve).run_test(size=(50, 12)) as pilot:
        curve.show(RISING, FALLING)
        curve.drain()
        await pilot.pause()
        curve.show(RISING, FALLING)
        assert not curve.drain()
