"""One run as a whole: figures, curves, trades and assumptions, beside each other or page by page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from textual.containers import Grid

from screens import backtest_figures as figures
from screens.analysis_lines import odds_lines, parts_lines
from screens.pane import Pane
from widgets.line_widget import LineWidget
from widgets.live_table import LiveTable
from widgets.result_curve import ResultCurve

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from textual.app import ComposeResult

    from engine.control.views import BacktestView
    from screens.sheet import Line

__all__ = ["RunResult"]

PAGES = {
    "figures": ("metrics", "curve"),
    "trades": ("trades",),
    "assumptions": ("assumptions",),
    "parts": ("parts",),
    "odds": ("odds",),
}
"""Pages of a run -> the panes each shows where not all fit."""
TOGETHER = ("metrics", "curve", "assumptions", "trades")
"""Panes that are shown beside each other where there is room."""
ANALYSES = {"tearsheet": "parts", "montecarlo": "odds"}
"""Analyses and the panes that show them."""
NOTHING = "No run is chosen."
NO_SHEET = "No sheet of this run is stored yet; the key Sheet makes it."
NO_PATHS = "No random paths of this run are stored yet; the key Monte Carlo draws them."


class RunResult(Grid):
    """The chosen run."""

    DEFAULT_CSS: ClassVar[str] = """
    RunResult { height: 1fr; min-height: 6; grid-size: 1 1; }
    RunResult.-pair { grid-size: 2 1; grid-columns: 38 1fr; }
    RunResult.-pair.-wide { grid-columns: 60 1fr; }
    RunResult.-all { grid-size: 2 2; grid-columns: 1fr 1fr; grid-rows: 3fr 2fr; }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._page = next(iter(PAGES))
        self._view: BacktestView | None = None
        self._analyses: Mapping[str, dict[str, Any]] = {}

    def compose(self) -> ComposeResult:
        """Yield the panes."""
        yield Pane("Result", empty=NOTHING, id="metrics")
        yield ResultCurve(title="Equity against holding", empty=NOTHING, id="curve")
        yield Pane("Assumptions", empty=NOTHING, id="assumptions")
        yield LiveTable(figures.TRADE_COLUMNS, title="Trades", empty="No trades.", id="trades")
        yield Pane("Months and parts", empty=NO_SHEET, id="parts")
        yield Pane("Monte Carlo", empty=NO_PATHS, id="odds")

    def show(self, view: BacktestView) -> None:
        """Show a run."""
        fresh, self._view = self._view is None or self._view.row.id != view.row.id, view
        row, metrics = view.row, self.query_one("#metrics", Pane)
        self.query_one(ResultCurve).show(
            [point.equity for point in view.equity],
            [point.equity for point in view.benchmark],
            first_label=figures.day_label(row.start),
            last_label=figures.day_label(row.end),
        )
        metrics.set_title(f"{row.strategy} {row.timeframe}")
        metrics.show(figures.metric_lines(view, max(20, metrics.content_size.width), metrics.glyphs))
        pane, trades = self.query_one("#assumptions", Pane), self.query_one("#trades", LiveTable)
        pane.show(figures.assumption_lines(view, max(20, pane.content_size.width)))
        trades.title = f"Trades · {len(view.trades):,}"
        trades.set_rows([(f"{n}", figures.trade_cells(trade, trades.glyphs)) for n, trade in enumerate(view.trades)])
        if fresh:
            metrics.to_top()
            pane.to_top()
            trades.move_to_end(-1)

    def show_nothing(self, lines: Sequence[Line]) -> None:
        """Show these lines instead of a run."""
        self._view = None
        self.query_one(ResultCurve).show([], [])
        trades, metrics = self.query_one("#trades", LiveTable), self.query_one("#metrics", Pane)
        trades.title = "Trades"
        trades.set_rows([])
        self.query_one("#assumptions", Pane).show([])
        metrics.set_title("Result")
        metrics.show(lines)

    @property
    def shows_analyses(self) -> bool:
        """Whether a page of what was found out afterwards is in sight."""
        return self._page in ANALYSES.values()

    def show_analyses(self, found: Mapping[str, dict[str, Any]]) -> None:
        """Show what is stored about the run: results by kind of analysis; what is missing says how to get it."""
        self._analyses = found
        for kind, name in ANALYSES.items():
            pane = self.query_one(f"#{name}", Pane)
            make = parts_lines if name == "parts" else odds_lines
            pane.show(make(found[kind], max(20, pane.content_size.width)) if kind in found else [])

    @property
    def first_pane(self) -> LineWidget:
        """The pane that keys go to on the page in sight."""
        return self.query_one(f"#{PAGES[self._page][0]}", LineWidget)

    def turn(self, pages: int, *, everything: bool, wide: bool) -> None:
        """Show the page so many pages on, or all panes where there is room for everything."""
        # Where everything fits, the pages of the run itself are one.
        names = ["figures", *ANALYSES.values()] if everything else list(PAGES)
        page = self._page if self._page in names else "figures"
        self._page = names[(names.index(page) + pages) % len(names)]
        together = everything and not self.shows_analyses
        shown = TOGETHER if together else PAGES[self._page]
        self.set_class(together, "-all")
        self.set_class(not together and len(shown) > 1, "-pair")
        self.set_class(wide, "-wide")
        for name in (name for panes in PAGES.values() for name in panes):
            self.query_one(f"#{name}", LineWidget).display = name in shown
        if self._view is not None:
            # Text is wrapped for the width that a pane has once it is laid out.
            self.call_after_refresh(self.show, self._view)
        self.call_after_refresh(self._show_analyses_again)

    def _show_analyses_again(self) -> None:
        self.show_analyses(self._analyses)
