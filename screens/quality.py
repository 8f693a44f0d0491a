"""The screen of execution quality: orders put together, trades by the causes of their profit, one trade whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from console.actions import bindings
from screens import quality_figures as figures
from screens.base import DeckScreen
from screens.dialogs import SheetDialog
from screens.pane import Pane
from widgets.live_table import LiveTable

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.binding import BindingType

    from engine.control.views_quality import QualityReport, TradeDetail, TradeScore, TradeScores

__all__ = ["QualityScreen"]

NS = 1_000_000_000
BY = ("venue", "symbol", "bot", "strategy", "algorithm", "type", "parent")
RANGES = (("the last day", 86_400), ("7 days", 604_800), ("30 days", 2_592_000), ("all time", 0))
WORDS = {"symbol": "market", "type": "type of order", "parent": "parent order"}
RENEW_S = 15.0
"""Seconds after which the records are read again by themselves."""
TRADES = 100


class QualityScreen(DeckScreen):
    """What executions cost, how fast they were, and what the market did after them."""

    SCOPE = "quality"
    BINDINGS: ClassVar[list[BindingType]] = bindings("focus", "quality")
    HELP = (
        "Orders put together, and below them trades with their profit by its causes. Cost is what prices were worse "
        "than at the decisions, in hundredths of a percent; delay is its part before the sending; after is where the "
        "market went then, positive in favour. Enter shows a trade as a whole."
    )
    AUTO_FOCUS = "#trades"
    DEFAULT_CSS: ClassVar[str] = """
    QualityScreen #groups { height: 8; }
    QualityScreen #trades { height: 1fr; }
    QualityScreen #detail { display: none; height: 16; }
    QualityScreen.-tall #detail, QualityScreen.-xtall #detail { display: block; }
    QualityScreen.-xtall #detail { height: 24; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._by = 0
        self._range = 1
        self._report: QualityReport | None = None
        self._trades: dict[str, TradeScore] = {}
        self._total = 0
        self._asked_at = float("-inf")
        self._detail: TradeDetail | None = None

    def body(self) -> ComposeResult:
        """Yield groups, trades, and the chosen trade."""
        yield LiveTable(
            figures.GROUP_COLUMNS, title="Quality", empty="No orders are recorded in that time.", id="groups"
        )
        yield LiveTable(
            figures.TRADE_COLUMNS, title="Trades", empty="No trades yet; they are recorded when executed.", id="trades"
        )
        yield Pane(title="Trade", empty="No trade is chosen.", id="detail")

    # --- reading

    def open_topics(self) -> None:
        """Ask for the records."""
        self._ask_all()

    def forget(self) -> None:
        """Forget the records of another engine."""
        self._report, self._trades, self._detail, self._total = None, {}, None, 0

    def _ask_all(self) -> None:
        self._asked_at = self.deck.steady()
        if self.past:
            # The records are those of the present.
            self._fill_groups()
            return
        _, seconds = RANGES[self._range]
        asked = {"by": BY[self._by]}
        if seconds:
            asked["since"] = str(max(0, self.deck.now() - seconds * NS) or 100_000_000)
        self.ask("quality.summary", asked, then=self._take_report, group="summary")
        self.ask("quality.trades", {"size": TRADES}, then=self._take_trades, group="trades")

    def _take_report(self, report: QualityReport) -> None:
        self._report = report
        self._fill_groups()

    def _take_trades(self, page: TradeScores) -> None:
        self._trades, self._total = {row.id: row for row in page.rows}, page.total
        self._fill_trades()
        self._look_at_chosen()

    def pull(self, now: float) -> None:
        """Read the records again from time to time."""
        if self.live and not self.past and self.deck.steady() - self._asked_at >= RENEW_S:
            self._ask_all()

    # --- drawing

    def refill(self) -> None:
        """Fill every pane again."""
        super().refill()
        self._fill_groups()
        self._fill_trades()
        self._show_detail()

    def _fill_groups(self) -> None:
        table, report, hidden = self.query_one("#groups", LiveTable), self._report, self.deck.privacy
        by, (since, _) = BY[self._by], RANGES[self._range]
        part = "" if report is None or report.complete else ", the newest orders alone"
        late = "" if report is None or not report.behind else f", {report.behind:,} facts behind"
        table.title = f"Quality by {WORDS.get(by, by)} · {since}{part}{late}"
        if self.past:
            table.title = "Quality · recorded for the present alone"
        groups = () if report is None else report.groups
        rows = []
        for group in groups:
            assert report is not None
            cells = figures.group_cells(group, report.fill_rate_target, hidden=hidden)
            rows.append((f"{group.name} {group.currency}", cells))
        table.set_rows(rows)
        # Another title alone is no reason for a table to draw itself.
        table.mark()
        self.give_height(table, min(max(len(rows), 3) + 3, max(7, self.size.height // 4)))

    def _fill_trades(self) -> None:
        table = self.query_one("#trades", LiveTable)
        shown = f"the last {len(self._trades)} of {self._total:,}" if self._total > len(self._trades) else self._total
        table.title = f"Trades · {shown}" if self._total else "Trades"
        hidden, zone = self.deck.privacy, self.deck.zone
        table.set_rows([(key, figures.trade_cells(row, zone, hidden=hidden)) for key, row in self._trades.items()])

    def _chosen(self) -> str:
        key = self.query_one("#trades", LiveTable).cursor_key or next(iter(self._trades), "")
        return key if key in self._trades else ""

    def _look_at_chosen(self) -> None:
        """Ask for the chosen trade where there is room to show it."""
        key = self._chosen()
        if key and self.query_one("#detail", Pane).display:
            self.ask("quality.trade", {"id": key}, then=self._take_detail, group="trade")

    def _take_detail(self, view: TradeDetail) -> None:
        if view.trade.id == self._chosen():
            if self._detail is None or self._detail.trade.id != view.trade.id:
                self.query_one("#detail", Pane).to_top()
            self._detail = view
            self._show_detail()

    def _show_detail(self) -> None:
        if self._detail is not None:
            lines = figures.detail_lines(self._detail, self.deck.zone, self.deck.now(), hidden=self.deck.privacy)
            self.query_one("#detail", Pane).show(lines)

    # --- what a person does

    def on_live_table_row_highlighted(self, event: LiveTable.RowHighlighted) -> None:
        """Show the trade the cursor is on."""
        event.stop()
        if event.table.id == "trades":
            self._look_at_chosen()

    def on_live_table_row_selected(self, event: LiveTable.RowSelected) -> None:
        """Show the chosen trade as a whole."""
        event.stop()
        if event.table.id == "trades":
            self.ask("quality.trade", {"id": event.key}, then=self._open_detail, group="whole trade")

    def _open_detail(self, view: TradeDetail) -> None:
        lines = figures.detail_lines(view, self.deck.zone, self.deck.now(), hidden=self.deck.privacy)
        self.app.push_screen(SheetDialog("Trade", lines))

    def on_resize(self) -> None:
        """Show the chosen trade where there is room now."""
        self.call_after_refresh(self._look_at_chosen)

    def action_by(self, steps: int) -> None:
        """Put orders together by something else."""
        self._by = (self._by + steps) % len(BY)
        self._report = None
        self._fill_groups()
        self._ask_all()

    def action_range(self, steps: int) -> None:
        """Look at orders of another time."""
        self._range = (self._range + steps) % len(RANGES)
        self._fill_groups()
        self._ask_all()

    def action_renew(self) -> None:
        """Read the records again."""
        self._ask_all()
