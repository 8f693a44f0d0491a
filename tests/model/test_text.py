"""What may go to a terminal, of whatever was written by others."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from engine.model.text import clean, clean_lines, escape_json


@given(st.text())
def test_nothing_that_steers_a_terminal_is_left(text: str) -> None:
    assert not any(ord(sign) < 32 or 0x7F <= ord(sign) <= 0x9F for sign in clean(text))


@given(st.text())
def test_lines_stay_lines_and_are_each_clean(text: str) -> None:
    assert clean_lines(text).split("\n") == [clean(line) for line in text.split("\n")]


@given(st.text())
def test_escaped_json_holds_the_same_data(text: str) -> None:
    written = escape_json(json.dumps([text], ensure_ascii=False, indent=2))
    assert json.loads(written) == [text]
    assert not any(0x7F <= ord(sign) <= 0x9F or sign == "\u202e" for sign in written)
