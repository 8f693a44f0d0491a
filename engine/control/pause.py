"""A gate before everything that changes something: open, held for a moment, or closed for good."""

from __future__ import annotations

import asyncio

from engine.errors import HandoverError

__all__ = ["Pause"]


class Pause:
    """Lets calls in, lets them wait, or refuses them with a sentence; for one event loop."""

    def __init__(self) -> None:
        self._open = asyncio.Event()
        self._open.set()
        self._closed = ""

    def hold(self) -> None:
        """Let new calls wait."""
        self._open.clear()

    def go_on(self) -> None:
        """Let all of them in."""
        self._open.set()

    def close(self, sentence: str) -> None:
        """Refuse all of them, now and later."""
        self._closed = sentence
        self._open.set()

    async def admit(self) -> None:
        """Return when a call may begin.

        Raises:
            HandoverError: It may not begin here any more; nothing of it was done.
        """
        await self._open.wait()
        if self._closed:
            raise HandoverError(self._closed)
