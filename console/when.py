"""Moments as a person writes them: a date, a time of today, or how long ago."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo

from engine.errors import ValidationError

__all__ = ["EXAMPLES", "moment"]

EXAMPLES = "2026-03-01 14:30, 14:30, 14:30:05, 2h ago, 90s ago"
_AGO = re.compile(r"^(\d+(?:\.\d+)?)\s*(s|sec|m|min|h|d|w)\w*(\s+ago)?$")
_CLOCK = re.compile(r"^(\d{1,2}):(\d{2})(?::(\d{2}))?$")
_UNITS = {"s": 1, "sec": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400, "w": 604_800}
NS = 1_000_000_000


def moment(text: str, now: int, zone: tzinfo = UTC) -> int:
    """Read a moment.

    Args:
        text: Such as one of EXAMPLES; a date without an offset is in `zone`.
        now: UTC nanoseconds of the present; a time alone is the last one before it.
        zone: The person's zone.

    Returns:
        UTC nanoseconds.

    Raises:
        ValidationError: It is none.
    """
    said = text.strip()
    ago = _AGO.match(said.removeprefix("-").lower())
    if ago is not None:
        return now - int(float(ago[1]) * _UNITS[ago[2]] * NS)
    clock = _CLOCK.match(said)
    if clock is not None:
        return _today(clock, now, zone, text)
    try:
        found = datetime.fromisoformat(said)
    except ValueError:
        raise ValidationError(f"{text!r} is no moment. Write it like one of these: {EXAMPLES}.") from None
    if found.tzinfo is None:
        found = found.replace(tzinfo=zone)
    since = found - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * NS + since.microseconds * 1_000


def _today(clock: re.Match[str], now: int, zone: tzinfo, text: str) -> int:
    present = datetime.fromtimestamp(now // NS, zone)
    try:
        found = present.replace(hour=int(clock[1]), minute=int(clock[2]), second=int(clock[3] or 0), microsecond=0)
    except ValueError:
        raise ValidationError(f"{text!r} is no time of a day. Write it like one of these: {EXAMPLES}.") from None
    if found > present:
        found -= timedelta(days=1)
    return int(found.timestamp()) * NS
