"""Numbers and times as exchanges write them, taken exactly."""

from __future__ import annotations

import re
from datetime import datetime
from decimal import Decimal

from engine.errors import DataValidationError

__all__ = ["iso_ns", "scaled"]

LONGEST = 64
"""Digits of a number, and characters of its text."""


def scaled(text: str, places: int) -> int:
    """Scaled integer of an exchange's decimal string, without a float in between.

    Raises:
        DataValidationError: It is no number, or has more decimal places than the instrument.
    """
    if len(text) > LONGEST:
        raise DataValidationError(f"The exchange sent {text[:40]!r}… where a number belongs.")
    whole, _, fraction = text.partition(".")
    if len(fraction) > places and not fraction[places:].strip("0"):
        fraction = fraction[:places]
    if whole.isdecimal() and len(fraction) <= places and (not fraction or fraction.isdecimal()):
        return int(whole + fraction.ljust(places, "0"))
    # The rare rest: exponents, signs, too many places, and what is no number at all.
    try:
        exact = Decimal(text).scaleb(places)
        # A short text may still mean a number of a million digits.
        whole_units = int(exact) if exact.adjusted() < LONGEST else 0
    except (ArithmeticError, ValueError):
        raise DataValidationError(f"The exchange sent {text[:40]!r} where a number belongs.") from None
    if exact != whole_units:
        raise DataValidationError(f"The exchange sent {text[:40]!r}, which has more than {places} decimal places.")
    return whole_units


def iso_ns(text: str) -> int:
    """UTC nanoseconds of an ISO-8601 time such as `2026-08-09T21:05:48.483587501Z`.

    Raises:
        DataValidationError: It is no such time.
    """
    match = re.fullmatch(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(?:Z|\+00:00)", text)
    if match is None:
        raise DataValidationError(f"The exchange sent {text[:40]!r} where a UTC time belongs.")
    try:
        seconds = int(datetime.fromisoformat(match[1] + "+00:00").timestamp())
    except ValueError:
        raise DataValidationError(f"The exchange sent {text[:40]!r}, which is no day or no time of day.") from None
    return seconds * 1_000_000_000 + int((match[2] or "0").ljust(9, "0"))
