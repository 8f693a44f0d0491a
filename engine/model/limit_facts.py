"""Facts about limits that something other than an order has crossed: a price, a loss, a stricter limit."""

from __future__ import annotations

from decimal import Decimal

import msgspec

__all__ = ["BreachEntry", "LimitBreached", "LimitHealed"]


class _Fact(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag=True, tag_field="t"):
    """Base of the facts; the tag is the class name."""


class LimitBreached(_Fact, frozen=True, kw_only=True):
    """A limit is exceeded since now; nothing is sold because of it, and nothing is added while it is."""

    limit: str
    """Field of the risk limits."""
    scope: str
    """What it is measured of: an account and an instrument, a venue, a class, a currency, a bot; empty for all."""
    used: Decimal
    """In the base currency of the account that is meant, or a count."""
    most: Decimal
    reason: str
    """A sentence for a person."""


class LimitHealed(_Fact, frozen=True, kw_only=True):
    """A limit that was exceeded is kept again."""

    limit: str
    scope: str
    used: Decimal
    most: Decimal
    reason: str


class BreachEntry(msgspec.Struct):
    """A limit that is exceeded."""

    limit: str
    scope: str
    used: Decimal
    """When it was noticed."""
    most: Decimal
    reason: str
    since: int
    """UTC nanoseconds."""
