"""The pane of algorithms at work, for a screen that shows it in place of others."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from engine.model.algos import ParentStatus
from screens.algos import ALGO_COLUMNS, NO_ALGOS, algo_cells, cancel_algo_dialog
from screens.base import DeckScreen
from widgets.live_table import LiveTable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from console.store import Slice
    from engine.control.views_algos import ParentRow

__all__ = ["AlgosPane"]


class AlgosPane(DeckScreen):
    """A screen with a pane `#parents`, shown while the screen has the class `-algos`; `#orders` is beside it."""

    DEFAULT_CSS: ClassVar[str] = """
    AlgosPane #parents { display: none; }
    AlgosPane.-algos #parents { display: block; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._algos: Slice

    @property
    def algos(self) -> Sequence[ParentRow]:
        """Parent orders at work."""
        rows: Sequence[ParentRow] = self._algos.data or ()
        return rows

    def algos_table(self) -> LiveTable:
        """The pane."""
        return LiveTable(ALGO_COLUMNS, title="Algorithms", empty=NO_ALGOS, id="parents")

    def follow_algos(self) -> None:
        """Follow them while the screen is shown."""
        self._algos = self.follow("algos.state")

    def pull_algos(self) -> bool:
        """Draw what changed; whether something did."""
        rows: Sequence[ParentRow] | None = self._algos.take()
        if rows is None:
            return False
        table, where, hidden = self.query_one("#parents", LiveTable), self.deck.where, self.deck.privacy
        table.set_rows([(row.id, algo_cells(row, table.glyphs, hidden=hidden, where=where)) for row in rows])
        self.entitle(table, f"Algorithms at work {len(rows)}, {self.deck.keymap.label('portfolio.algos')} shows orders")
        return True

    def algo_count(self) -> str:
        """How many there are, with the key that shows them; empty for none."""
        count = len(self.algos)
        return f", {self.deck.keymap.label('portfolio.algos')} {count} algorithms" if count else ""

    @staticmethod
    def entitle(table: LiveTable, title: str) -> None:
        """Give a pane another heading."""
        if title != table.title:
            table.title = title
            table.mark()

    def action_algos(self) -> None:
        """Change between the algorithms at work and orders with fills."""
        shown = self.has_class("-algos")
        self.set_class(not shown, "-algos")
        self.query_one("#orders" if shown else "#parents", LiveTable).focus()

    def _chosen_algo(self) -> ParentRow | None:
        key = self.query_one("#parents", LiveTable).cursor_key
        row = next((row for row in self.algos if row.id == key), None) if self.has_class("-algos") else None
        if row is None:
            self.notify(f"{self.deck.keymap.label('portfolio.algos')} shows algorithms; choose one.", markup=False)
        return row

    def action_hold(self) -> None:
        """Pause the chosen algorithm, or let it go on."""
        if self.deck.may_act() and (row := self._chosen_algo()) is not None:
            paused = row.status is ParentStatus.PAUSED
            verb, done = ("resume", "It goes on.") if paused else ("pause", "It is paused; its stops stay.")
            self.operate(f"algos.{verb}", {"id": row.id}, done=done)

    def action_pace(self, factor: str) -> None:
        """Let the chosen algorithm run faster or slower."""
        if self.deck.may_act() and (row := self._chosen_algo()) is not None:
            done = "It runs at {0}% of its pace."
            self.operate("algos.accelerate", {"id": row.id, "factor": factor}, done=lambda view: done.format(view.pace))

    def cancel_algo(self) -> None:
        """Ask whether the chosen algorithm shall be cancelled."""
        if self.deck.may_act() and (row := self._chosen_algo()) is not None:
            self.app.push_screen(cancel_algo_dialog(self.deck, row))
