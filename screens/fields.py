"""A field with a few values to turn through: one line, no list to open."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.message import Message

from console.actions import bindings
from widgets.line_widget import LineBuilder, LineWidget
from widgets.text import clean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual import events
    from textual.binding import BindingType
    from textual.strip import Strip

__all__ = ["ChoiceField"]


class ChoiceField(LineWidget, can_focus=True):
    """Shows one of several values; left, right and space turn to another.

    Args:
        values: Value, what is shown for it, and its ink.
        value: The one chosen at first.
    """

    HELP: ClassVar[str | None] = "←/→ or space turn to another value."
    BINDINGS: ClassVar[list[BindingType]] = bindings("choice")
    DEFAULT_CSS: ClassVar[str] = """
    ChoiceField { height: 1; }
    """

    class Changed(Message):
        """Another value was chosen."""

        def __init__(self, field: ChoiceField, value: str) -> None:
            super().__init__()
            self.field = field
            self.value = value

        @property
        def control(self) -> ChoiceField:
            """The field."""
            return self.field

    def __init__(self, values: Sequence[tuple[str, str, str]], value: str, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._values = list(values)
        self._place = next((place for place, entry in enumerate(self._values) if entry[0] == value), 0)

    @property
    def value(self) -> str:
        """The chosen value."""
        return self._values[self._place][0]

    @value.setter
    def value(self, value: str) -> None:
        for place, entry in enumerate(self._values):
            if entry[0] == value:
                self._take(place)

    def action_turn(self, step: int) -> None:
        """Choose the next value or the one before."""
        self._take((self._place + step) % len(self._values))

    def _take(self, place: int) -> None:
        if place != self._place:
            self._place = place
            self.mark()
            self.drain()
            self.post_message(self.Changed(self, self.value))

    def lines(self, width: int, height: int) -> Sequence[Strip]:
        """Return the value between its two signs."""
        _, text, ink = self._values[self._place]
        over = self.palette["cursor"] if self.has_focus else None
        line = LineBuilder(self.palette, over)
        line.add("‹ " if self.glyphs.braille else "< ", "muted").add(clean(text), ink)
        return [line.add(" ›" if self.glyphs.braille else " >", "muted").strip(width)]

    def on_focus(self) -> None:
        """Show the field as chosen."""
        self.mark()
        self.drain()

    def on_blur(self) -> None:
        """Show the field as left."""
        self.mark()
        self.drain()

    def on_click(self, event: events.Click) -> None:
        """Turn with the mouse."""
        event.stop()
        self.action_turn(1)
