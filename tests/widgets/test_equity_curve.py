"""The equity curve keeps its extremes, shades its drawdown and labels highest, lowest and last."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from tests.widgets.showing import ASCII, COLOURED, PLAIN, UNICODE, Showing, seen, text
from widgets.equity_curve import CurveView, EquityCurve, curve_rows, resample

VALUES = st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=400)


@given(VALUES, st.integers(4, 200))
def test_resampling_keeps_ends_and_never_grows(values: list[float], points: int) -> None:
    out = resample(values, points)
    assert len(out) <= max(points, 2)
    assert (out[0], out[-1]) == (values[0], values[-1])
    assert set(out) <= set(values)


def test_resampling_keeps_a_single_spike() -> None:
    values = [1.0] * 1000
    values[437] = 99.0
    assert 99.0 in resample(values, 50)


@given(VALUES, st.integers(10, 120), st.integers(2, 30), st.booleans())
def test_every_line_fills_its_cells(values: list[float], width: int, height: int, plain: bool) -> None:
    view = CurveView(values, first_label="1 Jan", last_label="now")
    rows = curve_rows(view, width, height, PLAIN, ASCII if plain else UNICODE)
    assert len(rows) == height
    assert {row.cell_length for row in rows} == {width}


def test_highest_lowest_and_last_are_labelled() -> None:
    picture = "\n".join(text(curve_rows(CurveView([100.0, 140.0, 90.0, 120.0]), 50, 10, PLAIN, UNICODE)))
    for label in ("140.00", "90.00", "120.00"):
        assert label in picture


def test_below_a_peak_the_drawdown_is_shaded() -> None:
    values = [100.0 + index for index in range(40)] + [140.0 - 2 * index for index in range(30)]
    rows = curve_rows(CurveView(values), 50, 12, COLOURED, UNICODE)
    shaded = [segment for row in rows for segment in row if segment.style == COLOURED["drawdown"]]
    assert shaded
    assert all("░" in segment.text for segment in shaded)
    rising = curve_rows(CurveView(values[:40]), 50, 12, COLOURED, UNICODE)
    assert not any("░" in line for line in text(rising))


def test_values_that_are_no_numbers_are_left_out() -> None:
    rows = curve_rows(CurveView([1.0, float("nan"), 2.0, float("inf"), 3.0]), 50, 6, PLAIN, UNICODE)
    assert any("3.00" in line for line in text(rows))


async def test_the_widget_shows_values_or_why_there_are_none() -> None:
    curve = EquityCurve()
    rng = random.Random(1)
    async with Showing(curve).run_test(size=(60, 12)) as pilot:
        assert any("No equity recorded yet." in line for line in seen(curve))
        values = [10_000 + rng.gauss(0, 5) for _ in range(100)]
        curve.set_values(values, first_label="1 Jan", last_label="now")
        curve.drain()
        await pilot.pause()
        assert seen(curve)[-1].startswith("1 Jan")
        curve.set_values(values, first_label="1 Jan", last_label="now")
        assert not curve.drain()
        scale = curve._view.scale
        curve.set_values([*values, 10_000.0], first_label="1 Jan", last_label="now")
        curve.drain()
        assert curve._view.scale is scale
