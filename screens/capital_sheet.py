"""Capital as it stands now, and the keys that move it."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from console.actions import bindings
from screens.capital import capital_lines, show_plan
from screens.capital_forms import MoneyForm, PreserveForm, ReleaseForm, UnlockProfitForm, settle_dialog, show_hedges
from screens.dialogs import Dialog
from screens.sheet import Sheet

if TYPE_CHECKING:
    from typing import Any

    from textual.app import ComposeResult
    from textual.binding import BindingType

    from engine.control.views_capital import CapitalView, FlowPage

__all__ = ["FLOWS", "CapitalSheet"]

FLOWS = 20
"""Movements that are shown."""
EVERY_S = 2.0
"""How often capital is asked for again."""


class CapitalSheet(Dialog[None]):
    """Reserve, pools, locked profit and movements, asked for again every two seconds while it is open."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("focus", "dialog", "capital")
    SCOPE: ClassVar[str] = "capital"
    HELP: ClassVar[str | None] = (
        "All capital with its pools, locks and movements, as it stands now. Money comes in and leaves by d and w; "
        "every rule is asked before anything moves."
    )
    DEFAULT_CSS: ClassVar[str] = """
    CapitalSheet > #box { width: 76; padding: 0 1; height: 90%; }
    CapitalSheet > #box > Sheet { height: 1fr; max-height: 100%; }
    """

    def __init__(self) -> None:
        super().__init__("Capital")
        self._view: CapitalView | None = None
        self._flows: FlowPage | None = None

    def body(self) -> ComposeResult:
        """Yield the page."""
        yield Sheet([[("Asking for capital…", "muted")]])

    def on_mount(self) -> None:
        """Name the keys in the border, and begin to ask."""
        label = self.deck.keymap.label
        keys = (("deposit", "in"), ("withdraw", "out"), ("preserve", "stop"), ("settle", "settle"),
                ("unlock", "unlock"), ("hedge", "hedge"), ("rebalance", "share out"))  # fmt: skip
        self.query_one("#box").border_subtitle = " · ".join(f"{label(f'capital.{name}')} {word}" for name, word in keys)
        self._ask()
        self.set_interval(EVERY_S, self._ask)

    def on_screen_resume(self) -> None:
        """Ask at once when a form above has closed."""
        self._ask()

    def _ask(self) -> None:
        if self.is_current and self.deck.link.state != "lost":
            self.deck.ask(self, "capital.overview", then=self._take)
            self.deck.ask(self, "capital.flows", {"limit": FLOWS}, then=self._take_flows)

    def _take(self, view: CapitalView) -> None:
        self._view = view
        self._show()

    def _take_flows(self, flows: FlowPage) -> None:
        self._flows = flows
        self._show()

    def _show(self) -> None:
        if self._view is not None and self._flows is not None:
            sheet = self.query_one(Sheet)
            sheet.show(capital_lines(self.deck, self._view, self._flows))
            sheet.drain()

    def text(self) -> str:
        """The whole page."""
        if self._view is None or self._flows is None:
            return ""
        lines = capital_lines(self.deck, self._view, self._flows)
        return "\n".join("".join(part for part, _ in line) for line in lines)

    def action_accept(self) -> None:
        """Leave."""
        self.dismiss(None)

    # --- actions

    def _ready(self) -> CapitalView | None:
        """What is known, where this console may act on it."""
        return self._view if self.deck.may_act() else None

    def _tell(self, reply: Any) -> None:
        if reply is not None:
            self.notify(getattr(reply, "words", "") or "It is done.", markup=False)

    def action_deposit(self) -> None:
        """Put money in."""
        if (view := self._ready()) is not None:
            self.app.push_screen(MoneyForm(self.deck, view, coming_in=True), self._tell)

    def action_withdraw(self) -> None:
        """Take money out."""
        if (view := self._ready()) is not None:
            self.app.push_screen(MoneyForm(self.deck, view, coming_in=False), self._tell)

    def action_preserve(self) -> None:
        """Preserve capital, or let it flow again."""
        if (view := self._ready()) is None:
            return
        kept = [row for row in view.accounts if row.preserved]
        self.app.push_screen(ReleaseForm(self.deck, kept) if kept else PreserveForm(self.deck), self._tell)

    def action_settle(self) -> None:
        """Settle profit before its time."""
        if (view := self._ready()) is not None and view.accounts:
            self.app.push_screen(settle_dialog(self.deck, view.accounts[0]), self._tell)

    def action_unlock(self) -> None:
        """Ask for locked profit."""
        if (view := self._ready()) is None:
            return
        if not view.locks:
            self.notify("No profit is locked.", markup=False)
            return
        self.app.push_screen(UnlockProfitForm(self.deck, view), self._tell)

    def action_hedge(self) -> None:
        """Show exposures, and send the hedges."""
        show_hedges(self.deck)

    def action_rebalance(self) -> None:
        """Show what rebalancing would move, and ask."""
        if self._ready() is not None:
            show_plan(self.deck)
