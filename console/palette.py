"""The command palette: every action, instrument and bot by name, with its key; `:` opens it as a command line."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, ClassVar

from console.actions import ALL_SCREENS, Action, actions_of
from console.keymap import SCOPE_TITLES
from screens.base import DeckScreen
from screens.finder import Choice, Finder
from screens.help import scopes_of
from screens.where import short_symbol
from widgets.live_table import Cell, Column
from widgets.text import clean

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.widget import Widget

    from console.app import QuarterdeckApp
    from engine.control.views import BotRow

__all__ = ["PaletteDialog", "open_on"]

COLUMNS = (
    Column("title", "What", 17),
    Column("help", "Does", 30, flex=True),
    Column("where", "Where", 10),
    Column("key", "Key", 3),
)
HIDDEN = frozenset({"app.command", "app.palette", "app.quit_anywhere", "app.help_anywhere"})


class PaletteDialog(Finder):
    """Finds and does.

    Args:
        app: Knows actions, instruments and where one is.
        prefix: What stands in the field at first.
    """

    WORDS: ClassVar[dict[str, str]] = {"q": "leave", "quit": "leave", "exit": "leave", "book": "", "stop": "emergency"}

    def __init__(self, app: QuarterdeckApp, prefix: str = "") -> None:
        title = "Command" if prefix else "Find"
        super().__init__(title, COLUMNS, typed=prefix, placeholder="an action, an instrument or a bot")
        self._does: dict[str, Callable[[], None]] = {}
        self._keymap = app.keymap
        screen = app.screen if isinstance(app.screen, DeckScreen) else None
        for scope in dict.fromkeys([screen.SCOPE if screen is not None else "app", "app", *ALL_SCREENS]):
            self._add_actions(app, scope, None)
        for scope in scopes_of(app.focused):
            if scope != "move":
                self._add_actions(app, scope, app.focused)
        for row in app.instruments.values():
            self._add(
                f"instrument {row.id}",
                f"{row.symbol}{app.where.beside(row.id)}",
                "Market",
                "Show its book, trades and chart.",
                partial(open_on, app, "market", row.id),
                short_symbol(row.id),
            )

    def on_mount(self) -> None:
        """Ask for the bots' names."""
        self.deck.ask(self, "bots.list", {"limit": 1000}, then=self._add_bots)

    def _add_bots(self, rows: list[BotRow]) -> None:
        app = self.deck
        for row in rows:
            self._add(
                f"bot {row.id}",
                row.name,
                "Bots",
                f"Show the bot ({row.strategy}).",
                partial(open_on, app, "bots", row.id),
            )
        self.fill()

    def _add_actions(self, app: QuarterdeckApp, scope: str, widget: Widget | None) -> None:
        for action in actions_of(scope):
            if action.id not in HIDDEN:
                where = SCOPE_TITLES.get(scope, scope.capitalize())
                self._add(action.id, action.label, where, action.help, _runner(app, action, widget))

    def _add(self, key: str, title: str, where: str, more: str, run: Callable[[], None], also: str = "") -> None:
        cells = (Cell(title), Cell(more, "muted"), Cell(where, "muted"), Cell(self._keymap.label(key), "accent"))
        self._does[key] = run
        self.offer([Choice(key, cells, clean(title), f"{where} {more} {also}")])

    def do(self, key: str | None) -> None:
        """Do what was chosen, once the palette has gone."""
        if key is not None:
            self._does[key]()


def open_on(app: QuarterdeckApp, screen: str, key: str) -> None:
    """Show a screen with something chosen on it."""
    app.switch_mode(screen)
    here = app.deck_screen
    if here is not None:
        app.call_after_refresh(here.choose, key)


def _runner(app: QuarterdeckApp, action: Action, widget: Widget | None) -> Callable[[], None]:
    def run() -> None:
        if widget is not None:
            app.call_later(app.run_action, action.handler, widget)
        elif action.scope == "app":
            app.call_later(app.run_action, action.handler)
        else:
            app.switch_mode(action.scope)
            app.call_after_refresh(app.run_action, action.handler, app.screen)

    return run
