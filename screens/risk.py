"""The screen of risk: what orders may do now, how near every limit is, and the way to change either."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from textual.containers import Horizontal, Vertical

from console.actions import bindings
from console.news import INKS
from engine.model.entries import TradingState
from screens import guard_figures as guards
from screens import risk_figures as figures
from screens.base import DeckScreen
from screens.dialogs import SheetDialog
from screens.guard_forms import TripForm, UnlockForm
from screens.limit_board import LimitBoard
from screens.pane import Pane
from screens.risk_forms import HaltForm, LimitsForm, ResetForm, ResumeForm
from screens.risk_measures import measured_lines, stress_lines
from screens.risk_stops import stop_lines
from widgets.line_widget import LineBuilder, LineWidget
from widgets.live_table import LiveTable
from widgets.text import clean, fit, width_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.app import ComposeResult
    from textual.binding import BindingType
    from textual.strip import Strip

    from console.store import Slice
    from engine.control.views import RiskView
    from engine.control.views_guards import BreakerRow
    from engine.control.views_risk import StressView

__all__ = ["RiskScreen", "TradingBanner"]

NS = 1_000_000_000
PAGES = ("breakers", "facts", "locks", "measured")
BESIDE = ("measured", "locks", "facts")
"""Pages that turn beside the breakers where these stay; the first one is shown at first."""
STACKED_FROM = 30
"""Rows of a screen from which what happened stays below the page beside the breakers."""
FRAME = 2


class TradingBanner(LineWidget):
    """What trading may do, in two lines."""

    DEFAULT_CSS: ClassVar[str] = """
    TradingBanner { height: 3; padding: 0 1 1 1; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._view: RiskView | None = None
        self._now = 0

    def show(self, view: RiskView, now: int) -> None:
        """Show this state; `now` in the engine's nanoseconds."""
        if (view, now) != (self._view, self._now):
            self._view, self._now = view, now
            self.mark()

    def lines(self, width: int, height: int) -> Sequence[Strip]:
        """Return the two lines: the state at the left, its summary at the right."""
        if self._view is None:
            return [LineBuilder(self.palette).add("Waiting for the engine.", "muted").strip(width)]
        left = figures.trading_lines(self._view, self.glyphs, self._now)
        strips = []
        for parts, (word, ink) in zip(left, figures.summary(self._view), strict=True):
            line = LineBuilder(self.palette)
            used = sum(width_of(text) for text, _ in parts)
            room = width - used - 2
            for text, part_ink in parts:
                line.add(text, part_ink)
            strips.append(
                line.add("  " + fit(word, room, "right"), ink).strip(width)
                if room >= width_of(word)
                else line.strip(width)
            )
        return strips


class RiskScreen(DeckScreen):
    """Limits, breakers and the trading state."""

    SCOPE = "risk"
    BINDINGS: ClassVar[list[BindingType]] = bindings("focus", "risk")
    HELP = (
        "What orders may do now, how much of every limit is used, open orders counted as if they filled, and how the "
        "breakers and locks stand. Limits are changed with a before and after; every halt, release, reset and lifted "
        "lock is kept with its reason."
    )
    AUTO_FOCUS = "#breakers"
    DEFAULT_CSS: ClassVar[str] = """
    RiskScreen #limits { height: 10; }
    RiskScreen #lower { height: 1fr; }
    RiskScreen #measured, RiskScreen #locks { height: 2fr; }
    RiskScreen #facts { height: 1fr; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._risk: Slice
        self._metrics: Slice
        self._regimes: Slice
        self._view: RiskView | None = None
        self._page = PAGES[0]
        self._second = -1
        self._news = -1
        self._wrapped = 0

    def body(self) -> ComposeResult:
        """Yield state, limits, breakers, and beside them what is measured, locks and facts."""
        yield TradingBanner()
        yield LimitBoard(id="limits")
        with Horizontal(id="lower"):
            yield LiveTable(guards.BREAKER_COLUMNS, title="Breakers", empty="No breakers are set.", id="breakers")
            with Vertical(id="beside"):
                yield Pane("Measured", id="measured")
                yield LiveTable(guards.LOCK_COLUMNS, title="Locks", empty="Nothing is locked.", id="locks")
                yield Pane("What happened", empty="Nothing has been refused, halted or changed lately.", id="facts")

    def on_mount(self) -> None:
        """Show the first page."""
        super().on_mount()
        self._turn_to(self._page)

    def open_topics(self) -> None:
        """Follow risk."""
        self._risk = self.follow("risk.state")
        self._metrics, self._regimes = self.follow("risk.metrics"), self.follow("risk.regimes")
        self._second = self._news = -1

    # --- drawing

    def pull(self, now: float) -> None:
        """Hand the panes what changed; ages move once a second."""
        engine = self.deck.now()
        view = self._risk.take()
        if view is not None:
            self._view = view
            self._fill_limits(view)
        if self._view is not None and (view is not None or engine // NS != self._second):
            self._second = engine // NS
            self._fill_state(self._view, self._second * NS)
            self._metrics.touch()
        if [part for part in (self._metrics.take(), self._regimes.take()) if part is not None]:
            self._fill_measured(engine)
        if (self._news, self._wrapped) != (self.deck.news.version, self._width_of_facts()):
            self._news = self.deck.news.version
            self._fill_facts()

    def _fill_measured(self, now: int) -> None:
        pane = self.query_one("#measured", Pane)
        width = max(20, pane.content_size.width)
        regimes = self._regimes.data
        pane.set_title("Measured" if regimes is None else f"Measured · {regimes.words}")
        pane.show(measured_lines(self._metrics.data, regimes, now, width, hidden=self.deck.privacy))

    def _width_of_facts(self) -> int:
        return self.query_one("#facts", Pane).content_size.width

    def _fill_facts(self) -> None:
        pane = self.query_one("#facts", Pane)
        # The pane may have another width only once it is laid out: then it is wrapped again.
        self._wrapped = self._width_of_facts()
        width = max(20, self._wrapped)
        pane.show(figures.fact_lines(self.deck.news.shown, INKS, self.deck.zone, width))

    def _fill_limits(self, view: RiskView) -> None:
        status = self.deck.status.data
        currency = status.base_currency if status is not None else ""
        board = self.query_one(LimitBoard)
        board.show(figures.limit_states(view.limits, currency, hidden=self.deck.privacy))
        self.give_height(board, max(4, min(len(view.limits) + FRAME, self.size.height // 2 - 1)))

    def _fill_state(self, view: RiskView, now: int) -> None:
        self.query_one(TradingBanner).show(view, now)
        table = self.query_one("#breakers", LiveTable)
        locks = self.query_one("#locks", LiveTable)
        locks.title = f"Locks · {len(view.locks)}" if view.locks else "Locks"
        locks.set_rows([(row.lock, guards.lock_cells(row, now)) for row in view.locks])
        tripped = sum(1 for row in view.breakers if row.open)
        table.title = f"Breakers · {tripped} open" if tripped else "Breakers"
        table.set_rows([(_key(row), guards.breaker_cells(row, table.glyphs, now)) for row in view.breakers])

    def _turn_to(self, page: str) -> None:
        """Show a page; beside the breakers, and above what happened, where there is room for it."""
        self._page = page
        focused, pages = self.focused, self._turning()
        top = self._on_top(pages)
        shown = {top} if pages == PAGES else {"breakers", top} | ({"facts"} - set(pages))
        for name in PAGES:
            pane = self.query_one(f"#{name}", LineWidget)
            if pane is focused and name not in shown:
                self.query_one(f"#{top}", LineWidget).focus()
            pane.display = name in shown
        self.query_one("#beside").display = shown != {"breakers"}
        # Text is wrapped for the width that the pane has once it is laid out.
        self.call_after_refresh(self._wrap_again)

    def _wrap_again(self) -> None:
        self._fill_facts()
        self._metrics.touch()

    def _turning(self) -> tuple[str, ...]:
        """The pages that take turns: all, those beside the breakers, or of these the ones above what happened."""
        if not (self.has_class("-wide") or self.has_class("-xwide")):
            return PAGES
        return BESIDE if self.size.height < STACKED_FROM else BESIDE[:-1]

    def _on_top(self, pages: tuple[str, ...]) -> str:
        """The one of the pages that is shown."""
        return self._page if self._page in pages else pages[0]

    def on_resize(self) -> None:
        """Show as much as there is room for."""
        self.call_after_refresh(self._turn_to, self._page)
        self.refill()

    # --- actions

    def choose(self, key: str) -> None:
        """Put the cursor on a breaker."""
        self.query_one("#breakers", LiveTable).cursor_key = key

    def action_page(self) -> None:
        """Turn the page; where breakers stay, the one beside them."""
        pages = self._turning()
        self._turn_to(pages[(pages.index(self._on_top(pages)) + 1) % len(pages)])

    def action_edit(self) -> None:
        """Change limits, as they are in force now."""
        if self.deck.may_act():
            self.ask("risk.overview", then=self._open_limits, group="limits")

    def _open_limits(self, view: RiskView) -> None:
        if not view.values:
            self.notify("The engine does not say which limits are in force.", severity="warning", markup=False)
            return
        self.app.push_screen(LimitsForm(self.deck, view.values), self._said("The limits are changed."))

    def action_stress(self) -> None:
        """Show what bad days would do to what is held."""

        def show(view: StressView) -> None:
            self.app.push_screen(SheetDialog("Stress test", stress_lines(view, hidden=self.deck.privacy)))

        self.ask("risk.stress", then=show, group="stress")

    def action_stops(self) -> None:
        """Show every emergency stop that is not released."""
        if self._view is not None:
            lines = stop_lines(self._view, self.deck.now(), hidden=self.deck.privacy)
            self.app.push_screen(SheetDialog("Emergency stops", lines))

    def _said(self, words: str) -> Any:
        def tell(reply: Any) -> None:
            if reply is not None:
                self.notify(words, markup=False)

        return tell

    def action_stop(self) -> None:
        """Halt trading, or let orders only reduce."""
        if self.deck.may_act():
            self.app.push_screen(HaltForm(self.deck), self._said("No new orders pass until trading is resumed."))

    def action_resume(self) -> None:
        """Let trading go on."""
        if not self.deck.may_act() or self._view is None:
            return
        if self._view.trading is TradingState.ACTIVE and not self._view.halts:
            self.notify("Trading is active; there is nothing to resume.", markup=False)
            return
        self.app.push_screen(ResumeForm(self.deck, self._view), self._said("Trading goes on."))

    def _chosen(self) -> BreakerRow | None:
        table = self.query_one("#breakers", LiveTable)
        key = table.cursor_key or next(iter(table.visible_keys), "")
        rows = self._view.breakers if self._view is not None else ()
        return next((row for row in rows if _key(row) == key), None)

    def action_reset(self) -> None:
        """Close the chosen breaker again; the open one where only one is."""
        if not self.deck.may_act() or self._view is None:
            return
        row = self._chosen()
        tripped = [breaker for breaker in self._view.breakers if breaker.open]
        if (row is None or not _begun(row)) and len(tripped) == 1:
            row = tripped[0]
        if row is None or not _begun(row):
            which = "No breaker is open." if not tripped else "Choose an open breaker first."
            self.notify(which, markup=False)
            return
        label = clean(row.label)
        self.app.push_screen(ResetForm(self.deck, row), self._said(f"The breaker {label} is closed again."))

    def action_trip(self) -> None:
        """Open the chosen breaker by hand, or keep an open one open."""
        if not self.deck.may_act() or self._view is None:
            return
        row = self._chosen()
        if row is None or not row.scope:
            self.notify("Choose a breaker of trading first; technical ones open by themselves.", markup=False)
            return
        said = self._said(f"The breaker {clean(row.label)} is open until it is reset.")
        self.app.push_screen(TripForm(self.deck, row), said)

    def action_unlock(self) -> None:
        """Lift the chosen lock; the only one where there is one."""
        if not self.deck.may_act() or self._view is None:
            return
        locks = self._view.locks
        key = self.query_one("#locks", LiveTable).cursor_key
        row = next((lock for lock in locks if lock.lock == key), locks[0] if len(locks) == 1 else None)
        if row is None:
            self.notify("Nothing is locked." if not locks else "Choose a lock first.", markup=False)
            return
        self.app.push_screen(UnlockForm(self.deck, row), self._said("The lock is lifted."))

    def on_live_table_row_selected(self, event: LiveTable.RowSelected) -> None:
        """Reset the chosen breaker, or lift the chosen lock."""
        event.stop()
        if event.control.id == "locks":
            self.action_unlock()
        else:
            self.action_reset()


def _key(row: BreakerRow) -> str:
    """What a breaker's row is known by."""
    return f"{row.name} {row.account or row.scope}"


def _begun(row: BreakerRow) -> bool:
    """Whether a breaker is not closed."""
    return row.open or row.state in ("half_open", "reduced")
