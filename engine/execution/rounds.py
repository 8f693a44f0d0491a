"""Rounds of something that is due now and then, and at once when somebody asks for it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.clock import Clock

__all__ = ["Rounds"]


class Rounds:
    """Says when the next round is due.

    Args:
        clock: Measures the pauses.
        every_s: Seconds between two rounds.
    """

    def __init__(self, clock: Clock, every_s: float) -> None:
        self._clock = clock
        self._every_s = every_s
        self._asked = asyncio.Event()

    def soon(self) -> None:
        """The next round is due now."""
        self._asked.set()

    async def next(self) -> None:
        """Return when the next round is due."""
        loop = asyncio.get_running_loop()
        due = loop.create_task(self._clock.sleep(self._every_s), name="round due")
        asked = loop.create_task(self._asked.wait(), name="round asked")
        try:
            await asyncio.wait((due, asked), return_when=asyncio.FIRST_COMPLETED)
        finally:
            due.cancel()
            asked.cancel()
        self._asked.clear()
