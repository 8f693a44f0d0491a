"""What goes wrong on the wire, on demand: one definition of faults for all simulated venues, and how often each struck.

A fault is armed for a number of times or with a chance, for all traffic or for what a predicate picks; the simulator
asks at each place where such a fault could strike. The same seed and the same traffic give the same faults.
"""

from __future__ import annotations

import enum
import random
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["REQUEST_FAULTS", "STREAM_FAULTS", "Armed", "Fault", "Faults"]


class Fault(enum.StrEnum):
    """Kinds of faults."""

    # requests
    TIMEOUT_AFTER = "timeout_after"
    """The request takes effect, and no answer ever comes."""
    RESET_AFTER = "reset_after"
    """The request takes effect, and the connection breaks instead of an answer."""
    LOST_REQUEST = "lost_request"
    """The connection breaks before the exchange has seen the request."""
    LATE_VISIBLE = "late_visible"
    """An order is accepted and answered, but look-ups, lists and the private stream show it only `delay_s` later."""
    RATE_LIMIT = "rate_limit"
    """429 with Retry-After `delay_s`."""
    BAN = "ban"
    """418 (or the venue's own word for it) for `delay_s`."""
    MAINTENANCE = "maintenance"
    """503, or the venue's own code."""
    SERVER_ERROR = "server_error"
    """The request takes effect, and the answer says that its outcome is unknown (5xx)."""
    KEY_EXPIRED = "key_expired"
    """The key is not taken any more."""
    CLOCK_SKEW = "clock_skew"
    """The venue finds the request's timestamp out of its window."""
    CUT_LISTING = "cut_listing"
    """A list ends early although it says nothing of it."""
    # streams
    DISCONNECT = "disconnect"
    """The connection breaks in the middle of things."""
    GAP = "gap"
    """A message never arrives."""
    DUPLICATE = "duplicate"
    """A message arrives twice."""
    LATE = "late"
    """A message arrives `delay_s` later, after those that followed it."""
    REORDER = "reorder"
    """A message arrives after the next one."""
    PRIVATE_SILENT = "private_silent"
    """A private connection says nothing any more but still answers pings."""


REQUEST_FAULTS = frozenset(list(Fault)[:11])
STREAM_FAULTS = frozenset(list(Fault)[11:])


@dataclass
class Armed:
    """A fault that waits for its occasion."""

    kind: Fault
    count: int | None = 1
    """How often it still strikes; None for ever."""
    chance: float = 1.0
    where: Callable[[str], bool] | None = None
    """Picks by what the place is called: `POST /api/v3/order`, or a stream message's kind such as `depthUpdate`."""
    delay_s: float = 1.0
    """For kinds that take their time."""


@dataclass
class Faults:
    """All faults of one simulated venue."""

    seed: int = 1
    struck: Counter[Fault] = field(default_factory=Counter)
    """How often each kind has struck."""
    _armed: list[Armed] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._rng = random.Random(f"faults {self.seed}")

    def arm(
        self,
        kind: Fault,
        count: int | None = 1,
        *,
        chance: float = 1.0,
        where: Callable[[str], bool] | str | None = None,
        delay_s: float = 1.0,
    ) -> Armed:
        """Let a fault strike.

        Args:
            kind: Which.
            count: At most so often; None for ever, until `disarm`.
            chance: How likely at each occasion.
            where: A predicate on the place's name, or text that the name contains; None for everywhere.
            delay_s: Seconds, for kinds that take their time.
        """
        if isinstance(where, str):
            text = where
            where = lambda name: text in name  # noqa: E731
        armed = Armed(kind, count, chance, where, delay_s)
        self._armed.append(armed)
        return armed

    def disarm(self, kind: Fault | None = None) -> None:
        """Let a kind, or everything, strike no more."""
        self._armed = [a for a in self._armed if kind is not None and a.kind is not kind]

    @property
    def armed(self) -> list[Armed]:
        """What still waits."""
        return list(self._armed)

    def strike(self, kind: Fault, place: str) -> Armed | None:
        """Whether a kind strikes at a place now; it is counted then."""
        for armed in self._armed:
            if armed.kind is not kind or (armed.where is not None and not armed.where(place)):
                continue
            if armed.chance < 1.0 and self._rng.random() >= armed.chance:
                continue
            if armed.count is not None:
                armed.count -= 1
                if armed.count <= 0:
                    self._armed.remove(armed)
            self.struck[kind] += 1
            return armed
        return None
