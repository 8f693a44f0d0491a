"""The base of the seven screens: frame, one paint timer, topics that are followed only while the screen is shown.

    class RiskScreen(DeckScreen):
        SCOPE = "risk"
        BINDINGS = bindings("focus", "risk")
        HELP = "Limits and breakers."

        def body(self): yield LiveTable(..., id="limits")
        def open_topics(self): self.risk = self.follow("risk.state")
        def pull(self, now):
            if (view := self.risk.take()) is not None: ...fill widgets...
        def action_reset(self): self.operate("risk.reset_breaker", {...}, busy="resetting")

`open_topics` runs whenever the screen comes to be shown and its slices are closed when it is hidden; `pull` runs before
each drawing. A screen never calls the link itself: `operate` and `ask` show that a call is under way and what came of
it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, cast

from textual.containers import Vertical

from screens.chrome import KeyBar, NavBar, show_status
from screens.formats import MASK, number
from screens.mode import is_live
from screens.replay_bar import ReplayBar
from screens.where import HERE, WHERE
from widgets.live_table import LiveTable
from widgets.paint import PaintedScreen
from widgets.status_line import StatusLine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from decimal import Decimal

    from textual.app import ComposeResult
    from textual.message import Message
    from textual.widget import Widget

    from console.app import QuarterdeckApp
    from console.store import Slice

__all__ = ["DeckScreen"]


class DeckScreen(PaintedScreen[None], inherit_bindings=False):
    """A screen of the console; see the module."""

    SCOPE: ClassVar[str] = ""
    """The screen's name in the registry of actions."""
    HELP: ClassVar[str | None] = None
    """One paragraph for the help overlay."""
    ALLOW_IN_MAXIMIZED_VIEW: ClassVar[str | None] = "#bars, ReplayBar, KeyBar"
    DEFAULT_CSS: ClassVar[str] = """
    DeckScreen { background: $background; layout: vertical; }
    DeckScreen > #bars { dock: top; height: 2; }
    DeckScreen > KeyBar { dock: bottom; }
    DeckScreen.-maximized-view { hatch: none !important; }
    DeckScreen .-maximized {
        width: 1fr !important; height: 1fr !important; min-height: 0 !important; max-height: 100% !important;
        margin: 0 !important; display: block !important;
    }
    DeckScreen.-live LineWidget.-framed { border: round $live; }
    DeckScreen.-live LineWidget.-framed:focus { border: heavy $live; }
    DeckScreen.-live LineWidget.-framed.-ascii { border: ascii $live; }
    DeckScreen.-stale LineWidget { tint: $background 45%; }
    DeckScreen.-stale StatusLine, DeckScreen.-stale NavBar, DeckScreen.-stale KeyBar { tint: $background 0%; }
    """

    def __init__(self) -> None:
        super().__init__()
        self.HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (110, "-wide"), (160, "-xwide")]
        self.VERTICAL_BREAKPOINTS = [(0, "-low"), (34, "-tall"), (46, "-xtall")]
        self._slices: list[Slice] = []
        self._opened = False
        self._where = HERE
        self._heights: dict[Widget, int] = {}

    # --- for the screens

    def body(self) -> ComposeResult:
        """Yield what stands between the bars."""
        raise NotImplementedError

    def open_topics(self) -> None:
        """Follow what the screen shows; runs each time it comes to be shown."""

    def follow(self, topic: str, **filters: Any) -> Slice:
        """Follow a state topic until the screen is hidden."""
        slice_ = self.deck.store.follow(topic, **filters)
        self._slices.append(slice_)
        return slice_

    def give_height(self, pane: Widget, height: int) -> None:
        """Give a pane so many lines, which it has for as long as it is not zoomed."""
        self._heights[pane] = height
        now = pane.styles.height
        if pane is not self.maximized and (now is None or now.value != height):
            pane.styles.height = height

    def refill(self) -> None:
        """Fill every widget again, for example because amounts are hidden now."""
        for slice_ in self._slices:
            slice_.touch()

    def forget(self) -> None:
        """Forget what was kept of another engine or another time."""

    def begin_anew(self) -> None:
        """Show another engine, or another moment of the past."""
        self.forget()
        if self._opened:
            self._close()
            self._open()

    def choose(self, key: str) -> None:
        """Bring something into view that was named elsewhere, such as a bot in the palette."""

    def unfollow(self, slice_: Slice | None) -> None:
        """Follow a topic no more, for example when another instrument is shown; None does nothing."""
        if slice_ is not None:
            slice_.close()
            if slice_ in self._slices:
                self._slices.remove(slice_)

    @property
    def deck(self) -> QuarterdeckApp:
        """The app."""
        return cast("QuarterdeckApp", self.app)

    @property
    def live(self) -> bool:
        """Whether the engine can be reached."""
        return self.deck.link.state != "lost"

    @property
    def past(self) -> bool:
        """Whether a replay is shown."""
        return self.deck.link.state == "replay"

    def money(self, value: Decimal | float | None, decimals: int = 2, *, signed: bool = False) -> str:
        """Return an amount the person owns or owes, hidden while privacy is on."""
        return MASK if self.deck.privacy else number(value, decimals, signed=signed)

    def operate(
        self,
        operation: str,
        params: Mapping[str, Any] | None = None,
        *,
        busy: str = "",
        done: str | Callable[[Any], str] = "",
        then: Callable[[Any], None] | None = None,
    ) -> None:
        """Do something that changes the engine: shows `busy` meanwhile, then a toast of `done` or the refusal.

        Nothing is sent while the link is lost.
        """
        self.deck.operate(operation, params, busy=busy, done=done, then=then)

    def ask(
        self, operation: str, params: Mapping[str, Any] | None = None, *, then: Callable[[Any], None], group: str = ""
    ) -> None:
        """Ask for a view and hand it on; an answer that a later question of the same group outran is dropped."""
        self.deck.ask(self, operation, params, then=then, group=group)

    def busy(self, text: str) -> None:
        """Show in the bar of keys what is under way; empty for nothing."""
        for bar in self.query(KeyBar):
            bar.busy(text)

    # --- for Textual

    def compose(self) -> ComposeResult:
        """Put the body between the bars."""
        with Vertical(id="bars"):
            yield StatusLine()
            yield NavBar(self.SCOPE)
        yield from self.body()
        yield ReplayBar()
        yield KeyBar(self.SCOPE)

    def paint_steps(self) -> Iterator[None]:
        """Show the frame's figures, pull the screen's and draw; a failure is shown and does not end the console."""
        deck = self.deck
        now = deck.steady()
        show_status(deck, self.query_one(StatusLine), now)
        warning = deck.warning()
        self.query_one(NavBar).warn(warning)
        self.query_one(ReplayBar).show(deck.replaying.view)
        self.set_class(not self.live, "-stale")
        self.set_class(is_live(deck.status.data) and not self.past, "-live")
        if self._where != deck.where:
            self._where = deck.where
            self._say_where()
        deck.renew_instruments()
        try:
            yield from super().paint_steps()
        except Exception as error:
            # The paint timer is a task root: whatever a view brings must not take the console with it.
            deck.report(error, where=f"drawing {self.SCOPE}")

    def _say_where(self) -> None:
        """Have every table say of which venue its rows are, or leave that out."""
        for table in self.query(LiveTable):
            table.reshape(WHERE.key, self._where.title, self._where.width)
        self.refill()

    async def _dispatch_message(self, message: Message) -> None:
        try:
            await super()._dispatch_message(message)
        except Exception as error:
            # A handler's failure would end the screen's message loop, and with it the app.
            if not self.deck.report(error, where=f"{self.SCOPE}: {type(message).__name__}"):
                raise

    def watch_maximized(self, before: Widget | None, pane: Widget | None) -> None:
        """Let a zoomed pane go without the height that was given to it: no rule is stronger than that."""
        if pane in self._heights:
            pane.styles.height = None
        if before in self._heights:
            before.styles.height = self._heights[before]

    def on_mount(self) -> None:
        """Take the person's rate of drawing."""
        self._open()

    def on_screen_resume(self) -> None:
        """Follow the screen's topics again."""
        self._open()

    def on_screen_suspend(self) -> None:
        """Leave the topics of a screen that is hidden; one behind a dialog is still seen."""
        if not self._is_seen():
            self._close()

    def on_unmount(self) -> None:
        """Leave the topics for good."""
        self._close()

    def _open(self) -> None:
        if not self._opened and self.is_mounted:
            self._opened = True
            self.open_topics()

    def _close(self) -> None:
        self._opened = False
        for slice_ in self._slices:
            slice_.close()
        self._slices.clear()
