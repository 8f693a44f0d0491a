"""Text from outside cannot move the cursor, recolour or reorder the screen, and fills exactly its cells."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from widgets.text import Align, clean, fit, fuzzy_match, width_of

EVIL = [
    ("\x1b[31mred\x1b[0m", "red"),
    ("\x1b]0;title\x07after", "after"),
    ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
    ("\x9b2Jclear", "clear"),
    ("\x1bP+q\x1b\\dcs", "dcs"),
    ("a\x1bcb", "ab"),
    ("two\nlines\tand\rmore", "two lines and more"),
    ("abc\u202egpj.exe", "abcgpj.exe"),
    ("zero\u200bwidth\ufeff", "zerowidth"),
    ("\x1b[", ""),
    ("\x1b]never ends", ""),
    ("bell\x07\x08\x7f", "bell"),
    ("[/bold] [red]x[/]", "[/bold] [red]x[/]"),
    ("e\u0301", "é"),
    ("BTC/USDT", "BTC/USDT"),
    ("漢字", "漢字"),
]


@pytest.mark.parametrize(("dirty", "expected"), EVIL)
def test_clean_removes_what_could_harm_and_keeps_what_is_text(dirty: str, expected: str) -> None:
    assert clean(dirty) == expected


@given(st.text())
def test_clean_text_holds_no_control_format_or_combining_character(text: str) -> None:
    result = clean(text)
    assert not {unicodedata.category(char) for char in result} & {"Cc", "Cf", "Cs", "Co", "Cn", "Mn", "Me", "Zl", "Zp"}
    assert clean(result) == result


@given(st.text(), st.integers(0, 60), st.sampled_from(["left", "right", "center"]))
def test_a_fitted_text_fills_exactly_its_cells(text: str, width: int, align: Align) -> None:
    assert width_of(fit(clean(text), width, align)) == width


def test_a_number_too_wide_is_not_shown_as_another_number() -> None:
    assert fit("67431.10", 5, "right") == "…" * 5


def test_a_name_too_wide_says_that_it_goes_on() -> None:
    assert fit("mean-reversion", 8) == "mean-re…"
    assert fit("漢字漢字", 5) == "漢字…"
    assert fit("漢字漢字", 4, ellipsis="~") == "漢~ "
    assert fit("anything", 0) == ""


def test_wide_characters_count_two_cells() -> None:
    assert width_of("漢字") == 4
    assert fit("漢字", 7, "right") == "   漢字"
    assert fit("ab", 5, "center") == " ab  "


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("tre", "trend-1", True),
        ("t1", "trend-1", True),
        ("TR", "trend", True),
        ("1t", "trend-1", False),
        ("", "x", True),
        ("a b", "cab", True),
    ],
)
def test_fuzzy_match_wants_the_characters_in_order(pattern: str, text: str, expected: bool) -> None:
    assert fuzzy_match(pattern, text) is expected
