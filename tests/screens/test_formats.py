"""Figures and times as people read them; what is not known is a dash and never a zero."""

from __future__ import annotations

import math
from datetime import UTC
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from screens.formats import (
    DASH,
    age,
    at,
    clock,
    compact,
    day,
    decimals_of,
    exact,
    figure_text,
    number,
    percent,
    scaled,
    without_amounts,
)

NS = 1_000_000_000
NOON = 1_773_489_600 * NS


@pytest.mark.parametrize(
    ("value", "decimals", "signed", "text"),
    [
        (Decimal("1234567.891"), 2, False, "1,234,567.89"),
        (Decimal("-0.001"), 2, True, "0.00"),
        (Decimal("-0.01"), 2, True, "-0.01"),
        (Decimal("5"), 0, True, "+5"),
        (0.5, 1, False, "0.5"),
        (None, 2, False, DASH),
        (math.nan, 2, False, DASH),
    ],
)
def test_a_figure_has_its_decimals_and_a_sign_only_when_there_is_one(
    value: Decimal | float | None, decimals: int, signed: bool, text: str
) -> None:
    assert number(value, decimals, signed=signed) == text


@given(st.decimals(min_value=-(10**12), max_value=10**12, allow_nan=False, allow_infinity=False, places=8))
def test_an_exact_figure_loses_nothing(value: Decimal) -> None:
    assert Decimal(exact(value).replace(",", "")) == value


@given(st.integers(min_value=0, max_value=10**15), st.integers(min_value=0, max_value=8))
def test_a_scaled_figure_with_all_its_places_loses_nothing(value: int, scale: int) -> None:
    assert Decimal(scaled(value, scale, scale).replace(",", "")).scaleb(scale) == value


@pytest.mark.parametrize(("step", "decimals"), [("0.10", 1), ("0.00001", 5), ("1", 0), ("10", 0), ("0.05", 2)])
def test_a_step_says_how_many_decimals_there_are(step: str, decimals: int) -> None:
    assert decimals_of(Decimal(step)) == decimals


def test_a_share_is_a_percentage() -> None:
    assert percent(0.0124, signed=True) == "+1.24 %"
    assert percent(Decimal("0.4"), 0) == "40 %"
    assert percent(None) == DASH


def test_large_figures_are_short() -> None:
    assert [compact(value) for value in (1284.5, 2.5e6, 3e9, 12.0, None)] == ["1.28k", "2.50M", "3.00G", "12.00", DASH]


def test_times_are_shown_in_their_zone() -> None:
    assert clock(NOON, UTC) == "12:00:00"
    assert clock(NOON, ZoneInfo("Asia/Tokyo")) == "21:00:00"
    assert day(NOON, UTC) == "2026-03-14"
    assert at(NOON, UTC) == "2026-03-14 12:00"
    assert (clock(0, UTC), day(0, UTC), at(0, UTC)) == (DASH, DASH, DASH)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0s"), (99, "99s"), (100, "1m"), (5_999, "99m"), (6_000, "1h 40m"), (200_000, "2d")]
)
def test_an_age_is_told_in_its_largest_unit(seconds: int, text: str) -> None:
    assert age(NOON - seconds * NS, NOON) == text


def test_an_age_from_the_future_is_none_and_an_unknown_one_is_a_dash() -> None:
    assert age(NOON + NS, NOON) == "0s"
    assert age(0, NOON) == DASH


@pytest.mark.parametrize(
    ("typed", "figure"),
    [("1500", "1500"), (" 65,000 ", "65000"), ("1,234,567.8", "1234567.8"), ("1_000", "1000"), ("0.05", "0.05")],
)
def test_thousands_may_be_grouped(typed: str, figure: str) -> None:
    assert figure_text(typed) == figure


@pytest.mark.parametrize("typed", ["0,5", "1,5", "0,001", "12,34", "1,0000", ",5", "1.000,5"])
def test_a_decimal_comma_is_no_figure_and_never_ten_times_as_much(typed: str) -> None:
    assert figure_text(typed) == ""


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("bought 0.02 BTC/USDT at 66,890.00.", "bought ••••• BTC/USDT at •••••."),
        ("Deposited 1,000.50 USDT (+3)", "Deposited ••••• USDT (•••••)"),
        ("-5.1 % of -10,000 at 14:03:22", "-5.1 % of ••••• at 14:03:22"),
        ("trend-1 of 2.0.0 asked for q1w2e3r4 #12", "trend-1 of 2.0.0 asked for q1w2e3r4 #12"),
    ],
)
def test_a_sentence_is_shown_without_its_amounts(said: str, shown: str) -> None:
    assert without_amounts(said) == shown
