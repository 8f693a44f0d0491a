"""Changing one object at a time: when two consoles change the same bot, the second waits for the first."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from engine.errors import NotFoundError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from pydantic import BaseModel

    from engine.control.context import Context
    from engine.control.registry import Operation

__all__ = ["Turns", "object_of"]


class Turns:
    """A lock for each object that somebody is changing."""

    def __init__(self) -> None:
        self._locks: dict[str, asyncio.Lock] = {}
        self._users: dict[str, int] = {}

    @asynccontextmanager
    async def of(self, name: str | None) -> AsyncIterator[None]:
        """Have an object for oneself; None waits for nobody."""
        if name is None:
            yield
            return
        lock = self._locks.setdefault(name, asyncio.Lock())
        self._users[name] = self._users.get(name, 0) + 1
        try:
            async with lock:
                yield
        finally:
            self._users[name] -= 1
            if not self._users[name]:
                del self._users[name], self._locks[name]


def object_of(context: Context, entry: Operation, request: BaseModel) -> str | None:
    """What an operation changes, if it takes more than one turn of the loop to do so; None when it does not matter.

    An emergency operation waits for no other kind of work: a position that is being closed waits only for the same.
    What needs no engine changes no bot: it may read what one has done.
    """
    bot = getattr(request, "bot", None)
    if isinstance(bot, str) and not entry.emergency and not entry.offline:
        try:
            return f"bot {context.need_engine().bots.find(bot).id}"
        except NotFoundError:
            return None
    if entry.name == "portfolio.close":
        return f"position {getattr(request, 'owner', '')} {getattr(request, 'instrument', '')}"
    return None
