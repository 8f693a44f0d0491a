"""A page of coloured lines that is scrolled with the usual keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, TypeAlias

from widgets.line_widget import LineBuilder
from widgets.navigation import VimNavigation
from widgets.text import clean, fit, width_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.geometry import Size
    from textual.strip import Strip

__all__ = ["Line", "Sheet", "wrap"]

Line: TypeAlias = list[tuple[str, str]]
"""Pieces of text with their inks."""


def wrap(text: str, width: int, ink: str = "text") -> list[Line]:
    """Break a paragraph into lines of at most `width` cells."""
    lines: list[Line] = []
    row = ""
    for word in clean(text).split():
        if row and width_of(row) + 1 + width_of(word) > width:
            lines.append([(row, ink)])
            row = word
        else:
            row = f"{row} {word}".strip()
    return [*lines, [(row, ink)]] if row else lines


class Sheet(VimNavigation):
    """Lines to read.

    Args:
        content: The lines.
        end: Begin at the last line.
    """

    HELP = "j/k, ^d/^u and g/G move through the page."
    DEFAULT_CSS: ClassVar[str] = """
    Sheet { width: 1fr; height: 1fr; }
    """

    def __init__(self, content: Sequence[Line], *, end: bool = False, id: str | None = None) -> None:
        super().__init__(id=id)
        self._content = list(content)
        self._top = len(self._content) if end else 0

    def show(self, content: Sequence[Line]) -> None:
        """Show other lines at the same place."""
        fresh = list(content)
        if fresh != self._content:
            resized = len(fresh) != len(self._content)
            self._content = fresh
            self.mark()
            if resized:
                self.refresh(layout=True)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """Ask for a line a line."""
        return len(self._content)

    def lines(self, width: int, height: int) -> Sequence[Strip]:
        """Return the lines in sight."""
        self._top = max(0, min(self._top, len(self._content) - height))
        shown = []
        for parts in self._content[self._top : self._top + height]:
            line, room = LineBuilder(self.palette), width
            for text, ink in parts:
                text = clean(text)
                if width_of(text) > room:
                    text = fit(text, room, "left", self.glyphs.ellipsis)
                line.add(text, ink)
                room -= width_of(text)
            shown.append(line.strip(width))
        return shown

    def move_by(self, rows: int) -> None:
        """Scroll."""
        self._top = max(0, min(self._top + rows, len(self._content) - max(1, self.content_size.height)))
        self.mark()

    def move_to_end(self, direction: int) -> None:
        """Go to the first or the last line."""
        self._top = len(self._content) if direction > 0 else 0
        self.mark()
