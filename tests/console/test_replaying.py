"""The past on the screens: the same screens, unmistakably the past, moved by keys, and the way back to the present."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from engine.control.replay.host import ReplayHost, build_replay
from engine.control.views import Activity
from engine.errors import NotFoundError, QuarterdeckError
from screens.emergency import EmergencyDialog
from screens.replay import GoDialog, LeaveReplayDialog
from screens.replay_bar import ReplayBar
from storage.journal import Query, Reader
from tests.control.house import BTC, deck
from tests.kit.deck import Console, console
from tests.kit.fake_link import FakeLink
from tests.kit.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from engine.control.local import LocalLink


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A session in which something was bought and an order left open."""
    folder = tmp_path_factory.mktemp("past")

    async def live() -> None:
        async with deck(folder) as on:
            await on.market(quantity="0.003")
            await on.limit(quantity="0.001")
            await on.call("bots.create", name="one", strategy="trend_following", instrument=BTC, capital="500")
            await on.market(side="sell", quantity="0.001")

    asyncio.run(live())
    return folder


def first_fill(home: Path) -> int:
    """Number of the first execution."""
    reader = Reader(home / "journal.db")
    found = next(iter(reader.records(query=Query(kinds=("OrderFilled",)))))
    reader.close()
    return found.seq


class Door:
    """A replay in this very process."""

    def __init__(self, host: ReplayHost) -> None:
        self.host = host
        self.closed = False

    @property
    def link(self) -> LocalLink:
        return self.host.link()

    async def close(self) -> None:
        self.closed = True
        await self.host.stop()


class Past:
    """A console, and the replays that it opened."""

    def __init__(self, on: Console) -> None:
        self.on = on
        self.doors: list[Door] = []
        on.app.replaying.opener = self.open

    async def open(self, home: Path) -> Door:
        host = build_replay(home)
        await host.start()
        door = Door(host)
        door.link_once = host.link()  # type: ignore[attr-defined]
        self.doors.append(door)
        return door

    @property
    def seq(self) -> int:
        view = self.on.app.replaying.view
        return view.seq if view is not None else 0

    async def enter(self, **where: int) -> None:
        await self.on.app.replaying.enter(where)
        await self.until(lambda: self.on.app.status.data is not None and self.on.app.replaying.view is not None)

    async def until(self, condition: Any) -> None:
        for _ in range(100):
            await self.on.settle()
            if condition():
                return
            await asyncio.sleep(0.01)
        raise AssertionError(f"what was waited for did not happen:\n{self.on.text()}")


@asynccontextmanager
async def past(home: Path, link: FakeLink | None = None, **more: Any) -> AsyncIterator[Past]:
    async with console(link, home=home, size=(120, 40), **more) as on:
        found = Past(on)
        yield found
        for door in found.doors:
            if not door.closed:
                await door.close()


async def test_a_moment_is_asked_for_and_shown_on_the_same_screens(home: Path) -> None:
    async with past(home) as there:
        on = there.on
        await on.app.run_action("app.replay")
        await there.until(lambda: isinstance(on.app.screen, GoDialog))
        assert there.doors[0].closed, "what was opened to ask for the sessions is closed again"
        on.pass_guard()
        await on.press(*"1")
        await on.press("backspace", *"2h ago")
        assert isinstance(on.app.screen, GoDialog)
        await on.press("escape")
        await there.enter(session=1)
        await there.until(lambda: "REPLAY" in on.text() and " of " in on.text())
        text = on.text()
        assert "THE PAST: nothing here can be changed" in text
        assert f"fact {there.seq} of " in text
        await there.until(lambda: "– is not rec" in on.text())
        assert on.app.link.state == "replay"


async def test_keys_step_and_the_screens_follow(home: Path) -> None:
    async with past(home, screen="portfolio") as there:
        on = there.on
        await there.enter(session=1)
        before = there.seq
        await on.press("full_stop")
        await there.until(lambda: there.seq == before + 1)
        await on.press("greater_than_sign")
        at_fill = first_fill(home)
        await there.until(lambda: there.seq == at_fill and "Fills 1" in on.text())
        await on.press("comma")
        await there.until(lambda: there.seq == at_fill - 1)
        await there.until(lambda: "Fills 0" in on.text() and "No open positions" in on.text())
        await on.press("less_than_sign")
        await there.until(lambda: "no earlier fact" in on.text())
        await on.press("right_curly_bracket")
        # The session lasted for less than a second.
        await there.until(lambda: "end of what was recorded" in getattr(on.app.replaying.view, "note", ""))
        await there.until(lambda: "Fills 2" in on.text())
        await on.press("space")
        await there.until(lambda: on.app.replaying.view is not None and not on.app.replaying.view.playing)


async def test_what_was_not_recorded_says_so_on_the_market(home: Path) -> None:
    async with past(home, screen="market") as there:
        await there.enter(session=1)
        there.on.app.instrument = BTC
        await there.until(lambda: there.on.text().count("Not recorded.") == 3)
        there.on.app.replaying.leave()
        await there.until(lambda: "Not recorded." not in there.on.text())


async def test_nothing_can_be_done_in_the_past(home: Path) -> None:
    link = FakeLink()
    async with past(home, link, screen="market") as there:
        on = there.on
        await there.enter(session=1)
        await there.until(lambda: bool(on.app.instruments))
        await on.press("b")
        assert "This is the past" in on.text()
        assert on.dialog() == ""
        before = len(link.calls)
        on.app.operate("orders.cancel_all", {})
        await on.settle()
        assert len(link.calls) == before


async def test_back_in_the_present_everything_is_the_engines_again(home: Path) -> None:
    async with past(home) as there:
        on = there.on
        present = on.text()
        assert "PAPER" in present
        await there.enter(session=1)
        await there.until(lambda: "REPLAY" in on.text())
        await on.press("backspace")
        await there.until(lambda: "PAPER" in on.text() and "REPLAY" not in on.text())
        assert on.app.link.state == "embedded"
        assert not on.screen.query_one(ReplayBar).display
        await there.until(lambda: there.doors[-1].closed)
        # The keys of the replay mean nothing in the present.
        await on.press("full_stop", "space")
        assert there.seq == 0


async def test_the_emergency_stop_is_of_the_present(home: Path) -> None:
    link = FakeLink()
    async with past(home, link) as there:
        on = there.on
        await there.enter(session=1)
        await on.press("ctrl+x")
        await there.until(lambda: isinstance(on.app.screen, EmergencyDialog))
        assert on.app.link.link is link


async def test_leaving_asks_for_the_present_or_the_console(home: Path) -> None:
    async with past(home) as there:
        on = there.on
        await there.enter(session=1)
        await on.press("q")
        assert isinstance(on.app.screen, LeaveReplayDialog)
        on.pass_guard()
        await on.press("b")
        await there.until(lambda: on.app.link.state == "embedded")


async def test_what_is_grave_in_the_present_is_told_in_the_past(home: Path) -> None:
    link = FakeLink()
    async with past(home, link) as there:
        await there.enter(session=1)
        link.publish(
            "facts.activity",
            Activity(
                seq=9_000,
                ts=1,
                kind="TradingStateChanged",
                severity="critical",
                text="The account is halted",
                owner="",
                instrument="",
            ),
        )
        await there.until(lambda: "In the present" in there.on.text())
        assert "The account is halted" in there.on.text()


async def test_a_past_that_cannot_be_opened_is_said_and_the_present_stays(home: Path, tmp_path: Path) -> None:
    async with past(tmp_path) as there:

        async def fails(_: Path) -> Any:
            raise NotFoundError("There is no journal here.")

        there.on.app.replaying.opener = fails
        await there.on.app.replaying.enter({})
        await there.on.settle()
        assert "There is no journal here." in there.on.text()
        assert there.on.app.link.state == "embedded"
    async with past(home) as there:
        await there.on.app.replaying.enter({"seq": 10**9})
        await there.on.settle()
        assert "its last one" in there.on.text()
        assert there.on.app.link.state == "embedded"
        assert there.doors[0].closed


async def test_the_process_says_why_it_cannot_start(tmp_path: Path) -> None:
    from console.replay_process import open_replay

    with pytest.raises(QuarterdeckError, match="nothing was recorded"):
        await open_replay(tmp_path)


async def test_a_replay_in_a_process_of_its_own_is_a_replay(home: Path) -> None:
    from console.replay_process import open_replay

    door = await open_replay(home)
    try:
        assert door.link.state == "replay"
        view = await door.link.call("replay.seek", {"session": 1})
        assert view.ts == view.first_ts
        with pytest.raises(QuarterdeckError):
            await door.link.call("orders.cancel_all", {})
    finally:
        await door.close()
    assert list((home / "run").glob("replay-*")) == []


def test_the_command_opens_a_console_on_the_past_and_lists_and_tells_it(home: Path) -> None:
    command = [sys.executable, "-c", "from console.cli import main; main()", "--home", str(home), "replay"]
    terminal = Terminal([*command, "--session", "1"], (120, 40))
    try:
        terminal.until(lambda: "REPLAY" in terminal.text() and "fact" in terminal.text())
        terminal.type("q")
        assert terminal.end() == 0
    finally:
        terminal.close()
    known = json.loads(subprocess.run([*command, "--session", "1", "--json"], capture_output=True, check=True).stdout)
    assert known["replay"]["ts"] == known["replay"]["first_ts"]
    assert known["orders.list"] == []
    listed = subprocess.run([*command, "--list", "--json"], capture_output=True, check=True).stdout
    assert [row["number"] for row in json.loads(listed)] == [1]
    refused = subprocess.run([*command, "--fact", "1000000", "--json"], capture_output=True)
    assert refused.returncode == 1
    assert b"its last one" in refused.stderr
