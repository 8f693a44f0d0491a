"""Whole lists through ccxt: pages by time in both directions, and whether what came is certainly everything.

Exchanges cut their lists where they like, from the old end or from the new one, and few say so. A page that is shorter
than the exchange's longest one is the last; where that length is not known, pages are asked for towards the newest and
towards the oldest until nothing new comes. Neighbouring pages overlap by a millisecond, so that what has the same time
is not torn apart. Where any of this cannot be done the list is given as cut, and its silence proves nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = ["Listing", "whole"]

PAGES = 50
"""Pages after which a list is given up as cut."""
CROWD = 10
"""So many rows of one millisecond may be a page that was cut in the midst of it."""


@dataclass
class Listing:
    """Rows by their ids, and why others may be missing."""

    rows: dict[str, dict[str, Any]] = field(default_factory=dict)
    cut: str = ""
    """Why it is not certain that this is everything; empty when it is."""

    def take(self, page: list[dict[str, Any]]) -> bool:
        """Add a page; whether anything of it is new."""
        before = len(self.rows)
        for row in page:
            if not row.get("timestamp"):
                self.cut = "its rows have no time"
            self.rows.setdefault(f"{row.get('id')}|{row.get('order') or ''}", row)
        return len(self.rows) > before

    def add(self, other: Listing) -> None:
        """Add what another one holds, and what it lacks."""
        self.rows = {**other.rows, **self.rows}
        self.cut = self.cut or other.cut

    @property
    def ordered(self) -> list[dict[str, Any]]:
        """Oldest first."""
        return sorted(self.rows.values(), key=_at)


async def whole(
    fetch: Callable[[int | None, int | None], Awaitable[list[dict[str, Any]]]], since: int | None, longest: int | None
) -> Listing:
    """Everything since a time, as far as the exchange lets it be listed.

    Args:
        fetch: Asks for a page of what happened from a time on, up to a time (milliseconds; None for no bound).
        since: The beginning; None for all that is kept.
        longest: Rows of the longest page that the exchange gives; None where that is not known.
    """
    found = Listing()
    page = await fetch(since, None)
    found.take(page)
    if not page or (longest is not None and len(page) < longest) or found.cut:
        return found
    oldest = min(map(_at, page))
    await _newer(fetch, found, longest, max(map(_at, page)))
    if not found.cut:
        await _older(fetch, found, longest, since, oldest)
    return found


async def _newer(
    fetch: Callable[[int | None, int | None], Awaitable[list[dict[str, Any]]]],
    found: Listing,
    longest: int | None,
    newest: int,
) -> None:
    for _ in range(PAGES):
        page = await fetch(newest - 1, None)
        if _is_last(found, page, longest):
            return
        newest = max(map(_at, page))
    found.cut = f"it has more than {PAGES} pages"


async def _older(
    fetch: Callable[[int | None, int | None], Awaitable[list[dict[str, Any]]]],
    found: Listing,
    longest: int | None,
    since: int | None,
    oldest: int,
) -> None:
    for _ in range(PAGES):
        page = await fetch(since, oldest + 1)
        if any(_at(row) > oldest + 1 for row in page):
            found.take(page)
            found.cut = "it cannot be asked for up to a time"
            return
        if _is_last(found, page, longest):
            return
        oldest = min(map(_at, page))
    found.cut = f"it has more than {PAGES} pages"


def _is_last(found: Listing, page: list[dict[str, Any]], longest: int | None) -> bool:
    fresh = found.take(page)
    if found.cut or not page or (longest is not None and len(page) < longest):
        return True
    if not fresh and len(page) >= max(CROWD, longest or 0):
        found.cut = "one millisecond holds more than a page"
    return not fresh


def _at(row: dict[str, Any]) -> int:
    return int(row.get("timestamp") or 0)
