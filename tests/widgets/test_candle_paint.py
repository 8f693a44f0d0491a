"""Candles are drawn where their prices are, told apart without colour, and stand still while the last one moves."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.widgets.showing import ASCII, COLOURED, MINUTE_NS, PLAIN, UNICODE, bars, text
from widgets.candle_paint import Bar, CandleView, Marker, Overlay, candle_rows, grid_of, readout

if TYPE_CHECKING:
    from widgets.glyphs import Glyphs

RISING = Bar(0, 100.0, 120.0, 90.0, 110.0, 5.0)
FALLING = Bar(MINUTE_NS, 110.0, 120.0, 90.0, 100.0, 10.0)
FLAT = Bar(2 * MINUTE_NS, 100.0, 110.0, 95.0, 100.0, 0.0)


def view(*shown: Bar, **options: object) -> CandleView:
    return replace(CandleView(bars=shown, title="X"), **options)  # type: ignore[arg-type]


def column(lines: list[str], x: int, rows: int) -> str:
    return "".join(line[x] for line in lines[1 : 1 + rows])


def test_a_candle_has_wick_body_wick_from_top_to_bottom() -> None:
    lines = text(candle_rows(view(RISING), 40, 14, COLOURED, UNICODE))
    drawn = column(lines, 0, 10).strip()
    assert drawn[0] in "╷│"
    assert drawn[-1] in "╵│"
    assert set(drawn[1:-1]) & set("┃╽╿╻╹")


def test_a_candle_without_body_is_a_cross() -> None:
    assert "┼" in column(text(candle_rows(view(FLAT), 40, 14, COLOURED, UNICODE)), 0, 10)


@pytest.mark.parametrize("step", [1, 3])
@pytest.mark.parametrize("glyphs", [UNICODE, ASCII], ids=["unicode", "ascii"])
def test_without_colour_rising_and_falling_candles_look_different(glyphs: Glyphs, step: int) -> None:
    lines = text(candle_rows(view(RISING, FALLING, step=step), 40, 20, PLAIN, glyphs))
    assert set(column(lines, 0, 14)) != set(column(lines, step, 14))


def test_with_colour_the_ink_tells_rising_from_falling() -> None:
    styles = {
        segment.style for strip in candle_rows(view(RISING, FALLING), 40, 14, COLOURED, UNICODE) for segment in strip
    }
    assert {COLOURED["candle-up"], COLOURED["candle-down"]} <= styles


@given(st.integers(12, 160), st.integers(3, 50), st.sampled_from([1, 2, 3]), st.booleans(), st.integers(0, 150))
def test_every_line_fills_its_cells_in_any_size(width: int, height: int, step: int, plain: bool, count: int) -> None:
    shown = view(*bars(count), step=step, crosshair=count // 2, overlays=[Overlay("MA", [67_400.0] * count)])
    rows = candle_rows(shown, width, height, PLAIN, ASCII if plain else UNICODE)
    assert len(rows) == height
    assert {row.cell_length for row in rows} == {width}
    if plain:
        assert all(line.isascii() for line in text(rows))


def test_a_tick_changes_only_the_last_column_the_axis_label_and_the_readout() -> None:
    series = bars(100)
    grid = grid_of(view(*series), 70, 20)
    held = view(*series, scale=grid.scale, volume_top=grid.volume_top)
    last = series[-1]
    moved = last._replace(close=last.close + 1.0, high=max(last.high, last.close + 1.0), volume=last.volume + 1)
    before = text(candle_rows(held, 70, 20, COLOURED, UNICODE))
    after = text(candle_rows(replace(held, bars=[*series[:-1], moved]), 70, 20, COLOURED, UNICODE))
    place = (len(series) - 1 - grid.first) * held.step
    for old, new in zip(before[1:], after[1:], strict=True):
        assert old[:place] == new[:place]
        assert old[place + 1 : grid.columns] == new[place + 1 : grid.columns]


def test_the_newest_candles_are_shown_when_there_are_more_than_fit() -> None:
    grid = grid_of(view(*bars(500)), 60, 20)
    assert 500 - grid.first == grid.columns


def test_the_last_price_is_on_the_axis() -> None:
    lines = text(candle_rows(view(*bars(50)), 60, 20, PLAIN, UNICODE))
    assert sum("◂" in line for line in lines) == 1
    assert f"{bars(50)[-1].close:,.2f}" in next(line for line in lines if "◂" in line)


def test_buys_are_marked_below_and_sells_above_their_candle() -> None:
    series = bars(30)
    shown = view(
        *series, markers=[Marker(series[10].time_ns + 5, "entry"), Marker(series[20].time_ns, "exit", buy=False)]
    )
    lines = text(candle_rows(shown, 60, 24, COLOURED, UNICODE))[1:]
    assert any(line[10] == "▲" for line in lines)
    assert any(line[20] == "▼" for line in lines)


def test_a_marker_outside_the_picture_is_left_out() -> None:
    shown = view(*bars(30), markers=[Marker(0, "entry")])
    assert not any("▲" in line for line in text(candle_rows(shown, 60, 24, COLOURED, UNICODE))[1:])


def test_an_overlay_is_a_line_of_dots_broken_where_it_has_no_value() -> None:
    series = [Bar(index * MINUTE_NS, 100, 100.5, 99.5, 100, 1) for index in range(20)] + [
        Bar(20 * MINUTE_NS, 100, 120, 80, 100, 1)
    ]
    values: list[float | None] = [110.0] * 8 + [None] * 4 + [110.0] * 9
    lines = text(candle_rows(view(*series, overlays=[Overlay("MA", values)]), 60, 24, PLAIN, UNICODE))[1:-1]
    row = next(line for line in lines if any(0x2800 <= ord(char) <= 0x28FF for char in line))
    assert row[9:12].strip() == ""
    assert row[13] != " "


def test_the_readout_follows_the_crosshair() -> None:
    shown = view(RISING, FALLING)
    assert "C 100.00" in readout(shown, 90, PLAIN, UNICODE).text
    assert "▼-9.09%" in readout(shown, 90, PLAIN, UNICODE).text
    on_first = readout(replace(shown, crosshair=0), 90, PLAIN, UNICODE).text
    assert "O 100.00 H 120.00 L 90.00 C 110.00 ▲+10.00% V 5.00" in on_first


def test_a_short_readout_keeps_the_close() -> None:
    line = readout(view(RISING, FALLING), 14, PLAIN, UNICODE).text
    assert "C 100.00" in line


def test_the_crosshair_is_a_vertical_line() -> None:
    lines = text(candle_rows(view(*bars(30), crosshair=4), 60, 24, PLAIN, UNICODE))
    assert sum(line[4] == "┊" for line in lines) > 3


def test_volume_columns_are_as_high_as_their_share() -> None:
    series = [Bar(index * MINUTE_NS, 100, 101, 99, 100.5, volume) for index, volume in enumerate((1.0, 50.0, 100.0))]
    grid = grid_of(view(*series), 60, 20)
    lines = text(candle_rows(view(*series), 60, 20, COLOURED, UNICODE))[1 + grid.price_rows : -1]
    heights = [sum(line[x] != " " for line in lines) for x in range(3)]
    assert heights == sorted(heights)
    assert heights[0] >= 1
