"""Columns find their place in every width, and cells say gain and loss with a sign."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from tests.widgets.showing import ASCII, PLAIN, UNICODE
from widgets.table_cells import Cell, Column, header_strip, place_columns, row_strip, signed
from widgets.text import width_of

COLUMNS = [
    Column("sym", "Symbol", 10),
    Column("side", "Side", 4, priority=1),
    Column("note", "Note", 6, priority=3, flex=True),
    Column("pnl", "P&L", 10, align="right"),
    Column("age", "Age", 5, priority=2, align="right"),
]


def shown(width: int, skip: int = 0) -> list[str]:
    return [place.column.key for place in place_columns(COLUMNS, width, skip)]


def test_columns_leave_in_order_of_priority_when_it_gets_narrow() -> None:
    assert shown(60) == ["sym", "side", "note", "pnl", "age"]
    assert shown(38) == ["sym", "side", "pnl", "age"]
    assert shown(30) == ["sym", "side", "pnl"]
    assert shown(22) == ["sym", "pnl"]


def test_the_flexible_column_takes_what_is_left() -> None:
    widths = {place.column.key: place.width for place in place_columns(COLUMNS, 60)}
    assert widths["note"] == 6 + 60 - 39
    assert sum(widths.values()) + 4 == 60


def test_scrolling_sideways_keeps_the_first_column() -> None:
    assert shown(60, skip=2) == ["sym", "pnl", "age"]


@given(st.integers(1, 200), st.integers(0, 6))
def test_placed_columns_never_overlap_nor_leave_the_line(width: int, skip: int) -> None:
    placed = place_columns(COLUMNS, width, skip)
    assert placed
    assert placed[0].index == 0
    end = -1
    for place in placed:
        assert place.x > end
        end = place.x + place.width
    assert end <= width


@given(st.text(max_size=80), st.integers(1, 90))
def test_a_row_of_any_text_fills_exactly_its_line(text: str, width: int) -> None:
    cells = [Cell(text)] * len(COLUMNS)
    assert row_strip(cells, place_columns(COLUMNS, width), width, PLAIN, UNICODE).cell_length == width


def test_missing_cells_are_blank() -> None:
    assert row_strip([Cell("BTC/USDT")], place_columns(COLUMNS, 40), 40, PLAIN, UNICODE).text.strip() == "BTC/USDT"


def test_markup_in_a_cell_is_just_text() -> None:
    row = row_strip([Cell("[red]x[/]")], place_columns(COLUMNS, 40), 40, PLAIN, UNICODE)
    assert "[red]x[/]" in row.text


def test_the_header_marks_the_sorted_column() -> None:
    placed = place_columns(COLUMNS, 60)
    assert "▼P&L" in header_strip(placed, 60, PLAIN, UNICODE, ("pnl", True)).text
    assert "Symbol▲" in header_strip(placed, 60, PLAIN, UNICODE, ("sym", False)).text
    assert "vP&L" in header_strip(placed, 60, PLAIN, ASCII, ("pnl", True)).text


def test_gain_and_loss_are_told_by_sign_arrow_and_ink() -> None:
    assert signed("12.40", 12.4, UNICODE) == Cell("▲ +12.40", "gain", "right", 12.4)
    assert signed("-3.10", Decimal("-3.1"), UNICODE) == Cell("▼ -3.10", "loss", "right", Decimal("-3.1"))
    assert signed("0.00", 0, UNICODE).ink == "neutral"
    assert width_of(signed("1", 1, ASCII).text) == 4
