"""Connections that a venue allows: new ones in a stretch of time, and those of its markets at a time."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from engine.clock import Clock
    from engine.venues.limits.rules import Limit

__all__ = ["UNIT", "Connections"]

UNIT = "connection"
"""What limits of connections count."""
NS = 1_000_000_000


class _Stretch:
    """New connections in the last stretch of a limit."""

    def __init__(self, limit: Limit) -> None:
        self.limit = limit
        self.made: deque[int] = deque()

    def wait_ns(self, now: int) -> int:
        """Nanoseconds until one more fits."""
        length = int(self.limit.per_s * NS)
        while self.made and self.made[0] + length <= now:
            self.made.popleft()
        return self.made[0] + length - now if len(self.made) >= self.limit.capacity else 0


class Connections:
    """Shared by everything that connects to one venue from this process.

    Only connections of markets are counted as held: each account needs its private ones, and venues count those apart.

    Args:
        clock: Gives the time and waits.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._stretches: dict[str, _Stretch] = {}
        self._most: dict[str, int] = {}
        self._held = 0

    def allow(self, limits: Iterable[Limit]) -> None:
        """Keep to these as well, as far as they count connections; of two of one name the lower holds."""
        for limit in limits:
            if limit.unit != UNIT:
                continue
            if not limit.per_s:
                self._most[limit.name] = min(int(limit.capacity), self._most.get(limit.name, int(limit.capacity)))
            elif limit.name not in self._stretches or limit.capacity < self._stretches[limit.name].limit.capacity:
                self._stretches[limit.name] = _Stretch(limit)

    async def turn(self) -> None:
        """Wait until one more connection may be made, and count it."""
        while True:
            now = self._clock.monotonic()
            wait = max((stretch.wait_ns(now) for stretch in self._stretches.values()), default=0)
            if not wait:
                break
            await self._clock.sleep(wait / NS)
        for stretch in self._stretches.values():
            stretch.made.append(now)

    @property
    def left(self) -> int | None:
        """How many more connections of markets may be held; None for any number."""
        return max(0, min(self._most.values()) - self._held) if self._most else None

    def hold(self) -> None:
        """A connection of markets is held from now on; `left` says whether there is room."""
        self._held += 1

    def give_back(self) -> None:
        """It is not held any more."""
        self._held -= 1
