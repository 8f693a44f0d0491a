"""A dialog with a few answers, each with a letter: move and press Enter, or press the letter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from textual.message import Message
from textual.widgets import Static

from console.actions import bindings
from screens.dialogs import Dialog
from screens.sheet import Line, Sheet
from widgets.line_widget import LineBuilder
from widgets.navigation import VimNavigation
from widgets.text import clean, fit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual import events
    from textual.app import ComposeResult
    from textual.binding import BindingType
    from textual.geometry import Size
    from textual.strip import Strip

__all__ = ["Option", "OptionList", "OptionsDialog"]


@dataclass(frozen=True, slots=True)
class Option:
    """One answer."""

    key: str
    """What the dialog ends with; its letter is `letter`."""
    letter: str
    label: str
    note: str = ""
    danger: bool = False


class OptionList(VimNavigation):
    """The answers, one a line, the cursor on one of them."""

    DEFAULT_CSS: ClassVar[str] = """
    OptionList { height: auto; width: 1fr; }
    """

    class Moved(Message):
        """The cursor came to another answer."""

        def __init__(self, option: Option) -> None:
            super().__init__()
            self.option = option

    def __init__(self, options: Sequence[Option]) -> None:
        super().__init__()
        self.options = list(options)
        self.cursor = 0

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """Ask for a line an answer."""
        return len(self.options)

    def lines(self, width: int, height: int) -> Sequence[Strip]:
        """Return the answers."""
        wide = max(len(option.label) for option in self.options) + 2
        shown = []
        for place, option in enumerate(self.options):
            here = place == self.cursor
            line = LineBuilder(self.palette, self.palette["cursor"] if here else None)
            line.add(f" {self.glyphs.cursor if here else ' '} {option.letter}  ", "accent")
            line.add(fit(clean(option.label), wide), "breach" if option.danger else "text")
            shown.append(line.add(clean(option.note), "muted").strip(width))
        return shown

    def move_by(self, rows: int) -> None:
        """Move the cursor."""
        place = max(0, min(len(self.options) - 1, self.cursor + rows))
        if place != self.cursor:
            self.cursor = place
            self.mark()
            self.post_message(self.Moved(self.options[place]))

    def move_to_end(self, direction: int) -> None:
        """Go to the first or last answer."""
        self.move_by(direction * len(self.options))


class OptionsDialog(Dialog[str]):
    """Asks for one of a few answers; ends with its key, or None.

    Args:
        title: The heading.
        said: Lines above the answers.
        options: The answers.
    """

    BINDINGS: ClassVar[list[BindingType]] = bindings("dialog")

    def __init__(self, title: str, said: Sequence[Line], options: Sequence[Option], *, danger: bool = False) -> None:
        super().__init__(title, danger=danger)
        self._said = list(said)
        self.options = list(options)

    def body(self) -> ComposeResult:
        """Yield what is said and the answers."""
        if self._said:
            sheet = Sheet(self._said, id="said")
            sheet.can_focus = False
            sheet.styles.margin = (0, 0, 1, 0)
            yield sheet
        yield OptionList(self.options)
        yield Static("Enter or the letter: choose    Esc: Back", classes="hint", markup=False)

    def action_accept(self) -> None:
        """Choose the answer under the cursor."""
        chosen = self.query_one(OptionList)
        self._choose(chosen.options[chosen.cursor])

    def on_key(self, event: events.Key) -> None:
        """Choose by letter."""
        for option in self.options:
            if event.character == option.letter:
                event.stop()
                self._choose(option)
                return

    def _choose(self, option: Option) -> None:
        if self.armed:
            self.dismiss(option.key)
