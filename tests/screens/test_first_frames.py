"""What a terminal shows after a screen has been changed is what the screen shows, to the last cell."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pyte
import pytest
from rich.color import ColorSystem

from console.actions import SCREENS
from console.preferences import Preferences
from tests.kit.deck import Console, DeckApp, FakeTime
from tests.kit.doors import door_to
from tests.kit.fake_link import FakeLink
from tests.widgets.counting import Counted

if TYPE_CHECKING:
    from textual.pilot import Pilot

    from console.ending import ExitIntent

SIZE = (80, 24)


class CountedConsole(Counted, DeckApp):
    """The console on a terminal that remembers."""


@pytest.mark.parametrize("screen", [name for name in SCREENS if name != "dashboard"])
@pytest.mark.parametrize("kind", ["full", "empty"])
async def test_a_screen_shown_for_the_first_time_arrives_whole(screen: str, kind: str) -> None:
    link, time = FakeLink(kind), FakeTime()
    app = CountedConsole(door_to(link), preferences=Preferences(), steady=time)
    app.console._color_system = ColorSystem.TRUECOLOR
    terminal = pyte.Screen(*SIZE)
    stream = pyte.ByteStream(terminal)
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        deck = Console(app, cast("Pilot[ExitIntent]", pilot), link, time)
        await deck.settle()
        app.switch_mode(screen)
        await deck.until(lambda: app.current_mode == screen and not app._batch_count)
        for _ in range(4):
            await deck.settle()

        def same() -> bool:
            stream.feed(app.counter.take())
            return "\n".join(terminal.display) == deck.text()

        await deck.until(same)
        await app.leave()
