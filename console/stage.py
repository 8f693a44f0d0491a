"""The run of a console on a terminal, from its first frame to the fact of how it ended.

Used wherever a console is drawn: beside an engine on one event loop, and attached to one in another process.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, Protocol

from console.driver import TerminalLease
from console.ending import ConsoleEnded, ExitIntent
from console.output import Patience

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["TEARDOWN_S", "ConsoleApp", "Stage"]

logger = logging.getLogger(__name__)

TEARDOWN_S = 2.0
LAST_WAIT_S = 0.5


class ConsoleApp(Protocol):
    """What a stage asks of the app; `console.hosted.HostedApp` provides it."""

    @property
    def failure(self) -> Exception | None:
        """The exception that ended the app."""

    async def run_async(self) -> ExitIntent | None:
        """Run until the person leaves."""

    def exit(self, result: ExitIntent | None = None) -> None:
        """Ask the app to end."""


class Stage:
    """A terminal and the one console that is drawn on it.

    Args:
        terminal: Descriptor of the terminal.
        on_ready: Called when the terminal has been prepared for drawing.
        patience: When a silent terminal counts as gone.
        teardown_deadline: Seconds that the app has to end; after them it is cancelled and at last abandoned.
    """

    def __init__(
        self,
        terminal: int,
        on_ready: Callable[[], None] = lambda: None,
        patience: Patience | None = None,
        teardown_deadline: float = TEARDOWN_S,
    ) -> None:
        self.lease = TerminalLease(terminal, self.lose, on_ready, patience=patience or Patience())
        self.abandoned = False
        """Whether the app did not end and was left behind; closing the event loop would wait for it."""
        self._teardown_deadline = teardown_deadline
        self._lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def lose(self, reason: str) -> None:
        """The terminal is gone: let the console end."""
        if not self._lost.done():
            self._lost.set_result(reason)

    async def play(self, make_app: Callable[[TerminalLease], ConsoleApp], stop: asyncio.Event) -> ConsoleEnded:
        """Run the app to its end, whatever that is, or until `stop` is set; gives the terminal back. Never raises."""
        try:
            if stop.is_set() or self._lost.done():
                # Told to stop, or left without a terminal, before there was anything to draw.
                ended = ConsoleEnded("lost" if self._lost.done() else "left", "", ExitIntent.DETACH)
            else:
                ended = await self._run(make_app(self.lease), stop)
        except Exception as error:
            # Task root: whatever is wrong with the console must not reach what goes on beside it.
            logger.exception("the console could not be run")
            ended = ConsoleEnded("crashed", f"{type(error).__name__}: {error}", ExitIntent.DETACH)
        self.lease.take_back()
        logger.info("console ended: %s %s", ended.why, ended.detail)
        return ended

    async def _run(self, app: ConsoleApp, stop: asyncio.Event) -> ConsoleEnded:
        loop = asyncio.get_running_loop()
        factory = loop.get_task_factory()
        run = asyncio.create_task(app.run_async(), name="console app")
        stopped = asyncio.create_task(stop.wait(), name="console stop")
        ends: set[asyncio.Future[Any]] = {run, stopped, self._lost}
        try:
            await asyncio.sleep(0)
            # From Python 3.12 on, Textual makes every task of the loop an eager one; the others are not its business.
            loop.set_task_factory(factory)
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            if not run.done():
                await self._tear_down(app, run)
        finally:
            stopped.cancel()
        return self._judge(app, run)

    async def _tear_down(self, app: ConsoleApp, run: asyncio.Task[ExitIntent | None]) -> None:
        """End a running app: ask, then cancel, then leave it behind without its terminal."""
        app.exit(ExitIntent.DETACH)
        done, _ = await asyncio.wait({run}, timeout=self._teardown_deadline)
        if not done:
            self.lease.take_back()
            run.cancel()
            done, _ = await asyncio.wait({run}, timeout=LAST_WAIT_S)
        if not done:
            self.abandoned = True
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
