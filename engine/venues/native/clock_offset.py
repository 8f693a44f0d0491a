"""How far a venue's clock is from ours, estimated from the answers that tell its time."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from engine.clock import Clock

__all__ = ["ClockOffset", "ClockSample"]

KEPT = 8
TOO_OLD_NS = 3600 * 1_000_000_000
"""Clocks drift: older measurements say little."""


class ClockSample(NamedTuple):
    """One look at the venue's clock; nanoseconds."""

    at: int
    offset: int
    """Venue's clock minus ours."""
    round_trip: int
    """The offset is right within half of this."""


class ClockOffset:
    """The offset of a venue's clock, from the quickest of the last looks at it.

    The time that the venue tells was true at some moment between sending and receiving; the middle is the best guess,
    and the quicker the answer, the better it is.

    Args:
        clock: Ours.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._samples: deque[ClockSample] = deque(maxlen=KEPT)
        self._offset = 0
        self.looks = 0
        """How often it was measured."""

    def add(self, sent: int, told: int, received: int) -> None:
        """Take in one look: when it was asked, what was told, when that was received; UTC nanoseconds."""
        self.looks += 1
        round_trip = max(0, received - sent)
        self._samples.append(ClockSample(received, told - sent - round_trip // 2, round_trip))
        self._choose()

    def restart(self) -> None:
        """Forget what was measured but keep to the offset until the next look: a clock has jumped."""
        self._samples.clear()

    @property
    def measured(self) -> bool:
        """Whether there was a look."""
        return bool(self._samples)

    @property
    def offset_ns(self) -> int:
        """Venue's clock minus ours, in nanoseconds; 0 before the first look."""
        return self._offset

    @property
    def uncertainty_ns(self) -> int | None:
        """The offset is right within so many nanoseconds; None before the first look."""
        return min(sample.round_trip for sample in self._samples) // 2 if self._samples else None

    @property
    def age_ns(self) -> int | None:
        """Nanoseconds since the last look; None before the first."""
        return self._clock.now() - self._samples[-1].at if self._samples else None

    def now(self) -> int:
        """The venue's time in UTC nanoseconds."""
        return self._clock.now() + self._offset

    def _choose(self) -> None:
        newest = self._samples[-1].at
        while newest - self._samples[0].at > TOO_OLD_NS:
            self._samples.popleft()
        # Of equally quick ones the newest.
        self._offset = min(reversed(self._samples), key=lambda sample: sample.round_trip).offset
