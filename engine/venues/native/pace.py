"""How often: pauses before the next attempt, messages in a second."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random

    from engine.clock import Clock

__all__ = ["Backoff", "Pace"]

NS = 1_000_000_000


class Backoff:
    """Pauses that double, each drawn evenly between nothing and its full length.

    Args:
        chance: Draws; a seeded one makes the pauses repeatable.
        first: Full length of the first pause in seconds.
        longest: Full length from which on pauses do not grow any more, in seconds.
    """

    def __init__(self, chance: random.Random, *, first: float = 1.0, longest: float = 60.0) -> None:
        self._chance = chance
        self._first = first
        self._longest = longest
        self.failures = 0

    def pause(self) -> float:
        """Seconds to wait after one more failure."""
        full = min(self._longest, self._first * 2.0 ** min(self.failures, 30))
        self.failures += 1
        return self._chance.uniform(0.0, full)

    def reset(self) -> None:
        """It has worked: the next pause is short again."""
        self.failures = 0


class Pace:
    """At most so many messages a second, evenly after a burst of one second's worth.

    Args:
        per_second: Messages; may be below one.
        clock: Waits.
    """

    def __init__(self, per_second: float, clock: Clock) -> None:
        self._gap = int(NS / per_second)
        self._burst = max(0, int((per_second - 1) * self._gap))
        self._clock = clock
        self._next = 0

    async def turn(self) -> None:
        """Wait until one more message may be sent, and count it; turns are given in the order of the calls."""
        now = self._clock.monotonic()
        mine = max(self._next, now - self._burst)
        self._next = mine + self._gap
        if mine > now:
            await self._clock.sleep((mine - now) / NS)
