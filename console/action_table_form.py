"""What keys do in forms."""

from __future__ import annotations

from console.actions import Action

__all__ = ["FORM"]

FORM = (
    Action("form.next", "down,tab", "move(1)", "Next field", "Go to the field below."),
    Action("form.previous", "up,shift+tab", "move(-1)", "Field before", "Go to the field above."),
    Action("form.more", "ctrl+up,pageup", "step(1)", "More", "Move the figure, day or choice one step up."),
    Action("form.less", "ctrl+down,pagedown", "step(-1)", "Less", "Move the figure, day or choice one step down."),
    Action("form.restore", "ctrl+z", "restore", "Put back", "Put the field back to what stood in it at first."),
)
