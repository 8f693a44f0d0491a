"""Figures and times as people read them; a value that is not known is a dash, never a zero."""

from __future__ import annotations

import re
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import tzinfo

__all__ = [
    "DASH",
    "MASK",
    "age",
    "at",
    "clock",
    "compact",
    "day",
    "decimals_of",
    "exact",
    "figure_text",
    "number",
    "percent",
    "scaled",
    "without_amounts",
]

DASH = "–"
MASK = "•••••"
"""What stands for an amount while privacy is on."""
NS = 1_000_000_000
_GROUPED = re.compile(r"[+-]?[1-9]\d{0,2}(,\d{3})+(\.\d*)?")
# by itself: no part of a name, a time, a version or a percentage
_AMOUNT = re.compile(r"(?<![\w.,:/#+-])[+-]?\d[\d,]*(\.\d+)?(?![\w:/%-]|[.,]\d| %)")


def number(value: Decimal | float | None, decimals: int = 2, *, signed: bool = False) -> str:
    """Return a figure with thousands separators and fixed decimals, with its sign when asked for."""
    if value is None or value != value:
        return DASH
    text = f"{value:+,.{decimals}f}" if signed else f"{value:,.{decimals}f}"
    # A loss too small for the decimals is no loss: minus zero would puzzle.
    return text.lstrip("+-") if signed and not text.strip("+-0.,") else text


def exact(value: Decimal | None) -> str:
    """Return an exact figure with all of its decimals and no trailing zeros."""
    if value is None:
        return DASH
    text = f"{value:,f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def figure_text(typed: str) -> str:
    """Return a typed figure without thousands separators, or nothing where its comma is a decimal comma.

    Whoever writes 0,5 for a half must not get five: a comma counts only where it groups thousands.
    """
    text = typed.strip().replace("_", "")
    if "," not in text:
        return text
    return text.replace(",", "") if _GROUPED.fullmatch(text) else ""


@lru_cache(maxsize=8192)
def scaled(value: int, scale: int, decimals: int) -> str:
    """Return a scaled integer of `scale` decimal places with `decimals` of them shown."""
    return f"{Decimal(value).scaleb(-scale):,.{decimals}f}"


def decimals_of(step: Decimal) -> int:
    """Return how many decimals a figure on this step has."""
    exponent = step.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def percent(fraction: float | Decimal | None, decimals: int = 2, *, signed: bool = False) -> str:
    """Return a fraction as a percentage."""
    text = number(None if fraction is None else float(fraction) * 100, decimals, signed=signed)
    return text if text == DASH else f"{text} %"


def compact(value: float | Decimal | None) -> str:
    """Return a figure in five cells or so: 1,284.5 as 1.28k."""
    if value is None:
        return DASH
    value = float(value)
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= limit:
            return f"{value / limit:.2f}{unit}"
    return f"{value:.2f}"


@lru_cache(maxsize=4096)
def clock(ns: int, zone: tzinfo) -> str:
    """Return the time of day of a UTC nanosecond time in a zone."""
    return datetime.fromtimestamp(ns // NS, zone).strftime("%H:%M:%S") if ns else DASH


@lru_cache(maxsize=4096)
def day(ns: int, zone: tzinfo) -> str:
    """Return the date of a UTC nanosecond time in a zone."""
    return datetime.fromtimestamp(ns // NS, zone).strftime("%Y-%m-%d") if ns else DASH


def at(ns: int, zone: tzinfo) -> str:
    """Return date and time of a UTC nanosecond time in a zone, to the minute."""
    return f"{day(ns, zone)} {clock(ns, zone)[:5]}" if ns else DASH


def age(ns: int, now: int) -> str:
    """Return how long ago a time was: 4s, 12m, 3h 05m, 2d."""
    if not ns:
        return DASH
    seconds = max(0, now - ns) // NS
    if seconds < 100:
        return f"{seconds}s"
    if seconds < 6_000:
        return f"{seconds // 60}m"
    if seconds < 172_800:
        return f"{seconds // 3600}h {seconds // 60 % 60:02d}m"
    return f"{seconds // 86_400}d"


def without_amounts(text: str) -> str:
    """Return a sentence with every figure in it masked, but for percentages."""
    return _AMOUNT.sub(MASK, text)
