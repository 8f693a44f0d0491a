"""What frames every screen: the status line's figures, the bar of screens, the bar of keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from console.actions import SCREENS, actions_of, find_action
from screens.formats import MASK, clock, number
from screens.mode import mode_word
from widgets.line_widget import LineBuilder, LineWidget
from widgets.text import clean, fit, width_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual import events
    from textual.strip import Strip

    from console.app import QuarterdeckApp
    from engine.control.views import EngineStatus
    from widgets.status_line import StatusLine

__all__ = ["KeyBar", "NavBar", "show_status"]

HOUSE = "Quarterdeck"
STATUS_SILENT_S = 5.0
"""The engine speaks at least once a second; after this long its figures are old."""


class NavBar(LineWidget):
    """The screens with their keys, the one shown marked; at the right what is wrong, else the house's name."""

    DEFAULT_CSS: ClassVar[str] = """
    NavBar { height: 1; padding: 0 1; background: $surface; }
    """

    def __init__(self, current: str) -> None:
        super().__init__()
        self._current = current
        self._warning = ""
        self._ends: list[tuple[int, str]] = []

    def warn(self, text: str) -> None:
        """Show a warning at the right; empty takes it back."""
        if text != self._warning:
            self._warning = text
            self.mark()

    def lines(self, width: int, height: int) -> Sequence[Strip]:
        """Return the bar."""
        app: QuarterdeckApp = self.app  # type: ignore[assignment]  # the bar hangs in no other app
        screens = SCREENS if self._current in SCREENS else (*SCREENS, self._current)
        names = [(name, app.keymap.label(f"app.{name}"), find_action(f"app.{name}").label) for name in screens]
        warning = f" {self.glyphs.warn} {clean(self._warning)} " if self._warning else ""
        # A warning must be read whole, and so must the name of a screen that the bar has no place for otherwise.
        brief = sum(width_of(key) + width_of(label) + 3 for _, key, label in names) + width_of(warning) >= width
        line, used = LineBuilder(self.palette), 0
        self._ends.clear()
        for name, key, label in names:
            here = name == self._current
            shown = f"{label} " if here or not (brief and (warning or screens is not SCREENS)) else ""
            line.add(f" {key} ", "cursor" if here else "accent").add(shown, "cursor" if here else "muted")
            used += width_of(key) + width_of(shown) + 2
            self._ends.append((used, name))
        room = max(0, width - used - 1)
        if warning:
            line.add(" ").add(fit(warning, min(room, width_of(warning))), "breach")
        elif width_of(HOUSE) <= room:
            line.add(fit(HOUSE, room + 1, "right"), "faint")
        return [line.strip(width)]

    async def on_click(self, event: events.Click) -> None:
        """Show the screen whose name is under the mouse."""
        offset = event.get_content_offset(self)
        if offset is not None:
            name = next((name for end, name in self._ends if offset.x < end), "")
            if name:
                await self.app.run_action(find_action(f"app.{name}").handler)


class KeyBar(LineWidget):
    """The most useful keys of the screen, and what is under way."""

    DEFAULT_CSS: ClassVar[str] = """
    KeyBar { height: 1; padding: 0 1; background: $surface; }
    """

    def __init__(self, scope: str) -> None:
        super().__init__()
        self._scope = scope
        self._busy = ""

    def busy(self, text: str) -> None:
        """Show what is under way; empty for nothing."""
        if text != self._busy:
            self._busy = text
            self.mark()

    def lines(self, width: int, height: int) -> Sequence[Strip]:
        """Return the bar: the screen's keys at the left, those of every screen at the right."""
        app: QuarterdeckApp = self.app  # type: ignore[assignment]  # the bar hangs in no other app
        # What cannot be done here at all is not offered.
        own = [
            action
            for action in actions_of(self._scope)
            if action.footer and app._check_action_state(action.handler, self.screen) is not False
        ]
        own.sort(key=lambda action: action.footer)
        common = sorted((action for action in actions_of("app") if action.footer), key=lambda action: action.footer)
        right = [(app.keymap.label(action.id), action.label, action.danger) for action in common]
        left = [(app.keymap.label(action.id), action.label, action.danger) for action in own]

        def cells(parts: list[tuple[str, str, bool]]) -> int:
            return sum(width_of(key) + width_of(label) + 3 for key, label, _ in parts)

        busy = f"{self.glyphs.follow} {clean(self._busy)} " if self._busy else ""
        while left and cells(left) + cells(right) + width_of(busy) > width + 2:
            left.pop()
        line = LineBuilder(self.palette)
        for key, label, _ in left:
            line.add(key, "accent").add(f" {label}  ", "muted")
        room = width - cells(left) - cells(right) + 2
        line.add(fit(busy, max(0, room), "right"), "warn")
        for key, label, danger in right:
            line.add(key, "accent").add(f" {label}  ", "breach" if danger and not self.palette.colourless else "muted")
        return [line.strip(width)]


def show_status(app: QuarterdeckApp, line: StatusLine, now: float) -> None:
    """Hand the status line what is known; `now` in the app's steady seconds."""
    status, received = app.status.data, app.status.received
    if status is None or received is None:
        line.show(
            link=app.link.state,
            read_only=app.preferences.read_only,
            clock=DASH_CLOCK,
            account="",
            armed="",
            equity="",
            feed_age_s=None,
            lag_ms=None,
        )
        return
    silent = max(0.0, now - received)
    lost = app.link.state == "lost"
    equity = MASK if app.privacy else number(status.equity)
    line.show(
        mode="REPLAY" if app.link.state == "replay" else mode_word(status),
        account=_account(status),
        link=app.link.state,
        read_only=app.preferences.read_only,
        feed_age_s=None if status.feed_age_ms is None else round(status.feed_age_ms / 1000 + _whole(silent), 1),
        lag_ms=None if lost or app.link.state == "replay" or silent > STATUS_SILENT_S else status.lag_ms,
        equity=f"{equity} {status.base_currency}",
        armed=app.armed.words(),
        halt="" if status.trading == "active" else status.trading.value.upper(),
        locked=", ".join(status.locked),
        away=", ".join(venue for venue in status.away if venue not in status.locked),
        alerts=status.open_breakers,
        clock=f"{clock(app.now() // NS * NS, app.zone)} {app.zone_name}",
    )


def _account(status: EngineStatus) -> str:
    """The account's name, where it says more than the mode does; how many there are, where there are several."""
    count = sum(bool(place.account) for place in status.places)
    if count > 1:
        return f"{count} accounts"
    return status.account if status.account != status.mode.value else ""


NS = 1_000_000_000
DASH_CLOCK = "--:--:--"


def _whole(silent: float) -> float:
    # Between two reports of the engine the age would tick in tenths, for nothing; a silence of seconds must show.
    return silent if silent > 2 else 0.0
