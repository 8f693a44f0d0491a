"""The whole console over a fake link, with a clock that a test moves: for pilots and pictures.

async with console(size=(80, 24)) as deck:
    await deck.press("4")
    assert "BTC/USDT" in deck.text()
    deck.pass_guard()                  # dialogs take keys from now on
"""

from __future__ import annotations

import asyncio
import re
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from console.app import QuarterdeckApp
from console.preferences import Preferences
from screens.base import DeckScreen
from screens.dialogs import GUARD_S
from tests.kit.fake_link import FakeLink

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from textual.pilot import Pilot

    from console.ending import ExitIntent

__all__ = ["Console", "FakeTime", "console", "make_app"]


class FakeTime:
    """Steady seconds that pass when told."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


def make_app(link: FakeLink | None = None, time: FakeTime | None = None, **preferences: Any) -> QuarterdeckApp:
    """Build the app over a fake link, with time standing still."""
    chosen = Preferences(**preferences)
    return QuarterdeckApp(link or FakeLink(), preferences=chosen, steady=time or FakeTime())


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
            await self.pilot.press(key)
            await self.settle()

    async def settle(self) -> None:
        """Let calls be answered and drawings be made."""
        await self._turns()
        await self.pilot.pause()
        self.paint()
        await self._turns()

    async def _turns(self, count: int = 30) -> None:
        for _ in range(count):
            await asyncio.sleep(0)

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

    async def until(self, condition: Callable[[], bool], turns: int = 200) -> None:
        """Wait, turn by turn, for something that takes a few."""
        for _ in range(turns):
            if condition():
                return
            await asyncio.sleep(0)
            await self.pilot.pause()
        raise AssertionError("what was waited for did not happen")


@asynccontextmanager
async def console(
    link: FakeLink | None = None, size: tuple[int, int] = (80, 24), **preferences: Any
) -> AsyncIterator[Console]:
    """Run the console; a failure that it reported instead of dying fails the test."""
    link, time = link or FakeLink(), FakeTime()
    app = make_app(link, time, **preferences)
    async with app.run_test(size=size, notifications=True) as pilot:
        deck = Console(app, pilot, link, time)
        # the instruments, then the topics of the first of them, then their first data
        for _ in range(3):
            await deck.settle()
        yield deck
        failures = list(app.failures)
    if failures:
        raise failures[0][1]
