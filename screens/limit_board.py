"""All limits below each other: a bar, the figures and a word for each."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.content import Content

from widgets.limit_bar import LimitState, limit_rows
from widgets.line_widget import LineBuilder
from widgets.navigation import VimNavigation
from widgets.text import clean, fit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.strip import Strip

__all__ = ["LimitBoard"]


class LimitBoard(VimNavigation):
    """The limits and how much of each is used.

    Args:
        title: Shown in the border.
        empty: Shown while nothing is known.
    """

    HELP: ClassVar[str] = "The used share of every limit; j/k scroll."
    FRAMED = True
    DEFAULT_CSS: ClassVar[str] = """
    LimitBoard { padding: 0 1; }
    """

    def __init__(
        self, *, title: str = "Limits", empty: str = "No limits are known yet.", id: str | None = None
    ) -> None:
        super().__init__(id=id)
        self._empty = empty
        self._states: list[LimitState] = []
        self._top = 0
        self.border_title = Content(clean(title))

    def show(self, states: Sequence[LimitState]) -> None:
        """Show these limits."""
        if list(states) != self._states:
            self._states = list(states)
            self.mark()

    def lines(self, width: int, height: int) -> Sequence[Strip]:
        """Return the limits in sight."""
        if not self._states:
            blank = LineBuilder(self.palette).strip(width)
            return [blank, LineBuilder(self.palette).add(fit(self._empty, width, "center"), "muted").strip(width)]
        self._top = max(0, min(self._top, len(self._states) - height))
        shown = self._states[self._top : self._top + height]
        return [limit_rows(state, width, self.palette, self.glyphs)[0] for state in shown]

    def move_by(self, rows: int) -> None:
        """Scroll."""
        self._top = max(0, min(self._top + rows, len(self._states) - max(1, self.content_size.height)))
        self.mark()

    def move_to_end(self, direction: int) -> None:
        """Go to the first or the last limit."""
        self.move_by(direction * len(self._states))
