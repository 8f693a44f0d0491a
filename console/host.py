"""The process that holds engine and console: one event loop of the engine's, on which the console is a guest.

However the console ends, by choice, by a crash or with its terminal, the engine goes on headless in place, watched as
one that was started without a console. SIGHUP means that the terminal is lost as long as there is one.
"""

from __future__ import annotations

import asyncio
import logging
import os
from typing import TYPE_CHECKING, Any, Protocol

from console.driver import TerminalLease
from console.ending import ConsoleEnded, ExitIntent
from console.output import Patience
from console.process import STOP_S, E, EngineProcess

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from console.line_end import LauncherLine

__all__ = ["ConsoleApp", "EmbeddedHost", "run_embedded"]

logger = logging.getLogger(__name__)

TEARDOWN_S = 2.0
LAST_WAIT_S = 0.5


class ConsoleApp(Protocol):
    """What the host asks of the app; `console.hosted.HostedApp` provides it."""

    @property
    def failure(self) -> Exception | None:
        """The exception that ended the app."""

    async def run_async(self) -> ExitIntent | None:
        """Run until the person leaves."""

    def exit(self, result: ExitIntent | None = None) -> None:
        """Ask the app to end."""


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
        self._teardown_deadline = teardown_deadline
        self._lease = TerminalLease(
            terminal, self.lose_console, lambda: launcher.say("ready"), patience=patience or Patience()
        )
        self._lost: asyncio.Future[str]
        self._abandoned = False
        self.ended: ConsoleEnded | None = None
        """How the console ended; None while it runs."""

    async def run(self) -> int:
        """Run until the engine has stopped; see `EngineProcess.run`."""
        self._lost = asyncio.get_running_loop().create_future()
        status = await super().run()
        if self._abandoned:
            # Closing the loop would wait for a console that does not end.
            self._leave_now(status)
        return status

    def lose_console(self, reason: str) -> None:
        """The terminal is gone: let the console end and the engine go on."""
        if not self._lost.done():
            self._lost.set_result(reason)

    # --- the console

    async def _accompany(self, engine: E) -> None:
        """Run the app to its end, whatever that is, and then live without a terminal; never raises."""
        try:
            if self._stop.is_set() or self._lost.done():
                # Told to stop, or left without a terminal, while the engine was still starting.
                ended = ConsoleEnded("lost" if self._lost.done() else "left", "", ExitIntent.DETACH)
            else:
                ended = await self._run_app(engine)
        except Exception as error:
            # Task root: whatever is wrong with the console must not reach the engine.
            logger.exception("the console could not be run")
            ended = ConsoleEnded("crashed", f"{type(error).__name__}: {error}", ExitIntent.DETACH)
        self._lease.take_back()
        self.ended = ended
        logger.info("console ended: %s %s", ended.why, ended.detail)
        if ended.intent is ExitIntent.STOP:
            self._stop.set()
        leave_terminal(self._lease.fd)
        if self._stop.is_set():
            self._launcher.say("stopping")
        else:
            screen = "restored" if self._lease.restored else "dirty"
            self._launcher.say("detached", os.getpid(), ended.why, screen)
            self._launcher.close()
            # Until now a person sat before it; from here on nobody would notice a crash.
            self.have_watchdog()

    async def _run_app(self, engine: E) -> ConsoleEnded:
        app = self._app_factory(engine, self._lease)
        loop = asyncio.get_running_loop()
        factory = loop.get_task_factory()
        run = asyncio.create_task(app.run_async(), name="console app")
        stop = asyncio.create_task(self._stop.wait(), name="console stop")
        ends: set[asyncio.Future[Any]] = {run, stop, self._lost}
        try:
            await asyncio.sleep(0)
            # From Python 3.12 on, Textual makes every task of the loop an eager one; the engine's are not its business.
            loop.set_task_factory(factory)
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            if not run.done():
                await self._tear_down(app, run)
        finally:
            stop.cancel()
        return self._judge(app, run)

    async def _tear_down(self, app: ConsoleApp, run: asyncio.Task[ExitIntent | None]) -> None:
        """End a running app: ask, then cancel, then leave it behind without its terminal."""
        app.exit(ExitIntent.DETACH)
        done, _ = await asyncio.wait({run}, timeout=self._teardown_deadline)
        if not done:
            self._lease.take_back()
            run.cancel()
            done, _ = await asyncio.wait({run}, timeout=LAST_WAIT_S)
        if not done:
            self._abandoned = True
            logger.error("the console does not end; it is left behind without a terminal")

    def _judge(self, app: ConsoleApp, run: asyncio.Task[ExitIntent | None]) -> ConsoleEnded:
        failure: BaseException | None = app.failure
        result = None
        if run.done() and not run.cancelled():
            failure = failure or run.exception()
            result = run.result() if run.exception() is None else None
        if failure is not None:
            logger.error("the console crashed", exc_info=failure)
        if self._lost.done():
            return ConsoleEnded("lost", self._lost.result(), ExitIntent.DETACH)
        if failure is not None:
            return ConsoleEnded("crashed", f"{type(failure).__name__}: {failure}", ExitIntent.DETACH)
        return ConsoleEnded("left", "", result or ExitIntent.DETACH)

    # --- signals and last words

    def _listen(self, loop: asyncio.AbstractEventLoop) -> None:
        super()._listen(loop)
        self._launcher.listen(loop, self.lose_console)

    def _on_hang_up(self) -> None:
        if self.ended is None:
            self.lose_console("it hung up")
        else:
            super()._on_hang_up()

    def _tell(self, sentence: str) -> None:
        self._launcher.say("error", sentence)

    def _before_leaving(self, status: int) -> None:
        self._lease.take_back()
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
