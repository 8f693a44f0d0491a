"""A lean strip does what Textual's does, and carries no cache that nobody uses."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.segment import Segment
from rich.style import Style
from textual.cache import FIFOCache
from textual.color import Color
from textual.filter import Monochrome
from textual.strip import Strip

from widgets.strips import _ROOMS, LeanStrip

STYLES = (None, Style(color="#ff0000"), Style(bgcolor="#203040", bold=True))
segments = st.lists(
    st.builds(Segment, st.text("ab 中│", min_size=1, max_size=6), st.sampled_from(STYLES), st.none()),
    min_size=1,
    max_size=6,
)


def test_every_cache_of_textuals_strip_is_known() -> None:
    textuals = Strip([])
    assert {name for name in Strip.__slots__ if isinstance(getattr(textuals, name), FIFOCache)} == set(_ROOMS)
    assert {name: getattr(textuals, name)._maxsize for name in _ROOMS} == _ROOMS


@given(segments, st.lists(st.integers(1, 40), max_size=4))
def test_it_is_divided_like_textuals(parts: list[Segment], cuts: list[int]) -> None:
    lean, textuals = LeanStrip(parts), Strip(parts)
    ends = sorted({*cuts, textuals.cell_length})
    for _ in range(2):
        divided = lean.divide(ends)
        assert divided == textuals.divide(ends)
        assert [strip.cell_length for strip in divided] == [strip.cell_length for strip in textuals.divide(ends)]


@given(segments, st.integers(0, 20), st.integers(0, 20))
def test_all_else_is_inherited(parts: list[Segment], start: int, length: int) -> None:
    lean, textuals = LeanStrip(parts), Strip(parts)
    assert lean == textuals
    assert lean.cell_length == textuals.cell_length
    assert lean.crop(start, start + length) == textuals.crop(start, start + length)
    assert lean.apply_style(STYLES[1] or Style()) == textuals.apply_style(STYLES[1] or Style())
    assert lean.adjust_cell_length(length) == textuals.adjust_cell_length(length)
    assert lean.extend_cell_length(length) == textuals.extend_cell_length(length)
    assert lean.text == textuals.text
    assert lean.link_ids == textuals.link_ids


def test_a_cache_is_there_once_it_is_used_and_answers_again() -> None:
    lean = LeanStrip([Segment("abcdef", STYLES[1])], 6)
    with pytest.raises(AttributeError):
        Strip.__dict__["_crop_cache"].__get__(lean)
    assert lean.crop(1, 3) is lean.crop(1, 3)
    assert isinstance(Strip.__dict__["_crop_cache"].__get__(lean), FIFOCache)
    with pytest.raises(AttributeError):
        Strip.__dict__["_filter_cache"].__get__(lean)
    assert lean.divide([6])[0] is lean


def test_what_does_not_exist_is_missed_as_ever() -> None:
    with pytest.raises(AttributeError, match="_no_such_cache"):
        _ = LeanStrip([])._no_such_cache


def test_a_filter_is_applied_to_it() -> None:
    parts = [Segment("ab", STYLES[1])]
    black = Color(0, 0, 0)
    assert LeanStrip(parts).apply_filter(Monochrome(), black) == Strip(parts).apply_filter(Monochrome(), black)
