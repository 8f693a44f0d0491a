"""Holding requests back after a venue said that there were too many."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.clock import Clock

__all__ = ["RequestThrottle"]


class RequestThrottle:
    """Lets requests through one after the other once a pause is over; without a pause all pass at once.

    Requests that protect money go first: they wait for the end of the pause alone, not for their turn.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._until = 0
        self._turn = asyncio.Lock()
        self.waiting = 0
        """Requests that wait now."""
        self.waited = 0
        """Requests that had to wait since the start."""

    @property
    def left_s(self) -> float:
        """Seconds that are left of the pause; 0 when there is none."""
        return max(0.0, (self._until - self._clock.now()) / 1e9)

    def pause(self, seconds: float) -> None:
        """Hold requests back for that long; a longer pause under way stays."""
        self._until = max(self._until, self._clock.now() + int(seconds * 1e9))

    async def turn(self, *, urgent: bool = False) -> None:
        """Return when a request may leave."""
        if not self.left_s and (urgent or not self._turn.locked()):
            return
        self.waiting += 1
        self.waited += 1
        try:
            if urgent:
                await self._over()
            else:
                # The lock is fair: who came first leaves first.
                async with self._turn:
                    await self._over()
        finally:
            self.waiting -= 1

    async def _over(self) -> None:
        while left := self.left_s:
            await self._clock.sleep(left)
