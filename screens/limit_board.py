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


def _use(state: LimitState) -> float:
    """Return the rank of a limit: what is not known stands beside what is nearly used up."""
    return 0.75 if state.share is None else state.share


class LimitBoard(VimNavigation):
    """The limits and how much of each is used; the most used first where not all of them are in sight.

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
        self._mark_place(height)
        ranked = self._states if len(self._states) <= height else sorted(self._states, key=_use, reverse=True)
        shown = ranked[self._top : self._top + height]
        return [limit_rows(state, width, self.palette, self.glyphs)[0] for state in shown]

    def _mark_place(self, height: int) -> None:
        """Say in the border which of the limits are in sight, where not all of them are."""
        first, count = self._top + 1, len(self._states)
        words = f"{first}–{min(count, self._top + height)} of {count} by use, j/k" if count > height else ""
        if str(self.border_subtitle or "") != words:
            self.border_subtitle = Content(words)

    def move_by(self, rows: int) -> None:
        """Scroll."""
        self._top = max(0, min(self._top + rows, len(self._states) - max(1, self.content_size.height)))
        self.mark()

    def move_to_end(self, direction: int) -> None:
        """Go to the first or the last limit."""
        self.move_by(direction * len(self._states))
