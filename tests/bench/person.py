"""A person at the console, for benchmarks: something every one or two seconds, everything again and again."""

from __future__ import annotations

import itertools
import random
import signal
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.kit.terminal import Terminal

__all__ = ["ROUND", "Person"]

SIZES = ((80, 24), (120, 40), (200, 50))
ESC, PALETTE, EMERGENCY = "\x1b", "\x10", "\x18"
# Every other screen and back, every kind of dialog and Esc; "resize" takes the next size.
ROUND = (
    *("1", "4", "?", ESC, "2", "4", PALETTE, "e", "t", ESC, "resize"),
    *("3", "4", "b", "\t", "1", ESC, "5", "4", "]", "t", "resize"),
    *("6", "4", "s", ESC, ":", "b", ESC, "[", "T", EMERGENCY, ESC, "q", ESC, "j", "k", "resize"),
)
"""One round of everything; most of the time goes by on the market, to which it returns after each other screen."""


class Person:
    """Acts on a terminal whenever it is time to.

    Args:
        terminal: Where.
        seed: Of the pauses, which are between one and two seconds.
    """

    def __init__(self, terminal: Terminal, seed: int = 1) -> None:
        self.acted = 0
        self._terminal = terminal
        self._pauses = random.Random(seed)
        self._deeds = itertools.cycle(ROUND)
        self._sizes: Iterator[tuple[int, int]] = itertools.cycle([*SIZES[1:], SIZES[0]])
        self._next = time.monotonic() + self._pause()

    def act(self) -> None:
        """Do the next thing if it is time."""
        if time.monotonic() < self._next:
            return
        self._next += self._pause()
        self.acted += 1
        deed = next(self._deeds)
        if deed == "resize":
            self._terminal.resize(*next(self._sizes))
            # The terminal is not the controlling one, so the kernel tells nobody.
            self._terminal.process.send_signal(signal.SIGWINCH)
        else:
            self._terminal.type(deed)

    def _pause(self) -> float:
        return self._pauses.uniform(1, 2)
