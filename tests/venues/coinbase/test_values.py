"""Numbers and times as Coinbase writes them."""

from decimal import Decimal

import pytest

from engine.errors import DataValidationError
from engine.venues.coinbase.values import amount, iso_ns, iso_text, some


def test_an_empty_text_is_no_number_or_zero() -> None:
    assert some("") is None
    assert some(None) is None
    assert amount("") == 0
    assert some("0.10") == Decimal("0.10")


@pytest.mark.parametrize("text", ["abc", "NaN", "Infinity", "1,5"])
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(DataValidationError):
        some(text)


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("", 0),
        ("1970-01-01T00:00:01Z", 1_000_000_000),
        ("2026-08-09T21:05:48.228568804Z", 1_786_309_548_228_568_804),
        ("2023-11-26T10:19:47.504Z", 1_700_993_987_504_000_000),
    ],
)
def test_times_keep_their_nanoseconds(text: str, ns: int) -> None:
    assert iso_ns(text) == ns


@pytest.mark.parametrize("text", ["yesterday", "2026-08-09 21:05", "2026-13-09T21:05:48Z"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(DataValidationError):
        iso_ns(text)


def test_a_time_is_written_as_it_is_read_to_the_microsecond() -> None:
    ns = 1_786_309_548_228_568_804
    assert iso_ns(iso_text(ns)) == ns - 804
