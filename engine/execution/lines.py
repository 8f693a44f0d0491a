"""Changes of one order in a line: each waits for the one before it."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from engine.model.ids import ClientOrderId

__all__ = ["Lines"]


class Lines:
    """A line of changes for every order that has any."""

    def __init__(self) -> None:
        self.waiting = 0
        """Changes whose turn has not come."""
        self._lines: dict[ClientOrderId, deque[asyncio.Event]] = {}

    def __contains__(self, client_id: ClientOrderId) -> bool:
        """Whether a change of that order is under way or waits."""
        return client_id in self._lines

    def __len__(self) -> int:
        """Orders that have a line."""
        return len(self._lines)

    @asynccontextmanager
    async def turn(self, client_id: ClientOrderId, placing: asyncio.Event | None) -> AsyncIterator[None]:
        """Wait for the order's placing, if that is under way, and for every change before this one."""
        line = self._lines.setdefault(client_id, deque())
        before, mine = line[-1] if line else None, asyncio.Event()
        line.append(mine)
        try:
            self.waiting += 1
            try:
                for event in (placing, before):
                    if event is not None:
                        await event.wait()
            finally:
                self.waiting -= 1
            yield
        finally:
            mine.set()
            line.remove(mine)
            if not line:
                self._lines.pop(client_id, None)
