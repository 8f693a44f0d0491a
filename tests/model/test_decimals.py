"""Numbers are read as they were written, or refused; what is booked is exact."""

from __future__ import annotations

import decimal
from decimal import Decimal as D

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import ValidationError
from engine.model.decimals import EXACT, exact, floor_to, parse_decimal, round_to


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (" 1.50 ", "1.50"),
        ("-3", "-3"),
        (7, "7"),
        (D("0.1"), "0.1"),
        ("1_000", "1000"),
        ("1,234.5", "1234.5"),
        ("12,345,678", "12345678"),
        ("1e3", "1E+3"),
    ],
)
def test_a_number_is_read_to_the_last_digit(text: object, value: str) -> None:
    assert str(parse_decimal(text, "x")) == value


@pytest.mark.parametrize("text", ["1,5", "0,001", "1,000", "1.000,50", ",5", "1,23,456", "1,,000.0", "0,123,456"])
def test_a_comma_that_may_be_a_decimal_comma_is_refused(text: str) -> None:
    with pytest.raises(ValidationError, match="without a comma"):
        parse_decimal(text, "The quantity")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "must be a number"),
        ("abc", "The price must be a number, not 'abc'"),
        (0.1, "not the binary float 0.1"),
        (True, "not the truth value True"),
        ("NaN", "finite"),
        ("-Infinity", "finite"),
        ("1.2.3", "must be a number"),
    ],
)
def test_what_is_no_exact_number_is_refused_in_words(text: object, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        parse_decimal(text, "The price")


def test_a_sum_that_would_have_to_be_rounded_is_never_booked() -> None:
    with exact(), pytest.raises(decimal.Inexact):
        _ = D("1e50") + D("1e-50")
    with exact():
        assert D("0.1") + D("0.2") == D("0.3")
    assert EXACT.prec == 60


POSITIVE = st.decimals(min_value=0, max_value=10**9, places=8)
STEPS = st.sampled_from([D("0.00001"), D("0.01"), D("0.5"), D(1), D(25)])


@given(POSITIVE, STEPS)
def test_rounding_lands_on_the_grid_and_not_far_away(value: D, step: D) -> None:
    down, near = floor_to(value, step), round_to(value, step)
    assert down % step == near % step == 0
    assert D(0) <= value - down < step
    assert abs(value - near) <= step / 2
