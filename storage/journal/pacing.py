"""Work beside the event loop in slices, so that a thread never holds the interpreter lock for long."""

from __future__ import annotations

import threading

from engine.clock import SystemClock

__all__ = ["Pacer"]


class Pacer:
    """Rests for a moment whenever a slice of work has been done.

    A thread that computes gives the interpreter lock away only every 5 ms by itself; resting gives it away at once.

    Args:
        work_s: Length of a slice in seconds.
        rest_s: Length of a rest in seconds.
    """

    def __init__(self, work_s: float = 0.0005, rest_s: float = 0.0005) -> None:
        self._work = int(work_s * 1e9)
        self._rest = rest_s
        self._never = threading.Event()
        # Real time is right here, even in a simulation: it is the processor that is shared.
        self._clock = SystemClock()
        self._began = self._clock.monotonic()

    def begin(self) -> None:
        """Start the first slice."""
        self._began = self._clock.monotonic()

    def pause(self) -> None:
        """Rest if the slice is used up."""
        if self._clock.monotonic() - self._began >= self._work:
            self._never.wait(self._rest)
            self._began = self._clock.monotonic()
