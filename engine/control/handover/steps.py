"""How long each step of a hand-over took, for the log: what blocks orders must be known, not guessed."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.clock import Clock

__all__ = ["Steps"]


class Steps:
    """Milliseconds by step, in their order.

    Args:
        clock: Measures them.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last = clock.monotonic()
        self.ms: dict[str, float] = {}

    def done(self, step: str) -> None:
        """A step has ended, and the next one begins."""
        now = self._clock.monotonic()
        self.ms[step] = round((now - self._last) / 1e6, 1)
        self._last = now
