"""Older copies of what bots remember, out of the journal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.events import BotMemorySaved
from storage.journal.reader import Query

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.bots.builder import MemoryCopies
    from engine.model.ids import Owner
    from storage.journal import AsyncReader

__all__ = ["COPIES", "older_memories"]

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
