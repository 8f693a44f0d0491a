"""One run as a whole: figures, curves, trades and assumptions, beside each other or page by page."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.containers import Grid

from screens import backtest_figures as figures
from screens.pane import Pane
from widgets.line_widget import LineWidget
from widgets.live_table import LiveTable
from widgets.result_curve import ResultCurve

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.app import ComposeResult

    from engine.control.views import BacktestView
    from screens.sheet import Line

__all__ = ["RunResult"]

PAGES = {"figures": ("metrics", "curve"), "trades": ("trades",), "assumptions": ("assumptions",)}
"""Pages of a run -> the panes each shows where not all fit."""
NOTHING = "No run is chosen."


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

    def compose(self) -> ComposeResult:
        """Yield the panes."""
        yield Pane("Result", empty=NOTHING, id="metrics")
        yield ResultCurve(title="Equity against holding", empty=NOTHING, id="curve")
        yield Pane("Assumptions", empty=NOTHING, id="assumptions")
        yield LiveTable(figures.TRADE_COLUMNS, title="Trades", empty="No trades.", id="trades")

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
    def first_pane(self) -> LineWidget:
        """The pane that keys go to on the page in sight."""
        return self.query_one(f"#{PAGES[self._page][0]}", LineWidget)

    def turn(self, pages: int, *, everything: bool, wide: bool) -> None:
        """Show the page so many pages on, or all panes where there is room for everything."""
        names = list(PAGES)
        self._page = names[(names.index(self._page) + pages) % len(names)]
        shown = PAGES[self._page]
        self.set_class(everything, "-all")
        self.set_class(not everything and len(shown) > 1, "-pair")
        self.set_class(wide, "-wide")
        for name in (name for panes in PAGES.values() for name in panes):
            self.query_one(f"#{name}", LineWidget).display = everything or name in shown
        if self._view is not None:
            # Text is wrapped for the width that a pane has once it is laid out.
            self.call_after_refresh(self.show, self._view)
