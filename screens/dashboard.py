"""The dashboard: the account, its curve, the markets, the bots, the positions and what happened, at one look.

What is one's own (equity, profit, positions, bots) is drawn as soon as it moves. Markets move always, so here they are
drawn once a second, and the pane's heading says so: a console at rest must cost next to nothing on a thin line.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, ClassVar

from textual.containers import Vertical

from console.actions import bindings, find_action
from engine.model.account import TradingMode
from engine.model.entries import BotState, TradingState
from engine.model.ids import SIMULATED
from screens import dashboard_figures as figures
from screens.base import DeckScreen
from screens.bot_questions import start_or_pause
from screens.equity import EquityHistory, range_words, start_label
from screens.market import DEPTH
from screens.overview import OverviewStrip, show_account, show_equity
from screens.portfolio_figures import POSITION_STRIP, position_key, position_strip_cells
from widgets.activity_log import ActivityLog
from widgets.equity_curve import EquityCurve
from widgets.line_widget import LineBuilder, LineWidget
from widgets.live_table import LiveTable
from widgets.text import clean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.app import ComposeResult
    from textual.binding import BindingType
    from textual.strip import Strip

    from console.store import Slice
    from engine.control.views import BotRow, EngineStatus, EquityPoint, PositionRow, TickerRow
    from widgets.table_cells import Cell

__all__ = ["MARKETS_EVERY_S", "DashboardScreen"]

MARKETS_EVERY_S = 1.0
"""How often the markets' figures are drawn here."""
HISTORY_EVERY_S = 60.0
"""How old the recorded curve may be when the screen comes to be shown; what happened since is seen live."""
CURVE_EVERY_S = 10.0
"""How often a curve at rest is looked at; one that moves is drawn as it moves."""
NO_POSITIONS = "No open positions. b = buy"
BOOK_STEP_S, BOOK_TRIES = 0.02, 50
"""How often, and how many times, a market's first book is looked for before a ticket opens without one."""
TRIES = (
    ("dashboard.buy", "buy at the market"),
    ("dashboard.new_bot", "let a bot trade"),
    ("dashboard.backtest", "try a strategy on past prices"),
)
"""What to try first: action and words."""


def _sources(status: EngineStatus) -> str:
    """The exchanges that orders go to, or else whose prices they are; empty for the simulated market."""
    meant = [place.venue for place in status.places if place.mode is status.mode] or [status.venue]
    return " and ".join(dict.fromkeys(clean(venue) for venue in meant if venue != SIMULATED))


class Welcome(LineWidget):
    """The first run's words; they give way to the equity curve once there is something to draw."""

    FRAMED = True
    DEFAULT_CSS: ClassVar[str] = """
    Welcome { padding: 0 1; }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.border_title = "Welcome aboard"
        self._said: tuple[str, tuple[tuple[str, str], ...]] = ("", ())
        self._place = ("", False)

    def show(self, money: str, keys: Sequence[tuple[str, str]], source: str = "", *, real: bool = False) -> None:
        """Say how much there is to trade with, which keys to try, whose prices it are and whether orders go there."""
        said, place = (money, tuple(keys)), (source, real)
        if (said, place) != (self._said, self._place):
            self._said, self._place = said, place
            self.mark()

    def lines(self, width: int, height: int) -> Sequence[Strip]:
        """Return the words."""
        shown = []
        source, real = self._place
        for parts in figures.welcome(*self._said, width, height, source=source, real=real):
            line = LineBuilder(self.palette)
            for text, ink in parts:
                line.add(clean(text), ink)
            shown.append(line.strip(width))
        return shown


class DashboardScreen(DeckScreen):
    """Everything at one look."""

    SCOPE = "dashboard"
    BINDINGS: ClassVar[list[BindingType]] = bindings("focus", "dashboard")
    HELP = (
        "The account, its bots, its positions and what happened lately. Enter opens the chosen market, bot or position "
        "on its own screen. Your own figures are drawn as they move, the markets once a second."
    )
    AUTO_FOCUS = "#markets"
    DEFAULT_CSS: ClassVar[str] = """
    DashboardScreen #panes { layout: grid; grid-size: 2 3; grid-columns: 1fr 39; grid-rows: 8 5 1fr; }
    DashboardScreen #welcome { display: none; }
    DashboardScreen.-first #welcome { display: block; }
    DashboardScreen.-first #equity { display: none; }
    DashboardScreen #activity { column-span: 2; }
    DashboardScreen.-tall #panes { grid-rows: 12 9 1fr; }
    DashboardScreen.-xtall #panes { grid-rows: 15 11 1fr; }
    DashboardScreen.-wide #panes { grid-columns: 1fr 1fr; }
    DashboardScreen.-wide.-tall #panes { grid-rows: 14 9 1fr; }
    DashboardScreen.-wide.-xtall #panes { grid-rows: 19 11 1fr; }
    DashboardScreen.-xwide #panes { grid-size: 3 2; grid-columns: 1fr 1fr 1fr; grid-rows: 1fr 1fr; }
    DashboardScreen.-xwide.-xtall #panes { grid-rows: 22 1fr; }
    DashboardScreen.-xwide #equity, DashboardScreen.-xwide #welcome { column-span: 2; }
    DashboardScreen.-xwide #activity { column-span: 1; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._overview: Slice
        self._tickers: Slice
        self._positions: Slice
        self._bots: Slice
        self._risk: Slice
        self._history = EquityHistory("day")
        self._news = -1
        self._markets_at = self._curve_at = float("-inf")
        self._known = (0, False)

    def body(self) -> ComposeResult:
        """Yield the strip and the panes."""
        yield OverviewStrip()
        with Vertical(id="panes"):
            yield Welcome(id="welcome")
            yield EquityCurve(title="Equity", empty="The curve begins with the first trade.", id="equity")
            yield LiveTable(figures.MARKETS, title="Markets, once a second", empty="No market yet.", id="markets")
            yield LiveTable(figures.BOT_STRIP, title="Bots", empty="No bots. n = new bot", id="bots")
            yield LiveTable(POSITION_STRIP, title="Positions", empty=NO_POSITIONS, id="positions")
            yield ActivityLog(title="Activity", empty="Nothing has happened yet. b = buy, n = new bot", id="activity")

    # --- what is followed

    def forget(self) -> None:
        """Forget the curve of another time."""
        self._history = EquityHistory(self._history.name)

    def open_topics(self) -> None:
        """Follow the account, the markets and the bots."""
        self._overview = self.follow("portfolio.overview")
        self._tickers = self.follow("market.tickers")
        self._positions = self.follow("portfolio.positions")
        self._bots = self.follow("bots.state")
        self._risk = self.follow("risk.state")
        self._news = -1
        self._markets_at = self._curve_at = float("-inf")
        if self.deck.steady() - self._history.asked_at > HISTORY_EVERY_S:
            self._history.asked_at = self.deck.steady()
            self.ask("portfolio.history", {"range": self._history.name}, then=self._take_history)

    def _take_history(self, points: Sequence[EquityPoint]) -> None:
        self._history.take(points)
        self._curve_at = float("-inf")

    def refill(self) -> None:
        """Fill every pane again."""
        super().refill()
        self._news = -1
        self._markets_at = self._curve_at = float("-inf")

    # --- drawing

    def pull(self, now: float) -> None:
        """Hand the panes what changed."""
        deck, engine_now = self.deck, self.deck.now()
        moved = False
        # Rows that came before the instruments or the clock were known lack decimals and ages.
        if self._known != (known := (deck.instruments.version, engine_now > 0)):
            self._known = known
            self.refill()
        fresh = [self._overview.take(), self._bots.take(), self._risk.take(), self._positions.take()]
        overview, bots, risk, positions = fresh
        if overview is not None and overview.equity is not None:
            moved = self._history.live(engine_now, float(overview.equity))
        if overview is not None or bots is not None or risk is not None:
            show_account(self, self._overview.data, self._bots.data, self._risk.data)
        show_equity(self, self._overview.data)
        if bots is not None:
            self._fill_bots(bots)
        if positions is not None:
            self._fill_positions(positions)
        steady = deck.steady()
        if self._tickers.fresh and steady - self._markets_at >= MARKETS_EVERY_S:
            self._markets_at = steady
            self._fill_markets(self._tickers.take())
        if moved or steady - self._curve_at >= CURVE_EVERY_S:
            self._curve_at = steady
            self._fill_curve(engine_now)
        if self._news != deck.news.version:
            self._news = deck.news.version
            self._fill_activity()
        if any(view is not None for view in fresh):
            self._greet()

    def _fill_bots(self, bots: Sequence[BotRow]) -> None:
        table = self.query_one("#bots", LiveTable)
        glyphs, private = table.glyphs, self.deck.privacy
        where = self.deck.where
        table.set_rows([(row.id, figures.bot_strip_cells(row, glyphs, private=private, where=where)) for row in bots])
        self._entitle(table, f"Bots {len(bots)}" if bots else "Bots")

    def _fill_positions(self, positions: Sequence[PositionRow]) -> None:
        table = self.query_one("#positions", LiveTable)
        known, private, where = self.deck.instruments, self.deck.privacy, self.deck.where

        def cells(row: PositionRow) -> tuple[Cell, ...]:
            known_as = known.get(row.instrument)
            return position_strip_cells(row, known_as, table.glyphs, private=private, where=where)

        table.set_rows([(position_key(row), cells(row)) for row in positions])
        table.empty = where.none_of("positions", NO_POSITIONS)
        self._entitle(table, where.heading("Positions", len(positions)))

    @staticmethod
    def _entitle(table: LiveTable, title: str) -> None:
        if title != table.title:
            table.title = title
            table.mark()

    def _fill_markets(self, tickers: Sequence[TickerRow]) -> None:
        table = self.query_one("#markets", LiveTable)
        room = figures.room_of(table.columns, "spark", table.content_size.width)
        known, now, where = self.deck.instruments, self.deck.now(), self.deck.where

        def cells(row: TickerRow) -> tuple[Cell, ...]:
            return figures.market_strip_cells(row, known.get(row.instrument), table.glyphs, now, room, where)

        known.compare(row.instrument for row in tickers)
        table.set_rows([(row.instrument, cells(row)) for row in tickers])

    def _fill_curve(self, now: int) -> None:
        curve = self.query_one(EquityCurve)
        line = self._history.line(now)
        title = range_words(self._history.name, line, curve.size.width - 6)
        if str(curve.border_title) != title:
            curve.border_title = title
        shown = () if self.deck.privacy else line.values
        curve.empty = "Amounts are hidden." if self.deck.privacy else "The curve begins with the first trade."
        curve.set_values(shown, first_label=start_label(line, self.deck.zone, now), last_label="now")

    def _fill_activity(self) -> None:
        log = self.query_one(ActivityLog)
        bots: Sequence[BotRow] = self._bots.data or ()
        names = {str(row.id): row.name for row in bots}
        facts = figures.told(self.deck.news.shown)
        log.clear()
        log.extend(figures.activity_line(fact, names, log.glyphs, self.deck.zone) for fact in facts)

    def _greet(self) -> None:
        """Welcome who has neither traded nor made a bot; the curve takes the place afterwards."""
        overview, bots, positions = self._overview.data, self._bots.data, self._positions.data
        status = self.deck.status.data
        if overview is None or bots is None or positions is None or status is None:
            return
        first = not bots and not positions and not status.open_orders and not overview.realised and not overview.fees
        self.set_class(first, "-first")
        if first:
            label = self.deck.keymap.label
            keys = [(label(action), words) for action, words in TRIES]
            status = self.deck.status.data
            real = status is not None and status.mode is TradingMode.LIVE
            source = "" if status is None else _sources(status)
            money = "" if overview.equity is None else f"{self.money(overview.equity)} {overview.currency}"
            self.query_one(Welcome).show(money, keys, source, real=real)

    # --- actions

    def _chosen_bot(self) -> BotRow | None:
        key = self.query_one("#bots", LiveTable).cursor_key
        bots: Sequence[BotRow] = self._bots.data or ()
        return next((row for row in bots if row.id == key), None)

    def _lead(self, action_id: str) -> None:
        """Go to another screen and begin one of its actions there."""
        action = find_action(action_id)
        self.deck.switch_mode(action.scope)
        self.deck.call_after_refresh(self.deck.run_action, action.handler, self.deck.screen)

    def action_new_bot(self) -> None:
        """Create a bot."""
        self._lead("bots.new")

    def action_backtest(self) -> None:
        """Set up a backtest."""
        self._lead("backtests.new")

    def action_trade(self, side: str) -> None:
        """Open a ticket on the chosen market."""
        chosen = self.query_one("#markets", LiveTable).cursor_key
        if chosen is not None and chosen in self.deck.instruments:
            self.deck.instrument = chosen
        handler = find_action(f"market.{side}").handler
        self.deck.run_worker(self._open_ticket(handler), name="ticket", exit_on_error=False)

    async def _open_ticket(self, handler: str) -> None:
        """Open a ticket on the market once its book is there: the ticket begins at its best price."""
        deck = self.deck
        await deck.switch_mode("market")
        # Followed here as well until the ticket is open: the screen shares what has arrived.
        book = deck.store.follow("market.book", instrument=deck.instrument, depth=DEPTH) if deck.instrument else None
        for _ in range(BOOK_TRIES):
            if book is None or book.data is not None or not self.live:
                break
            await asyncio.sleep(BOOK_STEP_S)
        screen = deck.deck_screen
        if screen is not None and screen is deck.screen and deck.current_mode == "market":
            # The screen takes the market in when it is drawn.
            screen.paint()
            await deck.run_action(handler, screen)
        if book is not None:
            book.close()

    def action_start_pause(self) -> None:
        """Ask whether the chosen bot shall be started, resumed or paused."""
        row = self._chosen_bot()
        if row is None:
            self.notify("There is no bot to start yet. Create one first.", markup=False)
        elif row.state in {BotState.STARTING, BotState.STOPPING, BotState.RECOVERING}:
            self.notify(f"{row.name} is {row.state.value}; wait a moment.", markup=False)
        elif self.deck.may_act():
            self.app.push_screen(start_or_pause(self.deck, row))

    def action_halt(self) -> None:
        """Ask whether new orders shall be blocked, or allowed again."""
        status = self.deck.status.data
        if self.deck.may_act() and status is not None:
            name = "app.halt" if status.trading is TradingState.ACTIVE else "app.resume"
            self.deck.call_later(self.deck.run_action, name)

    def on_live_table_row_selected(self, event: LiveTable.RowSelected) -> None:
        """Open the chosen market, bot or position on its own screen."""
        table, key = event.table.id, event.key
        if table == "markets":
            self.deck.instrument = key
            self.deck.switch_mode("market")
        else:
            self._open_on("bots" if table == "bots" else "portfolio", key)

    def _open_on(self, mode: str, key: str) -> None:
        self.deck.switch_mode(mode)
        screen: Any = self.deck.screen
        self.deck.call_after_refresh(screen.choose, key)
