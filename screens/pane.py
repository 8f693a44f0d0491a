"""A framed page: lines to read under a title, at whatever height the layout gives."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.content import Content

from screens.sheet import Line, Sheet
from widgets.text import clean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.geometry import Size

__all__ = ["Pane"]


class Pane(Sheet):
    """A page in a frame.

    Args:
        title: Shown in the border.
        empty: Shown while there is no line.
    """

    HELP: ClassVar[str] = "j/k, ^d/^u and g/G move through the page."
    FRAMED = True
    DEFAULT_CSS: ClassVar[str] = """
    Pane { padding: 0 1; }
    """

    def __init__(self, title: str = "", *, empty: str = "", id: str | None = None) -> None:
        super().__init__([[(empty, "muted")]] if empty else [], id=id)
        self._empty: list[Line] = [[(empty, "muted")]] if empty else []
        self._title = ""
        self.set_title(title)

    def set_title(self, title: str) -> None:
        """Show another title."""
        if title != self._title:
            self._title = title
            self.border_title = Content(clean(title)) if title else None

    def show(self, content: Sequence[Line]) -> None:
        """Show other lines at the same place; the frame stays as it is."""
        fresh = list(content) or self._empty
        if fresh != self._content:
            self._content = fresh
            self.mark()

    def to_top(self) -> None:
        """Begin at the first line again, for another subject."""
        self._top = 0
        self.mark()

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """Ask for a line a line, at least one."""
        return max(1, len(self._content))
