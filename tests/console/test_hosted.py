"""What an app in the engine's process does for the loop that it shares."""

from __future__ import annotations

import asyncio
import gc
import itertools
from typing import TYPE_CHECKING, Any

import textual.notifications
from textual.message import Message
from textual.notifications import Notification, Notify
from textual.widgets._toast import Toast

from console.driver import QuarterdeckDriver
from console.hosted import SETTLED_S, SHORTEST_S, HostedApp
from widgets.composing import SLICE_S

if TYPE_CHECKING:
    import pytest


class Slow(Message):
    """Takes the whole of a slice to handle."""


class Busy(HostedApp):
    """Handles slow messages and notes between which the loop turned."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    async def on_slow(self) -> None:
        end = asyncio.get_running_loop().time() + SLICE_S * 1.5
        while asyncio.get_running_loop().time() < end:
            pass
        self.seen.append("message")
        asyncio.get_running_loop().call_soon(self.seen.append, "turn")


async def test_between_two_slow_messages_the_loop_turns() -> None:
    async with Busy().run_test() as pilot:
        app = pilot.app
        assert isinstance(app, Busy)
        for _ in range(3):
            app.post_message(Slow())
        await pilot.pause()
        assert app.seen[:4] == ["message", "turn", "message", "turn"]


async def test_what_a_session_keeps_is_taken_from_the_collector_once_it_has_settled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    app, timers = HostedApp(), list[tuple[float, Any]]()
    monkeypatch.setattr(app, "set_timer", lambda seconds, then, **_: timers.append((seconds, then)))
    app._driver = QuarterdeckDriver.__new__(QuarterdeckDriver)
    app.on_ready()
    assert timers == [(seconds, gc.freeze) for seconds in SETTLED_S]


async def test_an_app_that_tests_drive_leaves_the_collector_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    async with HostedApp().run_test() as pilot:
        timers: list[object] = []
        monkeypatch.setattr(pilot.app, "set_timer", timers.append)
        assert isinstance(pilot.app, HostedApp)
        pilot.app.on_ready()
        assert timers == []


async def test_a_toast_whose_time_runs_out_while_it_is_made_goes_like_any_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A timer of less than nothing would hold the loop for ever."""
    started: list[float] = []
    monkeypatch.setattr(Toast, "set_timer", lambda _, seconds, then: started.append(seconds))
    async with HostedApp().run_test(notifications=True) as pilot:
        for timeout in range(1, 12):
            looks = itertools.count(1000.0)
            monkeypatch.setattr(textual.notifications, "time", lambda looks=looks: next(looks))
            pilot.app.post_message(Notify(Notification("…", timeout=timeout, raised_at=1000.0)))
            await pilot.pause()
            pilot.app.clear_notifications()
        # Every look at the time finds it a second later, so one of them ran out between the two that matter.
        assert min(started) == SHORTEST_S
        assert max(started) > SHORTEST_S
