"""The console as a Textual app: wiring only, from an engine link to the screens."""

from __future__ import annotations

import logging
import time
import traceback
from collections import deque
from typing import TYPE_CHECKING, Any, ClassVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from textual._context import active_message_pump
from textual.screen import Screen
from textual.widget import Widget

from console.actions import bindings
from console.app_actions import Commands
from console.armed import ArmedState
from console.errands import LOST, READ_ONLY, Errands
from console.hosted import HostedApp
from console.instruments import KnownInstruments
from console.keymap import Keymap
from console.keys import take_key
from console.modes import modes
from console.news import News
from console.preferences import Preferences
from console.replaying import PAST, Replaying
from console.store import Store
from console.switch import SwitchLink
from console.warm import warm_styles
from screens.base import DeckScreen
from screens.dialogs import Dialog, ErrorDialog
from screens.where import HERE, where_of
from themes import DEFAULT_THEME, load_themes, variable_defaults

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rich.console import RenderableType
    from textual.binding import BindingType
    from textual.dom import DOMNode
    from textual.driver import Driver
    from textual.events import Event

    from engine.control.link import EngineLink
    from engine.control.views import InstrumentRow
    from screens.where import Where

__all__ = ["QuarterdeckApp"]

logger = logging.getLogger(__name__)

NS = 1_000_000_000
SILENT_S = 5.0
CATCH_UP_S = 1.0
FAILURES_KEPT = 20


class QuarterdeckApp(Commands, HostedApp, inherit_bindings=False):
    """The console.

    Args:
        link: The way to the engine.
        driver_class: What draws; None lets Textual choose, as in tests.
        preferences: How the person wants it.
        steady: Seconds on a scale that never goes back.
    """

    TITLE = "Quarterdeck"
    ENABLE_COMMAND_PALETTE = False
    MODES = modes()
    BINDINGS: ClassVar[list[BindingType]] = bindings("app", "replay")
    CSS: ClassVar[str] = """
    * { scrollbar-size: 1 1; scrollbar-color: $faint; scrollbar-background: $background; }
    Toast { background: $panel; border-left: outer $brass; padding: 0 1; max-width: 56; }
    Toast.-warning { border-left: outer $warn; }
    Toast.-error { border-left: outer $breach; }
    ToastRack { align-horizontal: right; margin-bottom: 1; }
    """

    def __init__(
        self,
        link: EngineLink,
        driver_class: type[Driver] | None = None,
        *,
        preferences: Preferences | None = None,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(driver_class=driver_class)
        self.animation_level = "none"
        self.preferences = preferences or Preferences()
        self.link = SwitchLink(link)
        self.steady = steady
        self.store = Store(self.link, steady)
        self.status = self.store.prepare("engine.status")
        self.keymap = Keymap(self.preferences.keys)
        self.errands = Errands(self)
        self.news = News(self)
        self.armed = ArmedState(self)
        self.replaying = Replaying(self)
        self.paint_hz = max(1.0, min(10.0, self.preferences.frames_per_second))
        self.privacy = self.preferences.privacy
        self.ascii_glyphs = self.preferences.ascii_glyphs
        self._was_lost = False
        self.instruments = KnownInstruments()
        self.instrument: str = ""
        """The instrument chosen last, on whichever screen."""
        self.failures: deque[tuple[str, BaseException]] = deque(maxlen=FAILURES_KEPT)
        """What went wrong in the console itself, newest last."""
        self.zone, self.zone_name = _zone(self.preferences.time_zone)
        self._current_mode = self.preferences.screen
        self._screen_stacks = {self._current_mode: []}
        for theme in load_themes():
            self.register_theme(theme)
        wanted = self.preferences.theme
        self.theme = wanted if wanted in self.available_themes else DEFAULT_THEME
        self._css_variables = self.get_css_variables()
        self.stylesheet.set_variables(self._css_variables)

    # --- what screens use

    @property
    def deck_screen(self) -> DeckScreen | None:
        """The screen in sight, be it behind a dialog."""
        return next((screen for screen in reversed(self.stack()) if isinstance(screen, DeckScreen)), None)

    def now(self) -> int:
        """The engine's clock, UTC nanoseconds, as far as the console can know it; 0 before the engine has spoken."""
        status, received = self.status.data, self.status.received
        if self.link.state == "replay":
            view = self.replaying.view
            return view.ts if view is not None else 0
        if status is None or received is None:
            return 0
        return int(status.now) + int((self.steady() - received) * NS)

    @property
    def where(self) -> Where:
        """How rows say of which venue and account they are."""
        status = self.status.data
        return HERE if status is None else where_of(status.places)

    def warning(self) -> str:
        """What makes the shown data doubtful; empty while all is well."""
        if self.link.state == "lost":
            search = ", looking" if self.preferences.attached else ""
            return f"LINK LOST{search}: old data, actions off"
        status, received = self.status.data, self.status.received
        if self.link.state == "replay":
            return "THE PAST: nothing here can be changed"
        if received is not None and self.steady() - received > SILENT_S:
            return "THE ENGINE IS SILENT"
        if status is not None and status.failure:
            return f"ENGINE HALTED: {status.failure}"
        if status is not None and status.care:
            return f"CARE: {status.care}"
        return ""

    def may_act(self) -> bool:
        """Tell whether the engine can be asked to do something; says so when it cannot."""
        if self.link.state == "lost":
            self.notify(LOST, severity="error", markup=False)
            return False
        if self.link.state == "replay":
            self.notify(PAST, severity="warning", markup=False)
            return False
        if self.preferences.read_only:
            self.notify(READ_ONLY, severity="warning", markup=False)
            return False
        return True

    def operate(self, operation: str, params: Mapping[str, Any] | None = None, **how: Any) -> None:
        """See `DeckScreen.operate`."""
        self.errands.operate(operation, params, **how)

    def ask(self, node: DOMNode, operation: str, params: Mapping[str, Any] | None = None, **how: Any) -> None:
        """See `DeckScreen.ask`."""
        self.errands.ask(node, operation, params, **how)

    def report(self, error: Exception, where: str) -> bool:
        """Show a failure of the console itself, log it, and go on.

        Returns:
            Whether the console can go on; False when failures come so fast that it cannot be used.
        """
        logger.error("the console failed: %s", where, exc_info=error)
        known = any(place == where and str(before) == str(error) for place, before in self.failures)
        self.failures.append((where, error))
        if not self._running or len([1 for place, _ in self.failures if place == where]) >= FAILURES_KEPT:
            return False
        if not known:
            trace = "".join(traceback.format_exception(error))
            name = type(error).__name__
            self.push_screen(ErrorDialog("The console made a mistake", f"{where}: {name}: {error}", trace))
        return True

    def begin_anew(self) -> None:
        """Show another engine, or another moment of the past: nothing of what was known before counts."""
        self.store.forget()
        self.news.begin_anew()
        self.armed.forget()
        self.link.renew()
        self.load_instruments()
        for stack in self._screen_stacks.values():
            for screen in stack:
                if isinstance(screen, DeckScreen):
                    screen.begin_anew()

    # --- for Textual

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """The keys of the replay mean something in the past only."""
        return self.replaying.active if action.startswith("replay_") else True

    async def on_load(self) -> None:
        """Read all style sheets before there is anything to style."""
        await warm_styles(self)

    def refresh_css(self, animate: bool = True) -> None:
        """Style everything again; the style sheets themselves are read again only when a colour has changed."""
        variables = self.get_css_variables()
        if variables != self._css_variables:
            self._css_variables = variables
            super().refresh_css(animate)
        elif self._screen_stack:
            self.stylesheet.update(self, animate=animate)

    def on_mount(self) -> None:
        """Follow what every screen shows, and say what of the settings could not be taken."""
        self.set_keymap(self.keymap.overrides)
        self.status.open()
        self.news.start()
        if self.replaying.alone:
            self.replaying.follow()
        self.load_instruments()
        self.set_interval(CATCH_UP_S, self._catch_up, name="catch up")
        for problem in self.keymap.problems:
            self.notify(problem, title="Keys", severity="warning", timeout=15, markup=False)
        if self.preferences.greeting:
            self.notify(self.preferences.greeting, markup=False)
        if self.preferences.theme != self.theme:
            self.notify(f"There is no theme {self.preferences.theme!r}.", severity="warning", markup=False)

    def load_instruments(self, *, show: str = "") -> None:
        """Ask for the instruments whose markets are kept, and look at one of them."""

        def take(rows: list[InstrumentRow]) -> None:
            strange = self.instrument and self.instrument not in self.instruments
            self.instruments.take(rows)
            if strange and self.instrument not in self.instruments:
                self.notify(
                    f"{self.instrument} is not watched; {self.keymap.label('market.watch')} on Market adds it.",
                    severity="warning",
                    markup=False,
                )
            if show in self.instruments:
                self.instrument = show
            if self.instrument not in self.instruments:
                self.instrument = next(iter(self.instruments), "")
            if self.deck_screen is not None and show:
                self.deck_screen.choose(show)

        self.instruments.ask(self.steady())
        self.ask(self, "instruments.list", then=take)

    def renew_instruments(self) -> None:
        """Read the list again when one was shown that is not in it."""
        if self.instruments.due(self.steady()) and self.link.state != "lost":
            self.load_instruments()

    def _catch_up(self) -> None:
        """Ask again for what could not be had while the link was lost, and say when it is back."""
        was_lost, self._was_lost = self._was_lost, self.link.state == "lost"
        if self._was_lost:
            self.armed.forget()
        if was_lost and not self._was_lost:
            self.notify("The engine is there again; everything shown is its present state.", markup=False)
        if not self.instruments and self.link.state != "lost":
            self.load_instruments()

    async def on_unmount(self) -> None:
        """Leave every topic."""
        self.news.stop()
        self.store.close()
        await self.replaying.stop()

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """Give foreign themes our own colours."""
        return variable_defaults(dark=self.current_theme.dark)

    def stack(self) -> list[Screen[Any]]:
        """The screens on top of each other, the visible one last."""
        return list(self._screen_stacks.get(self._current_mode, ()))

    def _display(self, screen: Screen[Any], renderable: RenderableType | None) -> None:
        held = bool(self._batch_count)
        super()._display(screen, renderable)
        if isinstance(screen, Dialog) and renderable is not None and screen.is_drawn and not held:
            screen.note_drawn()

    async def on_event(self, event: Event) -> None:
        """Work off keys in fields in the order in which they were pressed."""
        if not await take_key(self, event):
            await super().on_event(event)

    async def _dispatch_action(self, namespace: DOMNode, action_name: str, params: Any) -> bool:
        try:
            return await super()._dispatch_action(namespace, action_name, params)
        except Exception as error:
            # Every key ends here: its failure would end the message loop of whoever had the focus.
            if not self.report(error, where=f"action {action_name}"):
                raise
            return True

    def _handle_exception(self, error: Exception) -> None:
        pump = active_message_pump.get(None)
        widget = isinstance(pump, Widget) and not isinstance(pump, Screen)
        if widget and self.report(error, where=f"widget {type(pump).__name__}"):
            return
        super()._handle_exception(error)


def _zone(name: str) -> tuple[ZoneInfo, str]:
    try:
        return ZoneInfo(name), name.rpartition("/")[2].replace("_", " ")
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ZoneInfo("UTC"), "UTC"
