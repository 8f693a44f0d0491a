"""What launcher and engine process say to each other, one word a line over an inherited socket pair.

    process → launcher   ready                     the console draws; the process restores the screen itself
                         stopping                  the console is closed, the engine is being stopped
                         detached PID WHY SCREEN   the console is closed, the engine goes on headless; WHY is `left`,
                                                   `crashed` or `lost`, SCREEN is `restored` or `dirty`
                         handed PID SCREEN         the console is closed, the engine goes on in process PID
                         error TEXT                a sentence for the person
                         exit CODE                 an orderly end follows, the screen is restored
    launcher → process   hup                       the terminal is gone

The end of the stream says that the other one is gone: to the process it means a lost terminal, to the launcher,
without `detached`, `handed` or `exit` before it, a crash.
"""

from __future__ import annotations

from typing import Literal

__all__ = ["MAX_LINE", "Screen", "Why", "Words", "encode"]

MAX_LINE = 4096
"""Bytes; what is longer is cut, so that neither side can make the other grow."""

Why = Literal["left", "crashed", "lost"]
Screen = Literal["restored", "dirty"]


def encode(word: str, *rest: object) -> bytes:
    """One line of the conversation; line breaks within the rest become spaces."""
    text = " ".join([word, *(" ".join(str(part).split()) for part in rest)])
    return text.encode("utf-8", "replace")[: MAX_LINE - 1] + b"\n"


class Words:
    """Cuts what arrives into words with their rest."""

    def __init__(self) -> None:
        self._buffer = b""

    def feed(self, data: bytes) -> list[tuple[str, str]]:
        """Give the lines that are complete now, each as its first word and what follows it."""
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        self._buffer = self._buffer[:MAX_LINE]
        parts = (line.decode("utf-8", "replace").partition(" ") for line in lines)
        return [(word, rest) for word, _, rest in parts]
