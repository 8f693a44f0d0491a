"""The past on the screens: opens a replay beside the engine, turns the console's link to it, and moves it by keys.

The journal is read and folded by a process of its own, so that neither the engine's loop nor its memory bears any of
it; the console watches that process as it would watch an engine.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Protocol, cast

from engine.errors import QuarterdeckError
from screens.replay import GoDialog, LeaveReplayDialog

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from pathlib import Path

    from console.app import QuarterdeckApp
    from console.store import Slice
    from engine.control.link import Delta, EngineLink, Subscription
    from engine.control.views_replay import ReplayView, SessionRow

__all__ = ["PAST", "SPEEDS", "ReplayCommands", "ReplayDoor", "Replaying"]

PAST = "This is the past: nothing can be changed in it. Go back to the present to act."
SPEEDS = (1.0, 5.0, 20.0, 60.0, 300.0, 1800.0)
"""What the keys for slower and faster go through."""


class ReplayDoor(Protocol):
    """An open replay."""

    @property
    def link(self) -> EngineLink:
        """The way to it."""

    async def close(self) -> None:
        """End it."""


async def _open(home: Path) -> ReplayDoor:
    from console.replay_process import open_replay

    return await open_replay(home)


class Replaying:
    """What the console knows of the replay it shows.

    Args:
        app: Whose link is turned.
        opener: Opens a replay of a home folder.
    """

    def __init__(self, app: QuarterdeckApp, opener: Callable[[Path], Awaitable[ReplayDoor]] = _open) -> None:
        self._app = app
        self.opener = opener
        self._door: ReplayDoor | None = None
        self._place: Slice | None = None
        self._present: Subscription | None = None
        self._speed = 0
        self._opening = False
        self._closing: set[asyncio.Task[None]] = set()

    @property
    def active(self) -> bool:
        """Whether the past is shown."""
        return self._app.link.state == "replay" or self._app.link.link is not self._app.link.home

    @property
    def alone(self) -> bool:
        """Whether there is no present to go back to: the console was opened on a replay."""
        return self._app.link.home.state == "replay"

    @property
    def view(self) -> ReplayView | None:
        """Where the replay stands; None in the present."""
        if self._place is None:
            return None
        return cast("ReplayView | None", self._place.data)

    # --- coming and going --------------------------------------------------------------------------------------------

    def follow(self) -> None:
        """Begin to follow the place of a replay that the console was opened on."""
        if self._place is None:
            self._place = self._app.store.follow("replay.state")

    async def enter(self, where: Mapping[str, Any]) -> None:
        """Open the past at a place (parameters of `replay.seek`); what cannot be is said in a toast."""
        app = self._app
        if self.active:
            await self.go(where)
            return
        home = app.preferences.home
        if home is None or self._opening:
            return
        self._opening = True
        door: ReplayDoor | None = None
        try:
            door = await self.opener(home)
            await door.link.call("replay.seek", where)
        except QuarterdeckError as error:
            app.notify(error.message, title=error.title, severity="error", markup=False)
            if door is not None:
                await door.close()
            return
        finally:
            self._opening = False
        self._door = door
        self._present = app.link.home.subscribe("facts.activity", self._hear_present)
        app.link.use(door.link)
        self.follow()
        app.begin_anew()

    def leave(self) -> bool:
        """Go back to the present; False where there is none."""
        app = self._app
        if self.alone:
            app.notify("This console shows the past only; leave it with q.", markup=False)
            return False
        self._end()
        app.link.use(app.link.home)
        app.begin_anew()
        return True

    async def stop(self) -> None:
        """End the replay together with the console."""
        self._end()
        if self._closing:
            await asyncio.wait(self._closing)

    def _end(self) -> None:
        if self._present is not None:
            self._present.close()
            self._present = None
        place, self._place = self._place, None
        if place is not None:
            place.close()
        door, self._door = self._door, None
        if door is not None:
            task = asyncio.get_running_loop().create_task(door.close(), name="close replay")
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    def ask_how_to_leave(self) -> None:
        """From the past one goes back to the present, or leaves the console."""
        app = self._app
        if self.alone:
            app.exit()
        elif not any(isinstance(screen, LeaveReplayDialog) for screen in app.stack()):
            app.push_screen(LeaveReplayDialog(), self._leave_by)

    def _leave_by(self, key: str | None) -> None:
        if key is not None and self.leave() and key == "console":
            self._app.action_quit()

    def _hear_present(self, delta: Delta) -> None:
        """What is grave in the present is told in the past as well."""
        if delta.snapshot:
            return
        facts = delta.data if isinstance(delta.data, list | tuple) else (delta.data,)
        for fact in facts:
            if fact.severity in ("warning", "critical"):
                self._app.notify(fact.text, title="In the present", severity="error", timeout=15, markup=False)

    # --- moving ------------------------------------------------------------------------------------------------------

    async def ask(self) -> None:
        """Ask where to go, then go there, opening the past if need be."""
        app, door = self._app, None
        try:
            if self.active:
                sessions = await app.link.call("replay.sessions")
            else:
                home = app.preferences.home
                if home is None:
                    app.notify("There is no home folder here whose past could be shown.", markup=False)
                    return
                app.notify("Reading the journal…", timeout=2, markup=False)
                door = await self.opener(home)
                sessions = await door.link.call("replay.sessions")
                await door.close()
        except QuarterdeckError as error:
            app.notify(error.message, title=error.title, severity="error", markup=False)
            return
        app.push_screen(GoDialog(app, cast("list[SessionRow]", sessions)), self._went)

    def _went(self, where: Any) -> None:
        if where:
            self._app.run_worker(self.enter(where), name="replay", exit_on_error=False)

    async def go(self, where: Mapping[str, Any]) -> None:
        """Go to another place in the past."""
        await self._move("replay.seek", where)

    async def step(self, count: int, kind: str) -> None:
        """Go so many facts of a kind on, or back when negative."""
        await self._move("replay.step", {"count": count, "kind": kind})

    async def play(self) -> None:
        """Let the past happen, or stand still."""
        playing = self.view is not None and self.view.playing
        await self._call(
            "replay.pause" if playing else "replay.play", {} if playing else {"speed": SPEEDS[self._speed]}
        )

    async def faster(self, steps: int) -> None:
        """Choose another speed, and play on with it."""
        self._speed = max(0, min(len(SPEEDS) - 1, self._speed + steps))
        await self._call("replay.play", {"speed": SPEEDS[self._speed]})

    async def _move(self, operation: str, params: Mapping[str, Any]) -> None:
        before = self.view
        after: ReplayView | None = await self._call(operation, params)
        # Going back, or far, makes all that was drawn untrue; the next fact only adds to it.
        if after is not None and (before is None or after.seq < before.seq or operation == "replay.seek"):
            self._app.begin_anew()

    async def _call(self, operation: str, params: Mapping[str, Any]) -> Any:
        try:
            return await self._app.link.call(operation, params)
        except QuarterdeckError as error:
            self._app.notify(error.message, title=error.title, severity="warning", markup=False)
            return None


class ReplayCommands:
    """Mixed into the app; each method is the handler of an action of the registry."""

    @property
    def _replaying(self) -> Replaying:
        return cast("QuarterdeckApp", self).replaying

    def action_replay(self) -> None:
        """Ask which moment of the past to show."""
        self._run(self._replaying.ask())

    def action_replay_go(self) -> None:
        """Ask where to go."""
        self._run(self._replaying.ask())

    def action_replay_play(self) -> None:
        """Play, or stand still."""
        self._run(self._replaying.play())

    def action_replay_step(self, count: int, kind: str) -> None:
        """Step on or back."""
        self._run(self._replaying.step(count, kind))

    def action_replay_speed(self, steps: int) -> None:
        """Play faster or slower."""
        self._run(self._replaying.faster(steps))

    def action_replay_leave(self) -> None:
        """Go back to the present."""
        self._replaying.leave()

    def _run(self, work: Any) -> None:
        cast("QuarterdeckApp", self).run_worker(work, name="replay", group="replay", exit_on_error=False)
