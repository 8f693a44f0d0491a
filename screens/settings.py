"""The screen of settings: keys of accounts, what may trade real money, and channels of alerts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from console.actions import bindings
from console.errands import new_request_id
from screens import settings_figures as figures
from screens.base import DeckScreen
from screens.dialogs import ConfirmDialog, SheetDialog
from screens.settings_forms import AddKeyForm, ConsentForm, RotateForm, UnlockForm
from widgets.line_widget import LineBuilder, LineWidget
from widgets.live_table import LiveTable
from widgets.text import clean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.app import ComposeResult
    from textual.binding import BindingType
    from textual.strip import Strip

    from engine.control.views_keys import KeyRow, KeysView, KeyTest
    from engine.control.views_live import LiveAccountRow, LiveView
    from engine.control.views_records import ChannelRow

__all__ = ["RingBanner", "SettingsScreen"]

NS = 1_000_000_000
NO_CHANNEL = "No channel. Set alerts.channels, such as ntfy://HOST/TOPIC."
AGAIN_S = 5.0
"""Keys and consents are asked for again so often: other consoles and commands change them too."""


class RingBanner(LineWidget):
    """Whether keys can be had, in two lines."""

    DEFAULT_CSS: ClassVar[str] = """
    RingBanner { height: 2; padding: 0 1; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._view: KeysView | None = None

    def show(self, view: KeysView | None) -> None:
        """Show this state; None while it is not known."""
        if view != self._view:
            self._view = view
            self.mark()

    def lines(self, width: int, height: int) -> Sequence[Strip]:
        """Return the two lines."""
        if self._view is None:
            return [LineBuilder(self.palette).add("Waiting for the engine.", "muted").strip(width)]
        strips = []
        for parts in figures.ring_lines(self._view):
            line = LineBuilder(self.palette)
            for text, ink in parts:
                line.add(text, ink)
            strips.append(line.strip(width))
        return strips


class SettingsScreen(DeckScreen):
    """Keys, real money, channels of alerts."""

    SCOPE = "settings"
    BINDINGS: ClassVar[list[BindingType]] = bindings("focus", "settings")
    HELP = (
        "Keys of accounts at exchanges, kept where no screen, log or command line shows them; which accounts may trade "
        "real money, and which consoles are armed to send orders with it; and the channels that alerts are sent to."
    )
    AUTO_FOCUS = "#keys"
    DEFAULT_CSS: ClassVar[str] = """
    SettingsScreen LiveTable { height: 2fr; min-height: 3; }
    SettingsScreen #channels { height: 1fr; min-height: 3; max-height: 8; }
    """

    def __init__(self) -> None:
        super().__init__()
        self.forget()

    def body(self) -> ComposeResult:
        """Yield the state of the keys, the keys, the live accounts and the channels."""
        yield RingBanner()
        yield LiveTable(figures.KEY_COLUMNS, title="Keys", empty="No key yet. a = add one", id="keys")
        yield LiveTable(
            figures.LIVE_COLUMNS, title="Live", empty="No account is live; set mode = 'live' for a venue.", id="live"
        )
        yield LiveTable(figures.CHANNEL_COLUMNS, title="Alerts", empty=NO_CHANNEL, id="channels")

    # --- what is known

    def forget(self) -> None:
        """Know nothing."""
        self._keys: KeysView | None = None
        self._live: LiveView | None = None
        self._channels: tuple[ChannelRow, ...] = ()
        self._next = 0.0
        self._second = -1
        self._fresh = True

    def open_topics(self) -> None:
        """Ask for everything; none of it is told by a topic."""
        self._next = 0.0

    def refill(self) -> None:
        """Fill every widget again."""
        super().refill()
        self._fresh = True

    def look(self) -> None:
        """Ask again soon, because something has changed."""
        self._next = 0.0

    def _ask_all(self) -> None:
        self.ask("keys.list", then=self._take_keys)
        self.ask("live.status", then=self._take_live)
        self.ask("alerts.channels", then=self._take_channels)

    def _take_keys(self, view: KeysView) -> None:
        self._keys, self._fresh = view, True

    def _take_live(self, view: LiveView) -> None:
        self._live, self._fresh = view, True
        self.deck.armed.take(view)

    def _take_channels(self, rows: Sequence[ChannelRow]) -> None:
        self._channels, self._fresh = tuple(rows), True
        # A low terminal leaves the pane no line for more than its title.
        self.query_one("#channels", LiveTable).title = "Alerts" if rows else "Alerts · no channel is set"

    # --- drawing

    def pull(self, now: float) -> None:
        """Ask again now and then, and hand the tables what changed; the time left moves once a second."""
        if now >= self._next and self.live and not self.past:
            self._next = now + AGAIN_S
            self._ask_all()
        second = self.deck.now() // NS
        if self._fresh or (second != self._second and self._live is not None and self._live.armed):
            self._fresh, self._second = False, second
            self._fill(second * NS)

    def _fill(self, now: int) -> None:
        self.query_one(RingBanner).show(self._keys)
        if self._keys is not None:
            keys = self.query_one("#keys", LiveTable)
            keys.set_rows([
                (f"{row.venue}/{row.account}", figures.key_cells(row, self.deck.zone)) for row in self._keys.keys
            ])  # fmt: skip
        if self._live is not None:
            table = self.query_one("#live", LiveTable)
            table.set_rows(figures.live_rows(self._live, now, hidden=self.deck.privacy))
            words = self.deck.armed.words()
            table.title = f"Live · {words}" if words else "Live"
        channels = self.query_one("#channels", LiveTable)
        channels.set_rows([(row.name, figures.channel_cells(row)) for row in self._channels])

    # --- keys

    def _told(self, words: str) -> Any:
        """What happens when a form has ended."""

        def tell(reply: Any) -> None:
            if reply is not None:
                self.notify(words, markup=False)
                self.look()

        return tell

    def _known_keys(self) -> KeysView | None:
        if not self.deck.may_act():
            return None
        if self._keys is None:
            self.notify("The engine has not told about its keys yet.", severity="warning", markup=False)
        return self._keys

    def _chosen_key(self) -> KeyRow | None:
        view = self._known_keys()
        if view is None:
            return None
        table = self.query_one("#keys", LiveTable)
        name = table.cursor_key or next(iter(table.visible_keys), "")
        row = next((row for row in view.keys if f"{row.venue}/{row.account}" == name), None)
        if row is None:
            self.notify("There is no key yet; add one first.", markup=False)
        return row

    def action_add(self) -> None:
        """Keep a key."""
        view = self._known_keys()
        if view is not None:
            self.app.push_screen(AddKeyForm(self.deck, view, self._live), self._kept)

    def _kept(self, view: KeysView | None) -> None:
        if view is not None:
            test = self.deck.keymap.label("settings.test")
            self.notify(f"The key of {clean(view.changed)} is kept. {test} asks what it may do.", markup=False)
            self._take_keys(view)

    def action_rotate(self) -> None:
        """Replace the chosen key."""
        row = self._chosen_key()
        if row is not None and self._keys is not None:
            self.app.push_screen(RotateForm(self.deck, self._keys, row), self._kept)

    def action_remove(self) -> None:
        """Forget the chosen key."""
        row = self._chosen_key()
        if row is None:
            return
        link, request_id, name = self.deck.link, new_request_id(), f"{clean(row.venue)}/{clean(row.account)}"

        async def run() -> Any:
            asked = {"venue": row.venue, "account": row.account}
            return await link.call("keys.remove", asked, request_id=request_id)

        sentence = f"Forget the key of {name}. Take it back at the venue as well."
        dialog = ConfirmDialog("Remove key", sentence, run=run, verb="Forget it", busy="Forgetting…", danger=True)
        self.app.push_screen(dialog, self._told(f"The key of {name} is forgotten."))

    def action_test(self) -> None:
        """Ask the venue about the chosen key."""
        row = self._chosen_key()
        if row is not None:
            asked = {"venue": row.venue, "account": row.account}
            self.operate("keys.test", asked, busy=f"asking {clean(row.venue)}", then=self._show_test)

    def _show_test(self, told: KeyTest) -> None:
        title = f"Key of {told.venue}/{told.account}"
        self.app.push_screen(SheetDialog(title, figures.answer_lines(told, self.deck.zone), danger=bool(told.warnings)))

    def action_unlock(self) -> None:
        """Open the keys' file."""
        view = self._known_keys()
        if view is None:
            return
        if not view.has_passphrase or not view.exists:
            self.notify(f"The keys are in {clean(view.place)}; there is nothing to unlock.", markup=False)
        elif view.state == "open":
            self.notify("The keys are open already.", markup=False)
        else:
            self.app.push_screen(UnlockForm(self.deck, view), self._told("The keys are open."))

    def action_lock(self) -> None:
        """Forget the keys until they are unlocked again."""
        view = self._known_keys()
        if view is None:
            return
        link, request_id = self.deck.link, new_request_id()

        async def run() -> Any:
            return await link.call("keys.lock", request_id=request_id)

        sentence = "Forget all keys until they are unlocked again. What is connected stays so until it connects again."
        dialog = ConfirmDialog("Lock the keys", sentence, run=run, verb="Lock", busy="Locking…", danger=True)
        self.app.push_screen(dialog, self._told("The keys are locked."))

    # --- real money

    def _chosen_account(self) -> LiveAccountRow | None:
        accounts = self._live.accounts if self._live is not None else ()
        key = self.query_one("#live", LiveTable).cursor_key
        found = next((row for row in accounts if row.account == key), None)
        return found or next(iter(accounts), None)

    def action_consent(self) -> None:
        """Let the chosen account trade real money."""
        if not self.deck.may_act():
            return
        row = self._chosen_account()
        if row is None:
            self.notify("No account is live; set mode = 'live' for a venue first.", markup=False)
        elif row.consented:
            words = f"{row.words} is agreed to already; `quarterdeck live withdraw {row.account}` takes it back."
            self.notify(clean(words), markup=False)
        else:
            self.app.push_screen(ConsentForm(self.deck, row), self._told(f"{clean(row.words)} is agreed to."))

    def action_arm(self) -> None:
        """Arm this console."""
        row = self._chosen_account()
        self.deck.armed.ask(str(row.account) if row is not None else "", then=self.look)

    def action_disarm(self) -> None:
        """Disarm this console."""
        self.deck.armed.disarm(then=self.look)

    def on_live_table_row_selected(self, event: LiveTable.RowSelected) -> None:
        """Do what suits the table: test the key, agree to the account or arm for it."""
        event.stop()
        row = self._chosen_account()
        if event.table.id == "keys":
            self.action_test()
        elif event.table.id == "live" and row is not None:
            (self.action_arm if row.consented else self.action_consent)()

    # --- alerts

    def action_alert(self) -> None:
        """Send a test through every channel."""
        if not self.deck.may_act():
            return
        link, request_id = self.deck.link, new_request_id()

        async def run() -> Any:
            return await link.call("alerts.test", request_id=request_id)

        count = len(self._channels)
        if not count:
            self.notify(NO_CHANNEL, markup=False)
            return
        sentence = f"Send a test through {'the channel' if count == 1 else f'all {count} channels'} of alerts."
        dialog = ConfirmDialog("Test alerts", sentence, run=run, verb="Send", busy="Sending…")
        self.app.push_screen(dialog, self._sent)

    def _sent(self, rows: Sequence[ChannelRow] | None) -> None:
        if rows is None:
            return
        bad = [row for row in rows if row.problem]
        words = f"{clean(bad[0].name)}: {clean(bad[0].problem)}" if bad else "The test was sent."
        self.notify(words, severity="error" if bad else "information", markup=False)
        self._take_channels(rows)
