"""Numbers in the sentences of the risk department."""

from __future__ import annotations

from decimal import Decimal

from engine.model.decimals import ZERO

__all__ = ["amount", "percent", "plain"]

_CENT = Decimal("0.01")


def plain(value: Decimal) -> str:
    """A decimal without trailing zeros or an exponent, with at most 8 places."""
    text = f"{value:,.8f}".rstrip("0").rstrip(".")
    return text or "0"


def amount(value: Decimal, currency: str) -> str:
    """Money: two places from one unit on, as many as needed (at most 8) below."""
    text = f"{value:,.2f}" if value == ZERO or abs(value) >= 1 else plain(value)
    return f"{text} {currency}"


def percent(fraction: Decimal) -> str:
    """A fraction in percent with at most two places."""
    return plain((fraction * 100).quantize(_CENT)) + " %"
