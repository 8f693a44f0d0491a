"""What bots have missed while the engine stands still, in the order in which it happened."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Backlog"]


class Backlog:
    """Keeps what is to be told to bots while they are held, and tells it afterwards."""

    def __init__(self) -> None:
        self.held = False
        """Whether bots hear nothing at present; each stands between two events."""
        self._missed: list[Callable[[], None]] = []

    def hold(self) -> None:
        """Let bots hear nothing more until `go_on`."""
        self.held = True

    def keeps(self, tell: Callable[[], None]) -> bool:
        """Take something that a bot would hear now; False when it may."""
        if self.held:
            self._missed.append(tell)
        return self.held

    def go_on(self) -> None:
        """Tell bots what they have missed, in its order, and everything from now on."""
        self.held = False
        missed, self._missed = self._missed, []
        for tell in missed:
            tell()
