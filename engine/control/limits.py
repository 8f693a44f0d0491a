"""How much one client may ask: a sliding window over its calls, there to stop a program that runs away."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from engine.errors import RateLimitError

if TYPE_CHECKING:
    from engine.clock import Clock

__all__ = ["Window"]


class Window:
    """Counts calls over a stretch of time that slides along.

    Args:
        most: Calls within it.
        seconds: Its length.
        clock: Source of time.
    """

    def __init__(self, most: int, seconds: float, clock: Clock) -> None:
        self._most = most
        self._length = int(seconds * 1e9)
        self._clock = clock
        self._calls: deque[int] = deque()

    def enter(self) -> None:
        """Count one call.

        Raises:
            RateLimitError: The window is full; the call does not count. Says how long to wait.
        """
        now = self._clock.monotonic()
        calls = self._calls
        while calls and now - calls[0] >= self._length:
            calls.popleft()
        if len(calls) >= self._most:
            wait_ms = (self._length - (now - calls[0])) // 1_000_000 + 1
            raise RateLimitError(
                f"This client has asked {self._most:,} times within {self._length // 10**9} s; the next request is "
                f"taken in {wait_ms / 1000:.1f} s. What stops trading is taken at any time.",
                details={"retry_after_ms": wait_ms, "remaining": 0},
            )
        calls.append(now)
