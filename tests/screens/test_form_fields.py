"""What may stand in a field, and the sentence that says what is wrong with it."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.control.views import ParamRow
from screens.form_fields import (
    NO,
    PARAM,
    YES,
    YES_NO,
    Field,
    FieldValue,
    Kind,
    bounds,
    changed,
    fault,
    nudged,
    param_fields,
    params_of,
    read,
)

WHOLE = Field("fast", "Fast", Kind.WHOLE, "20", minimum="2", maximum="200")
MONEY = Field("capital", "Capital", Kind.NUMBER, "2000", minimum="0", above=True, unit="USDT")
DAY = Field("start", "From", Kind.DATE, "2024-01-01", minimum="2024-01-01", maximum="2024-12-31")
CHOICE = Field("on", "On", Kind.CHOICE, NO, YES_NO)
TEXT = Field("name", "Name")
FREE = Field("note", "Note", optional=True)


@pytest.mark.parametrize(
    ("field", "text", "said"),
    [
        (WHOLE, "2", ""),
        (WHOLE, "200", ""),
        (WHOLE, "1", "a whole number, 2 to 200"),
        (WHOLE, "2.5", "a whole number, 2 to 200"),
        (WHOLE, "many", "a whole number, 2 to 200"),
        (WHOLE, "NaN", "a whole number, 2 to 200"),
        (MONEY, "0", "a figure above 0 USDT"),
        (MONEY, "2,500.50", ""),
        (MONEY, "1e400000", "a figure above 0 USDT"),
        (MONEY, "1e-400000", "a figure above 0 USDT"),
        (MONEY, "1e20", ""),
        (DAY, "2024-02-30", "a day such as 2024-12-31"),
        (DAY, "2025-01-01", "a day, 2024-01-01 to 2024-12-31"),
        (DAY, " 2024-06-01 ", ""),
        (CHOICE, "perhaps", "one of the values"),
        (TEXT, "  ", "must not be empty"),
        (FREE, "", ""),
    ],
)
def test_a_text_is_judged_in_words(field: Field, text: str, said: str) -> None:
    assert fault(field, text) == said


@pytest.mark.parametrize(
    ("field", "said"),
    [
        (WHOLE, "2 to 200"),
        (MONEY, "above 0 USDT"),
        (Field("a", "A", Kind.NUMBER, minimum="1"), "1 or more"),
        (Field("a", "A", Kind.NUMBER, maximum="1", unit="%"), "1 % or less"),
        (Field("a", "A", Kind.DATE, minimum="2024-01-01"), "2024-01-01 or later"),
        (TEXT, ""),
    ],
)
def test_what_is_allowed_is_said_in_a_few_words(field: Field, said: str) -> None:
    assert bounds(field) == said


@pytest.mark.parametrize(
    ("field", "text", "value"),
    [
        (WHOLE, "1_00", 100),
        (MONEY, "2,500.50", Decimal("2500.50")),
        (DAY, "2024-06-01", date(2024, 6, 1)),
        (TEXT, " a \x1b[31mb ", "a b"),
        (FREE, "", None),
    ],
)
def test_a_faultless_text_is_read_exactly(field: Field, text: str, value: FieldValue) -> None:
    assert read(field, text) == value


def test_only_another_meaning_counts_as_a_change() -> None:
    assert not changed(MONEY, "2,000.00")
    assert changed(MONEY, "2000.01")
    assert changed(MONEY, "two")
    assert not changed(TEXT, "")


@pytest.mark.parametrize(
    ("field", "text", "steps", "after"),
    [
        (WHOLE, "20", 1, "21"),
        (WHOLE, "200", 1, "200"),
        (MONEY, "0.5", -1, "0.4"),
        (MONEY, "0.1", -1, "0.1"),
        (DAY, "2024-02-28", 2, "2024-03-01"),
        (TEXT, "abc", 1, "abc"),
        (WHOLE, "abc", 1, "abc"),
    ],
)
def test_a_step_moves_a_figure_by_its_last_digit_and_stays_inside(
    field: Field, text: str, steps: int, after: str
) -> None:
    assert nudged(field, text, steps) == after


@given(st.text(max_size=20))
def test_any_text_is_judged_and_what_passes_can_be_read(text: str) -> None:
    for field in (WHOLE, MONEY, DAY, CHOICE, TEXT, FREE):
        if not fault(field, text):
            value = read(field, text)
            assert value is not None or field.optional or not text.strip()
        assert isinstance(nudged(field, text, 1), str)


ROWS = (
    ParamRow(name="fast_ma", type="int", default="20", minimum="2", maximum="200", choices=(), help="Bars."),
    ParamRow(name="factor", type="float", default="1.5", minimum="", maximum="", choices=(), help=""),
    ParamRow(name="allow_short", type="bool", default="True", minimum="", maximum="", choices=(), help=""),
    ParamRow(name="average", type="choice", default="ema", minimum="", maximum="", choices=("sma", "ema"), help=""),
    ParamRow(name="tag", type="text", default="", minimum="", maximum="", choices=(), help=""),
)


def texts(fields: list[Field], **given: str) -> dict[str, str]:
    return {field.name: field.value for field in fields} | {f"{PARAM}{name}": text for name, text in given.items()}


def test_every_declared_parameter_becomes_a_field_with_its_bounds() -> None:
    fields = param_fields(ROWS, {}, "Parameters")
    assert [field.label for field in fields] == [row.name for row in ROWS]
    assert fields[0].heading == "Parameters"
    assert bounds(fields[0]) == "2 to 200"
    assert [field.value for field in fields] == ["20", "1.5", YES, "ema", ""]
    assert fields[-1].optional


def test_only_parameters_that_differ_from_their_defaults_are_sent() -> None:
    fields = param_fields(ROWS, {}, "Parameters")
    assert params_of(ROWS, texts(fields)) == {}
    given = texts(fields, fast_ma="30", factor="2", allow_short=NO, average="sma", tag="x")
    assert params_of(ROWS, given) == {
        "fast_ma": 30,
        "factor": 2.0,
        "allow_short": False,
        "average": "sma",
        "tag": "x",
    }


def test_values_that_were_set_stand_in_the_fields_and_are_sent_again() -> None:
    fields = param_fields(ROWS, {"fast_ma": 30, "allow_short": False}, "Parameters")
    assert params_of(ROWS, texts(fields)) == {"fast_ma": 30, "allow_short": False}
