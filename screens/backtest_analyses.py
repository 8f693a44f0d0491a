"""What the screen of backtests does with analyses: begins them, finds the stored ones, and shows what they found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from screens.analysis_lines import comparison_lines
from screens.base import DeckScreen
from screens.dialogs import SheetDialog
from screens.run_result import RunResult
from widgets.text import clean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.control.views import BacktestRow, JobRow
    from engine.control.views_analyses import AnalysisRow, AnalysisView

__all__ = ["AnalysesScreen"]

SHOWN = ("tearsheet", "montecarlo")
"""Analyses that have a page of the run."""
MOST = 12
"""Runs that are weighed at once."""
WIDTH = 72


class AnalysesScreen(DeckScreen):
    """The part of the screen that is about analyses."""

    def __init__(self) -> None:
        super().__init__()
        self._found: dict[str, dict[str, dict[str, Any]]] = {}
        self._picked: dict[str, None] = {}

    def chosen(self) -> BacktestRow | None:
        """Return the run under the cursor."""
        raise NotImplementedError

    def refill(self) -> None:
        """Draw the list of runs again."""
        raise NotImplementedError

    # --- finding

    def show_analyses(self) -> None:
        """Show what is stored about the chosen run, or ask for it; only while a page of it is in sight."""
        row, result = self.chosen(), self.query_one(RunResult)
        if row is None or not result.shows_analyses:
            return
        known = self._found.get(row.id)
        if known is not None:
            result.show_analyses(known)
            return
        result.show_analyses({})
        run = row.id

        def take(rows: Sequence[AnalysisRow]) -> None:
            self._found[run] = {}
            newest: dict[str, str] = {}
            for found in rows:
                newest.setdefault(found.kind, found.id)
            for kind in SHOWN:
                if kind in newest:
                    self._ask_analysis(newest[kind])
            self.show_analyses()

        self.ask("backtests.analyses", {"id": run}, then=take, group="analyses")

    def _ask_analysis(self, key: str) -> None:
        self.ask("backtests.analysis", {"id": key}, then=self._take_analysis, group=f"analysis {key}")

    def _take_analysis(self, view: AnalysisView) -> None:
        if view.row.kind == "comparison":
            lines = comparison_lines(view.result, WIDTH)
            self.app.push_screen(SheetDialog(f"{len(view.result['runs'])} runs", lines))
            return
        self._found.setdefault(view.row.run, {})[view.row.kind] = view.result
        self.show_analyses()

    def analysis_ended(self, job: JobRow) -> None:
        """Show what a job has found."""
        self._ask_analysis(job.result)

    # --- beginning

    def _begin(self, operation: str, params: dict[str, Any]) -> None:
        if self.deck.may_act():
            self.ask(operation, params, then=self._begun, group="begin analysis")

    def _begun(self, job: JobRow) -> None:
        self.notify(f"{clean(job.title)} is under way.", markup=False)

    def action_report(self) -> None:
        """Put the chosen run on one sheet."""
        row = self.chosen()
        if row is not None:
            self._begin("backtests.tearsheet", {"id": row.id})

    def action_odds(self) -> None:
        """Draw random paths of the chosen run."""
        row = self.chosen()
        if row is not None:
            self._begin("backtests.montecarlo", {"id": row.id})

    def action_pick(self) -> None:
        """Pick the chosen run for a comparison, or take it back."""
        row = self.chosen()
        if row is None:
            return
        if row.id in self._picked:
            del self._picked[row.id]
        elif len(self._picked) >= MOST:
            self.notify(f"{MOST} runs are the most that are weighed at once.", markup=False)
        else:
            self._picked[row.id] = None
        self.refill()

    def action_weigh(self) -> None:
        """Compare the picked runs and weigh them."""
        if len(self._picked) < 2:
            key = self.deck.keymap.label("backtests.pick")
            self.notify(f"Pick two runs or more with {key} first.", markup=False)
            return
        self._begin("backtests.compare", {"ids": list(self._picked)})
