"""Older copies of what bots remember, and what has happened since then, out of the journal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.bots.events.missed import TOLD
from engine.events import BotMemorySaved, Record
from storage.journal.reader import Query

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.bots.builder import MemoryCopies
    from engine.bots.events.missed import FactsAfter
    from engine.model.ids import Owner
    from storage.journal import AsyncReader

__all__ = ["COPIES", "facts_after", "older_memories"]

COPIES = 20
"""How many copies are looked at."""


def older_memories(reader: AsyncReader | None) -> MemoryCopies:
    """Give what was saved of a bot's memory, the newest first; nothing without a journal."""

    async def copies(owner: Owner) -> Sequence[bytes]:
        if reader is None:
            return []
        found = await reader.latest(COPIES, Query(kinds=("BotMemorySaved",), subject=owner))
        found.sort(key=lambda record: record.seq, reverse=True)
        return [record.event.memory for record in found if isinstance(record.event, BotMemorySaved)]

    return copies


def facts_after(reader: AsyncReader | None) -> FactsAfter:
    """Give the facts about a bot's orders after a number, oldest first; nothing without a journal."""
    kinds = tuple(kind.__name__ for kind in TOLD)

    async def facts(owner: Owner, after: int) -> Sequence[Record]:
        found: list[Record] = []
        while reader is not None:
            page = await reader.since(after, query=Query(kinds=kinds, owner=owner))
            found += page.records
            if page.cursor >= page.last or page.cursor <= after:
                break
            after = page.cursor
        return found

    return facts
