"""The strip of figures: honest before data, readable without colour, still while figures move."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.model.entries import TradingState
from screens.formats import MASK
from screens.overview import Tile, account_tiles, bots_tile, risk_tile, strip_rows, tile_widths
from tests.kit import fake_data
from widgets.glyphs import ASCII, UNICODE
from widgets.palette import Palette

D = Decimal
VIEW = fake_data.overview()


def rows(tiles: list[Tile], width: int) -> list[str]:
    return [strip.text for strip in strip_rows(tiles, width, Palette.plain(), UNICODE)]


def whole(width: int = 78, **changes: object) -> list[str]:
    view = msgspec.structs.replace(VIEW, **changes)
    return rows([*account_tiles(view, UNICODE), bots_tile(fake_data.bots()), risk_tile(fake_data.risk())], width)


def test_every_figure_fits_on_eighty_columns() -> None:
    names, figures, notes = whole()
    for name in ("Equity", "Today", "Total", "Exposure", "Drawdown", "Bots", "Risk"):
        assert name in names
    for figure in ("10,040.44", "▲ +31.20", "▲ +40.44", "8,204.42", "0.41 %", "2 of 4", "MEDIUM"):
        assert figure in figures
    for note in ("USDT", "+0.31 %", "81.7 %", "1 failed", "active"):
        assert note in notes


def test_more_room_says_more() -> None:
    names, _, notes = whole(190)
    assert "Profit today" in names
    for note in ("1,736.10 in cash", "fees 19.39", "3 open", "peak 10,081.77", "trading active"):
        assert note in notes


def test_a_figure_too_long_loses_its_decimals_first() -> None:
    _, figures, _ = whole(equity=D("12345678.91"), deposits=D(12_000_000))
    assert "12,345,679" in figures
    assert "…" not in figures


def test_a_loss_has_its_sign_and_arrow() -> None:
    _, figures, _ = whole(day_change=D("-5.5"))
    assert "▼ -5.50" in figures
    tile = account_tiles(msgspec.structs.replace(VIEW, day_change=D(0)), ASCII)[1]
    assert tile.values[0] == "0.00"


def test_nothing_is_said_before_the_engine_has_spoken() -> None:
    _, figures, _ = rows([*account_tiles(None, UNICODE), bots_tile(None), risk_tile(None)], 78)
    assert figures.replace("│", " ").split() == ["–"] * 7


def test_an_account_without_a_price_has_no_equity_and_says_why() -> None:
    _, figures, notes = whole(190, equity=None, day_change=None, unvalued=("XYZ",))
    assert figures.split()[0] == "–"
    assert "no price: XYZ" in notes


def test_privacy_hides_amounts_and_leaves_shares() -> None:
    _, figures, notes = rows(account_tiles(VIEW, UNICODE, private=True), 150)
    assert "10,040" not in figures
    assert "8,204" not in figures
    assert figures.count(MASK) == 4
    assert "10,081" not in notes
    assert "19.39" not in notes
    assert "+0.31 %" in notes


@pytest.mark.parametrize(("state", "word"), [(TradingState.HALTED, "HALTED"), (TradingState.REDUCING, "REDUCING")])
def test_a_halt_is_said_beside_the_risk_level(state: TradingState, word: str) -> None:
    tile = risk_tile(msgspec.structs.replace(fake_data.risk(), trading=state))
    assert word in tile.notes


def test_bots_without_failures_say_so() -> None:
    good = tuple(row for row in fake_data.bots() if row.state.value in {"running", "stopped"})
    assert bots_tile(good).notes == ("running",)
    assert bots_tile(()).notes == ("none yet",)


@given(st.integers(1, 250), st.integers(1, 8))
def test_tiles_keep_their_places_whatever_the_figures(width: int, count: int) -> None:
    few = [Tile(("A",), ("1",)) for _ in range(count)]
    many = [Tile(("A",), ("1,000,000,000.00", "1,000,000,000"), "gain", ("a long note",)) for _ in range(count)]
    assert tile_widths(few, width) == tile_widths(many, width)
    for tiles in (few, many):
        for line in strip_rows(tiles, width, Palette.plain(), UNICODE):
            assert line.cell_length == width


def test_text_from_outside_is_cleaned() -> None:
    view = msgspec.structs.replace(VIEW, unvalued=("\x1b[31mX\u202e",))
    notes = rows(account_tiles(view, UNICODE), 150)[2]
    assert "no price: X" in notes
    assert "\x1b" not in notes
