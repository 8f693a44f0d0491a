"""Heavy work beside the event loop in slices: the interpreter lock is never held for longer than one slice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.clock import SystemClock

if TYPE_CHECKING:
    import threading

__all__ = ["Pacer", "StoppedError"]


class StoppedError(Exception):
    """The work was told to end; never leaves its thread."""


class Pacer:
    """Rests for a moment whenever a slice of work has been done.

    A thread that computes gives the interpreter lock away only every 5 ms by itself; resting gives it away at once.

    Args:
        stop: Ends the work at its next rest.
        work_s: Length of a slice in seconds.
        rest_s: Length of a rest in seconds.
    """

    def __init__(self, stop: threading.Event, work_s: float = 0.0005, rest_s: float = 0.001) -> None:
        self._stop = stop
        self._work = int(work_s * 1e9)
        self._rest = rest_s
        # Real time is right here, even in a simulation: it is the processor that is shared.
        self._clock = SystemClock()
        self._began = self._clock.monotonic()

    def pause(self) -> None:
        """Rest if the slice is used up.

        Raises:
            StoppedError: The work shall end.
        """
        if self._clock.monotonic() - self._began < self._work:
            return
        if self._stop.wait(self._rest):
            raise StoppedError
        self._began = self._clock.monotonic()
