"""Keys in the order in which they were pressed: what one types into a field is worked off by the app itself.

Textual lets a field take printable keys by itself, while those that are bound (Backspace, Tab) first climb through the
queues of all its parents; of keys that arrive together the printable ones would overtake the bound ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from textual import events
from textual.widgets import Input

from screens.fields import ChoiceField
from screens.form import Form
from screens.order_dialogs import AmountInput

if TYPE_CHECKING:
    from textual.app import App

__all__ = ["take_key"]


async def take_key(app: App[Any], event: events.Event) -> bool:
    """Work off a key pressed in a field before the next one is looked at; False leaves the event to Textual."""
    if not isinstance(event, events.Key) or event.is_forwarded:
        return False
    field = app.focused
    if not isinstance(field, Input | ChoiceField | Form):
        return False
    if await app._check_bindings(event.key, priority=True):
        return True
    if isinstance(field, Input) and event.is_printable:
        await field._on_key(event)
    else:
        await app._check_bindings(event.key)
        if app.focused is not field and isinstance(app.focused, AmountInput):
            app.focused.arrive()
    return True
