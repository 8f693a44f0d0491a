"""The market screen: book, trades and chart of one instrument, one's open orders, and the keys that trade."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, ClassVar

from textual.containers import Horizontal, Vertical

from console.actions import bindings
from engine.model.ids import MANUAL, InstrumentId, symbol_of
from engine.model.instrument import CASH_KINDS
from engine.model.order import OrderSide
from screens import market_figures as figures
from screens.base import DeckScreen
from screens.finder import Choice, Finder
from screens.formats import age, decimals_of
from screens.margin_form import MarginForm
from screens.order_dialogs import ReplaceDialog, cancel_all_dialog, cancel_dialog
from screens.ticket import TicketDialog
from screens.venues import InstrumentFinder, waiting_words
from screens.where import HERE, WHERE, short_symbol
from widgets.candle_chart import CandleChart
from widgets.ladder import OrderLadder
from widgets.line_widget import LineBuilder, LineWidget
from widgets.live_table import LiveTable
from widgets.text import clean, width_of
from widgets.trade_tape import TradeTape

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from textual.app import ComposeResult
    from textual.binding import BindingType
    from textual.strip import Strip

    from console.store import Slice
    from engine.control.views import BookView, FillRow, InstrumentRow, OrderRow, TickerRow
    from engine.control.views_margin import MarginView
    from engine.control.views_venues import VenueRow
    from engine.model.candle import Candle
    from screens.where import Where
    from widgets.glyphs import Glyphs
    from widgets.table_cells import Cell

__all__ = ["MarketScreen", "TIMEFRAMES"]

TIMEFRAMES = ("1m", "5m", "15m", "1h", "4h", "1d")
DEPTH = 40
BARS = 500
STALE_NS = 3_000_000_000
VENUES_EVERY_S = 5.0


WAITING = "Waiting for the engine."
NO_BOOK = "No book yet. Waiting for the feed."
NO_BARS = "No candles yet. Waiting for the feed."
NO_TRADES = "No trades yet."
NOT_RECORDED = "Not recorded."
"""Books, candles and public trades are not in the journal; nothing is made up in their place."""


class MarketLine(LineWidget):
    """One market in one line."""

    DEFAULT_CSS: ClassVar[str] = """
    MarketLine { height: 1; padding: 0 1; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._shown: tuple[TickerRow | None, InstrumentRow | None, Where, str] = (None, None, HERE, WAITING)

    def show(self, row: TickerRow | None, instrument: InstrumentRow | None, where: Where, waiting: str) -> None:
        """Show this market, or what is waited for while there is none."""
        if (row, instrument, where, waiting) != self._shown:
            self._shown = (row, instrument, where, waiting)
            self.mark()

    def lines(self, width: int, height: int) -> Sequence[Strip]:
        """Return the line; less important figures leave when it is short."""
        row, instrument, where, waiting = self._shown
        pieces = list(figures.ticker_pieces(row, instrument, self.glyphs, where, waiting))
        while sum(width_of(text) + 2 for text, _, _ in pieces) > width + 2 and max(rank for *_, rank in pieces):
            pieces.remove(max(reversed(pieces), key=lambda piece: piece[2]))
        line = LineBuilder(self.palette)
        for text, ink, _ in pieces:
            line.add(clean(text), ink).add("  ")
        return [line.strip(width)]


class OrdersTable(LiveTable):
    """Open orders; the keys of the screen act on the chosen one."""

    HELP = "c cancels the chosen order, r changes it, C cancels all of your own here, a shows all markets."


class MarketScreen(DeckScreen):
    """Watch and trade one instrument."""

    SCOPE = "market"
    BINDINGS: ClassVar[list[BindingType]] = bindings("focus", "market")
    HELP = (
        "Book, trades and chart of one instrument with your open orders below. b and s open a ticket at the price "
        "under the ladder's cursor; nothing is sent before you have seen exactly what."
    )
    AUTO_FOCUS = "OrderLadder"
    DEFAULT_CSS: ClassVar[str] = """
    MarketScreen #markets { width: 48; display: none; }
    MarketScreen #book { width: 37; }
    MarketScreen #tape { width: 32; }
    MarketScreen #orders { height: 6; }
    MarketScreen.-narrow #tape { display: none; width: 1fr; }
    MarketScreen.-narrow.-tape #tape { display: block; }
    MarketScreen.-narrow.-tape #chart { display: none; }
    MarketScreen.-tall #orders { height: 9; }
    MarketScreen.-xtall #orders { height: 12; }
    MarketScreen.-wide #book, MarketScreen.-xwide #book { width: 42; }
    MarketScreen.-xwide #markets { display: block; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._instrument = ""
        self._timeframe = ""
        self._everything = False
        self._book: Slice | None = None
        self._trades: Slice | None = None
        self._candles: Slice | None = None
        self._tickers: Slice
        self._orders: Slice
        self._rows: dict[str, OrderRow] = {}
        self._news = 0
        self._has_bars = False
        self._was_live = True
        self._venues: list[VenueRow] | None = None
        self._venues_next = 0.0

    def body(self) -> ComposeResult:
        """Yield the panes."""
        with Horizontal():
            yield LiveTable(figures.MARKET_COLUMNS, title="Markets", empty="No market yet.", id="markets")
            with Vertical():
                yield MarketLine()
                with Horizontal():
                    yield OrderLadder(title="Book", empty=NO_BOOK, id="book")
                    yield CandleChart(empty=NO_BARS, id="chart")
                    yield TradeTape(empty=NO_TRADES, id="tape")
                yield OrdersTable(
                    figures.ORDER_COLUMNS, title="Orders", empty="No open orders. b = buy, s = sell", id="orders"
                )

    # --- what is followed

    def open_topics(self) -> None:
        """Follow the chosen instrument's market and all open orders."""
        self._timeframe = self._timeframe or self.deck.preferences.timeframe
        ladder, chart, tape = self.query_one(OrderLadder), self.query_one(CandleChart), self.query_one(TradeTape)
        ladder.empty = NOT_RECORDED if self.past else NO_BOOK
        chart.empty = NOT_RECORDED if self.past else NO_BARS
        tape.empty = NOT_RECORDED if self.past else NO_TRADES
        self._tickers = self.follow("market.tickers")
        self._orders = self.follow("orders.open")
        self._book = self._trades = self._candles = None
        self._instrument = ""
        self._news = -1
        self._venues, self._venues_next = None, 0.0
        if self.deck.instrument not in self.deck.instruments:
            self._watch("")

    def _watch(self, instrument: str) -> None:
        """Follow another instrument; empty for none yet."""
        for slice_ in (self._book, self._trades):
            self.unfollow(slice_)
        self._instrument = instrument
        ladder, tape = self.query_one(OrderLadder), self.query_one(TradeTape)
        ladder.clear()
        tape.clear()
        if not instrument:
            # Nothing of another market may stay beside the name of one that is not known yet.
            self.unfollow(self._candles)
            self._book = self._trades = self._candles = None
            chart = self.query_one(CandleChart)
            chart.clear()
            chart.set_title("Chart")
            ladder.set_title("Book")
            self._fill_orders()
            return
        ladder.set_title(f"Book {self._heading(instrument)}")
        self._book = self.follow("market.book", instrument=instrument, depth=DEPTH)
        self._trades = self.follow("market.trades", instrument=instrument)
        self._watch_candles()
        self._fill_orders()
        self._ask_fills()

    def _heading(self, instrument: str) -> str:
        return f"{symbol_of(InstrumentId(instrument))}{self.deck.where.beside(instrument)}"

    def _watch_candles(self) -> None:
        self.unfollow(self._candles)
        chart = self.query_one(CandleChart)
        chart.clear()
        self._has_bars = False
        known = self.deck.instruments.get(self._instrument)
        title = f"{self._heading(self._instrument)} {self._timeframe}"
        chart.set_title(title, decimals_of(known.price_tick) if known is not None else None)
        wanted = {"instrument": self._instrument, "timeframe": self._timeframe}
        self._candles = self.follow("market.candles", **wanted)
        self.ask("market.candles", {**wanted, "limit": BARS}, then=partial(self._take_bars, self._candles))

    def _take_bars(self, slice_: Slice, candles: list[Candle]) -> None:
        if slice_ is not self._candles:
            return
        self.query_one(CandleChart).set_bars([figures.bar(candle) for candle in candles])
        self._has_bars = True
        slice_.touch()

    def _ask_fills(self) -> None:
        def take(fills: Iterable[FillRow]) -> None:
            self.query_one(CandleChart).set_markers(figures.markers(fills, self._instrument))

        self._news = self.deck.news.version
        self.ask("orders.fills", {"limit": 200}, then=take)

    # --- drawing

    def pull(self, now: float) -> None:
        """Hand the panes what changed."""
        if self.live and not self._was_live and self._instrument:
            # Bars that closed while the link was lost are in no delta.
            self._watch_candles()
        self._was_live = self.live
        chosen = self.deck.instrument
        if chosen != self._instrument and chosen in self.deck.instruments:
            self._watch(chosen)
        elif self._instrument and chosen not in self.deck.instruments:
            self._watch("")
        self._ask_venues(now)
        self._pull_market()
        if (rows := self._orders.take()) is not None:
            self._rows = {row.client_id: row for row in rows}
            self._fill_orders()
        if (tickers := self._tickers.take()) is not None:
            self._fill_tickers(tickers)
        if self._instrument and self._news != self.deck.news.version:
            self._ask_fills()

    def _pull_market(self) -> None:
        if self._book is not None:
            if (book := self._book.take()) is not None:
                self._fill_book(book)
            self._mark_age(self._book.data)
        if self._trades is not None and (trades := self._trades.take()) is not None:
            known = self.deck.instruments.get(self._instrument)
            decimals = decimals_of(known.price_tick) if known is not None else trades.price_scale
            self.query_one(TradeTape).show(figures.tape(trades, decimals, self.deck.zone))
        if self._has_bars and self._candles is not None and (view := self._candles.take()) is not None:
            chart = self.query_one(CandleChart)
            for candle in view.candles:
                chart.tick(figures.bar(candle))

    def _fill_book(self, book: BookView) -> None:
        ladder = self.query_one(OrderLadder)
        visible = max(1, (ladder.content_size.height - 1) // 2)
        ladder.update(
            figures.levels(book, OrderSide.BUY, visible),
            figures.levels(book, OrderSide.SELL, visible),
            own=figures.own_sizes(book, hidden=self.deck.privacy),
            last=figures.last_trade(book),
            spread=figures.spread_text(book),
        )

    def _mark_age(self, book: BookView | None) -> None:
        """Say in the border when the market is silent; the figures themselves look as if they were fresh."""
        ladder = self.query_one(OrderLadder)
        engine = self.deck.now()
        silent = book is not None and book.ts and engine - book.ts > STALE_NS
        text = f"OLD: {age(book.ts, engine)}" if silent and book is not None else ""
        if text != (ladder.border_subtitle or ""):
            ladder.border_subtitle = text

    def _fill_tickers(self, tickers: Sequence[TickerRow]) -> None:
        self.deck.instruments.compare(row.instrument for row in tickers)
        row = next((row for row in tickers if row.instrument == self._instrument), None)
        shown = self.deck.instruments.get(self._instrument)
        self.query_one(MarketLine).show(row, shown, self.deck.where, self._waiting())
        table = self.query_one("#markets", LiveTable)
        if table.display:
            known = self.deck.instruments
            where = self.deck.where
            table.set_rows(
                [(row.instrument, figures.market_cells(row, known, table.glyphs, where=where)) for row in tickers]
            )

    def _waiting(self) -> str:
        """Return what is waited for while no market is shown."""
        return waiting_words(self._venues, self.deck.instrument, self.deck.keymap.label("market.watch"))

    def _ask_venues(self, now: float) -> None:
        """Ask how the venues are now and then while no market is shown."""

        def take(venues: list[VenueRow]) -> None:
            self._venues = venues
            self._tickers.touch()

        if not self._instrument and self.live and not self.past and now >= self._venues_next:
            self._venues_next = now + VENUES_EVERY_S
            self.ask("venues.list", then=take)

    def _fill_orders(self) -> None:
        table = self.query_one(OrdersTable)
        shown = [row for row in self._rows.values() if self._everything or row.instrument == self._instrument]
        place = "all markets" if self._everything else self._heading(self._instrument)
        hidden = len(self._rows) - len(shown)
        table.title = f"Orders {place}".rstrip() + (f" ({hidden} elsewhere)" if hidden else "")
        shown.sort(key=lambda row: row.created, reverse=True)
        table.set_rows([(row.client_id, self._order_cells(row, table.glyphs)) for row in shown])
        table.mark()
        self._tickers.touch()

    def _order_cells(self, row: OrderRow, glyphs: Glyphs) -> tuple[Cell, ...]:
        deck = self.deck
        known = deck.instruments.get(row.instrument)
        return figures.order_cells(row, known, glyphs, deck.zone, hidden=deck.privacy, where=deck.where)

    # --- actions

    def choose(self, key: str) -> None:
        """Show an instrument."""
        if key in self.deck.instruments:
            self.deck.instrument = key
            self.paint()

    def action_instrument(self, step: int) -> None:
        """Show the next instrument, or the one before."""
        keys = list(self.deck.instruments)
        if keys:
            place = keys.index(self._instrument) if self._instrument in keys else 0
            self.choose(keys[(place + step) % len(keys)])

    def action_pick(self) -> None:
        """Choose an instrument by name."""
        where = self.deck.where
        columns = [where.column() if column is WHERE else column for column in figures.MARKET_COLUMNS]
        finder = Finder("Instrument", columns, placeholder="a few letters, such as eth")
        rows: Sequence[TickerRow] = self._tickers.data or ()
        glyphs, known = self.query_one(OrderLadder).glyphs, self.deck.instruments
        finder.offer(
            [
                Choice(
                    row.instrument,
                    figures.market_cells(row, known, glyphs, where=where),
                    clean(row.symbol),
                    clean(f"{short_symbol(row.instrument)} {where.words(row.instrument)}"),
                )
                for row in rows
            ]
        )
        self.app.push_screen(finder, lambda key: self.choose(key) if key else None)

    def action_watch(self) -> None:
        """Find any instrument, and keep its market."""

        def keep(key: str | None) -> None:
            if key is None:
                return
            if key in self.deck.instruments:
                self.choose(key)
                return
            self.operate(
                "instruments.watch",
                {"instrument": key},
                busy="adding a market",
                then=lambda row: self.deck.load_instruments(show=row.id),
            )

        self.app.push_screen(InstrumentFinder(), keep)

    def action_unwatch(self) -> None:
        """Keep this market no more."""
        self.operate(
            "instruments.unwatch",
            {"instrument": self._instrument},
            busy="removing a market",
            done=str,
            then=lambda _: self.deck.load_instruments(),
        )

    def action_timeframe(self, step: int) -> None:
        """Show a longer or a shorter timeframe."""
        place = TIMEFRAMES.index(self._timeframe) if self._timeframe in TIMEFRAMES else 0
        self._timeframe = TIMEFRAMES[(place + step) % len(TIMEFRAMES)]
        if self._instrument:
            self._watch_candles()

    def action_pane(self) -> None:
        """Change between chart and tape."""
        self.toggle_class("-tape")

    def action_scope(self) -> None:
        """Show the orders of this instrument, or of all."""
        self._everything = not self._everything
        self._fill_orders()

    def action_ticket(self, side: str, price: int | None = None) -> None:
        """Open a ticket at the price under the ladder's cursor."""
        known, book = self.deck.instruments.get(self._instrument), self._book.data if self._book is not None else None
        if known is None or not self.deck.may_act():
            return
        cursor = self.query_one(OrderLadder).cursor_level
        key = price if price is not None else (cursor[0].key if cursor is not None else None)
        self.app.push_screen(TicketDialog(self.deck, known, OrderSide(side), book, key))

    def action_margin(self) -> None:
        """Set leverage and margin mode of the instrument."""
        known = self.deck.instruments.get(self._instrument)
        if known is None or known.kind in CASH_KINDS:
            self.notify("Spot is traded without leverage.", markup=False)
        elif self.deck.may_act():
            self.ask("margin.show", {"instrument": known.id}, then=self._open_margin)

    def _open_margin(self, view: MarginView) -> None:
        self.app.push_screen(MarginForm(self.deck, view))

    def on_order_ladder_level_selected(self, event: OrderLadder.LevelSelected) -> None:
        """Join the level under the cursor: a bid buys, an ask sells."""
        self.action_ticket("buy" if event.side == "bid" else "sell", event.level.key)

    def on_live_table_row_selected(self, event: LiveTable.RowSelected) -> None:
        """Show the chosen market, or change the chosen order."""
        if event.table.id == "markets":
            self.choose(event.key)
        else:
            self.action_replace()

    def _chosen_order(self) -> OrderRow | None:
        key = self.query_one(OrdersTable).cursor_key
        row = self._rows.get(key or "")
        if row is None:
            self.notify("There is no order to choose here.", markup=False)
        return row

    def action_cancel(self) -> None:
        """Ask whether the chosen order shall be cancelled."""
        if self.deck.may_act() and (row := self._chosen_order()) is not None:
            self.app.push_screen(cancel_dialog(self.deck, row))

    def action_replace(self) -> None:
        """Change quantity or price of the chosen order."""
        if self.deck.may_act() and (row := self._chosen_order()) is not None:
            self.app.push_screen(ReplaceDialog(self.deck, row, self.deck.instruments.get(row.instrument)))

    def action_cancel_all(self) -> None:
        """Ask whether all of one's own orders of this instrument shall be cancelled."""
        mine = [row for row in self._rows.values() if row.instrument == self._instrument and row.owner == MANUAL]
        if not mine:
            self.notify("You have no open orders here; bots' orders are their own.", markup=False)
        elif self.deck.may_act():
            self.app.push_screen(cancel_all_dialog(self.deck, self._instrument, mine))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Change panes only where both do not fit."""
        return self.has_class("-narrow") if action == "pane" else True
