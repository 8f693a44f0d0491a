"""A form: many fields on a few lines, one of them being edited, each judged as one types.

The whole form is one widget that draws its lines; the line being edited has a real text field laid over it. So a form
of thirty parameters costs what one of three does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.message import Message
from textual.widgets import Input

from console.actions import bindings
from screens.form_editor import FormEditor
from screens.form_fields import Field, Kind, bounds, changed, fault, nudged
from widgets.line_widget import LineBuilder, LineWidget
from widgets.text import clean, fit, width_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from textual import events
    from textual.app import ComposeResult
    from textual.binding import BindingType
    from textual.geometry import Size
    from textual.strip import Strip

__all__ = ["Form"]

LABEL = 20
MASK = "********"
VALUE = 20


class Form(LineWidget, can_focus=True):
    """Fields below each other.

    Args:
        fields: The fields, from above.
    """

    HELP: ClassVar[str | None] = "↑/↓ or Tab go to another field, ←/→ turn a choice, ^↑/^↓ step figures and days."
    BINDINGS: ClassVar[list[BindingType]] = bindings("choice")
    DEFAULT_CSS: ClassVar[str] = """
    Form { height: auto; }
    Form > Input, Form > Input:focus {
        position: absolute; border: none; height: 1; padding: 0; background: $row-cursor; color: $row-cursor-text;
    }
    """

    class Changed(Message):
        """What stands in a field is another."""

        def __init__(self, form: Form, name: str) -> None:
            super().__init__()
            self.form = form
            self.name = name

        @property
        def control(self) -> Form:
            """The form."""
            return self.form

    class Moved(Message):
        """Another field is being edited."""

    def __init__(self, fields: Sequence[Field], *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.fields: list[Field] = list(fields)
        self._texts = {field.name: field.value for field in fields}
        self._blamed: dict[str, str] = {}
        self._insists = False
        self._at = 0
        self._top = 0

    def compose(self) -> ComposeResult:
        """Yield the text field that is laid over the line being edited."""
        editor = FormEditor(compact=True, select_on_focus=False)
        editor.cursor_blink = False
        yield editor

    def on_mount(self) -> None:
        """Begin at the first field."""
        super().on_mount()
        self._arrive()

    # --- the data

    def set_fields(self, fields: Sequence[Field]) -> None:
        """Show other fields; what a person has put into one of the same name and kind stays."""
        before = {field.name: field for field in self.fields}
        texts = {}
        for field in fields:
            old = before.get(field.name)
            touched = old is not None and old.kind is field.kind and self._texts[field.name] != old.value
            text = self._texts[field.name] if touched else field.value
            gone = field.kind is Kind.CHOICE and text not in {value for value, _ in field.choices}
            texts[field.name] = field.value if gone else text
        name = self.field.name
        self.fields, self._texts = list(fields), texts
        self._at = next((place for place, field in enumerate(fields) if field.name == name), 0)
        self.mark()
        if self.is_mounted:
            self._edit()

    @property
    def field(self) -> Field:
        """The field being edited."""
        return self.fields[self._at]

    @property
    def texts(self) -> dict[str, str]:
        """What stands in every field."""
        return dict(self._texts)

    def put(self, name: str, text: str) -> None:
        """Put a text into a field."""
        if self._texts.get(name) == text or name not in self._texts:
            return
        self._texts[name] = text
        self._blamed.pop(name, None)
        if self.field.name == name:
            self._load()
        self.mark()
        self.post_message(self.Changed(self, name))

    def forget_secrets(self) -> None:
        """Empty every secret field."""
        for field in self.fields:
            if field.kind is Kind.SECRET:
                self._texts[field.name] = ""
        if self.field.kind is Kind.SECRET and self.is_mounted:
            self._editor.forget()
        self.mark()

    def blame(self, faults: Mapping[str, str]) -> None:
        """Show what somebody else found wrong, until the field changes."""
        self._blamed = {name: text for name, text in faults.items() if name in self._texts}
        self.mark()
        if self._blamed:
            self.go(next(iter(self._blamed)))

    def fault(self, field: Field) -> str:
        """Return what is wrong with a field; what nobody has touched is not complained of before `insist`."""
        text = self._texts[field.name]
        said = fault(field, text) if self._insists or text != field.value else ""
        return said or self._blamed.get(field.name, "")

    def insist(self) -> None:
        """Complain of untouched fields too from now on."""
        self._insists = True
        self.mark()

    def faults(self) -> dict[str, str]:
        """Return what is wrong, by field."""
        return {field.name: said for field in self.fields if (said := fault(field, self._texts[field.name]))}

    # --- drawing

    @property
    def rows_wanted(self) -> int:
        """Lines that all fields with their headings take."""
        return len(self._rows())

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """Ask for a line a field and for the headings."""
        return self.rows_wanted

    def _rows(self) -> list[int | str]:
        """Places of fields, and headings; a blank line stands above every heading but the first."""
        rows: list[int | str] = []
        for place, field in enumerate(self.fields):
            if field.heading:
                rows += ["", field.heading] if rows else [field.heading]
            rows.append(place)
        return rows

    def lines(self, width: int, height: int) -> Sequence[Strip]:
        """Return the lines in sight."""
        rows = self._rows()
        here = rows.index(self._at)
        first = next((at for at in range(here - 1, -1, -1) if isinstance(rows[at], int)), -1) + 1
        # A heading comes into sight together with the first field below it.
        top = min(first, here) if here - first < height else here
        self._top = max(0, min(self._top, len(rows) - height, top), here - height + 1)
        return [self._row(row, width) for row in rows[self._top : self._top + height]]

    def _row(self, row: int | str, width: int) -> Strip:
        line = LineBuilder(self.palette)
        if isinstance(row, str):
            return line.add(clean(row), "title").strip(width)
        field, here = self.fields[row], row == self._at
        text = self._texts[field.name]
        said, unlike = self.fault(field), changed(field, text)
        line.add(f"{self.glyphs.cursor} " if here else "  ", "accent")
        line.add(fit(clean(field.label), LABEL - 1, "left", self.glyphs.ellipsis) + " ", "text" if here else "muted")
        ink = "cursor" if here else "breach" if said else "accent" if unlike else "text"
        line.add(fit(self._shown(field, text), self._value_width(width), "left", self.glyphs.ellipsis), ink)
        note = f" {self.glyphs.breach} {said}" if said else f"  {self._note(field, unlike)}"
        room = width - 2 - LABEL - self._value_width(width)
        return line.add(fit(clean(note), room, "left", self.glyphs.ellipsis), "breach" if said else "faint").strip(
            width
        )

    def _shown(self, field: Field, text: str) -> str:
        if field.kind is Kind.SECRET:
            # Not even its length is shown.
            return MASK if text else ""
        if field.kind is not Kind.CHOICE:
            return clean(text)
        words = clean(next((words for value, words in field.choices if value == text), text))
        return f"‹ {words} ›" if self.glyphs.braille else f"< {words} >"

    def _note(self, field: Field, unlike: bool) -> str:
        needed = "" if field.optional or self._texts[field.name].strip() else "needed"
        parts = [needed, bounds(field) or field.unit]
        if unlike:
            first = dict(field.choices).get(field.value, field.value)
            parts.insert(0, f"was {first}" if first else "")
        return " · ".join(part for part in parts if part)

    def _value_width(self, width: int) -> int:
        words = [width_of(clean(words)) + 4 for field in self.fields for _, words in field.choices]
        return max(8, min(max([VALUE, *words]), width - 2 - LABEL - 14))

    # --- moving and editing

    @property
    def _editor(self) -> FormEditor:
        return self.query_one(FormEditor)

    def _edit(self) -> None:
        """Let the line being edited take keys: a choice itself, a text through the field laid over it."""
        typed = self.field.kind is not Kind.CHOICE
        had = self.has_focus or self._editor.has_focus
        self._load()
        self._editor.display = typed
        if had:
            # At once: the next key may already be waiting.
            self.screen.set_focus(self._editor if typed else self)
        self.mark()
        self.drain()
        self._place()
        self.post_message(self.Moved())

    def _arrive(self) -> None:
        """Edit another field; all of a figure is chosen, so that a 5 typed upon 15 is 5 and not 155."""
        self._edit()
        if self.field.kind in {Kind.NUMBER, Kind.WHOLE}:
            self._editor.action_select_all()

    def _load(self) -> None:
        secret = self.field.kind is Kind.SECRET
        if self._editor.password and not secret:
            # What was secret must not be seen for a moment in a field that is not.
            self._editor.forget()
        self._editor.password = secret
        if self.field.kind is not Kind.CHOICE and self._editor.value != self._texts[self.field.name]:
            with self.prevent(Input.Changed):
                self._editor.value = self._texts[self.field.name]
            self._editor.cursor_position = len(self._editor.value)

    def _place(self) -> None:
        """Lay the text field over the line being edited."""
        width, height = self.content_size
        if width and height:
            self.lines(width, height)
            self._editor.styles.offset = (2 + LABEL, self._rows().index(self._at) - self._top)
            self._editor.styles.width = self._value_width(width)

    def on_resize(self) -> None:
        """Keep the text field where its line is."""
        self._place()

    def on_focus(self) -> None:
        """Hand the keys to the text field when a text is being edited."""
        if self.field.kind is not Kind.CHOICE:
            self._editor.focus()

    def go(self, name: str) -> None:
        """Edit the field of this name."""
        for place, field in enumerate(self.fields):
            if field.name == name and place != self._at:
                self._keep()
                self._at = place
                self._arrive()

    def move_by(self, step: int) -> None:
        """Edit the next field or the one before, going round."""
        self._keep()
        self._at = (self._at + step) % len(self.fields)
        self._arrive()

    def _keep(self) -> None:
        """Take what was typed before another field is edited: word of it may still be on its way."""
        if self.field.kind is not Kind.CHOICE:
            self.put(self.field.name, self._editor.value)

    def step(self, steps: int) -> None:
        """Move the figure, the day or the choice being edited."""
        if self.field.kind is Kind.CHOICE:
            self.action_turn(steps)
        else:
            self.put(self.field.name, nudged(self.field, self._texts[self.field.name], steps))
            self._editor.cursor_position = len(self._editor.value)

    def restore(self) -> None:
        """Put the field back to what stood in it at first."""
        self.put(self.field.name, self.field.value)

    def action_turn(self, step: int) -> None:
        """Choose the next value or the one before."""
        values = [value for value, _ in self.field.choices]
        if values:
            at = values.index(self._texts[self.field.name]) if self._texts[self.field.name] in values else 0
            self.put(self.field.name, values[(at + step) % len(values)])
            self.drain()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Take what is typed."""
        event.stop()
        if self.field.kind is not Kind.CHOICE and event.value == self._editor.value:
            self.put(self.field.name, event.value)
        self.drain()

    def on_click(self, event: events.Click) -> None:
        """Edit the field under the mouse."""
        rows, at = self._rows(), self._top + event.get_content_offset_capture(self).y
        if 0 <= at < len(rows) and isinstance(place := rows[at], int):
            self._at = place
            self._arrive()
