"""Which keys do what in this console: the registry's defaults with the person's own keys laid over them.

`python -m console.keymap` prints docs/keys.md.
"""

from __future__ import annotations

import difflib
import sys
from typing import TYPE_CHECKING

from console.actions import ALL_SCREENS, Action, Tier, actions_of, keys_label, registry

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["SCOPE_TITLES", "Keymap", "keys_page", "main"]

EVERYWHERE = ("app", "focus")
# widgets that have the focus on a screen, and dialogs, which hide the screen's own keys
WIDGETS = ("move", "table", "ladder", "chart", "log")
SCOPE_TITLES = {
    "app": "Everywhere", "focus": "Panes and fields", "dashboard": "Dashboard", "bots": "Bots",
    "portfolio": "Portfolio", "market": "Market", "risk": "Risk", "backtests": "Backtests", "settings": "Settings",
    "quality": "Quality", "dialog": "Dialogs", "capital": "Capital", "stop": "Emergency stop",
    "ticket": "Order ticket", "choice": "Fields with choices", "palette": "Command palette", "form": "Forms",
    "move": "Moving in tables, charts and logs", "table": "Tables", "ladder": "Order book", "chart": "Candle chart",
    "log": "Logs",
}  # fmt: skip


class Keymap:
    """The keys in force.

    Args:
        overrides: Action id -> keys as Textual names them, separated by commas, from the settings `console.keys`.

    `overrides` holds the wishes that were granted, `problems` a sentence for every other one; its action keeps the
    default keys.
    """

    def __init__(self, overrides: Mapping[str, str] | None = None) -> None:
        defaults = {action.id: action.keys for action in registry().values()}
        self.problems: list[str] = []
        wanted: dict[str, str] = {}
        for action_id, keys in (overrides or {}).items():
            if problem := _malformed(action_id, keys):
                self.problems.append(problem)
            else:
                wanted[action_id] = _normal(keys)
        # A wish is judged with all others granted, so that two actions may change places; one that is refused gives
        # its keys back, which may stand in the way of another.
        while problem := self._first_problem(defaults | wanted, wanted):
            self.problems.append(problem)
        self.overrides = wanted
        self._keys = defaults | wanted

    @staticmethod
    def _first_problem(keys: Mapping[str, str], wanted: dict[str, str]) -> str:
        """Return a sentence about the first wish that cannot be granted, and drop it."""
        for action_id in list(wanted):
            mine = set(wanted[action_id].split(","))
            for other in registry().values():
                taken = mine & set(keys[other.id].split(","))
                if taken and other.id != action_id and _clash(registry()[action_id], other):
                    del wanted[action_id]
                    names = keys_label(",".join(sorted(taken)))
                    return (
                        f"console.keys: {names} of {action_id} is taken by {other.id} ({other.label}); choose another."
                    )
        return ""

    def keys(self, action_id: str) -> str:
        """The keys of an action, separated by commas; empty when it has none."""
        return self._keys.get(action_id, "")

    def label(self, action_id: str) -> str:
        """The first key of an action as a person writes it."""
        return keys_label(self.keys(action_id).partition(",")[0])

    def labels(self, action_id: str) -> str:
        """All keys of an action as a person writes them."""
        return keys_label(self.keys(action_id))


def _malformed(action_id: str, keys: str) -> str:
    if action_id not in registry():
        near = difflib.get_close_matches(action_id, registry(), 1, 0.4)
        hint = f" Did you mean {near[0]}?" if near else ""
        return f"console.keys: there is no action {action_id!r}.{hint}"
    if not _normal(keys):
        return f"console.keys: {action_id} is given no key; write one, such as f5."
    return ""


def _normal(keys: str) -> str:
    from textual.binding import Binding

    # Textual knows a punctuation mark by its name; a person writes the mark.
    made = Binding.make_bindings([Binding(key.strip(), "", "") for key in keys.split(",") if key.strip()])
    return ",".join(binding.key for binding in made)


def _clash(one: Action, other: Action) -> bool:
    """Tell whether two actions may not have the same key: they hold at the same place, or one of them destroys."""
    scopes = {one.scope, other.scope}
    if one.danger != other.danger:
        return True
    if len(scopes) == 1 or one.priority or other.priority:
        return True
    if scopes & set(EVERYWHERE):
        # A widget or a dialog may give a key its own meaning; two actions of a screen may not hide each other.
        return bool(scopes & {*ALL_SCREENS, *EVERYWHERE} - {"app"}) or scopes <= set(EVERYWHERE)
    return bool(scopes & set(ALL_SCREENS)) and bool(scopes & set(WIDGETS))


def _table(actions: Iterable[Action]) -> list[str]:
    words = {Tier.FREE: "", Tier.CONFIRM: "asks first", Tier.TYPE: "asks for a word"}
    lines = ["| key | what it does | | id |", "|---|---|---|---|"]
    for action in actions:
        keys = " ".join(f"`{part}`" for part in keys_label(action.keys).replace("|", "\\|").split()) or "palette"
        lines.append(f"| {keys} | {action.help} | {words[action.tier]} | `{action.id}` |")
    return lines


def keys_page() -> str:
    """The text of docs/keys.md."""
    lines = [
        "# Keys",
        "",
        "`^x` means Ctrl and x together. Every action is also found by name in the command palette (`^p`). The keys of",
        "the focused pane come first, then those of the screen, then those that hold everywhere; `?` shows what works",
        "where you are.",
        "",
        "Your own keys go into the settings, by the id of the action; a key that is taken already is reported and not",
        "used:",
        "",
        "```toml",
        "[console.keys]",
        '"market.buy" = "f5"',
        "```",
    ]
    scopes = [*SCOPE_TITLES, *(action.scope for action in registry().values())]
    for scope in dict.fromkeys(scopes):
        if actions := actions_of(scope):
            lines += ["", f"## {SCOPE_TITLES.get(scope, scope.capitalize())}", "", *_table(actions)]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Print the page of keys."""
    sys.stdout.write(keys_page())


if __name__ == "__main__":
    main()
