"""Rows of positions, balances and fills."""

from __future__ import annotations

from datetime import UTC
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.model.ids import Currency
from screens.formats import DASH, MASK
from screens.portfolio_figures import (
    BALANCE_COLUMNS,
    FILL_COLUMNS,
    POSITION_COLUMNS,
    POSITION_STRIP,
    amount_text,
    balance_cells,
    cover_words,
    fill_cells,
    position_cells,
    position_strip_cells,
    position_words,
    share_bar,
)
from tests.kit import fake_data, fake_market
from tests.kit.fake_market import DAY, NOW
from widgets.glyphs import ASCII, UNICODE

D = Decimal
INSTRUMENTS = {str(row.id): row for row in fake_market.instrument_rows()}
POSITION = fake_data.positions()[1]


@given(st.decimals(0, 10**6, places=18), st.integers(9, 16))
def test_an_amount_fits_and_is_never_more_than_there_is(value: Decimal, room: int) -> None:
    text = amount_text(value, room)
    assert len(text) <= room
    assert D(text.replace(",", "")) <= value
    assert value - D(text.replace(",", "")) < 1


@pytest.mark.parametrize(
    ("value", "room", "text"),
    [
        ("0.06", 9, "0.06"),
        ("0.014985015", 7, "0.01498"),
        ("9024.7982305", 10, "9,024.7982"),
        ("-0.123456789", 7, "-0.1234"),
        ("123456789", 6, "123,456,789"),
    ],
)
def test_amounts_as_they_are_read(value: str, room: int, text: str) -> None:
    assert amount_text(D(value), room) == text


def test_every_row_has_a_cell_for_every_column() -> None:
    instrument = INSTRUMENTS["SIM:BTC/USDT"]
    assert len(position_cells(POSITION, instrument, UNICODE, NOW)) == len(POSITION_COLUMNS)
    assert len(position_strip_cells(POSITION, instrument, UNICODE)) == len(POSITION_STRIP)
    assert len(balance_cells(fake_data.balances()[0], UNICODE, 8)) == len(BALANCE_COLUMNS)
    assert len(fill_cells(fake_data.fills()[0], INSTRUMENTS, UNICODE, UTC, NOW)) == len(FILL_COLUMNS)


def test_a_position_says_side_profit_owner_and_stop() -> None:
    texts = [cell.text for cell in position_cells(POSITION, INSTRUMENTS["SIM:BTC/USDT"], UNICODE, NOW)]
    for text in ("BTC/USDT", "long", "0.02", "66,890.0", "▲ +10.82", "trend-btc", "66,100.0"):
        assert text in texts
    short = msgspec.structs.replace(POSITION, quantity=D("-0.02"), unrealised=D("-10.82"))
    texts = [cell.text for cell in position_cells(short, None, ASCII, NOW)]
    assert {"short", "-0.02", "v -10.82"} <= set(texts)
    assert position_words(short) == "short 0.02 BTC/USDT"


def test_a_stop_for_a_part_of_a_position_is_marked_and_told() -> None:
    instrument = INSTRUMENTS["SIM:BTC/USDT"]
    part = msgspec.structs.replace(POSITION, stop_quantity=D("0.01"))
    cells = {cell.text: cell.ink for cell in position_cells(part, instrument, ASCII, NOW)}
    assert cells["! 66,100.0"] == "warn"
    assert cover_words(part) == "stop for 0.01 of 0.02"
    assert "0.0" not in cover_words(part, private=True)
    whole = msgspec.structs.replace(POSITION, stop_quantity=abs(POSITION.quantity))
    assert "66,100.0" in {cell.text for cell in position_cells(whole, instrument, ASCII, NOW)}
    assert cover_words(whole) == ""


def test_a_position_without_a_mark_shows_dashes_and_no_zero() -> None:
    row = msgspec.structs.replace(POSITION, mark=None, value=None, unrealised=None, unrealised_pct=None)
    texts = [cell.text for cell in position_cells(row, None, UNICODE, NOW)]
    assert texts.count(DASH) == 4


def test_privacy_hides_amounts_but_no_prices() -> None:
    cells = position_cells(POSITION, INSTRUMENTS["SIM:BTC/USDT"], UNICODE, NOW, private=True)
    texts = [cell.text for cell in cells]
    assert "66,890.0" in texts
    assert not {"0.02", "▲ +10.82", "1,348.62"} & set(texts)
    assert MASK in texts
    fill = [cell.text for cell in fill_cells(fake_data.fills()[0], INSTRUMENTS, UNICODE, UTC, NOW, private=True)]
    assert fill.count(MASK) == 3
    balance = [cell.text for cell in balance_cells(fake_data.balances()[0], UNICODE, 8, private=True)]
    assert "1,736.1" not in balance
    assert "17.3 %" in balance


def test_a_currency_without_a_price_has_no_value_and_no_share() -> None:
    row = fake_data.balances()[-1]
    texts = [cell.text for cell in balance_cells(row, UNICODE, 8)]
    assert row.currency == Currency("XYZ")
    assert "no price" in texts
    assert DASH in texts


@pytest.mark.parametrize("glyphs", [UNICODE, ASCII])
@given(share=st.floats(-1, 3), width=st.integers(0, 40))
def test_a_bar_is_as_long_as_its_share(glyphs: object, share: float, width: int) -> None:
    assert glyphs in (UNICODE, ASCII)
    bar = share_bar(share, width, UNICODE if glyphs is UNICODE else ASCII)
    assert len(bar) <= width
    assert bool(bar) == (share > 0 and width > 0)
    if share >= 1:
        assert len(bar) == width


def test_fills_of_other_days_show_their_date() -> None:
    row = fake_data.fills()[0]
    assert fill_cells(row, INSTRUMENTS, UNICODE, UTC, NOW)[0].text == "15:05:26"
    assert fill_cells(row, INSTRUMENTS, UNICODE, UTC, NOW + DAY)[0].text == "26-03-14"
