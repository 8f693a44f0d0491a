"""The process that holds engine and console: one event loop of the engine's, on which the console is a guest.

However the console ends, by choice, by a crash or with its terminal, the engine goes on headless in place, watched as
one that was started without a console. SIGHUP means that the terminal is lost as long as there is one.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from console.ending import ConsoleEnded, ExitIntent
from console.process import STOP_S, E, EngineProcess
from console.stage import TEARDOWN_S, Stage

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable
    from pathlib import Path

    from console.driver import TerminalLease
    from console.line_end import LauncherLine
    from console.output import Patience
    from console.stage import ConsoleApp

__all__ = ["EmbeddedHost", "leave_terminal", "run_embedded"]


class EmbeddedHost(EngineProcess[E]):
    """Runs an engine, and beside it a console for as long as there is one.

    Args:
        engine_factory: Builds the engine; called with the lock held.
        app_factory: Builds the app from the engine and the terminal.
        home: The home folder; it exists.
        release: Version written into the lock.
        terminal: Descriptor of the terminal, which is the process's standard input.
        launcher: The conversation with the launcher.
        patience: When a silent terminal counts as gone.
        stop_deadline: Seconds that the engine has to stop in order; after them the process ends at once.
        teardown_deadline: Seconds that the app has to end; after them it is cancelled and at last abandoned.
        watched: Whether a watchdog looks after the engine once the console has ended.
    """

    def __init__(
        self,
        engine_factory: Callable[[], E],
        app_factory: Callable[[E, TerminalLease], ConsoleApp],
        *,
        home: Path,
        release: str,
        terminal: int,
        launcher: LauncherLine,
        patience: Patience | None = None,
        stop_deadline: float = STOP_S,
        teardown_deadline: float = TEARDOWN_S,
        watched: bool = True,
    ) -> None:
        super().__init__(engine_factory, home=home, release=release, stop_deadline=stop_deadline, watched=watched)
        self._app_factory = app_factory
        self._launcher = launcher
        self._terminal = terminal
        self._patience = patience
        self._teardown_deadline = teardown_deadline
        self._stage: Stage
        self.ended: ConsoleEnded | None = None
        """How the console ended; None while it runs."""

    async def run(self) -> int:
        """Run until the engine has stopped; see `EngineProcess.run`."""
        self._stage = Stage(
            self._terminal, lambda: self._launcher.say("ready"), self._patience, self._teardown_deadline
        )
        status = await super().run()
        if self._stage.abandoned:
            # Closing the loop would wait for a console that does not end.
            self._leave_now(status)
        return status

    async def _accompany(self, engine: E) -> None:
        """Run the app to its end, whatever that is, and then live without a terminal; never raises."""
        ended = self.ended = await self._stage.play(lambda lease: self._app_factory(engine, lease), self._stop)
        if ended.intent is ExitIntent.STOP:
            self._stop.set()
        leave_terminal(self._terminal)
        if engine.successor:
            screen = "restored" if self._stage.lease.restored else "dirty"
            self._launcher.say("handed", engine.successor, screen)
            self._launcher.close()
        elif self._stop.is_set():
            self._launcher.say("stopping")
        else:
            screen = "restored" if self._stage.lease.restored else "dirty"
            self._launcher.say("detached", os.getpid(), ended.why, screen)
            self._launcher.close()
            # Until now a person sat before it; from here on nobody would notice a crash.
            self.have_watchdog()

    # --- signals and last words

    def _listen(self, loop: asyncio.AbstractEventLoop) -> None:
        super()._listen(loop)
        self._launcher.listen(loop, self._stage.lose)

    def _on_hang_up(self) -> None:
        if self.ended is None:
            self._stage.lose("it hung up")
        else:
            super()._on_hang_up()

    def _tell(self, sentence: str) -> None:
        self._launcher.say("error", sentence)

    def _before_leaving(self, status: int) -> None:
        self._stage.lease.take_back()
        self._launcher.say("exit", status)


def leave_terminal(fd: int) -> None:
    """Put nothing in the place of the terminal, so that its next owner has it alone."""
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, fd, inheritable=fd <= 2)
    os.close(nothing)


async def run_embedded(
    engine_factory: Callable[[], E],
    app_factory: Callable[[E, TerminalLease], ConsoleApp],
    *,
    home: Path,
    release: str,
    terminal: int,
    launcher: LauncherLine,
    patience: Patience | None = None,
    teardown_deadline: float = TEARDOWN_S,
    watched: bool = True,
) -> int:
    """Run engine and console in this process until the engine has stopped; see `EmbeddedHost`."""
    host = EmbeddedHost(
        engine_factory,
        app_factory,
        home=home,
        release=release,
        terminal=terminal,
        launcher=launcher,
        patience=patience,
        teardown_deadline=teardown_deadline,
        watched=watched,
    )
    return await host.run()
