"""What an action is, and the one registry from which keys, footer, help, palette, keymap and docs/keys.md are made.

    class MarketScreen(DeckScreen):
        SCOPE = "market"
        BINDINGS = bindings("market")

The lines themselves stand in `console.action_table`. An action belongs to a scope: `app` holds everywhere, a screen's
name on that screen, a widget's name where such a widget has the focus.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from textual.binding import Binding, BindingType

__all__ = [
    "ALIASES",
    "ALL_SCREENS",
    "MORE_SCREENS",
    "SCREENS",
    "Action",
    "Tier",
    "actions_of",
    "bindings",
    "find_action",
    "key_label",
    "keys_label",
    "registry",
]

SCREENS = ("dashboard", "bots", "portfolio", "market", "risk", "backtests", "settings")
"""The screens in the order of their number keys."""
MORE_SCREENS = ("quality",)
"""Screens with a key of their own that the bar names only while they are shown."""
ALL_SCREENS = (*SCREENS, *MORE_SCREENS)


class Tier(enum.StrEnum):
    """How much is asked before an action happens."""

    FREE = "free"
    CONFIRM = "confirm"
    """A dialog says exactly what will happen."""
    TYPE = "type"
    """A word is typed."""


@dataclass(frozen=True, slots=True)
class Action:
    """One thing that a key or the palette can do."""

    id: str
    """`scope.name`; the keymap of the settings uses it."""
    keys: str
    """Default keys as Textual names them, separated by commas; empty for the palette only."""
    handler: str
    """Textual action, such as `buy` or `timeframe(1)`, run on the scope's screen or widget."""
    label: str
    """One or two words for the footer."""
    help: str
    """One sentence for help, palette and documentation."""
    tier: Tier = Tier.FREE
    footer: int = 0
    """Place in the footer, the least first; 0 is not shown there."""
    danger: bool = False
    """It ends or destroys something; its letters belong to no harmless action."""
    priority: bool = False
    """The key works above dialogs and while text is typed."""

    @property
    def scope(self) -> str:
        """Where it holds."""
        return self.id.partition(".")[0]

    @property
    def key_list(self) -> tuple[str, ...]:
        """The default keys, one an entry."""
        return tuple(key for key in self.keys.split(",") if key)


@cache
def registry() -> dict[str, Action]:
    """Every action by its id, in the table's order."""
    from console.action_table import TABLE

    found: dict[str, Action] = {}
    for action in TABLE:
        if action.id in found:
            raise RuntimeError(f"the action {action.id} is in the table twice")
        found[action.id] = action
    return found


def actions_of(scope: str) -> tuple[Action, ...]:
    """The actions of one scope, in the table's order."""
    return tuple(action for action in registry().values() if action.scope == scope)


def find_action(action_id: str) -> Action:
    """Return an action; raises KeyError when there is none of that id."""
    return registry()[action_id]


def bindings(*scopes: str) -> list[BindingType]:
    """The Textual bindings of these scopes, for a class's BINDINGS; every one carries its action's id."""
    from textual.binding import Binding

    found: list[BindingType] = [
        Binding(action.keys, action.handler, action.label, show=False, priority=action.priority, id=action.id)
        for scope in scopes
        for action in actions_of(scope)
        if action.keys
    ]
    return found


ALIASES = {
    "question_mark": "?", "colon": ":", "slash": "/", "left_square_bracket": "[", "right_square_bracket": "]",
    "exclamation_mark": "!", "plus": "+", "minus": "-", "equals_sign": "=", "escape": "Esc", "enter": "Enter",
    "space": "Space", "tab": "Tab", "up": "↑", "down": "↓", "left": "←", "right": "→", "pageup": "PgUp",
    "pagedown": "PgDn", "home": "Home", "end": "End", "full_stop": ".", "comma": ",", "backspace": "⌫",
    "less_than_sign": "<", "greater_than_sign": ">", "asterisk": "*",
}  # fmt: skip
"""What Textual calls a key -> what a person calls it."""


@cache
def key_label(key: str) -> str:
    """Return a key as a person writes it: `^x`, `?`, `S`."""
    head, plus, tail = key.rpartition("+")
    name = ALIASES.get(tail, tail)
    if not plus:
        return name
    if head == "ctrl":
        return f"^{name}"
    return f"{head.replace('shift', 'Shift').replace('ctrl', 'Ctrl')}+{name}"


def keys_label(keys: str, separator: str = " ") -> str:
    """Return several keys as a person writes them."""
    return separator.join(key_label(key) for key in keys.split(",") if key)


def by_binding(binding: Binding) -> Action | None:
    """Return the action of a binding, or None when it is none of ours."""
    return registry().get(binding.id or "")
