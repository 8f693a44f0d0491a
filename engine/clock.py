"""Time is passed in: the only place where the product reads a clock or sleeps."""

from __future__ import annotations

import heapq
import time
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import asyncio

__all__ = ["Clock", "SimulatedClock", "SystemClock"]

NS_PER_S = 1_000_000_000


class Clock(Protocol):
    """Gives the time and waits for it."""

    def now(self) -> int:
        """UTC nanoseconds since 1970."""

    def monotonic(self) -> int:
        """Nanoseconds that never go back, for measuring durations."""

    async def sleep(self, seconds: float) -> None:
        """Wait that long in this clock's time."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> int:
        """UTC nanoseconds since 1970."""
        return time.time_ns()

    def monotonic(self) -> int:
        """Nanoseconds that never go back."""
        return time.monotonic_ns()

    async def sleep(self, seconds: float) -> None:
        """Wait that long in real time."""
        # Here, not above: commands that only look at the time need no event loop.
        import asyncio

        await asyncio.sleep(seconds)


class SimulatedClock:
    """A clock that moves only when told; sleepers wake in the order of their deadlines.

    Args:
        start: UTC nanoseconds at which it stands first.
    """

    def __init__(self, start: int = 1_700_000_000 * NS_PER_S) -> None:
        self._now = start
        self._sleepers: list[tuple[int, int, asyncio.Future[None]]] = []
        self._count = 0

    def now(self) -> int:
        """UTC nanoseconds since 1970, as set."""
        return self._now

    def monotonic(self) -> int:
        """The same as `now`."""
        return self._now

    def set(self, now: int) -> None:
        """Move to a time without waking sleepers on the way; going back is ignored."""
        self._now = max(self._now, now)

    async def sleep(self, seconds: float) -> None:
        """Wait until somebody advances the clock that far."""
        import asyncio

        if seconds <= 0:
            await asyncio.sleep(0)
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._count += 1
        heapq.heappush(self._sleepers, (self._now + int(seconds * NS_PER_S), self._count, future))
        await future

    async def advance(self, seconds: float) -> None:
        """Move on, waking each sleeper at its own time and letting it run before the next."""
        import asyncio

        target = self._now + int(seconds * NS_PER_S)
        while self._sleepers and self._sleepers[0][0] <= target:
            due, _, future = heapq.heappop(self._sleepers)
            self._now = max(self._now, due)
            if not future.done():
                future.set_result(None)
            # Several turns, so that what a sleeper starts gets to its own next wait.
            for _ in range(5):
                await asyncio.sleep(0)
        self._now = target
