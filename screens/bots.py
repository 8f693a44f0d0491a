"""The screen of bots: what each does and earns, beside it why, and the way from an idea to a running bot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from textual.containers import Grid

from console.actions import bindings
from console.news import INKS
from engine.model.entries import BotState
from screens import bots_figures as figures
from screens.base import DeckScreen
from screens.bot_forms import EditBotDialog, NewBotDialog
from screens.bot_health import health_lines
from screens.bot_questions import start_or_pause
from screens.bot_stops import all_dialog, delete_dialog, stop_dialog
from screens.bot_swap import SwapBotDialog, rollback_dialog, versions_dialog
from screens.bots_figures import ACTIVE, Look
from screens.pane import Pane
from widgets.live_table import LiveTable
from widgets.text import clean

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from textual.app import ComposeResult
    from textual.binding import BindingType

    from console.store import Slice
    from engine.control.views import BotRow, FillHistoryView, FillRow, OrderRow, StrategyRow
    from engine.control.views_bots import BotReport, BotVersion
    from screens.sheet import Line

__all__ = ["BotsScreen"]

NS = 1_000_000_000
PAGES = {"orders": "Orders and fills", "params": "Parameters", "events": "Events", "health": "Health"}
"""Pages beside what a bot is -> their titles."""
FILLS = 200
CHANGEABLE = frozenset({BotState.RUNNING, BotState.PAUSED})
"""States of a bot that is up and can be changed."""
LEAST_ROWS = 4


class BotsScreen(DeckScreen):
    """Bots, and all that can be done with them."""

    SCOPE = "bots"
    BINDINGS: ClassVar[list[BindingType]] = bindings("focus", "bots")
    HELP = (
        "Every bot with its state, position and profit; below it the chosen one in full. Sig/ref counts its signals "
        "and the orders that risk refused. A bot is made stopped; s starts it."
    )
    AUTO_FOCUS = "#bots"
    DEFAULT_CSS: ClassVar[str] = """
    BotsScreen #bots { height: 7; }
    BotsScreen #detail { height: 1fr; min-height: 6; grid-size: 2 1; grid-columns: 41 1fr; }
    BotsScreen.-wide #detail { grid-size: 3 1; grid-columns: 46 40 1fr; }
    BotsScreen.-tall #detail { grid-size: 2 2; grid-columns: 1fr 1fr; grid-rows: 15 1fr; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._bots: Slice
        self._orders: Slice
        self._rows: dict[str, BotRow] = {}
        self._strategies: dict[str, StrategyRow] = {}
        self._fills: list[FillRow] = []
        self._fills_of: tuple[str, int] = ("", -1)
        self._reports: dict[str, BotReport] = {}
        self._report_of: tuple[str, str, int, int] = ("", "", 0, 0)
        self._page = "orders"
        self._second = -1
        self._news = -1
        self._shown = ""
        self._wanted = ""

    def body(self) -> ComposeResult:
        """Yield the table, and the chosen bot below it."""
        yield LiveTable(
            figures.BOT_COLUMNS, title="Bots", empty=f"No bots yet. {self._key('bots.new')} makes one.", id="bots"
        )
        with Grid(id="detail"):
            yield Pane("Bot", empty="No bot is chosen.", id="about")
            for name, title in PAGES.items():
                yield Pane(title, empty="Nothing yet.", id=name)

    def _key(self, action: str) -> str:
        return self.deck.keymap.label(action)

    def on_mount(self) -> None:
        """Show the first page."""
        super().on_mount()
        self._turn_to(self._page)

    # --- what is followed

    def open_topics(self) -> None:
        """Follow all bots and all open orders; ask for the strategies there are."""
        self._bots = self.follow("bots.state")
        self._orders = self.follow("orders.open")
        self._fills_of = ("", -1)
        self._second = -1
        self.ask("strategies.list", then=self._take_strategies)

    def _take_strategies(self, rows: Sequence[StrategyRow]) -> None:
        self._strategies = {row.name: row for row in rows}
        self._bots.touch()

    # --- drawing

    def _look(self) -> Look:
        table = self.query_one(LiveTable)
        return Look(self.money, table.glyphs, self.deck.zone, self.deck.now(), self.deck.privacy)

    def pull(self, now: float) -> None:
        """Hand the panes what changed; ages move once a second."""
        second = self.deck.now() // NS
        rows, orders = self._bots.take(), self._orders.take()
        if rows is not None:
            self._rows = {row.id: row for row in rows}
        if rows is None and orders is None and second == self._second and self._news == self.deck.news.version:
            return
        self._second, self._news = second, self.deck.news.version
        look = self._look()
        if self._bots.data is not None:
            self._fill_table(look)
        self._fill_detail(look)

    def _fill_table(self, look: Look) -> None:
        table = self.query_one(LiveTable)
        running = sum(1 for row in self._rows.values() if row.state in ACTIVE)
        table.title = f"Bots · {running} of {len(self._rows)} running" if self._rows else "Bots"
        # The table takes the lines it has, at most half of the screen; the chosen bot has the rest.
        self.give_height(table, min(max(len(self._rows), LEAST_ROWS) + 3, max(7, self.size.height // 2 - 2)))
        table.set_rows([(row.id, figures.bot_cells(row, look, self.deck.where)) for row in self._rows.values()])
        if self._wanted in self._rows:
            table.cursor_key, self._wanted = self._wanted, ""

    def chosen(self) -> BotRow | None:
        """Return the bot under the cursor."""
        table = self.query_one(LiveTable)
        key = table.cursor_key or next(iter(table.visible_keys), "")
        return self._rows.get(key)

    def _fill_detail(self, look: Look) -> None:
        about, row = self.query_one("#about", Pane), self.chosen()
        if row is None:
            about.set_title("Bot")
            about.show(self._first_steps() if self._bots.data is not None and not self._rows else [])
            for name in PAGES:
                self.query_one(f"#{name}", Pane).show([])
            return
        if row.id != self._shown:
            self._shown = row.id
            for pane in self.query(Pane):
                pane.to_top()
        about.set_title(row.name)
        about.show(figures.about_lines(row, look, max(20, about.content_size.width)))
        self._fill_pages(row, look)
        if self._fills_of != (row.id, row.fills):
            self._fills_of = (row.id, row.fills)
            self.ask("orders.fills", {"limit": FILLS}, then=self._take_fills)

    def _fill_pages(self, row: BotRow, look: Look) -> None:
        orders: Iterable[OrderRow] = self._orders.data or ()
        mine = [order for order in orders if order.owner == row.id]
        fills = [fill for fill in self._fills if fill.owner == row.id]
        self.query_one("#orders", Pane).show(figures.order_lines(mine, fills, look))
        params = self.query_one("#params", Pane)
        strategy = self._strategies.get(row.strategy)
        params.show(figures.param_lines(row, strategy, max(20, params.content_size.width)))
        facts = [fact for fact in self.deck.news.shown if fact.owner in {row.id, row.name}]
        self.query_one("#events", Pane).show(figures.event_lines(facts, INKS, look.zone))
        self._fill_health(row, look)

    def _fill_health(self, row: BotRow, look: Look) -> None:
        pane = self.query_one("#health", Pane)
        pane.show(health_lines(row, self._reports.get(row.id), look, max(20, pane.content_size.width)))
        # The report is read from the journal and the database: once for what has changed, else once a minute.
        asked = (row.id, row.state, row.fills, look.now // (60 * NS))
        if pane.display and asked != self._report_of:
            self._report_of = asked
            self.ask("bots.report", {"bot": row.id}, then=self._take_report)

    def _take_report(self, report: BotReport) -> None:
        self._reports[report.bot] = report
        row = self.chosen()
        if row is not None and row.id == report.bot:
            self._fill_health(row, self._look())

    def _take_fills(self, fills: Sequence[FillRow]) -> None:
        self._fills = list(fills)
        row = self.chosen()
        if row is None:
            return
        self._fill_pages(row, self._look())
        if row.fills and not any(fill.owner == row.id for fill in fills):
            # Its executions are older than the newest of all: the history has them.
            self.ask("orders.fill_history", {"owner": row.id, "size": FILLS}, then=self._take_history)

    def _take_history(self, history: FillHistoryView) -> None:
        self._fills += history.rows
        if (row := self.chosen()) is not None:
            self._fill_pages(row, self._look())

    def _first_steps(self) -> list[Line]:
        new, start, page = self._key("bots.new"), self._key("bots.start"), self._key("app.backtests")
        return [
            [("A bot is one strategy on one", "text")],
            [("market with its own capital.", "text")],
            [],
            [(f" {new} ", "accent"), ("make a bot", "muted")],
            [(f" {start} ", "accent"), ("start it", "muted")],
            [(f" {page} ", "accent"), ("try the strategy on old candles", "muted")],
        ]

    def on_live_table_row_highlighted(self, event: LiveTable.RowHighlighted) -> None:
        """Show the bot the cursor is on."""
        event.stop()
        self._fill_detail(self._look())
        self.paint()

    def on_live_table_row_selected(self, event: LiveTable.RowSelected) -> None:
        """Go to the page beside the bot."""
        event.stop()
        self.query_one(f"#{self._page}", Pane).focus()

    # --- pages

    def _turn_to(self, page: str) -> None:
        """Show one page beside the bot, and those after it as far as there is room."""
        names = list(PAGES)
        first = names.index(page)
        tall = self.has_class("-tall") or self.has_class("-xtall")
        room = 3 if tall else 2 if self.has_class("-wide") or self.has_class("-xwide") else 1
        shown = {names[(first + place) % len(names)] for place in range(room)}
        focused = self.focused
        self._page = page
        for name in names:
            pane = self.query_one(f"#{name}", Pane)
            if pane is focused and name not in shown:
                self.query_one(f"#{page}", Pane).focus()
            pane.display = name in shown

    def action_page(self) -> None:
        """Show the next page."""
        names = list(PAGES)
        self._turn_to(names[(names.index(self._page) + 1) % len(names)])
        if (row := self.chosen()) is not None:
            self._fill_health(row, self._look())

    def on_resize(self) -> None:
        """Show as many pages as there is room for."""
        self.call_after_refresh(self._turn_to, self._page)

    # --- actions

    def choose(self, key: str) -> None:
        """Put the cursor on a bot."""
        if key in self._rows:
            self.query_one(LiveTable).cursor_key = key
        else:
            self._wanted = key
        self._second = -1

    def _chosen_to(self, what: str) -> BotRow | None:
        """Return the chosen bot if the engine can be asked to do something with it; says why when not."""
        if not self.deck.may_act():
            return None
        row = self.chosen()
        if row is None:
            self.notify(f"There is no bot to {what}. {self._key('bots.new')} makes one.", markup=False)
        return row

    def action_new(self) -> None:
        """Make a bot."""
        if self.deck.may_act():
            self.ask("strategies.list", then=self._open_form, group="new bot")

    def _open_form(self, strategies: Sequence[StrategyRow]) -> None:
        self._take_strategies(strategies)
        taken = [row.name for row in self._rows.values()]
        self.app.push_screen(NewBotDialog(self.deck, strategies, taken), self._made)

    def _made(self, row: BotRow | None) -> None:
        if row is not None:
            self.notify(f"{clean(row.name)} is made. {self._key('bots.start')} starts it.", markup=False)
            self.choose(row.id)

    def action_edit(self) -> None:
        """Change a bot; one that runs goes on with its market, its bars and its strategy."""
        row = self._chosen_to("edit")
        if row is None:
            return
        if row.state in ACTIVE - CHANGEABLE:
            self._say(f"{row.name} is {row.state}; wait until it runs or is stopped.")
            return

        def changed(fresh: Any) -> None:
            if fresh is not None:
                self.notify(f"{clean(row.name)} is changed.", markup=False)

        self.app.push_screen(EditBotDialog(self.deck, row, self._strategies.get(row.strategy)), changed)

    def action_swap(self) -> None:
        """Give the chosen bot another strategy; one that runs goes on with its position and its stop."""
        row = self._chosen_to("swap")
        if row is None:
            return
        if row.state in ACTIVE - CHANGEABLE:
            self._say(f"{row.name} is {row.state}; wait until it runs or is stopped.")
            return

        def open_form(strategies: Sequence[StrategyRow]) -> None:
            self._take_strategies(strategies)
            self.app.push_screen(SwapBotDialog(self.deck, row, strategies), swapped)

        def swapped(fresh: Any) -> None:
            if fresh is not None:
                self.notify(f"{clean(row.name)} goes on with {clean(fresh.strategy)}.", markup=False)

        self.ask("strategies.list", then=open_form, group="swap bot")

    def action_versions(self) -> None:
        """Show the versions of the chosen bot, and bring one back."""
        row = self._chosen_to("show versions of")
        if row is None:
            return

        def show(versions: Sequence[BotVersion]) -> None:
            known = {str(version.version): version for version in versions}
            self.app.push_screen(versions_dialog(self.deck, row, versions), lambda key: confirm(known.get(key or "")))

        def confirm(version: BotVersion | None) -> None:
            if version is not None and not version.in_force:
                self.app.push_screen(rollback_dialog(self.deck, row, version), lambda fresh: done(version, fresh))

        def done(version: BotVersion, fresh: Any) -> None:
            if fresh is not None:
                self.notify(f"{clean(row.name)} is back at version {version.version}.", markup=False)

        self.ask("bots.versions", {"bot": row.id}, then=show, group="versions")

    def _say(self, text: str) -> None:
        self.notify(clean(text), severity="warning", markup=False)

    def action_start(self) -> None:
        """Ask whether the chosen bot shall be started, or go on."""
        row = self._chosen_to("start")
        if row is None:
            return
        if row.state in ACTIVE - {BotState.PAUSED}:
            self._say(f"{row.name} is already {row.state}.")
            return
        self.app.push_screen(start_or_pause(self.deck, row))

    def action_pause(self) -> None:
        """Ask whether the chosen bot shall be paused, or go on."""
        row = self._chosen_to("pause")
        if row is None:
            return
        if row.state not in {BotState.RUNNING, BotState.PAUSED}:
            self._say(f"{row.name} is {row.state}; only a running bot can be paused.")
            return
        self.app.push_screen(start_or_pause(self.deck, row))

    def action_stop(self) -> None:
        """Ask what shall become of orders and position, and stop the chosen bot."""
        row = self._chosen_to("stop")
        if row is None:
            return
        if row.state not in ACTIVE and row.state is not BotState.ERROR:
            self._say(f"{row.name} is {row.state}; there is nothing to stop.")
            return
        orders: Iterable[OrderRow] = self._orders.data or ()
        open_orders = sum(1 for order in orders if order.owner == row.id)

        def stop(policy: str | None) -> None:
            if policy is not None:
                done = f"{clean(row.name)} is stopping." if policy == "close" else f"{clean(row.name)} is stopped."
                self.operate("bots.stop", {"bot": row.id, "positions": policy}, busy="stopping", done=done)

        self.app.push_screen(stop_dialog(row, open_orders, self._look().units(row.position)), stop)

    def action_delete(self) -> None:
        """Ask whether the chosen bot shall be deleted."""
        row = self._chosen_to("delete")
        if row is None:
            return
        if row.state in ACTIVE:
            self._say(f"{row.name} is {row.state}; stop it before deleting it.")
            return
        self.app.push_screen(delete_dialog(self.deck, row))

    def action_pause_all(self) -> None:
        """Ask whether every running bot shall be paused."""
        rows = [row for row in self._rows.values() if row.state is BotState.RUNNING]
        self._ask_all(rows, "pause", "They send no new orders until resumed; exits go on.", {})

    def action_stop_all(self) -> None:
        """Ask whether every bot shall be stopped."""
        rows = [row for row in self._rows.values() if row.state in ACTIVE - {BotState.STOPPING}]
        self._ask_all(rows, "stop", "Their orders are cancelled; positions stay.", {"positions": "cancel_orders"})

    def _ask_all(self, rows: Sequence[BotRow], verb: str, sentence: str, more: dict[str, Any]) -> None:
        if not rows:
            self.notify(f"There is no bot to {verb}.", markup=False)
        elif self.deck.may_act():
            dialog = all_dialog(self.deck, rows, verb, sentence, lambda row: {"bot": row.id, **more})
            self.app.push_screen(dialog)
