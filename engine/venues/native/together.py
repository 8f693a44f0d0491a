"""One request for what several ask for at the same moment, where a venue takes many at once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

__all__ = ["Together"]

K = TypeVar("K")
A = TypeVar("A")
TURNS = 3
"""Turns of the loop in which others may join: whoever is told to cancel everything asks for all within these."""


class _Batch(Generic[K, A]):
    """What is asked for together."""

    def __init__(self) -> None:
        self.keys: list[K] = []
        self.task: asyncio.Task[A] | None = None


class Together(Generic[K, A]):
    """Gathers keys and asks for them in one request; everybody gets its answer or its error.

    A wait that is cancelled leaves the request under way for the others.

    Args:
        ask: Makes the request.
        most: Keys of one request.
        name: What it is called.
    """

    def __init__(self, ask: Callable[[Sequence[K]], Awaitable[A]], most: int, name: str) -> None:
        self._ask = ask
        self._most = most
        self._name = name
        self._open: _Batch[K, A] | None = None
        self._tasks: set[asyncio.Task[A]] = set()

    async def answer(self, key: K) -> A:
        """The answer to the request that holds a key. Raises as the request does."""
        batch = self._open
        if batch is None or batch.task is None:
            batch = self._open = _Batch()
            batch.task = asyncio.get_running_loop().create_task(self._carry(batch), name=self._name)
            self._tasks.add(batch.task)
            batch.task.add_done_callback(self._over)
        batch.keys.append(key)
        if len(batch.keys) >= self._most:
            self._open = None
        return await asyncio.shield(batch.task)

    async def _carry(self, batch: _Batch[K, A]) -> A:
        for _ in range(TURNS):
            await asyncio.sleep(0)
        if self._open is batch:
            self._open = None
        return await self._ask(tuple(batch.keys))

    def _over(self, task: asyncio.Task[A]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            # Told to whoever asked, if he still waits.
            task.exception()
