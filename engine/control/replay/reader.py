"""Stored facts as far as the replay has come: what lies ahead has not happened yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from storage.journal import AsyncReader, Page, Query

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from engine.events import Record

__all__ = ["PastReader"]

ALL = Query()


class PastReader(AsyncReader):
    """A reader that ends where the replay stands.

    Args:
        path: The journal's file.
        position: Gives the number of the last fact that has happened.
    """

    def __init__(self, path: Path, position: Callable[[], int]) -> None:
        super().__init__(path)
        self._position = position

    async def since(self, cursor: int, limit: int = 500, query: Query = ALL) -> Page:
        """As `Reader.since`, up to the position."""
        here = self._position()
        page = await super().since(cursor, limit, query)
        records = [record for record in page.records if record.seq <= here]
        return Page(records, min(page.cursor, max(here, cursor)), here)

    async def latest(self, limit: int, query: Query = ALL, *, before: int = 2**63 - 1) -> list[Record]:
        """As `Reader.latest`, from the position backwards."""
        return await super().latest(limit, query, before=min(before, self._position() + 1))

    async def order_history(self, client_id: str) -> list[Record]:
        """As `Reader.order_history`, up to the position."""
        here = self._position()
        return [record for record in await super().order_history(client_id) if record.seq <= here]

    async def count(self, query: Query = ALL) -> int:
        """As `Reader.count`, up to the position.

        Facts ahead are counted out one by one: only a part of the journal lies between.
        """
        here = self._position()
        ahead = 0
        cursor = here
        while True:
            page = await super().since(cursor, 500, query)
            ahead += len(page.records)
            if page.cursor >= page.last:
                return await super().count(query) - ahead
            cursor = page.cursor
