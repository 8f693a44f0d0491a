"""Client order ids never repeat and fit every venue."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from engine.execution.ids import ClientIds

NUMBERS = st.integers(0, 36**7 - 1)
EPOCHS = st.integers(0, 36**4 - 1)


@given(EPOCHS, NUMBERS)
def test_an_id_is_a_letter_and_nineteen_letters_or_digits(epoch: int, seq: int) -> None:
    assert re.fullmatch(r"[A-Za-z][A-Za-z0-9]{19}", ClientIds("abcd1234", epoch).make(seq))


@given(st.tuples(EPOCHS, NUMBERS), st.tuples(EPOCHS, NUMBERS))
def test_two_facts_never_share_an_id(one: tuple[int, int], other: tuple[int, int]) -> None:
    first = ClientIds("abcd1234", one[0]).make(one[1])
    second = ClientIds("abcd1234", other[0]).make(other[1])
    assert (first == second) == (one == other)


@given(NUMBERS, st.from_regex("[a-z][a-z0-9]{4}", fullmatch=True), st.from_regex("[a-z][a-z0-9]{4}", fullmatch=True))
def test_an_epoch_that_is_opened_again_has_other_ids(seq: int, one: str, other: str) -> None:
    first, second = ClientIds("abcd1234", 3, one), ClientIds("abcd1234", 3, other)
    assert re.fullmatch(r"[A-Za-z][A-Za-z0-9]{24}", first.make(seq))
    assert (first.make(seq) == second.make(seq)) == (one == other)
    assert first.is_ours(second.make(seq))
    assert first.is_ours(ClientIds("abcd1234", 3).make(seq))


def test_ids_of_another_instance_are_not_ours() -> None:
    ours = ClientIds("abcd1234", 1)
    assert ours.is_ours(ClientIds("abcd1234", 9).make(5))
    assert not ours.is_ours(ClientIds("abcd1235", 1).make(5))
    assert not ours.is_ours("web-123")
    assert not ours.is_ours("Qabcd1234")
