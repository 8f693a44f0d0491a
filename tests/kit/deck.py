"""The whole console over a fake link, with a clock that a test moves: for pilots and pictures.

async with console(size=(80, 24)) as deck:
    await deck.press("4")
    assert "BTC/USDT" in deck.text()
    deck.pass_guard()                  # dialogs take keys from now on
"""

from __future__ import annotations

import asyncio
import re
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from console.app import QuarterdeckApp
from console.preferences import Preferences
from screens.base import DeckScreen
from screens.dialogs import GUARD_S
from tests.kit.doors import DoorLink, door_to
from tests.kit.fake_link import FakeLink
from widgets.stylesheet import KeptStylesheet

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from textual.css.model import RuleSet
    from textual.css.types import CSSLocation
    from textual.pilot import Pilot

    from console.ending import ExitIntent

__all__ = ["Console", "DeckApp", "FakeTime", "console", "idle", "make_app", "quick"]


STEP_S = 0.005
QUIET_TURNS = 3
MOST_TURNS = 2000


async def idle(*_: float) -> None:
    """Let the event loop turn until nothing is left to do at once: every message heard, every reply read."""
    loop: Any = asyncio.get_running_loop()
    quiet = 0
    for _turn in range(MOST_TURNS):
        await asyncio.sleep(0)
        # What waits for a timer or for another thread does not count.
        quiet = 0 if loop._ready else quiet + 1
        if quiet == QUIET_TURNS:
            return


_rules: dict[tuple[object, ...], list[RuleSet]] = {}
_parse = KeptStylesheet._parse_rules


def _parse_once(
    sheet: KeptStylesheet,
    css: str,
    read_from: CSSLocation,
    is_default_rules: bool = False,
    tie_breaker: int = 0,
    scope: str = "",
) -> list[RuleSet]:
    """The rules of a style sheet, parsed once for all consoles with the same variables."""
    source = css, read_from, is_default_rules, tie_breaker, scope
    key = (*source, tuple(sorted(sheet._variables.items())))
    if key not in _rules:
        _rules[key] = _parse(sheet, *source)
    return _rules[key]


@contextmanager
def quick() -> Iterator[None]:
    """Let consoles of tests do without what only repeats: Textual's naps for every key, and parsing style sheets."""
    with (
        patch("textual.app.wait_for_idle", idle),
        patch("textual.pilot.wait_for_idle", idle),
        patch.object(KeptStylesheet, "_parse_rules", _parse_once),
    ):
        yield


class FakeTime:
    """Steady seconds that pass when told."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


def make_app(link: FakeLink | None = None, time: FakeTime | None = None, **preferences: Any) -> DeckApp:
    """Build the app over a fake link, with time standing still."""
    return DeckApp(door_to(link or FakeLink()), preferences=Preferences(**preferences), steady=time or FakeTime())


class DeckApp(QuarterdeckApp):
    """The console, with the end of a link that was made for it alone."""

    async def run_async(self, *args: Any, **options: Any) -> ExitIntent | None:
        """Run, and close the link."""
        try:
            return await super().run_async(*args, **options)
        finally:
            await self.leave()

    async def leave(self) -> None:
        """Close the link."""
        if isinstance(self.link, DoorLink):
            await self.link.close()


@dataclass
class Console:
    """A running console."""

    app: QuarterdeckApp
    pilot: Pilot[ExitIntent]
    link: FakeLink
    time: FakeTime

    async def press(self, *keys: str) -> None:
        """Press keys and let what follows from each settle."""
        for key in keys:
            await self.app._press_keys([key])
            await self.settle()

    async def settle(self) -> None:
        """Let calls be answered and drawings be made."""
        await self._refresh()
        self.paint()
        await self._refresh()

    async def _refresh(self) -> None:
        """Do what Textual's own timer would do a sixtieth of a second later, and once more what follows from that."""
        for _ in range(2):
            await idle()
            self.app.screen._on_timer_update()
        await idle()

    def paint(self) -> None:
        """Draw what the paint timer would draw."""
        screen = self.app.deck_screen
        if screen is not None and screen.is_mounted:
            screen.paint()

    def pass_guard(self) -> None:
        """Let the moment pass in which a new dialog takes no key."""
        self.time.seconds += GUARD_S * 1.1

    @property
    def screen(self) -> DeckScreen:
        """The screen in sight."""
        screen = self.app.deck_screen
        assert screen is not None
        return screen

    def text(self) -> str:
        """The terminal's text as it would be drawn, dialogs included."""
        screen = self.app.screen
        width, height = self.app.size
        lines = screen._compositor.render_strips()
        assert len(lines) == height
        for line in lines:
            assert sum(segment.cell_length for segment in line) == width
        return "\n".join("".join(segment.text for segment in line) for line in lines)

    def words(self) -> str:
        """The text of the dialog on top, or of the screen, without frames and line breaks."""
        screen = self.app.screen
        box = screen.query("#box").first().region if screen.query("#box") else screen.region
        lines = [line[box.x : box.right] for line in self.text().splitlines()[box.y : box.bottom]]
        return " ".join(re.sub("[─│╭╮╰╯]", " ", " ".join(lines)).split())

    def dialog(self) -> str:
        """Name of the dialog on top; empty when there is none."""
        screen = self.app.screen
        return "" if isinstance(screen, DeckScreen) else type(screen).__name__

    async def resize(self, width: int, height: int) -> None:
        """Give the terminal another size; the app waits a moment for more of it before it arranges itself."""
        await self.pilot.resize_terminal(width, height)
        await self.until(lambda: self.app.screen._compositor.size == (width, height))

    async def until(self, condition: Callable[[], bool], seconds: float = 5.0) -> None:
        """Wait for something that a timer or a thread does."""
        for _ in range(int(seconds / STEP_S)):
            if condition():
                return
            await asyncio.sleep(STEP_S)
            await self.settle()
        raise AssertionError("what was waited for did not happen")


@asynccontextmanager
async def console(
    link: FakeLink | None = None, size: tuple[int, int] = (80, 24), **preferences: Any
) -> AsyncIterator[Console]:
    """Run the console; a failure that it reported instead of dying fails the test."""
    link, time = link or FakeLink(), FakeTime()
    app = make_app(link, time, **preferences)
    with quick():
        async with app.run_test(size=size, notifications=True) as pilot:
            deck = Console(app, pilot, link, time)
            # the instruments, then the topics of the first of them, then their first data
            for _ in range(3):
                await deck.settle()
            try:
                yield deck
            finally:
                await app.leave()
            failures = list(app.failures)
    if failures:
        raise failures[0][1]
