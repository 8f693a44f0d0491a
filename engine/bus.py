"""Bounded queues that say what happens when they are full."""

from __future__ import annotations

import asyncio
import enum
from collections import deque
from typing import Generic, TypeVar

__all__ = ["Disconnected", "Policy", "Queue"]

T = TypeVar("T")


class Policy(enum.StrEnum):
    """What a full queue does with one more item."""

    DROP_OLDEST = "drop_oldest"
    LATEST_WINS = "latest_wins"
    """Keeps the newest item of each key; its place in the queue is that of the first."""
    DISCONNECT = "disconnect"
    """Closes the queue: whoever reads it has to begin anew from a snapshot."""


class Disconnected(Exception):
    """The queue was closed, by its owner or because it was full."""


class Queue(Generic[T]):
    """A bounded queue between a producer that never waits and one reader on the same loop.

    Args:
        limit: Most items kept, at least 1 (for LATEST_WINS: most keys).
        policy: What happens with one more.
        name: Shown with depth and drops on the status screen.
    """

    def __init__(self, limit: int, policy: Policy, name: str) -> None:
        if limit < 1:
            raise ValueError(f"the queue {name} needs room for at least one item")
        self.limit = limit
        self.policy = policy
        self.name = name
        self.dropped = 0
        """Items lost or replaced so far."""
        self._items: deque[tuple[object, T]] = deque()
        self._latest: dict[object, T] = {}
        self._ready = asyncio.Event()
        self._closed = False

    def __len__(self) -> int:
        return len(self._latest) if self.policy is Policy.LATEST_WINS else len(self._items)

    @property
    def closed(self) -> bool:
        """True once it takes nothing more."""
        return self._closed

    def put(self, item: T, key: object = None) -> bool:
        """Add an item; never waits.

        Returns:
            False when something was lost: this item, an older one, or (DISCONNECT) the whole queue.
        """
        if self._closed:
            return False
        kept = True
        if self.policy is Policy.LATEST_WINS:
            kept = key not in self._latest
            if kept and len(self._latest) >= self.limit:
                del self._latest[next(iter(self._latest))]
                kept = False
            self._latest[key] = item
        else:
            if len(self._items) >= self.limit:
                kept = False
                if self.policy is Policy.DISCONNECT:
                    self.dropped += len(self._items) + 1
                    self.close()
                    return False
                self._items.popleft()
            self._items.append((key, item))
        if not kept:
            self.dropped += 1
        self._ready.set()
        return kept

    def drain(self) -> list[T]:
        """Take everything that is there, oldest first."""
        if self.policy is Policy.LATEST_WINS:
            items = list(self._latest.values())
            self._latest.clear()
        else:
            items = [item for _, item in self._items]
            self._items.clear()
        if not self._closed:
            self._ready.clear()
        return items

    async def wait(self) -> list[T]:
        """Wait for at least one item and take all. Cancelling takes nothing.

        Raises:
            Disconnected: The queue is closed and empty.
        """
        while not len(self):
            if self._closed:
                raise Disconnected(self.name)
            await self._ready.wait()
        return self.drain()

    def close(self) -> None:
        """Take nothing more; what is inside can still be read, except after a DISCONNECT."""
        self._closed = True
        if self.policy is Policy.DISCONNECT:
            self._items.clear()
        self._ready.set()
