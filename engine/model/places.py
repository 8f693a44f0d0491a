"""What a place is called, a place being an account of a venue: nothing where there is only one, else what tells it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

__all__ = ["place_name"]


def place_name(places: Collection[tuple[str, str]], venue: str, account: str = "") -> str:
    """Return what tells a place from all others.

    Args:
        places: Venue and account of all there are.
        venue: The venue.
        account: The account; empty for what belongs to a market and to no account.

    Returns:
        Nothing where there is one place only; `main` where one venue has them all; `BINANCE/main` where a venue has
        several and others there are; else `BINANCE`.
    """
    if len(places) < 2:
        return ""
    if all(other == venue for other, _ in places):
        return account
    several = sum(other == venue and bool(name) for other, name in places) > 1
    return f"{venue}/{account}" if account and several else venue
