"""The help overlay: the keys that work at this very place, made from the registry, and a word on the focused pane."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Protocol, runtime_checkable

from console.actions import Action, Tier, actions_of, by_binding
from console.keymap import SCOPE_TITLES
from screens.dialogs import Dialog
from screens.sheet import Line, Sheet, wrap
from widgets.text import fit, width_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.app import ComposeResult
    from textual.screen import Screen
    from textual.widget import Widget

    from console.keymap import Keymap

__all__ = ["HasHelp", "HelpDialog", "help_lines", "scopes_of"]

WIDTH = 70
MIN_KEYS = 6
ASKS = {Tier.FREE: "", Tier.CONFIRM: " (asks first)", Tier.TYPE: " (asks for a word)"}


@runtime_checkable
class HasHelp(Protocol):
    """Something that explains itself in one paragraph."""

    HELP: ClassVar[str | None]


def scopes_of(widget: Widget | None) -> list[str]:
    """Return the scopes of the actions that a widget's own keys do, in their order."""
    if widget is None:
        return []
    found = (by_binding(binding) for _, binding in widget._bindings)
    return list(dict.fromkeys(action.scope for action in found if action is not None))


def help_lines(
    keymap: Keymap,
    screen_scope: str,
    screen_help: str | None,
    widget_help: str | None,
    widget_scopes: Sequence[str],
    *,
    modal: bool = False,
) -> list[Line]:
    """Return the page for one place: what it is, its screen's keys, the focused pane's, those of everywhere.

    From within a dialog only those keys of everywhere work that are made for it.
    """
    lines: list[Line] = []
    if screen_help:
        lines += [*wrap(screen_help, WIDTH), []]
    sections = [screen_scope, *(["dialog"] if modal else []), *widget_scopes, "app", "focus"]
    for scope in dict.fromkeys(sections):
        actions = [action for action in actions_of(scope) if scope != "app" or action.priority or not modal]
        if not actions:
            continue
        lines.append([(SCOPE_TITLES.get(scope, scope.capitalize()), "title")])
        if scope in widget_scopes and widget_help and scope != "move":
            lines += wrap(widget_help, WIDTH, "muted")
        wide = max(MIN_KEYS, *(width_of(keymap.labels(action.id)) for action in actions))
        lines += [_key_line(keymap, action, wide) for action in actions if keymap.keys(action.id)]
        lines.append([])
    return lines[:-1]


def _key_line(keymap: Keymap, action: Action, wide: int) -> Line:
    keys = fit(keymap.labels(action.id), wide)
    return [(f"  {keys} ", "accent"), (action.help, "text"), (ASKS[action.tier], "warn" if action.danger else "muted")]


class HelpDialog(Dialog[None]):
    """The keys of the place one came from."""

    DEFAULT_CSS: ClassVar[str] = """
    HelpDialog > #box { width: 78; height: 92%; padding: 0 1; }
    HelpDialog > #box > Sheet { height: 1fr; max-height: 100%; }
    """

    def __init__(self, screen: Screen[object], focused: Widget | None) -> None:
        scope = str(getattr(screen, "SCOPE", ""))
        super().__init__(f"Keys: {SCOPE_TITLES.get(scope, scope)}")
        self._scope = scope
        self._screen_help = screen.HELP if isinstance(screen, HasHelp) else None
        self._widget_help = focused.HELP if isinstance(focused, HasHelp) else None
        self._widget_scopes = scopes_of(focused)
        self._from_dialog = screen.is_modal

    def body(self) -> ComposeResult:
        """Yield the page."""
        helps = (self._screen_help, self._widget_help)
        yield Sheet(help_lines(self.deck.keymap, self._scope, *helps, self._widget_scopes, modal=self._from_dialog))

    def on_mount(self) -> None:
        """Name the keys in the border."""
        self.query_one("#box").border_subtitle = "j/k move · Esc back"

    def action_accept(self) -> None:
        """Leave."""
        self.dismiss(None)
