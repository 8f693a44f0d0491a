"""The command palette: every action, instrument and bot by name, with its key; `:` opens it as a command line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from textual.widgets import Input

from console.actions import SCREENS, Action, actions_of, bindings
from console.keymap import SCOPE_TITLES
from screens.base import DeckScreen
from screens.dialogs import Dialog
from screens.help import scopes_of
from widgets.live_table import Cell, Column, LiveTable
from widgets.text import clean, fuzzy_match

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from textual.app import ComposeResult
    from textual.binding import BindingType
    from textual.widget import Widget

    from console.app import QuarterdeckApp
    from engine.control.views import BotRow, InstrumentRow

__all__ = ["Entry", "PaletteDialog", "rank"]

SHORT = {"q": "quit", "quit": "leave", "exit": "leave", "book": "", "stop": "emergency"}
"""Words of other programs -> words of ours, for the command line."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing to be found."""

    title: str
    where: str
    key: str
    run: Callable[[], None]
    words: str = ""
    """More text that a search may match."""


def rank(typed: str, entry: Entry) -> int | None:
    """Return how well an entry fits what was typed, the least best; None when it does not."""
    typed = clean(typed).removeprefix(":").strip().casefold()
    typed = " ".join(SHORT.get(word, word) for word in typed.split()).strip()
    title = entry.title.casefold()
    if not typed or title == typed:
        return 0
    if title.startswith(typed):
        return 1
    if f" {typed}" in f" {title}" or f"/{typed}" in title:
        return 2
    text = f"{title} {entry.where} {entry.words}".casefold()
    if typed in text:
        return 3
    return 4 if fuzzy_match(typed, text) else None


class PaletteDialog(Dialog[None]):
    """Finds and does.

    Args:
        app: Knows actions, instruments and where one is.
        prefix: What stands in the field at first.
    """

    BINDINGS: ClassVar[list[BindingType]] = bindings("dialog", "palette")
    SCOPE: ClassVar[str] = "palette"
    HELP: ClassVar[str | None] = "Type a few letters of what you want; the best match is chosen."
    DEFAULT_CSS: ClassVar[str] = """
    PaletteDialog { align: center top; }
    PaletteDialog > #box { width: 72; height: 18; margin-top: 2; padding: 0 1; }
    PaletteDialog Input, PaletteDialog Input:focus { border: none; height: 1; padding: 0 1; background: $panel; }
    PaletteDialog LiveTable { height: 1fr; border: none; padding: 0; margin-top: 1; }
    """

    def __init__(self, app: QuarterdeckApp, prefix: str = "") -> None:
        super().__init__("Command" if prefix else "Find")
        self._prefix = prefix
        self._entries = list(_entries(app, app.screen if isinstance(app.screen, DeckScreen) else None, app.focused))

    def body(self) -> ComposeResult:
        """Yield the field and the list."""
        field = Input(self._prefix, placeholder="an action, an instrument or a bot", select_on_focus=False)
        field.cursor_blink = False
        yield field
        columns = [Column("title", "What", 30, flex=True), Column("where", "Where", 14), Column("key", "Key", 8)]
        table = LiveTable(columns, empty="Nothing of that name.")
        table.can_focus = False
        yield table

    def on_mount(self) -> None:
        """Show everything, and ask for the bots' names."""
        self._fill()
        self.deck.ask(self, "bots.list", then=self._add_bots)

    def _add_bots(self, rows: list[BotRow]) -> None:
        self._entries += [
            Entry(clean(row.name), "Bots", "", self._opener("bots", row.id), f"bot {row.strategy}") for row in rows
        ]
        self._fill()

    def _opener(self, screen: str, key: str) -> Callable[[], None]:
        return lambda: open_on(self.deck, screen, key)

    def on_input_changed(self, event: Input.Changed) -> None:
        """Show what fits."""
        event.stop()
        self._fill()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Do what the cursor is on."""
        event.stop()
        self.action_accept()

    def action_move(self, rows: int) -> None:
        """Move the cursor in the list."""
        table = self.query_one(LiveTable)
        table.action_move(rows)

    def action_accept(self) -> None:
        """Do what the cursor is on."""
        table = self.query_one(LiveTable)
        key = table.cursor_key
        self.dismiss(None)
        if key is not None:
            self.app.call_later(self._entries[int(key)].run)

    def action_yes(self) -> None:
        """A letter, here."""

    def _fill(self) -> None:
        typed = self.query_one(Input).value
        ranked = [(rank(typed, entry), place) for place, entry in enumerate(self._entries)]
        found = sorted((points, place) for points, place in ranked if points is not None)
        table = self.query_one(LiveTable)
        table.set_rows([(str(place), _cells(self._entries[place])) for _, place in found])
        if found:
            table.cursor_key = str(found[0][1])
        table.drain()


def _cells(entry: Entry) -> tuple[Cell, ...]:
    return Cell(entry.title), Cell(entry.where, "muted"), Cell(entry.key, "accent")


def open_on(app: QuarterdeckApp, screen: str, key: str) -> None:
    """Show a screen with something chosen on it."""
    app.switch_mode(screen)
    here = app.screen
    if isinstance(here, DeckScreen):
        app.call_after_refresh(here.choose, key)


def _entries(app: QuarterdeckApp, screen: DeckScreen | None, focused: Widget | None) -> Iterable[Entry]:
    here = screen.SCOPE if screen is not None else ""
    scopes = dict.fromkeys([here, "app", *SCREENS])
    for scope in scopes:
        for action in actions_of(scope):
            if action.id not in {"app.command", "app.palette", "app.quit_anywhere"}:
                yield _action_entry(app, action, None)
    if focused is not None:
        for scope in scopes_of(focused):
            if scope != "move":
                for action in actions_of(scope):
                    yield _action_entry(app, action, focused)
    for row in app.instruments.values():
        yield _instrument_entry(app, row)


def _instrument_entry(app: QuarterdeckApp, row: InstrumentRow) -> Entry:
    return Entry(clean(row.symbol), "Market", "", lambda: open_on(app, "market", row.id), f"book {row.venue}")


def _action_entry(app: QuarterdeckApp, action: Action, widget: Widget | None) -> Entry:
    def run() -> None:
        if widget is not None:
            app.call_later(app.run_action, action.handler, widget)
        elif action.scope == "app":
            app.call_later(app.run_action, action.handler)
        else:
            app.switch_mode(action.scope)
            app.call_after_refresh(app.run_action, action.handler, app.screen)

    return Entry(
        action.label, SCOPE_TITLES.get(action.scope, action.scope), app.keymap.label(action.id), run, action.help
    )
