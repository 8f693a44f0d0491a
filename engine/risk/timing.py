"""How long the calculations of risk take: counted where they are made, told when somebody asks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from engine.logs import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["SLOW_NS", "StepTime", "StepTimes"]

log = get_logger(__name__)

SLOW_NS = 50_000_000
"""A step that took longer is logged."""


class StepTime(msgspec.Struct, kw_only=True):
    """What one kind of calculation has taken since the engine began."""

    name: str
    count: int = 0
    last_ns: int = 0
    total_ns: int = 0
    longest_ns: int = 0

    @property
    def mean_ns(self) -> float:
        """Mean of all; 0 before the first."""
        return self.total_ns / self.count if self.count else 0.0


class StepTimes:
    """Measures steps by a monotonic clock.

    Args:
        monotonic: Gives nanoseconds.
    """

    def __init__(self, monotonic: Callable[[], int]) -> None:
        self.monotonic = monotonic
        self.steps: dict[str, StepTime] = {}
        """By name, in the order in which each was first taken."""

    def step(self, name: str) -> _Step:
        """Count what runs inside a `with`, also where it fails."""
        return _Step(self, name)

    def note(self, name: str, took_ns: int) -> None:
        """Count one that was measured elsewhere."""
        known = self.steps.get(name)
        if known is None:
            known = self.steps[name] = StepTime(name=name)
        known.count += 1
        known.last_ns = took_ns
        known.total_ns += took_ns
        known.longest_ns = max(known.longest_ns, took_ns)
        if took_ns > SLOW_NS:
            log.info("a slow step of risk", step=name, duration_ms=round(took_ns / 1e6, 2))


class _Step:
    """One step under way."""

    __slots__ = ("_began", "_name", "_times")

    def __init__(self, times: StepTimes, name: str) -> None:
        self._times, self._name = times, name

    def __enter__(self) -> None:
        self._began = self._times.monotonic()

    def __exit__(self, *_: object) -> None:
        self._times.note(self._name, self._times.monotonic() - self._began)
