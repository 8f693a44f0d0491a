"""Stands where a screen is still missing."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from console.actions import bindings
from screens.base import DeckScreen
from screens.sheet import Sheet

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.binding import BindingType

__all__ = ["PlaceholderScreen"]


class PlaceholderScreen(DeckScreen):
    """An empty screen with its frame."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("focus")

    def __init__(self, name: str) -> None:
        self.SCOPE = name  # type: ignore[misc]  # one class stands for several screens
        super().__init__()

    def body(self) -> ComposeResult:
        """Yield a sentence."""
        yield Sheet([[(f"{self.SCOPE.capitalize()} is not built yet.", "muted")]])
