"""The simulated order book: market makers quote around a reference, cancel, refill, and are hit."""

from __future__ import annotations

import math
from bisect import bisect_left
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    import random

__all__ = ["BookShape", "Ladder", "LadderState"]

MIN_LEVELS = 60
MAX_LEVELS = 84
_REFILLS = 12
"""Most levels set into a hole at the touch in one update, so that a swept book recovers visibly."""
_HUMP = 24.0
"""Gaps from the touch at which the book is thickest; the touch itself has about a third of that."""


class BookShape(msgspec.Struct, frozen=True, gc=False):
    """What the ladders of one instrument look like; prices are in ticks, quantities in lots."""

    gap: float
    """Typical distance of neighbouring levels near the touch, in ticks (below 1: every tick)."""
    size: float
    """Typical lots of a level in the thick of the book."""


class LadderState(msgspec.Struct, array_like=True):
    """A ladder as it is saved."""

    keys: list[int]
    sizes: list[int]
    dirty: list[int]


class Ladder:
    """One side of a book.

    Both sides are kept in keys that grow away from the market: the price for asks, the negated price for bids. So the
    best level is always the first, and one code serves both.

    Args:
        sign: +1 for asks, -1 for bids.
        rng: The market's source of chance.
    """

    __slots__ = ("_reach", "_rng", "_shape", "dirty", "keys", "sign", "sizes")

    def __init__(self, sign: int, rng: random.Random) -> None:
        self.sign = sign
        self.shape = BookShape(1.0, 1.0)
        self._rng = rng
        self.keys: list[int] = []
        """Occupied keys, ascending: best first."""
        self.sizes: dict[int, int] = {}
        """Lots by key."""
        self.dirty: set[int] = set()
        """Keys that changed since the last publication."""

    @property
    def shape(self) -> BookShape:
        """What it looks like."""
        return self._shape

    @shape.setter
    def shape(self, shape: BookShape) -> None:
        self._shape = shape
        self._reach = max(shape.gap, 1.0) * _HUMP

    @property
    def best(self) -> int:
        """Best price in ticks."""
        return self.sign * self.keys[0]

    def build(self, target: int, depth: float) -> None:
        """Start anew with the best level at a price.

        Args:
            target: Best price in ticks.
            depth: Factor on all sizes.
        """
        self.keys.clear()
        self.sizes.clear()
        self.dirty.clear()
        key = target * self.sign
        for _ in range((MIN_LEVELS + MAX_LEVELS) // 2):
            self._set(key, depth)
            key += self._distance(key)

    def retreat(self, target: int) -> list[tuple[int, int]]:
        """Take away all levels better than a price.

        Returns:
            What was there, best first, as (price in ticks, lots).
        """
        keys = self.keys
        key = target * self.sign
        count = 0
        while count < len(keys) and keys[count] < key:
            count += 1
        if not count:
            return []
        gone = [(k * self.sign, self.sizes.pop(k)) for k in keys[:count]]
        self.dirty.update(keys[:count])
        del keys[:count]
        return gone

    def advance(self, target: int, depth: float) -> None:
        """Quote a price again if the best level is worse, and fill the hole behind it."""
        key = target * self.sign
        keys = self.keys
        if keys and keys[0] <= key:
            return
        end = keys[0] if keys else key + 1
        fresh: list[int] = []
        while key < end and len(fresh) < _REFILLS:
            fresh.append(key)
            key += self._distance(key, fresh[0])
        keys[:0] = fresh
        for key in fresh:
            self._resize(key, depth)

    def churn(self, count: int, depth: float) -> None:
        """Let market makers change, cancel and add a few levels, mostly near the touch; holes are filled first."""
        keys, random = self.keys, self._rng.random
        # A jump may have taken everything but the new touch.
        self._keep_depth(depth)
        for _ in range(count):
            draw = random()
            index = int((len(keys) - 1) * draw * draw)
            key = keys[index]
            room = keys[index + 1] - key
            mean = self._mean_distance(key, keys[0])
            if room > 1.7 * mean and room > 1:
                self._set(key + 1 + int(random() * (room - 1)), depth)
            elif index and random() < 0.3 and keys[index + 1] - keys[index - 1] < 2.2 * mean:
                del keys[index], self.sizes[key]
                self.dirty.add(key)
            else:
                self._resize(key, depth)
        self._keep_depth(depth)

    def take(self, lots: int, levels: int) -> list[tuple[int, int]]:
        """Execute a market order against the ladder.

        Args:
            lots: Wanted quantity, > 0; what is not there goes unfilled.
            levels: Most levels to walk; some of the book always stays.

        Returns:
            Executions, best first, as (price in ticks, lots).
        """
        done: list[tuple[int, int]] = []
        keys, sizes = self.keys, self.sizes
        while lots > 0 and len(done) < levels and len(keys) > MIN_LEVELS // 2:
            key = keys[0]
            there = sizes[key]
            got = min(lots, there)
            lots -= got
            self.reduce(key, got)
            done.append((key * self.sign, got))
        return done

    def reduce(self, key: int, lots: int) -> None:
        """Take lots out of a level; an empty or unknown level is none."""
        there = self.sizes.get(key)
        if there is None:
            return
        self.dirty.add(key)
        if lots < there:
            self.sizes[key] = there - lots
        else:
            del self.sizes[key]
            del self.keys[bisect_left(self.keys, key)]

    def changes(self) -> tuple[tuple[int, int], ...]:
        """Levels changed since the last call, best first, as (price in ticks, lots or 0)."""
        sign, sizes = self.sign, self.sizes
        result = tuple([(k * sign, sizes.get(k, 0)) for k in sorted(self.dirty)])
        self.dirty.clear()
        return result

    def levels(self) -> tuple[tuple[int, int], ...]:
        """All levels, best first, as (price in ticks, lots)."""
        sign, sizes = self.sign, self.sizes
        return tuple([(k * sign, sizes[k]) for k in self.keys])

    def dump(self) -> LadderState:
        """The whole state, for `load`."""
        return LadderState(list(self.keys), [self.sizes[k] for k in self.keys], sorted(self.dirty))

    def load(self, state: LadderState) -> None:
        """Take up a state that `dump` gave."""
        self.keys = list(state.keys)
        self.sizes = dict(zip(state.keys, state.sizes, strict=True))
        self.dirty = set(state.dirty)

    def _set(self, key: int, depth: float) -> None:
        keys = self.keys
        if key not in self.sizes:
            if not keys or key > keys[-1]:
                keys.append(key)
            else:
                keys.insert(bisect_left(keys, key), key)
        self._resize(key, depth)

    def _resize(self, key: int, depth: float) -> None:
        """Draw a level's size: hump-shaped in the distance, lognormal, larger at round prices."""
        distance = key - self.keys[0]
        shape = 0.3 + 0.7 * min(distance / self._reach, 1.0)
        size = self._shape.size * shape * depth * math.exp(self._rng.gauss(-0.45, 0.95))
        if key % 10 == 0:
            size *= 2.6 if key % 100 == 0 else 1.4
        self.sizes[key] = int(size) + 1
        self.dirty.add(key)

    def _mean_distance(self, key: int, first: int) -> float:
        """Typical ticks from a level to the next one outwards; levels thin out away from the touch."""
        return max(self._shape.gap * (1.0 + 2.5 * min((key - first) / self._reach, 2.0)), 1.0)

    def _distance(self, key: int, origin: int | None = None) -> int:
        mean = self._mean_distance(key, origin if origin is not None else self.keys[0])
        if mean <= 1.0:
            return 1
        return 1 + int(self._rng.expovariate(1.0 / (mean - 0.5)))

    def _keep_depth(self, depth: float) -> None:
        keys = self.keys
        while len(keys) < MIN_LEVELS:
            self._set(keys[-1] + self._distance(keys[-1]), depth)
        if len(keys) > MAX_LEVELS:
            for key in keys[MIN_LEVELS:]:
                del self.sizes[key]
                self.dirty.add(key)
            del keys[MIN_LEVELS:]
