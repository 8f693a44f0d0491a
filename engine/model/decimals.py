"""Exact decimal arithmetic: the one context in which anything booked is computed."""

from __future__ import annotations

import decimal
import re
from decimal import Decimal

from engine.errors import ValidationError

__all__ = ["EXACT", "ONE", "ZERO", "exact", "floor_to", "parse_decimal", "round_to", "within"]

_GROUPED = re.compile(r"[+-]?[1-9]\d{0,2}(?:(?:,\d{3})+\.\d+|(?:,\d{3}){2,})")
ZERO = Decimal(0)
ONE = Decimal(1)

EXACT = decimal.Context(
    prec=60,
    rounding=decimal.ROUND_HALF_EVEN,
    Emin=-999_999,
    Emax=999_999,
    capitals=1,
    clamp=0,
    flags=[],
    traps=[
        decimal.Inexact,
        decimal.InvalidOperation,
        decimal.DivisionByZero,
        decimal.Overflow,
        decimal.FloatOperation,
    ],
)
"""Precision 60; a result that would need rounding raises instead of being booked wrongly."""


class within:
    """Run a block in a context that nothing changes; `decimal.localcontext` would copy it each time."""

    __slots__ = ("_context", "_outer")

    def __init__(self, context: decimal.Context) -> None:
        self._context = context

    def __enter__(self) -> None:
        self._outer = decimal.getcontext()
        decimal.setcontext(self._context)

    def __exit__(self, *_: object) -> None:
        decimal.setcontext(self._outer)


def exact() -> within:
    """Enter the exact context for a block of additions, subtractions and multiplications."""
    return within(EXACT)


def parse_decimal(text: object, what: str) -> Decimal:
    """Read a finite decimal that a person or a file wrote.

    Args:
        text: A string, int or Decimal. A string may group thousands with `_`, or with commas where nobody could take
            them for decimal commas (`1,234.50`, `1,234,567`).
        what: Name of the value, used in the error.

    Raises:
        ValidationError: It is not a finite decimal number, or it is a binary float, or a comma in it is ambiguous.
    """
    if isinstance(text, float | bool):
        raise ValidationError(f"{what} must be an exact decimal, not {_kind(text)} {text!r}; pass it as text.")
    plain = str(text).strip().replace("_", "")
    if "," in plain:
        # Half the world writes 1,5 for one and a half: taking the comma for decoration would order ten times as much.
        if not _GROUPED.fullmatch(plain):
            raise ValidationError(f"{what} must be a number without a comma, such as 1500 or 1.5, not {plain[:40]!r}.")
        plain = plain.replace(",", "")
    try:
        value = Decimal(plain)
    except decimal.InvalidOperation:
        raise ValidationError(f"{what} must be a number, not {str(text)[:40]!r}.") from None
    if not value.is_finite():
        raise ValidationError(f"{what} must be a finite number, not {str(text)[:40]!r}.")
    return value


def _kind(value: float | bool) -> str:
    return "the truth value" if isinstance(value, bool) else "the binary float"


def floor_to(value: Decimal, step: Decimal) -> Decimal:
    """Round a non-negative value down to a multiple of `step` (> 0)."""
    return (value // step) * step


def round_to(value: Decimal, step: Decimal) -> Decimal:
    """Round a value to the nearest multiple of `step` (> 0), halves to even."""
    return (value / step).to_integral_value(decimal.ROUND_HALF_EVEN) * step
