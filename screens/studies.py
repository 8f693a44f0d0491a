"""Stored studies: the list, and the chosen one as a page; and the actions of the screen of backtests that lead here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from screens.dialogs import ConfirmDialog, Dialog, SheetDialog
from screens.pane import Pane
from screens.request import request
from screens.study_figures import STUDY_COLUMNS, study_cells, study_lines
from screens.study_forms import StudyDialog
from widgets.live_table import LiveTable
from widgets.text import clean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.app import ComposeResult
    from textual.binding import BindingType

    from engine.control.views import DatasetRow, JobRow, StrategyRow
    from engine.control.views_search import StudyRow, StudyView
    from screens.base import DeckScreen

    Host = DeckScreen
else:
    Host = object

from console.actions import bindings

__all__ = ["STUDIES", "StudiesDialog", "StudyActions"]

STUDIES = frozenset({"sweep", "optimise", "walk_forward"})
"""Kinds of jobs whose result is a study."""
ROWS = 200
EVERY_S = 0.1
"""How often what has changed is drawn."""


class StudiesDialog(Dialog[None]):
    """Stored studies; the chosen one stands below the list.

    Args:
        wanted: Id of the study to begin with; empty for the newest.
    """

    BINDINGS: ClassVar[list[BindingType]] = bindings("focus", "dialog", "studies")
    SCOPE: ClassVar[str] = "studies"
    HELP: ClassVar[str | None] = (
        "Studies of many runs: sweeps, searches and walk-forward analyses. The chosen one stands below the list: its "
        "best sets, the most stable region, a heat map or its windows, and what speaks against it. Tab goes to it."
    )
    DEFAULT_CSS: ClassVar[str] = """
    StudiesDialog > #box { width: 118; padding: 0 1; height: 94%; }
    StudiesDialog #studies { height: 8; }
    StudiesDialog Dialog Pane, StudiesDialog > #box > Pane { height: 1fr; max-height: 100%; }
    """

    def __init__(self, wanted: str = "") -> None:
        super().__init__("Studies")
        self._rows: dict[str, StudyRow] = {}
        self._view: StudyView | None = None
        self._wanted = wanted

    def body(self) -> ComposeResult:
        """Yield the list and the page."""
        yield LiveTable(STUDY_COLUMNS, title="Studies", empty="Asking for studies…", id="studies")
        yield Pane("Study", empty="No study is chosen.", id="study")

    def on_mount(self) -> None:
        """Name the keys in the border, and ask."""
        label = self.deck.keymap.label
        self.query_one("#box").border_subtitle = f"{label('studies.delete')} delete · Tab page · Esc back"
        self._ask()
        self.set_interval(EVERY_S, self._draw)

    def _ask(self) -> None:
        self.deck.ask(self, "backtests.studies", then=self._take)

    def _take(self, rows: Sequence[StudyRow]) -> None:
        self._rows = {row.id: row for row in rows}
        table = self.query_one(LiveTable)
        table.title = f"Studies · {len(rows)}" if rows else "Studies"
        now = self.deck.now()
        table.set_rows([(key, study_cells(row, now)) for key, row in self._rows.items()])
        table.drain(self.deck.steady())
        if self._wanted in self._rows:
            table.cursor_key, self._wanted = self._wanted, ""
        if not rows:
            self._view = None
            pane = self.query_one(Pane)
            pane.show([[("No study is stored yet.", "text")], [("quarterdeck backtest sweep makes one.", "muted")]])
        self._draw()
        self._look()

    def _draw(self) -> None:
        """Draw what has changed; no paint timer of a screen does it for a dialog."""
        now = self.deck.steady()
        self.query_one(LiveTable).drain(now)
        self.query_one(Pane).drain(now)

    def _chosen(self) -> StudyRow | None:
        return self._rows.get(self.query_one(LiveTable).cursor_key or next(iter(self._rows), ""))

    def _look(self) -> None:
        row = self._chosen()
        if row is not None and (self._view is None or self._view.row.id != row.id):
            self.deck.ask(self, "backtests.study", {"id": row.id, "rows": ROWS}, then=self._show, group="study")

    def _show(self, view: StudyView) -> None:
        self._view = view
        pane = self.query_one(Pane)
        pane.set_title(f"{view.row.kind.replace('_', '-')} of {clean(view.row.strategy)} {view.row.timeframe}")
        pane.show(study_lines(view, max(40, pane.content_size.width), pane.glyphs))
        pane.to_top()
        self._draw()

    def on_live_table_row_highlighted(self, event: LiveTable.RowHighlighted) -> None:
        """Show the study the cursor is on."""
        event.stop()
        self._look()
        self._draw()

    def on_live_table_row_selected(self, event: LiveTable.RowSelected) -> None:
        """Go to the page."""
        event.stop()
        self.query_one(Pane).focus()

    def on_resize(self) -> None:
        """Break lines anew."""
        if self._view is not None:
            self.call_after_refresh(self._show, self._view)

    def action_delete(self) -> None:
        """Ask whether the chosen study shall be deleted."""
        row = self._chosen()
        if row is None or not self.deck.may_act():
            return

        def done(reply: Any) -> None:
            if reply is not None:
                self._view = None
                self._ask()

        words = f"Delete the {row.kind.replace('_', '-')} of {clean(row.strategy)} with {row.tried:,} sets or windows."
        run = request(self.deck.link, "backtests.delete_study", {"id": row.id})
        self.app.push_screen(ConfirmDialog("Delete study", words, run=run, verb="Delete it", danger=True), done)

    def text(self) -> str:
        """The whole page."""
        if self._view is None:
            return ""
        lines = study_lines(self._view, 110, self.query_one(Pane).glyphs)
        return "\n".join("".join(part for part, _ in line) for line in lines)


class StudyActions(Host):
    """What the keys of the screen of backtests do with studies."""

    def action_studies(self) -> None:
        """Show stored studies."""
        self.app.push_screen(StudiesDialog())

    def action_search(self) -> None:
        """Set up a study."""
        if self.deck.may_act():
            self.ask("data.list", then=self._search_on, group="new study")

    def _search_on(self, data: Sequence[DatasetRow]) -> None:
        if not data:
            lines = [[("A study needs candles; import some first.", "text")]]
            self.app.push_screen(SheetDialog("No candles", lines))
            return

        def open_form(strategies: Sequence[StrategyRow]) -> None:
            self.app.push_screen(StudyDialog(self.deck, strategies, data), self._study_queued)

        self.ask("strategies.list", then=open_form, group="new study strategies")

    def _study_queued(self, job: JobRow | None) -> None:
        if job is not None:
            self.notify(f"{clean(job.title)} is under way.", markup=False)
