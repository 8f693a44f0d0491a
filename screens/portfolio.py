"""The portfolio: positions, balances, equity over time, open orders and fills of the account."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from textual.containers import Horizontal

from console.actions import bindings
from engine.model.ids import MANUAL, InstrumentId
from screens import portfolio_figures as figures
from screens.algos_pane import AlgosPane
from screens.capital import show_plan
from screens.capital_sheet import CapitalSheet
from screens.dashboard_figures import room_of
from screens.dust import show_dust
from screens.equity import RANGES, EquityHistory, range_words, start_label
from screens.exits_dialog import ExitsDialog, exit_side
from screens.margin_form import MarginForm
from screens.market_figures import ORDER_COLUMNS, order_cells
from screens.order_dialogs import ReplaceDialog, cancel_dialog
from screens.overview import OverviewStrip, show_account, show_equity
from screens.portfolio_dialogs import close_dialog
from widgets.equity_curve import EquityCurve
from widgets.live_table import LiveTable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.app import ComposeResult
    from textual.binding import BindingType

    from console.store import Slice
    from engine.control.views import BalanceRow, EquityPoint, FillRow, OrderRow, PositionRow
    from engine.control.views_margin import MarginView
    from engine.control.views_orders import ExitsPreview
    from widgets.table_cells import Cell

__all__ = ["PortfolioScreen"]

FILLS = 200
NO_POSITIONS, NO_ORDERS = "No open positions. 4 b = buy on Market", "No open orders. 4 b = buy"
CURVE_EVERY_S = 10.0
OPEN_FOR_EVERY_S = 10.0
"""How often the time that positions are open for, and the day of fills, are told again."""


class PortfolioScreen(AlgosPane):
    """What the account holds, what it made, and what it has asked for."""

    SCOPE = "portfolio"
    BINDINGS: ClassVar[list[BindingType]] = bindings("focus", "portfolio")
    HELP = (
        "Positions by owner, balances with their share of equity, the equity curve, open orders and fills. x closes "
        "the chosen position, p places a stop and a target for it, c cancels the chosen order, t shows a longer range "
        "of the curve. w shows the algorithms at work: space pauses the chosen one or lets it go on, f and F change "
        "its pace, c ends it. A shows capital and its pools, B how it would be shared out anew, D dust."
    )
    AUTO_FOCUS = "#positions"
    DEFAULT_CSS: ClassVar[str] = """
    PortfolioScreen #positions { height: 6; }
    PortfolioScreen #money { height: 7; }
    PortfolioScreen #balances { width: 39; }
    PortfolioScreen #asked { height: 1fr; }
    PortfolioScreen.-narrow #fills { display: none; }
    PortfolioScreen.-narrow.-fills #fills { display: block; }
    PortfolioScreen.-narrow.-fills #orders { display: none; }
    PortfolioScreen.-algos #asked #orders, PortfolioScreen.-algos #asked #fills { display: none; }
    PortfolioScreen.-tall #positions { height: 10; }
    PortfolioScreen.-tall #money { height: 13; }
    PortfolioScreen.-xtall #positions { height: 12; }
    PortfolioScreen.-xtall #money { height: 18; }
    PortfolioScreen.-wide #balances { width: 1fr; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._overview: Slice
        self._positions: Slice
        self._balances: Slice
        self._orders: Slice
        self._bots: Slice
        self._risk: Slice
        self._history = EquityHistory("day")
        self._fills: list[FillRow] = []
        self._news = -1
        self._curve_at = self._ages_at = float("-inf")
        self._wanted = ""
        self._known = (0, False)

    def body(self) -> ComposeResult:
        """Yield the strip and the panes."""
        yield OverviewStrip()
        yield LiveTable(figures.POSITION_COLUMNS, title="Positions", empty=NO_POSITIONS, id="positions")
        with Horizontal(id="money"):
            yield EquityCurve(title="Equity", empty="The curve begins with the first trade.", id="equity")
            yield LiveTable(
                figures.BALANCE_COLUMNS, title="Balances", empty="Nothing held yet.", cursor=False, id="balances"
            )
        with Horizontal(id="asked"):
            yield LiveTable(ORDER_COLUMNS, title="Open orders", empty=NO_ORDERS, id="orders")
            yield LiveTable(figures.FILL_COLUMNS, title="Fills", empty="No fills yet. 4 b = buy", id="fills")
            yield self.algos_table()

    # --- what is followed

    def forget(self) -> None:
        """Forget the curve of another time."""
        self._history = EquityHistory(self._history.name)

    def open_topics(self) -> None:
        """Follow the account."""
        self._overview = self.follow("portfolio.overview")
        self._positions = self.follow("portfolio.positions")
        self._balances = self.follow("portfolio.balances")
        self._orders = self.follow("orders.open")
        self.follow_algos()
        self._bots = self.follow("bots.state")
        self._risk = self.follow("risk.state")
        self._news = -1
        self._curve_at = float("-inf")
        self._ask_history()

    def _ask_history(self) -> None:
        name = self._history.name

        def take(points: Sequence[EquityPoint]) -> None:
            if name == self._history.name:
                self._history.take(points)
                self._curve_at = float("-inf")

        self.ask("portfolio.history", {"range": name}, then=take)

    def _ask_fills(self) -> None:
        self._news = self.deck.news.version
        self.ask("orders.fills", {"limit": FILLS}, then=self._take_fills)

    def _take_fills(self, fills: list[FillRow]) -> None:
        self._fills = list(fills)
        self._fill_fills()

    def refill(self) -> None:
        """Fill every pane again."""
        super().refill()
        self._curve_at = float("-inf")
        self._fill_fills()

    # --- drawing

    def pull(self, now: float) -> None:
        """Hand the panes what changed."""
        steady, moved = self.deck.steady(), False
        # Rows that came before the instruments or the clock were known lack decimals and dates.
        if self._known != (known := (self.deck.instruments.version, self.deck.now() > 0)):
            self._known = known
            self.refill()
        overview, bots, risk = self._overview.take(), self._bots.take(), self._risk.take()
        if overview is not None and overview.equity is not None:
            moved = self._history.live(self.deck.now(), float(overview.equity))
        if overview is not None or bots is not None or risk is not None:
            show_account(self, self._overview.data, self._bots.data, self._risk.data)
        show_equity(self, self._overview.data)
        if steady - self._ages_at >= OPEN_FOR_EVERY_S:
            self._ages_at = steady
            self._positions.touch()
            self._fill_fills()
        if (positions := self._positions.take()) is not None:
            self._fill_positions(positions)
        if (balances := self._balances.take()) is not None:
            self._fill_balances(balances)
        self._pull_asked()
        if moved or steady - self._curve_at >= CURVE_EVERY_S:
            self._curve_at = steady
            self._fill_curve()
        if self._news != self.deck.news.version:
            self._ask_fills()

    def _pull_asked(self) -> None:
        if (orders := self._orders.take()) is not None:
            self._fill_orders(orders)
        if self.pull_algos():
            self._entitle_lower()

    def _fill_positions(self, positions: Sequence[PositionRow]) -> None:
        table = self.query_one("#positions", LiveTable)
        known, private, now = self.deck.instruments, self.deck.privacy, self.deck.now()
        where = self.deck.where

        def cells(row: PositionRow) -> tuple[Cell, ...]:
            known_as = known.get(row.instrument)
            return figures.position_cells(row, known_as, table.glyphs, now, private=private, where=where)

        table.set_rows([(figures.position_key(row), cells(row)) for row in positions])
        if self._wanted and positions:
            table.cursor_key, self._wanted = self._wanted, ""
        self._entitle_positions()

    def _entitle_positions(self) -> None:
        """Say beside the number of positions how the chosen one stands."""
        table, row = self.query_one("#positions", LiveTable), self._chosen_position()
        table.empty = self.deck.where.none_of("positions", NO_POSITIONS)
        count = len(self._positions.data or ())
        words = "" if row is None else self._standing(row)
        title = self.deck.where.heading("Positions", count)
        self.entitle(table, f"{title}: {words}" if words else title)

    def _standing(self, row: PositionRow) -> str:
        private = self.deck.privacy
        parts = figures.cover_words(row, private=private), figures.standing_words(row, self.deck.now(), private=private)
        return " · ".join(part for part in parts if part)

    def _chosen_position(self) -> PositionRow | None:
        key = self.query_one("#positions", LiveTable).cursor_key
        rows: Sequence[PositionRow] = self._positions.data or ()
        return next((row for row in rows if figures.position_key(row) == key), None)

    def _fill_balances(self, balances: Sequence[BalanceRow]) -> None:
        table = self.query_one("#balances", LiveTable)
        room = room_of(table.columns, "bar", table.content_size.width)
        private, where = self.deck.privacy, self.deck.where
        table.set_rows(
            [
                (
                    f"{row.currency} {row.account}",
                    figures.balance_cells(row, table.glyphs, room, private=private, where=where),
                )
                for row in balances
            ]
        )
        table.empty = where.none_of("balances", "Nothing held yet.")
        self.entitle(table, "Balances, share of equity")

    def _fill_orders(self, orders: Sequence[OrderRow]) -> None:
        table = self.query_one("#orders", LiveTable)
        known, zone, where = self.deck.instruments, self.deck.zone, self.deck.where
        ordered = sorted(orders, key=lambda row: row.created, reverse=True)

        def cells(row: OrderRow) -> tuple[Cell, ...]:
            known_as, hidden = known.get(row.instrument), self.deck.privacy
            return order_cells(row, known_as, table.glyphs, zone, hidden=hidden, where=where)

        table.set_rows([(row.client_id, cells(row)) for row in ordered])
        self._entitle_lower()

    def _fill_fills(self) -> None:
        table = self.query_one("#fills", LiveTable)
        known, zone, now = self.deck.instruments, self.deck.zone, self.deck.now()
        private, where = self.deck.privacy, self.deck.where

        def cells(row: FillRow) -> tuple[Cell, ...]:
            return figures.fill_cells(row, known, table.glyphs, zone, now, private=private, where=where)

        table.set_rows([(str(row.seq), cells(row)) for row in self._fills])
        self._entitle_lower()

    def _entitle_lower(self) -> None:
        """Name both panes in both headings while only one of them fits."""
        orders = len(self._orders.data or ())
        self.query_one("#orders", LiveTable).empty = self.deck.where.none_of("orders", NO_ORDERS)
        fills = f"{FILLS}+" if len(self._fills) >= FILLS else len(self._fills)
        narrow, key = self.has_class("-narrow"), self.deck.keymap.label("portfolio.pane")
        self.entitle(
            self.query_one("#orders", LiveTable),
            f"Open orders {orders}" + (f", {key} shows fills" if narrow else "") + self.algo_count(),
        )
        self.entitle(
            self.query_one("#fills", LiveTable),
            f"Fills {fills}" + (f", {key} shows open orders" if narrow else ""),
        )

    def _fill_curve(self) -> None:
        curve, now = self.query_one(EquityCurve), self.deck.now()
        line = self._history.line(now)
        title = range_words(self._history.name, line, curve.size.width - 6)
        if str(curve.border_title) != title:
            curve.border_title = title
        curve.empty = "Amounts are hidden." if self.deck.privacy else "The curve begins with the first trade."
        curve.set_values(
            () if self.deck.privacy else line.values,
            first_label=start_label(line, self.deck.zone, now),
            last_label="now",
        )

    # --- actions

    def choose(self, key: str) -> None:
        """Put the cursor on a position."""
        self._wanted = key
        self.query_one("#positions", LiveTable).focus()
        self._positions.touch()

    def action_range(self, step: int) -> None:
        """Show a longer or a shorter range of the curve."""
        names = list(RANGES)
        self._history.choose(names[(names.index(self._history.name) + step) % len(names)])
        self._curve_at = float("-inf")
        self._ask_history()

    def action_pane(self) -> None:
        """Change between open orders and fills."""
        shown = self.has_class("-fills")
        focused = self.focused is not None and self.focused.id in {"orders", "fills"}
        self.set_class(not shown, "-fills")
        if focused:
            self.query_one("#orders" if shown else "#fills", LiveTable).focus()

    def action_close(self) -> None:
        """Ask whether the chosen position shall be closed."""
        row = self._chosen_position()
        if row is None:
            self.notify("There is no open position to close.", markup=False)
        elif self.deck.may_act():
            self.app.push_screen(close_dialog(self.deck, row), self._take_closing)

    def _take_closing(self, orders: Any) -> None:
        if orders is not None:
            self.notify("The closing order is on its way; its fill will be told.", markup=False)

    def action_exits(self) -> None:
        """Place a stop, a target or both for the chosen position."""
        row = self._chosen_position()
        if row is None:
            self.notify("There is no open position to protect.", markup=False)
        elif row.owner != MANUAL:
            self.notify(f"This position is the bot's: {row.owner_name} places its own exits.", markup=False)
        elif self.deck.may_act():
            asked = {"instrument": row.instrument, "account": row.account, "side": exit_side(row)}
            self.ask("orders.preview_exits", asked, then=partial(self._open_exits, row))

    def _open_exits(self, row: PositionRow, view: ExitsPreview) -> None:
        self.app.push_screen(ExitsDialog(self.deck, row, view, list(self._orders.data or ())))

    def _chosen_order(self) -> OrderRow | None:
        key = self.query_one("#orders", LiveTable).cursor_key
        rows: Sequence[OrderRow] = self._orders.data or ()
        row = next((row for row in rows if row.client_id == key), None)
        if row is None:
            self.notify("There is no open order to choose.", markup=False)
        return row

    def action_capital(self) -> None:
        """Show capital."""
        self.app.push_screen(CapitalSheet())

    def action_dust(self) -> None:
        """Show what is too small to be sold."""
        show_dust(self.deck)

    def action_rebalance(self) -> None:
        """Show what rebalancing would move, and ask."""
        if self.deck.may_act():
            show_plan(self.deck)

    def action_margin(self) -> None:
        """Set leverage and margin mode of the chosen position."""
        row = self._chosen_position()
        if row is None or row.standing is None:
            self.notify("Choose a position in a perpetual; spot has no leverage.", markup=False)
        elif self.deck.may_act():
            self.ask("margin.show", {"instrument": row.instrument, "account": row.account}, then=self._open_margin)

    def _open_margin(self, view: MarginView) -> None:
        self.app.push_screen(MarginForm(self.deck, view))

    def action_cancel(self) -> None:
        """Ask whether the chosen order, or the chosen algorithm where those are shown, shall be cancelled."""
        if self.has_class("-algos"):
            self.cancel_algo()
        elif self.deck.may_act() and (row := self._chosen_order()) is not None:
            self.app.push_screen(cancel_dialog(self.deck, row))

    def action_replace(self) -> None:
        """Change quantity or price of the chosen order."""
        if self.deck.may_act() and (row := self._chosen_order()) is not None:
            self.app.push_screen(ReplaceDialog(self.deck, row, self.deck.instruments.get(row.instrument)))

    def action_market(self) -> None:
        """Show the market of the chosen row."""
        if (instrument := self._chosen_instrument()) is not None:
            self.deck.instrument = instrument
            self.deck.switch_mode("market")

    def _chosen_instrument(self) -> InstrumentId | None:
        focused = self.focused
        if not isinstance(focused, LiveTable):
            return None
        key = focused.cursor_key
        sources: dict[str, Sequence[Any]] = {
            "positions": self._positions.data or (),
            "orders": self._orders.data or (),
            "fills": self._fills,
            "parents": self.algos,
        }
        for row in sources.get(focused.id or "", ()):
            names = {getattr(row, "client_id", None), getattr(row, "id", None), str(getattr(row, "seq", ""))}
            if key in names or (focused.id == "positions" and figures.position_key(row) == key):
                return InstrumentId(row.instrument)
        return None

    def on_live_table_row_highlighted(self, event: LiveTable.RowHighlighted) -> None:
        """Tell how another position stands."""
        if event.table.id == "positions":
            self._entitle_positions()

    def on_live_table_row_selected(self, event: LiveTable.RowSelected) -> None:
        """Change the chosen order; show the market of a position or a fill."""
        if event.table.id == "orders":
            self.action_replace()
        else:
            self.action_market()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Change panes only where both do not fit."""
        return self.has_class("-narrow") if action == "pane" else True
