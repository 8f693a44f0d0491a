"""What can be done from every screen: the actions of the scope `app`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

from console.ending import ExitIntent
from console.errands import READ_ONLY
from console.palette import PaletteDialog
from console.replaying import ReplayCommands
from screens.base import DeckScreen
from screens.emergency import EmergencyDialog, halt_dialog, resume_dialog
from screens.error_sheet import show_errors
from screens.help import HelpDialog
from screens.quit import QuitDialog
from screens.records import show_fills, show_health, show_orders
from screens.state import show_state
from screens.theme import ThemeDialog

if TYPE_CHECKING:
    from pathlib import Path

    from console.app import QuarterdeckApp

__all__ = ["Commands"]

NS = 1_000_000_000
ELSEWHERE = "`quarterdeck panic` in a shell, or ctrl+x in another console, stops everything."


class Commands(ReplayCommands):
    """Mixed into the app; each method is the handler of an action of the registry."""

    @property
    def _deck(self) -> QuarterdeckApp:
        return cast("QuarterdeckApp", self)

    def action_show(self, name: str) -> None:
        """Show a screen."""
        self._deck.switch_mode(name)

    def action_help(self) -> None:
        """Show the keys that work here."""
        if not isinstance(self._deck.screen, HelpDialog):
            self._deck.push_screen(HelpDialog(self._deck.screen, self._deck.focused))

    def action_palette(self, prefix: str) -> None:
        """Find an action, an instrument or a bot by name."""
        dialog = PaletteDialog(self._deck, prefix)
        self._deck.push_screen(dialog, dialog.do)

    def action_emergency(self) -> None:
        """Ask for the emergency stop; one dialog, whatever is open. From the past it goes back to the present first."""
        if self._deck.replaying.active and not self._deck.replaying.leave():
            return
        if self._deck.preferences.read_only:
            self._deck.notify(f"{READ_ONLY} {ELSEWHERE}", severity="error", markup=False)
            return
        if not any(isinstance(screen, EmergencyDialog) for screen in self._deck.stack()):
            self._deck.push_screen(EmergencyDialog(self._deck))

    def action_quit(self) -> Any:
        """Ask how to leave; one dialog, whatever is open."""
        if self._deck.replaying.active:
            return self._deck.replaying.ask_how_to_leave()
        if not any(isinstance(screen, QuitDialog) for screen in self._deck.stack()):
            return self._deck.push_screen(QuitDialog(self._deck))
        return None

    def action_detach(self) -> None:
        """Leave at once, without a question: the engine goes on, and nothing of it is lost."""
        self._deck.exit(ExitIntent.DETACH)

    def action_undo(self) -> None:
        """Cancel the order just sent."""
        self._deck.news.undo()

    def action_privacy(self) -> None:
        """Hide or show amounts."""
        self._deck.privacy = not self._deck.privacy
        self._deck.news.version += 1
        self._deck.notify("Amounts are hidden." if self._deck.privacy else "Amounts are shown.", markup=False)
        for screen in self._deck.stack():
            if isinstance(screen, DeckScreen):
                screen.refill()

    def action_theme(self) -> None:
        """Choose the theme."""
        self._deck.push_screen(ThemeDialog(self._deck))

    async def action_picture(self) -> None:
        """Save the screen as an SVG picture; amounts are hidden in it while privacy is on."""
        folder = self._deck.preferences.pictures
        if folder is None:
            self._deck.notify("There is no folder for pictures.", severity="warning", markup=False)
            return
        path = folder / f"{self._deck.current_mode}-{self._deck.now() // NS}.svg"
        picture = self._deck.export_screenshot(title=self._deck.TITLE)
        await asyncio.to_thread(save, path, picture)
        self._deck.notify(f"Saved as {path}.", markup=False)

    def action_activity(self) -> None:
        """Show what has happened lately."""
        self._deck.news.open()

    def action_health(self) -> None:
        """Show how the engine's parts and markets are."""
        show_health(self._deck)

    def action_errors(self) -> None:
        """Show what went wrong and what was done about it."""
        show_errors(self._deck)

    def action_state(self) -> None:
        """Show what the last start and the checks of the state found."""
        show_state(self._deck)

    def action_order_history(self) -> None:
        """Show the newest ended orders."""
        show_orders(self._deck)

    def action_fill_history(self) -> None:
        """Show the newest executions."""
        show_fills(self._deck)

    def action_halt(self) -> None:
        """Stop new orders."""
        self._deck.push_screen(halt_dialog(self._deck))

    def action_resume(self) -> None:
        """Allow new orders again."""
        self._deck.push_screen(resume_dialog(self._deck))

    def action_arm(self) -> None:
        """Let this console send orders with real money."""
        self._deck.armed.ask()

    def action_disarm(self) -> None:
        """Take that permission back."""
        self._deck.armed.disarm()

    def action_zoom(self) -> None:
        """Give the focused pane the whole screen, or take it back."""
        if self._deck.screen.maximized is not None:
            self._deck.screen.minimize()
        elif self._deck.focused is not None:
            self._deck.screen.maximize(self._deck.focused)


def save(path: Path, text: str) -> None:
    """Write a file into a folder that may not exist yet."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
