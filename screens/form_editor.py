"""The text field of a form: one line of text, or a secret that is typed and pasted unseen and never copied."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.widgets import Input

if TYPE_CHECKING:
    from textual.events import Paste

__all__ = ["FormEditor", "is_open_pem"]

PEM_BEGIN, PEM_END = "-----BEGIN", "-----END"


def is_open_pem(text: str) -> bool:
    """Tell whether a PEM text has begun whose last line is still to come."""
    return text.lstrip().startswith(PEM_BEGIN) and PEM_END not in text


class FormEditor(Input):
    """A field that can be told to hold a secret (`password`): it takes text of several lines and gives none away."""

    def _on_paste(self, event: Paste) -> None:
        if not self.password:
            # Textual calls what the class above does by itself.
            return
        # It would keep the first line alone; the key of Coinbase is a PEM text of several.
        event.prevent_default()
        event.stop()
        self.replace("\n".join(event.text.strip().splitlines()), *self.selection)

    async def action_submit(self) -> None:
        """Send, or go on to the next line of a PEM text that a terminal types line by line."""
        if self.password and is_open_pem(self.value):
            self.insert_text_at_cursor("\n")
        else:
            await super().action_submit()

    def action_copy(self) -> None:
        """Copy what is chosen, unless it is secret."""
        if not self.password:
            super().action_copy()

    def action_cut(self) -> None:
        """Cut what is chosen; a secret is removed and not copied."""
        if self.password:
            self.delete_selection()
        else:
            super().action_cut()

    def forget(self) -> None:
        """Empty it."""
        with self.prevent(Input.Changed):
            self.value = ""
