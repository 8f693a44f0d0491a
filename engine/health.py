"""Self-observation: how late the event loop is and how much memory the process holds."""

from __future__ import annotations

import ctypes
import os
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.clock import Clock

__all__ = ["LagMonitor", "limit_arenas", "resident_bytes"]

_PAGE = os.sysconf("SC_PAGE_SIZE")
_M_ARENA_MAX = -8
"""Of mallopt(3)."""
_ARENAS = 2


def resident_bytes() -> int:
    """Resident memory of this process in bytes; 0 where the system does not tell."""
    try:
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * _PAGE
    except (OSError, IndexError, ValueError):
        return 0


def limit_arenas() -> None:
    """Let all threads of this process share two pools of small blocks; does nothing where the C library has no such.

    glibc gives every thread a pool of its own, and what each has once needed stays with it: an engine whose threads
    read databases and files for consoles that come and go would grow for hours without keeping anything.
    """
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, _ARENAS)


class LagMonitor:
    """Measures by how much a short sleep on the loop comes late.

    Args:
        clock: Gives monotonic time and sleeps.
        interval_s: Time between two measurements.
    """

    def __init__(self, clock: Clock, interval_s: float = 0.05) -> None:
        self._clock = clock
        self._interval_s = interval_s
        self._minute: deque[float] = deque(maxlen=int(60 / interval_s))
        self._second = int(1 / interval_s)
        self.worst_ms = 0.0
        """Worst lag since the start, milliseconds."""

    async def run(self) -> None:
        """Measure until cancelled."""
        clock, interval = self._clock, self._interval_s
        while True:
            before = clock.monotonic()
            await clock.sleep(interval)
            self.note(max(0.0, (clock.monotonic() - before) / 1e6 - interval * 1e3))

    def note(self, lag_ms: float) -> None:
        """Take one measurement in, milliseconds."""
        self._minute.append(lag_ms)
        self.worst_ms = max(self.worst_ms, lag_ms)

    @property
    def last_second_ms(self) -> float:
        """Worst lag of about the last second, milliseconds; 0 before the first measurement."""
        count = len(self._minute)
        return max((self._minute[i] for i in range(max(0, count - self._second), count)), default=0.0)

    @property
    def p99_ms(self) -> float:
        """99th percentile of the last minute, milliseconds; 0 before the first measurement."""
        if not self._minute:
            return 0.0
        ordered = sorted(self._minute)
        return ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
