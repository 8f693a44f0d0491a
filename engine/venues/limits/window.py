"""How much of one limit is used: a sliding window that errs on the side of too much."""

from __future__ import annotations

from collections import deque

import msgspec

__all__ = ["NEVER", "NS", "Spent", "Window"]

NS = 1_000_000_000
GRAINS = 64
"""A window keeps its past in so many pieces; a piece counts until all of it is too old."""
_TINY = 1e-9
"""Sums of fractions are not exact."""
NEVER = 1 << 62


class Spent(msgspec.Struct, frozen=True, array_like=True):
    """A piece of a window's past."""

    until: int
    """Nanoseconds at which it no longer counts."""
    amount: float


class Window:
    """What was spent in the last `per_ns` nanoseconds, and what is under way.

    A request counts from the moment it leaves until a whole window after its answer came: whenever between the two
    the venue has counted it, no stretch of that length can hold more than the capacity.

    Args:
        capacity: What any stretch may hold.
        per_ns: Length of the stretch; 0 when only what is under way counts.
    """

    __slots__ = ("_grain", "_past", "_spent", "_under_way", "capacity", "paced_until", "paused_until", "per_ns", "told")

    def __init__(self, capacity: float, per_ns: int) -> None:
        self.capacity = capacity
        self.per_ns = per_ns
        self.paused_until = 0
        """Monotonic nanoseconds until which nothing may be taken."""
        self.paced_until = 0
        """Monotonic nanoseconds at which what was taken in peace is made up for at the steady rate."""
        self.told = False
        """Whether the venue has told its own count, which holds what every process has spent."""
        self._grain = max(1, per_ns // GRAINS)
        self._past: deque[tuple[int, float]] = deque()
        self._spent = 0.0
        self._under_way = 0.0

    def used(self, now: int) -> float:
        """What counts at this time."""
        past = self._past
        while past and past[0][0] <= now:
            self._spent -= past.popleft()[1]
        if not past:
            self._spent = 0.0
        return self._spent + self._under_way

    def begin(self, amount: float) -> None:
        """A request leaves."""
        self._under_way += amount

    def end(self, amount: float, now: int) -> None:
        """Its answer came, or none will come."""
        self.cancel(amount)
        self.add(amount, now)

    def cancel(self, amount: float) -> None:
        """A request did not leave after all."""
        self._under_way = left if (left := self._under_way - amount) > _TINY else 0.0

    def add(self, amount: float, now: int) -> None:
        """Something was spent now."""
        if not self.per_ns or amount <= 0:
            return
        until = (now // self._grain + 1) * self._grain + self.per_ns
        if self._past and self._past[-1][0] >= until:
            self._past[-1] = (self._past[-1][0], self._past[-1][1] + amount)
        else:
            self._past.append((until, amount))
        self._spent += amount

    def ready(self, amount: float, ceiling: float, now: int) -> int:
        """When so much fits under a ceiling: now or earlier, later, or `NEVER` while answers must come first.

        Something that is larger than its ceiling goes when nothing else counts.
        """
        used = self.used(now)
        room = ceiling - amount + _TINY
        if self.paused_until > now:
            return self.paused_until
        if used <= room or used <= _TINY:
            return now
        left = used
        for until, spent in self._past:
            left -= spent
            if left <= room or left <= _TINY:
                return until
        return NEVER

    def idle(self, now: int) -> bool:
        """Whether forgetting it changes nothing."""
        return self.used(now) <= 0 and self.paused_until <= now and self.paced_until <= now

    def standing(self, now: int, shift: int) -> list[Spent]:
        """Its past with times moved by a shift, what is under way as if it ended now."""
        past = [Spent(until + shift, amount) for until, amount in self._past if until > now]
        if self._under_way and self.per_ns:
            past.append(Spent(now + self._grain + self.per_ns + shift, self._under_way))
        return past

    def take(self, past: list[Spent], now: int, shift: int, *, told: bool = False) -> None:
        """Add another window's past to this one's; of two that hold the venue's count the fuller one is taken.

        Args:
            past: The other's.
            now: Monotonic nanoseconds.
            shift: What its times are ahead of ours.
            told: Whether the other holds the venue's count.
        """
        if told and self.told:
            # Each holds what the other has spent: added up, it would count twice.
            if sum(s.amount for s in past if s.until - shift > now) <= self.used(now):
                return
            self._past.clear()
        self.told = self.told or told
        merged = sorted([(s.until - shift, s.amount) for s in past if s.until - shift > now] + list(self._past))
        self._past = deque(merged)
        self._spent = sum(amount for _, amount in merged)
