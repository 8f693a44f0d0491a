"""The screen of backtests: stored runs and candles, what a run came to and what it assumed, and the way to another."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any, ClassVar

from console.actions import bindings
from screens import backtest_figures as figures
from screens.backtest_analyses import AnalysesScreen
from screens.backtest_forms import ImportDialog, RunDialog, data_key
from screens.dialogs import ConfirmDialog, SheetDialog
from screens.formats import at
from screens.job_line import JobLine
from screens.request import request
from screens.run_result import RunResult
from screens.studies import STUDIES, StudiesDialog, StudyActions
from widgets.live_table import LiveTable
from widgets.text import clean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.app import ComposeResult
    from textual.binding import BindingType
    from textual.timer import Timer

    from console.store import Slice
    from engine.control.views import BacktestRow, BacktestView, DatasetRow, JobRow, StrategyRow
    from screens.sheet import Line

__all__ = ["BacktestsScreen"]

NS = 1_000_000_000
KEPT = 8
"""Runs kept as a whole."""
PAUSE_S = 0.12
"""The cursor rests so long on a run before it is asked for."""
LEAST_ROWS = 4
IMPORT = ("quarterdeck data import FILE", "  --venue binance --symbol BTC/USDT --timeframe 1h")


class RunsTable(LiveTable):
    """Stored runs; the keys of the screen act on the chosen one."""

    HELP = "Enter shows the chosen run as a whole, m marks it for comparison, D deletes it."


class BacktestsScreen(StudyActions, AnalysesScreen):
    """Stored runs, and how to make another."""

    SCOPE = "backtests"
    BINDINGS: ClassVar[list[BindingType]] = bindings("focus", "backtests")
    HELP = (
        "Stored runs, and below them what the chosen one came to: figures, curves against holding, trades, and "
        "everything it assumed. Runs are repeatable: an equal hash means an equal result."
    )
    AUTO_FOCUS = "#runs"
    DEFAULT_CSS: ClassVar[str] = """
    BacktestsScreen #runs, BacktestsScreen #data { height: 7; }
    BacktestsScreen #data { display: none; }
    BacktestsScreen.-data #runs { display: none; }
    BacktestsScreen.-data #data { display: block; }
    BacktestsScreen JobLine { display: none; }
    BacktestsScreen.-jobs JobLine { display: block; }
    BacktestsScreen.-open #runs, BacktestsScreen.-open #data { display: none; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._jobs: Slice
        self._rows: dict[str, BacktestRow] = {}
        self._data: dict[str, DatasetRow] = {}
        self._asked = False
        self._views: OrderedDict[str, BacktestView] = OrderedDict()
        self._marked = ""
        self._timer: Timer | None = None
        self._asked_at = float("-inf")
        self._states: dict[str, str] | None = None
        self._since = 0
        self._second = -1
        self._wanted = ""

    def body(self) -> ComposeResult:
        """Yield the lists, the line about jobs, and the chosen run."""
        new, load = self._key("backtests.new"), self._key("backtests.import")
        yield RunsTable(figures.RUN_COLUMNS, title="Backtests", empty=f"No runs yet. {new} runs one.", id="runs")
        yield LiveTable(figures.DATA_COLUMNS, title="Candles", empty=f"No candles yet. {load} imports some.", id="data")
        yield JobLine()
        yield RunResult(id="result")

    def _key(self, action: str) -> str:
        return self.deck.keymap.label(action)

    def on_mount(self) -> None:
        """Show the first page."""
        super().on_mount()
        self._turn()

    # --- what is followed

    def open_topics(self) -> None:
        """Follow the jobs; ask for the runs and the candles there are."""
        self._jobs = self.follow("jobs.state")
        self._states = None
        self._second = -1
        self._since = self._since or self.deck.now()
        self._ask_lists()

    def _ask_lists(self) -> None:
        self.ask("backtests.list", then=self._take_runs)
        self.ask("data.list", then=self._take_data)

    def _take_runs(self, rows: Sequence[BacktestRow]) -> None:
        self._asked = True
        self._rows = {row.id: row for row in rows}
        self._marked = self._marked if self._marked in self._rows else ""
        self._picked = {key: None for key in self._picked if key in self._rows}
        self.refill()
        self._look_at_chosen()

    def _take_data(self, rows: Sequence[DatasetRow]) -> None:
        self._data = {data_key(row): row for row in rows}
        table = self.query_one("#data", LiveTable)
        table.title = f"Candles · {len(rows)} sets" if rows else "Candles"
        table.set_rows([(key, figures.data_cells(row)) for key, row in self._data.items()])
        self._fit(table, len(rows))
        if not self._rows:
            self._show_nothing()

    # --- drawing

    def pull(self, now: float) -> None:
        """Follow the jobs; ages move once a second."""
        jobs = self._jobs.take()
        if jobs is not None:
            self._follow_jobs(jobs)
        second = self.deck.now() // NS
        if jobs is not None or second != self._second:
            self._second = second
            self._fill_jobs(self._jobs.data or ())
            if self._rows:
                self.refill()

    def _follow_jobs(self, jobs: Sequence[JobRow]) -> None:
        """Ask for the lists again when a job has ended, and choose the run it made."""
        states, before = {job.id: job.state for job in jobs}, self._states
        self._states = states
        ended = [job for job in jobs if before is not None and job.state == "done" and before.get(job.id) != "done"]
        failed = [
            job for job in jobs if before is not None and job.state == "failed" and before.get(job.id) != "failed"
        ]
        for job in failed:
            self.notify(clean(job.message), title=f"{clean(job.title)} failed", severity="error", markup=False)
        for job in ended:
            if job.kind in ("backtest", "markets") and job.result:
                self._wanted = job.result
            elif job.kind == "analysis":
                self.analysis_ended(job)
            elif job.kind in STUDIES and job.result:
                self.app.push_screen(StudiesDialog(job.result))
            self.notify(clean(job.message) or "Done.", title=clean(job.title), markup=False)
        if ended:
            self._ask_lists()

    def _fill_jobs(self, jobs: Sequence[JobRow]) -> None:
        line = self.query_one(JobLine)
        parts = figures.job_parts(jobs, self._since, self.deck.now(), line.glyphs, self._key("backtests.cancel"))
        line.show(parts)
        self.set_class(parts is not None, "-jobs")

    def refill(self) -> None:
        """Draw the list of runs again."""
        table = self.query_one(RunsTable)
        now = self.deck.now() // NS * NS
        table.title = f"Backtests · {len(self._rows)}" if self._rows else "Backtests"
        table.set_rows(
            [
                (
                    key,
                    figures.run_cells(
                        row, table.glyphs, now, marked=key == self._marked or key in self._picked, where=self.deck.where
                    ),
                )
                for key, row in self._rows.items()
            ]
        )
        self._fit(table, len(self._rows))
        if self._wanted in self._rows:
            table.cursor_key, self._wanted = self._wanted, ""

    def _fit(self, table: LiveTable, rows: int) -> None:
        height = min(max(rows, LEAST_ROWS) + 3, max(7, self.size.height // 3))
        self.give_height(table, height)

    def chosen(self) -> BacktestRow | None:
        """Return the run under the cursor."""
        table = self.query_one(RunsTable)
        return self._rows.get(table.cursor_key or next(iter(self._rows), ""))

    def _look_at_chosen(self) -> None:
        """Show the chosen run, or ask for it: at once, or when the cursor rests after moving fast."""
        row = self.chosen()
        if row is None:
            self._show_nothing()
            return
        self.show_analyses()
        view = self._views.get(row.id)
        if view is not None:
            self.query_one(RunResult).show(view)
            return
        if self._timer is not None:
            self._timer.stop()
        if self.deck.steady() - self._asked_at >= PAUSE_S:
            self._ask_run(row.id)
        else:
            self._timer = self.set_timer(PAUSE_S, lambda: self._ask_run(row.id), name="run")

    def _ask_run(self, run: str) -> None:
        self._asked_at = self.deck.steady()
        self.ask("backtests.get", {"id": run}, then=self._take_view, group="run")

    def _take_view(self, view: BacktestView) -> None:
        self._views[view.row.id] = view
        while len(self._views) > KEPT:
            self._views.popitem(last=False)
        row = self.chosen()
        if row is not None and row.id == view.row.id:
            self.query_one(RunResult).show(view)

    def _show_nothing(self) -> None:
        self.query_one(RunResult).show_nothing(self._first_steps() if self._asked else [])

    def _first_steps(self) -> list[Line]:
        if not self._data:
            load = self._key("backtests.import")
            return [
                [("A backtest needs candles.", "text")],
                [(f" {load} ", "accent"), ("imports a file, or in a shell:", "muted")],
                [],
                *[
                    [(part, "strong")]
                    for part in ("quarterdeck data import FILE", "  --venue binance", "  --symbol BTC/USDT")
                ],
                [("  --timeframe 1h", "strong")],
            ]
        return [
            [("Nothing has been run yet.", "text")],
            [(f" {self._key('backtests.new')} ", "accent"), ("runs a backtest", "muted")],
        ]

    def on_live_table_row_highlighted(self, event: LiveTable.RowHighlighted) -> None:
        """Show the run the cursor is on."""
        event.stop()
        if event.table.id == "runs":
            self._look_at_chosen()

    def on_live_table_row_selected(self, event: LiveTable.RowSelected) -> None:
        """Open the chosen run, or set up a backtest on the chosen candles."""
        event.stop()
        if event.table.id == "runs":
            self.action_open()
        elif event.table.id == "data":
            self.action_new()

    # --- pages

    def _turn(self, pages: int = 0) -> None:
        """Show the page of the run so many pages on, or all of it where there is room."""
        everything = self.has_class("-tall") or self.has_class("-xtall")
        wide = self.has_class("-wide") or self.has_class("-xwide")
        focused = self.focused
        self.query_one(RunResult).turn(pages, everything=everything, wide=wide)
        self.show_analyses()
        if focused is None or not focused.display:
            self._focus_page()

    def _focus_page(self) -> None:
        if self.has_class("-open"):
            self.query_one(RunResult).first_pane.focus()
        else:
            self.query_one("#data" if self.has_class("-data") else "#runs").focus()

    def on_resize(self) -> None:
        """Show as much as there is room for."""
        self.call_after_refresh(self._turn)

    def action_page(self) -> None:
        """Show the next page of the run."""
        self._turn(1)
        if self.has_class("-open"):
            self._focus_page()

    def action_open(self) -> None:
        """Give the chosen run the whole screen."""
        if self.chosen() is not None:
            self.set_class(True, "-open")
            self._turn()
            self._focus_page()

    def action_back(self) -> None:
        """Return to the list."""
        self.set_class(False, "-open")
        self._turn()
        self._focus_page()

    def action_data(self) -> None:
        """Show the stored candles, or the runs again."""
        self.set_class(False, "-open")
        self.set_class(not self.has_class("-data"), "-data")
        self._focus_page()

    # --- actions

    def choose(self, key: str) -> None:
        """Put the cursor on a run."""
        if key in self._rows:
            self.query_one(RunsTable).cursor_key = key
            self._look_at_chosen()
        else:
            self._wanted = key

    def action_new(self) -> None:
        """Set up a backtest."""
        if self.deck.may_act():
            self.ask("data.list", then=self._with_data, group="new run")

    def _with_data(self, data: Sequence[DatasetRow]) -> None:
        self._take_data(data)
        if not data:
            lines: list[Line] = [
                [("There are no candles to run on.", "text")],
                [],
                [(f"{self._key('backtests.import')} imports a file here, or in a shell:", "muted")],
                *([(part, "strong")] for part in IMPORT),
            ]
            self.app.push_screen(SheetDialog("No candles", lines))
            return
        self.ask("strategies.list", then=self._open_form, group="new run strategies")

    def _open_form(self, strategies: Sequence[StrategyRow]) -> None:
        table = self.query_one("#data", LiveTable)
        wanted = (table.cursor_key or "") if self.has_class("-data") else ""
        self.app.push_screen(RunDialog(self.deck, strategies, list(self._data.values()), wanted), self._queued)

    def _queued(self, job: JobRow | None) -> None:
        if job is not None:
            self._since = self.deck.now()
            self.set_class(False, "-data")
            self.notify(f"{clean(job.title)} is under way.", markup=False)

    def action_import(self) -> None:
        """Import candles of a file."""
        if self.deck.may_act():
            self.app.push_screen(ImportDialog(self.deck), self._importing)

    def _importing(self, job: JobRow | None) -> None:
        if job is not None:
            self._since = self.deck.now()
            self.notify(f"{clean(job.title)} is being imported.", markup=False)

    def action_mark(self) -> None:
        """Mark the chosen run, or compare it with the marked one."""
        row = self.chosen()
        if row is None:
            self.notify("There is no run to compare.", markup=False)
        elif self._marked in {"", row.id}:
            self._marked = "" if self._marked == row.id else row.id
            if self._marked:
                self.notify(f"Marked. {self._key('backtests.mark')} on another run compares the two.", markup=False)
            self.refill()
        else:
            self._compare(self._marked, row.id)

    def _compare(self, *runs: str) -> None:
        """Ask for what is missing of both runs, then show them side by side."""
        missing = [run for run in runs if run not in self._views]
        if missing:

            def take(view: BacktestView) -> None:
                self._views[view.row.id] = view
                self._compare(*runs)

            self.ask("backtests.get", {"id": missing[0]}, then=take, group="compare")
            return
        one, other = (self._views[run] for run in runs)
        glyphs = self.query_one(RunsTable).glyphs
        self.app.push_screen(SheetDialog("Two runs side by side", figures.compare_lines(one, other, glyphs)))
        self._marked = ""
        self.refill()

    def action_cancel(self) -> None:
        """Ask whether the running job shall be ended."""
        jobs: Sequence[JobRow] = self._jobs.data or ()
        running = [job for job in jobs if job.state in figures.RUNNING]
        job = next((job for job in running if job.state == "running"), running[-1] if running else None)
        if job is None:
            self.notify("No job is running.", markup=False)
            return
        self._confirm(
            "Cancel job", f"End {clean(job.title)}, which is {job.progress * 100:.0f} % done. {_kept(job)}",
            "jobs.cancel", {"id": job.id}, "End it",
        )  # fmt: skip

    def action_delete(self) -> None:
        """Ask whether the chosen run, or the chosen candles, shall be deleted."""
        if self.has_class("-data"):
            key = self.query_one("#data", LiveTable).cursor_key or ""
            stored = self._data.get(key)
            if stored is not None:
                name = {"venue": stored.venue, "symbol": stored.symbol, "timeframe": stored.timeframe}
                words = f"Delete {stored.rows:,} candles of {' '.join(name.values())}. Runs that used them stay."
                self._confirm("Delete candles", clean(words), "data.delete", name, "Delete them")
            return
        row = self.chosen()
        if row is None:
            self.notify("There is no run to delete.", markup=False)
            return
        words = f"Delete the run {figures.run_title(row)}, made {at(row.created, self.deck.zone)}."
        self._confirm("Delete backtest", clean(words), "backtests.delete", {"id": row.id}, "Delete it")

    def _confirm(self, title: str, sentence: str, operation: str, params: dict[str, Any], verb: str) -> None:
        if not self.deck.may_act():
            return

        def done(reply: Any) -> None:
            if reply is not None:
                self._views.pop(str(params.get("id", "")), None)
                self.set_class(False, "-open")
                self._ask_lists()

        run = request(self.deck.link, operation, params)
        self.app.push_screen(ConfirmDialog(title, sentence, run=run, verb=verb, danger=True), done)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Go back only from a run that has the whole screen."""
        return self.has_class("-open") if action == "back" else True


def _kept(job: JobRow) -> str:
    return "What is finished of it is kept." if job.kind in STUDIES else "Nothing of it is kept."
