"""Vim-like movement, once for every widget with a cursor or a scroll position.

A subclass implements :meth:`VimNavigation.move_by` and :meth:`VimNavigation.move_to_end`; keys, page sizes and the
mouse wheel are the same everywhere and every binding has an id, so that a keymap can change it in one place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding

from widgets.line_widget import LineWidget

if TYPE_CHECKING:
    from textual import events
    from textual.binding import BindingType

__all__ = ["VimNavigation"]


class VimNavigation(LineWidget, can_focus=True):
    """A line widget moved through with h j k l, g G, ctrl+d ctrl+u or the arrow keys."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j,down", "move(1)", "Down", show=False, id="move.down"),
        Binding("k,up", "move(-1)", "Up", show=False, id="move.up"),
        Binding("g,home", "end(-1)", "First", show=False, id="move.first"),
        Binding("G,end", "end(1)", "Last", show=False, id="move.last"),
        Binding("ctrl+d,pagedown", "half_page(1)", "Half page down", show=False, id="move.page_down"),
        Binding("ctrl+u,pageup", "half_page(-1)", "Half page up", show=False, id="move.page_up"),
        Binding("h,left", "sideways(-1)", "Left", show=False, id="move.left"),
        Binding("l,right", "sideways(1)", "Right", show=False, id="move.right"),
    ]

    def move_by(self, rows: int) -> None:
        """Move the cursor by so many rows; negative is up."""
        raise NotImplementedError

    def move_to_end(self, direction: int) -> None:
        """Move the cursor to the first (-1) or the last (1) row."""
        raise NotImplementedError

    def move_sideways(self, columns: int) -> None:
        """Move or scroll by columns; widgets without columns ignore it."""

    def action_move(self, rows: int) -> None:
        """Move the cursor by rows."""
        self.move_by(rows)
        self.drain()

    def action_end(self, direction: int) -> None:
        """Move the cursor to the first or last row."""
        self.move_to_end(direction)
        self.drain()

    def action_half_page(self, direction: int) -> None:
        """Move the cursor by half the visible rows."""
        self.move_by(direction * max(1, self.content_size.height // 2))
        self.drain()

    def action_sideways(self, columns: int) -> None:
        """Move by columns."""
        self.move_sideways(columns)
        self.drain()

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Move down with the wheel."""
        event.stop()
        self.action_move(3)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Move up with the wheel."""
        event.stop()
        self.action_move(-3)
