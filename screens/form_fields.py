"""Fields of forms as plain values: what may stand in each, read and judged in words, without drawing anything.

field = Field("capital", "Capital", Kind.NUMBER, "2000", minimum="0", above=True, unit="USDT")
fault(field, "-1")            # "write a figure above 0 USDT"
read(field, "2,500")          # Decimal("2500")
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, TypeAlias

from screens.formats import figure_text
from widgets.text import clean

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from engine.control.views import ParamRow

__all__ = [
    "NO",
    "PARAM",
    "YES",
    "YES_NO",
    "Field",
    "FieldValue",
    "Kind",
    "bounds",
    "changed",
    "date_of",
    "day_text",
    "fault",
    "nudged",
    "param_fields",
    "params_of",
    "read",
]

FieldValue: TypeAlias = str | int | Decimal | bool | date | None
NS = 1_000_000_000
PARAM = "param "
"""Before the names of fields that are a strategy's parameters: theirs may be those of other fields too."""
MOST_DIGITS = 30
YES, NO = "yes", "no"
YES_NO = ((NO, "no"), (YES, "yes"))
TRUE_WORDS = frozenset({"yes", "true", "1", "on"})


class Kind(enum.StrEnum):
    """What a field holds."""

    TEXT = "text"
    WHOLE = "whole number"
    NUMBER = "number"
    CHOICE = "choice"
    DATE = "date"
    SECRET = "secret"  # noqa: S105 - the kind's name
    """Typed or pasted unseen, over several lines where it is a PEM text; forgotten when the form closes."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a form."""

    name: str
    label: str
    kind: Kind = Kind.TEXT
    value: str = ""
    """What stands in it at first, and what counts as unchanged."""
    choices: tuple[tuple[str, str], ...] = ()
    """Value and words of each choice."""
    minimum: str = ""
    maximum: str = ""
    above: bool = False
    """The value must be above the minimum, not at it."""
    unit: str = ""
    help: str = ""
    optional: bool = False
    heading: str = ""
    """A line above the field that names what begins here."""


def _figure(text: str) -> Decimal | None:
    try:
        value = Decimal(figure_text(text))
    except InvalidOperation:
        return None
    # Written out, 1e999999 would be a million digits.
    usual = value.is_finite() and abs(value.adjusted()) <= MOST_DIGITS and len(value.as_tuple().digits) <= MOST_DIGITS
    return value if usual else None


def date_of(text: str) -> date | None:
    """Return a typed day (YYYY-MM-DD), or None when it is none."""
    try:
        return date.fromisoformat(text.strip())
    except ValueError:
        return None


def day_text(ns: int) -> str:
    """Return the UTC day of a time as it is typed into a field; empty for none."""
    return datetime.fromtimestamp(ns // NS, UTC).strftime("%Y-%m-%d") if ns else ""


def bounds(field: Field) -> str:
    """Return what is allowed in a few words; empty where anything goes."""
    unit = f" {field.unit}" if field.unit else ""
    low, high = field.minimum, field.maximum
    if low and high:
        return f"{'above ' if field.above else ''}{low} to {high}{unit}"
    if low:
        return f"above {low}{unit}" if field.above else f"{low}{unit} or {'later' if _is_date(field) else 'more'}"
    return f"{high}{unit} or {'earlier' if _is_date(field) else 'less'}" if high else ""


def _is_date(field: Field) -> bool:
    return field.kind is Kind.DATE


def fault(field: Field, text: str) -> str:
    """Return what is wrong with a text in a field, as the end of a sentence; empty when nothing is."""
    text = text.strip()
    if not text:
        return "" if field.optional else "must not be empty"
    if field.kind is Kind.CHOICE:
        return "" if any(text == value for value, _ in field.choices) else "one of the values"
    if field.kind in {Kind.TEXT, Kind.SECRET}:
        return ""
    allowed = bounds(field)
    if field.kind is Kind.DATE:
        day = date_of(text)
        if day is None:
            return "a day such as 2024-12-31"
        low, high = date_of(field.minimum), date_of(field.maximum)
        outside = (low is not None and day < low) or (high is not None and day > high)
        return f"a day, {allowed}" if outside else ""
    return _figure_fault(field, text, allowed)


def _figure_fault(field: Field, text: str, allowed: str) -> str:
    figure = _figure(text)
    noun = "a whole number" if field.kind is Kind.WHOLE else "a figure"
    wanted = f"{noun}{', ' if allowed and not field.above else ' '}{allowed}".strip()
    if figure is None or (field.kind is Kind.WHOLE and figure != figure.to_integral_value()):
        return wanted
    low, high = _figure(field.minimum or "x"), _figure(field.maximum or "x")
    if low is not None and (figure <= low if field.above else figure < low):
        return wanted
    return wanted if high is not None and figure > high else ""


def read(field: Field, text: str) -> FieldValue:
    """Return the value of a faultless text: text, int, Decimal or date; None for an empty optional field."""
    text = text.strip()
    if not text:
        return None
    if field.kind is Kind.DATE:
        return date_of(text)
    if field.kind in {Kind.WHOLE, Kind.NUMBER}:
        figure = _figure(text)
        return int(figure) if figure is not None and field.kind is Kind.WHOLE else figure
    return clean(text)


def changed(field: Field, text: str) -> bool:
    """Tell whether a text means something else than what stood in the field at first."""
    if fault(field, text) or fault(field, field.value):
        return text.strip() != field.value.strip()
    return read(field, text) != read(field, field.value)


def nudged(field: Field, text: str, steps: int) -> str:
    """Return the text moved by so many steps (a day, one, or one of the last digit), as it is when it cannot be."""
    if field.kind is Kind.DATE:
        day = date_of(text)
        return text if day is None else (day + timedelta(days=steps)).isoformat()
    figure = _figure(text) if field.kind in {Kind.WHOLE, Kind.NUMBER} else None
    if figure is None:
        return text
    exponent = figure.as_tuple().exponent
    moved = f"{figure + Decimal(steps).scaleb(min(0, exponent if isinstance(exponent, int) else 0)):f}"
    return text if fault(field, moved) and not fault(field, text) else moved


# --- the parameters of a strategy


def param_fields(rows: Sequence[ParamRow], values: Mapping[str, object], heading: str) -> list[Field]:
    """Return a field for every declared parameter.

    Args:
        rows: The declarations.
        values: Values to begin with, where they differ from the defaults.
        heading: What stands above the first of them.
    """
    fields = [_param_field(row, values.get(row.name)) for row in rows]
    return [replace(fields[0], heading=heading), *fields[1:]] if fields else []


def _param_field(row: ParamRow, value: object) -> Field:
    choices: tuple[tuple[str, str], ...]
    if row.type == "bool":
        kind, choices = Kind.CHOICE, YES_NO
        default = YES if str(row.default if value is None else value).casefold() in TRUE_WORDS else NO
    else:
        kinds = {"int": Kind.WHOLE, "float": Kind.NUMBER}
        kind = Kind.CHOICE if row.choices else kinds.get(row.type, Kind.TEXT)
        choices = tuple((choice, choice) for choice in row.choices)
        default = row.default if value is None else str(value)
    return Field(
        f"{PARAM}{row.name}",
        row.name,
        kind,
        default,
        choices,
        minimum=row.minimum,
        maximum=row.maximum,
        help=row.help,
        optional=row.default == "" and kind is not Kind.CHOICE,
    )


def params_of(rows: Sequence[ParamRow], texts: Mapping[str, str]) -> dict[str, bool | int | float | str]:
    """Return the parameters that differ from their defaults, as an operation takes them; `texts` are faultless."""
    found: dict[str, bool | int | float | str] = {}
    for row in rows:
        field = _param_field(row, None)
        text = texts.get(field.name, field.value)
        if not changed(field, text):
            continue
        value = read(field, text)
        if row.type == "bool":
            found[row.name] = text == YES
        elif isinstance(value, Decimal):
            found[row.name] = float(value)
        elif isinstance(value, int | str):
            found[row.name] = value
    return found
