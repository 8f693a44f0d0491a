"""Requests that are carried to their answer although whoever asked may give up: what it teaches counts all the same."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from typing import Any

__all__ = ["UnderWay"]

T = TypeVar("T")


class UnderWay(Generic[T]):
    """Keeps them; each ends by its own timeout, or when its connection is closed."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[T]] = set()

    async def answer(self, work: Coroutine[Any, Any, T], name: str) -> T:
        """The result of a request, which goes on when this wait for it is cancelled. Raises as it does."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._over)
        return await asyncio.shield(task)

    def _over(self, task: asyncio.Task[T]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            # Told to whoever asked, if he still waits.
            task.exception()
