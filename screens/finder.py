"""A dialog that finds one of many by a few letters: a field, and a list of what fits, the best match chosen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from textual.widgets import Input

from console.actions import bindings
from screens.dialogs import Dialog
from widgets.live_table import Cell, Column, LiveTable
from widgets.text import clean, fuzzy_match

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from textual.app import ComposeResult
    from textual.binding import BindingType

__all__ = ["Choice", "Finder", "rank"]


@dataclass(frozen=True, slots=True)
class Choice:
    """One thing to be found: its cells, and what a search looks at."""

    key: str
    cells: tuple[Cell, ...]
    title: str
    more: str = ""
    """Text that a search may match, though less well than the title."""


def rank(typed: str, choice: Choice, words: Mapping[str, str] | None = None) -> int | None:
    """Return how well a choice fits what was typed, the least best; None when it does not.

    Args:
        typed: What stands in the field; a leading colon does not count.
        choice: What may be found.
        words: Words that stand for others.
    """
    typed = clean(typed).strip().removeprefix(":").strip().casefold()
    typed = " ".join((words or {}).get(word, word) for word in typed.split()).strip()
    title = choice.title.casefold()
    if not typed or title == typed:
        return 0
    if title.startswith(typed):
        return 1
    if f" {typed}" in title or f"/{typed}" in title:
        return 2
    text = f"{title} {choice.more}".casefold()
    if typed in text:
        return 3
    return 4 if fuzzy_match(typed, title) else None


class Finder(Dialog[str]):
    """Ends with the key of what was chosen, or None.

    Args:
        title: The heading.
        columns: Columns of the list.
        typed: What stands in the field at first.
        placeholder: What an empty field says.
    """

    BINDINGS: ClassVar[list[BindingType]] = bindings("dialog", "palette")
    SCOPE: ClassVar[str] = "palette"
    HELP: ClassVar[str | None] = "Type a few letters of what you want; the best match is chosen."
    WORDS: ClassVar[dict[str, str]] = {}
    """Words that stand for others."""
    DEFAULT_CSS: ClassVar[str] = """
    Finder { align: center top; }
    Finder > #box { width: 72; height: 18; margin-top: 2; padding: 0 1; }
    Finder Input, Finder Input:focus { border: none; height: 1; padding: 0 1; background: $panel; }
    Finder LiveTable, Finder LiveTable.-framed { height: 1fr; border: none; padding: 0 1; margin-top: 1; }
    """

    def __init__(self, title: str, columns: Sequence[Column], *, typed: str = "", placeholder: str = "") -> None:
        super().__init__(title)
        self._columns = list(columns)
        self._typed = typed
        self._placeholder = placeholder
        self._choices: dict[str, Choice] = {}

    def body(self) -> ComposeResult:
        """Yield the field and the list."""
        field = Input(self._typed, placeholder=self._placeholder, select_on_focus=False)
        field.cursor_blink = False
        yield field
        table = LiveTable(self._columns, empty="Nothing of that name.")
        table.can_focus = False
        table.lit = True
        yield table

    def offer(self, choices: Sequence[Choice]) -> None:
        """Add choices, or replace those of the same key."""
        self._choices |= {choice.key: choice for choice in choices}
        if self.is_mounted:
            self.fill()

    def on_mount(self) -> None:
        """Show everything."""
        self.fill()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Show what fits."""
        event.stop()
        self.fill()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Choose what the cursor is on."""
        event.stop()
        self.action_accept()

    def action_move(self, rows: int) -> None:
        """Move the cursor in the list."""
        self.query_one(LiveTable).action_move(rows)

    def action_accept(self) -> None:
        """Choose what the cursor is on."""
        key = self.query_one(LiveTable).cursor_key
        if key is not None:
            self.dismiss(key)

    def fill(self) -> None:
        """List what fits, the best first and chosen."""
        typed = self.query_one(Input).value
        ranked = [(rank(typed, choice, self.WORDS), choice) for choice in self._choices.values()]
        found = sorted(((points, choice) for points, choice in ranked if points is not None), key=lambda pair: pair[0])
        table = self.query_one(LiveTable)
        table.set_rows([(choice.key, choice.cells) for _, choice in found])
        if found:
            table.cursor_key = found[0][1].key
        table.drain()
