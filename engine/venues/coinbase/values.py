"""Numbers and times as Coinbase writes them: decimals and ISO 8601 times as text, either of them empty for "none"."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation

from engine.errors import DataValidationError

__all__ = ["amount", "iso_ns", "iso_text", "some"]

_ZERO = Decimal(0)
_NS = 1_000_000_000
_DAYS: dict[str, int] = {}


def some(text: str | None) -> Decimal | None:
    """An exact decimal; None for an empty text.

    Raises:
        DataValidationError: It is no finite number.
    """
    if not text:
        return None
    try:
        number = Decimal(text)
    except InvalidOperation:
        raise DataValidationError(f"Coinbase sent {text[:40]!r} where a number is due.") from None
    if not number.is_finite():
        raise DataValidationError(f"Coinbase sent {text[:40]!r} where a number is due.")
    return number


def amount(text: str | None) -> Decimal:
    """An exact decimal; 0 for an empty text. Raises as `some`."""
    found = some(text)
    return _ZERO if found is None else found


def iso_ns(text: str | None) -> int:
    """UTC nanoseconds of a time such as `2026-08-09T21:05:48.228568804Z`; 0 for an empty text.

    Raises:
        DataValidationError: It is no such time.
    """
    if not text:
        return 0
    day, clock = text[:10], text[11:].rstrip("Z")
    try:
        whole, _, fraction = clock.partition(".")
        hours, minutes, seconds = whole.split(":")
        since = int(hours) * 3600 + int(minutes) * 60 + int(seconds)
        return (_day_s(day) + since) * _NS + (int(fraction[:9].ljust(9, "0")) if fraction else 0)
    except ValueError:
        raise DataValidationError(f"Coinbase sent {text[:40]!r} where a time is due.") from None


def _day_s(day: str) -> int:
    known = _DAYS.get(day)
    if known is None:
        known = int(datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=UTC).timestamp())
        if len(_DAYS) > 1000:
            _DAYS.clear()
        _DAYS[day] = known
    return known


def iso_text(ns: int) -> str:
    """A time in UTC nanoseconds as Coinbase wants it in queries, to the microsecond, rounded down."""
    seconds, rest = divmod(ns, _NS)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest // 1000:06d}Z"
