"""The engine process's end of the conversation with its launcher."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from console.launch_line import MAX_LINE, Words, encode

if TYPE_CHECKING:
    import asyncio
    import socket
    from collections.abc import Callable

__all__ = ["LauncherLine"]


class LauncherLine:
    """Says words to the launcher and hears when the terminal is gone; never waits and never raises.

    Args:
        end: Our end of the socket pair; closed by `close`.
    """

    def __init__(self, end: socket.socket) -> None:
        end.setblocking(False)
        end.set_inheritable(False)
        self._end = end
        self._words = Words()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._on_lost: Callable[[str], None] = lambda _reason: None

    def listen(self, loop: asyncio.AbstractEventLoop, on_lost: Callable[[str], None]) -> None:
        """Call `on_lost` with a reason when the launcher reports a lost terminal or is gone itself."""
        self._loop, self._on_lost = loop, on_lost
        loop.add_reader(self._end.fileno(), self._read)

    def say(self, word: str, *rest: object) -> None:
        """Say a word; nobody may be there to hear it."""
        # A launcher that does not listen loses words, which fit the socket's buffer a thousand times over.
        with suppress(OSError):
            self._end.send(encode(word, *rest))

    def close(self) -> None:
        """End the conversation; a second call does nothing."""
        self._stop_listening()
        self._end.close()

    def _stop_listening(self) -> None:
        if self._loop is not None and self._end.fileno() >= 0 and not self._loop.is_closed():
            self._loop.remove_reader(self._end.fileno())

    def _read(self) -> None:
        try:
            data = self._end.recv(MAX_LINE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._stop_listening()
            self._on_lost("the launcher is gone")
        for word, _ in self._words.feed(data):
            if word == "hup":
                self._on_lost("it hung up")
