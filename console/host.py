"""The process that holds engine and console: one event loop of the engine's, on which the console is a guest.

However the console ends, by choice, by a crash or with its terminal, the engine goes on headless in place. Only a stop
ends it: chosen in the console, or SIGTERM; a second SIGTERM ends the process at once.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from typing import TYPE_CHECKING, Any, Generic, NoReturn, Protocol, TypeVar

from console.driver import TerminalLease
from console.ending import ConsoleEnded, ExitIntent
from console.output import Patience
from engine.control.lock import EngineLock

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from console.line_end import LauncherLine

__all__ = ["ConsoleApp", "Engine", "EmbeddedHost", "run_embedded"]

logger = logging.getLogger(__name__)

FORCED = 128 + signal.SIGTERM
STOP_S = 30.0
TEARDOWN_S = 2.0
LAST_WAIT_S = 0.5


class Engine(Protocol):
    """What the host asks of an engine."""

    async def start(self) -> None:
        """Recover and begin to trade; returns when it runs."""

    async def stop(self) -> None:
        """End in order; returns when everything durable is durable."""

    async def wait_stopped(self) -> None:
        """Return when the engine has stopped by itself; raise what made it stop."""


class ConsoleApp(Protocol):
    """What the host asks of the app; `console.hosted.HostedApp` provides it."""

    @property
    def failure(self) -> Exception | None:
        """The exception that ended the app."""

    async def run_async(self) -> ExitIntent | None:
        """Run until the person leaves."""

    def exit(self, result: ExitIntent | None = None) -> None:
        """Ask the app to end."""


E = TypeVar("E", bound=Engine)


class EmbeddedHost(Generic[E]):
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
    ) -> None:
        self._engine_factory = engine_factory
        self._app_factory = app_factory
        self._home = home
        self._release = release
        self._launcher = launcher
        self._stop_deadline = stop_deadline
        self._teardown_deadline = teardown_deadline
        self._lease = TerminalLease(
            terminal, self.lose_console, lambda: launcher.say("ready"), patience=patience or Patience()
        )
        self._lost: asyncio.Future[str]
        self._stop = asyncio.Event()
        self._abandoned = False
        self.ended: ConsoleEnded | None = None
        """How the console ended; None while it runs."""

    async def run(self) -> int:
        """Run until the engine has stopped.

        Returns:
            The exit status: 0 after an orderly stop, 1 when the engine failed.

        Raises:
            EngineAlreadyRunningError: The home folder has an engine.
            QuarterdeckError: The engine could not start.
        """
        loop = asyncio.get_running_loop()
        self._lost = loop.create_future()
        with EngineLock.acquire(self._home, release=self._release):
            self._listen(loop)
            engine = self._engine_factory()
            await engine.start()
            status = await self._attend(engine)
        if self._abandoned:
            # Closing the loop would wait for a console that does not end.
            self._leave_now(status)
        return status

    def lose_console(self, reason: str) -> None:
        """The terminal is gone: let the console end and the engine go on."""
        if not self._lost.done():
            self._lost.set_result(reason)

    async def _attend(self, engine: E) -> int:
        console = asyncio.create_task(self._run_console(engine), name="console")
        over = asyncio.create_task(engine.wait_stopped(), name="engine")
        stop = asyncio.create_task(self._stop.wait(), name="stop requested")
        await asyncio.wait({over, stop}, return_when=asyncio.FIRST_COMPLETED)
        failure = over.exception() if over.done() else None
        self._stop.set()
        await asyncio.wait({console})
        if failure is not None:
            logger.error("the engine failed", exc_info=failure)
            self._launcher.say("error", f"The engine stopped by an error: {failure}")
        stopping = asyncio.create_task(engine.stop(), name="engine stop")
        done, _ = await asyncio.wait({stopping}, timeout=self._stop_deadline)
        for task in (over, stop):
            task.cancel()
        if not done:
            logger.error("the engine did not stop within %s s", self._stop_deadline)
            self._launcher.say("error", f"The engine did not stop within {self._stop_deadline:g} s and was ended.")
            self._leave_now(1)
        stopping.result()
        return 0 if failure is None else 1

    # --- the console

    async def _run_console(self, engine: E) -> None:
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

    # --- signals

    def _listen(self, loop: asyncio.AbstractEventLoop) -> None:
        loop.add_signal_handler(signal.SIGTERM, self._on_terminate)
        loop.add_signal_handler(signal.SIGINT, self._on_terminate)
        loop.add_signal_handler(signal.SIGHUP, self._on_hang_up)
        self._launcher.listen(loop, self.lose_console)

    def _on_terminate(self) -> None:
        if self._stop.is_set():
            logger.warning("told to stop a second time: ending at once")
            self._leave_now(FORCED)
        self._stop.set()

    def _on_hang_up(self) -> None:
        if self.ended is None:
            self.lose_console("it hung up")
        else:
            logger.info("SIGHUP: there is no terminal to lose")

    def _leave_now(self, status: int) -> NoReturn:
        """End the process without asking anyone: the journal is durable at every moment."""
        self._lease.take_back()
        self._launcher.say("exit", status)
        logging.shutdown()
        os._exit(status)


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
    )
    return await host.run()
