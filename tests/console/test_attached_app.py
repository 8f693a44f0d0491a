"""A console on another process: it leaves at once, only looks when told so, and finds the engine again."""

from __future__ import annotations

import subprocess
import sys

import pytest

from console.ending import ExitIntent
from console.errands import READ_ONLY
from tests.kit.deck import console
from tests.kit.fake_link import FakeLink

SCREENS = ["dashboard", "bots", "portfolio", "market", "risk", "backtests", "settings"]
MUTATING = {"orders.place", "orders.cancel", "orders.cancel_all", "bots.create", "bots.start", "bots.stop"}


@pytest.mark.parametrize("before", [[], ["4", "b"], ["q"], ["ctrl+p"], ["question_mark"], ["2", "slash"]])
async def test_one_key_detaches_from_wherever_one_is(before: list[str]) -> None:
    async with console() as deck:
        await deck.press(*before)
        await deck.pilot.press("ctrl+g")
        assert deck.app.return_value is ExitIntent.DETACH
        assert {call.operation for call in deck.link.calls} & MUTATING == set()


async def test_read_only_is_on_every_screen_and_nothing_is_sent() -> None:
    async with console(link=FakeLink(state="attached"), attached=True, read_only=True) as deck:
        for number in range(len(SCREENS)):
            await deck.press(str(number + 1))
            assert " READ-ONLY " in deck.text().splitlines()[0]
        await deck.press("2", "p", "4", "b")
        assert READ_ONLY in [toast.message for toast in deck.app._notifications]
        await deck.press("ctrl+x")
        assert "EMERGENCY" not in deck.text(), "it would be refused, and seconds count"
        assert {call.operation for call in deck.link.calls} & MUTATING == set()


async def test_the_words_of_leaving_are_true_where_they_are_said() -> None:
    async with console() as deck:
        await deck.press("q")
        assert "Leave the engine running" in deck.text()
    async with console(link=FakeLink(state="attached"), attached=True) as deck:
        await deck.press("q")
        assert "Leave this console" in deck.text()
        assert "Stop and cancel all orders" in deck.text()
    async with console(link=FakeLink(state="attached"), attached=True, read_only=True) as deck:
        await deck.press("q")
        assert "Leave this console" in deck.text()
        assert "Stop" not in deck.text().replace("STOP", "")


async def test_a_lost_engine_is_looked_for_and_its_return_is_said() -> None:
    async with console(link=FakeLink(state="attached"), attached=True) as deck:
        deck.link.state = "lost"
        await deck.settle()
        assert "LINK LOST, looking: old data, actions off" in deck.text()
        deck.app._catch_up()
        deck.link.state = "attached"
        deck.app._catch_up()
        deck.app._catch_up()
        await deck.settle()
        said = [toast.message for toast in deck.app._notifications]
        assert len([text for text in said if "there again" in text]) == 1


async def test_a_greeting_is_shown() -> None:
    async with console(greeting="An engine runs here already.") as deck:
        assert "An engine runs here already." in [toast.message for toast in deck.app._notifications]


def test_nothing_of_the_engine_but_its_nouns_is_loaded() -> None:
    code = "import sys, console.attach, engine.control.client, console.stage, console.app; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    heavy = {"pydantic", "numpy", "pandas", "ccxt", "sqlalchemy", "pyarrow", "structlog", "storage", "strategies"}
    assert loaded & heavy == set()
    rooms = {name for name in loaded if name.startswith("engine.") and name.count(".") == 1}
    assert rooms <= {"engine.model", "engine.control", "engine.errors", "engine.clock", "engine.events"}
