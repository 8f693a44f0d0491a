"""The life of an engine in a process: lock, start, signals, beats, and an end in order within a deadline.

Whoever holds an engine lives like this: the headless process, and the one that a console shares with it. SIGTERM ends
the engine in order, a second one ends the process at once; SIGHUP has the settings read again.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Generic, NoReturn, Protocol, TypeVar

from console.watch import forget_alarm, start_watchdog
from engine.control.lock import EngineLock
from engine.control.notify import Notifier

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Sequence
    from pathlib import Path

__all__ = ["ALREADY_RUNNING", "FAILED", "Engine", "EngineProcess", "drive", "name_release", "successor_command"]

logger = logging.getLogger(__name__)

FAILED = 1
ALREADY_RUNNING = 3
FORCED = 128 + signal.SIGTERM
STOP_S = 30.0


class Engine(Protocol):
    """What a process asks of an engine."""

    async def start(self) -> None:
        """Recover and begin to trade; returns when it runs."""

    async def stop(self) -> None:
        """End in order; returns when everything durable is durable."""

    async def wait_stopped(self) -> None:
        """Return when the engine has stopped by itself; raise what made it stop."""

    async def reload(self) -> None:
        """Read the settings again; never raises."""

    def hold(self, lock: EngineLock | None, successor: Sequence[str] = ()) -> None:
        """Know the lock of the home folder, and the command that starts a process which takes over."""

    async def take_over(self) -> None:
        """Take over from the engine that runs, its lock included; returns when this one trades."""

    @property
    def successor(self) -> int:
        """The process that has taken over from this one; 0 for none."""

    @property
    def keys_descriptor(self) -> int | None:
        """What carries unlocked keys over to whoever is started next; None for nothing."""


E = TypeVar("E", bound=Engine)


class EngineProcess(Generic[E]):
    """Holds an engine for as long as it runs.

    Args:
        engine_factory: Builds the engine; called with the lock held.
        home: The home folder; it exists.
        release: Version written into the lock.
        stop_deadline: Seconds that the engine has to stop in order; after them the process ends at once.
        on_ready: Called when the engine trades.
        watched: Whether a watchdog is started again when the one that listened is gone.
        guarded: Whether one is started as soon as the engine trades, if none listens.
        taking_over: Whether the engine is taken over from the process that runs it, instead of being started.
    """

    def __init__(
        self,
        engine_factory: Callable[[], E],
        *,
        home: Path,
        release: str,
        stop_deadline: float = STOP_S,
        on_ready: Callable[[], None] = lambda: None,
        watched: bool = True,
        guarded: bool = False,
        taking_over: bool = False,
    ) -> None:
        self.notifier = Notifier(home)
        self._engine_factory = engine_factory
        self._home = home
        self._release = release
        self._stop_deadline = stop_deadline
        self._on_ready = on_ready
        self._watched = watched
        self._guarded = guarded
        self._taking_over = taking_over
        self._stop = asyncio.Event()
        self._reload: asyncio.Task[None] | None = None
        self._reload_wanted = False
        self._errands: set[asyncio.Task[Any]] = set()
        self._engine: E | None = None

    async def run(self) -> int:
        """Run until the engine has stopped.

        Returns:
            The exit status: 0 after an orderly stop, 1 when the engine failed.

        Raises:
            EngineAlreadyRunningError: The home folder has an engine.
            QuarterdeckError: The engine could not start, or be taken over.
        """
        if self._taking_over:
            engine = self._engine_factory()
            engine.hold(None, successor_command(self._home))
            return await self._live(engine, engine.take_over)
        with EngineLock.acquire(self._home, release=self._release) as lock:
            engine = self._engine_factory()
            engine.hold(lock, successor_command(self._home))
            return await self._live(engine, engine.start)

    def have_watchdog(self) -> None:
        """See that a watchdog looks after this process, unless systemd does or the engine is ending."""
        if self._watched and not self.notifier.supervised and not self._stop.is_set():
            self._do(asyncio.to_thread(start_watchdog, self._home), "watchdog start")

    # --- for those who add something

    async def _accompany(self, engine: E) -> None:
        """What goes on beside the engine; it is over soon after `_stop` is set. Never raises."""

    def _tell(self, sentence: str) -> None:
        """Say a sentence to the person who can still hear one."""

    def _before_leaving(self, status: int) -> None:
        """Last act of a process that ends at once."""

    # --- life

    async def _live(self, engine: E, start: Callable[[], Awaitable[None]]) -> int:
        loop = asyncio.get_running_loop()
        self._listen(loop)
        self.notifier.on_alone = self.have_watchdog
        beat = loop.create_task(self.notifier.beat(), name="heart")
        try:
            await start()
            self._engine = engine
            self._begin(engine)
            return await self._attend(engine)
        finally:
            beat.cancel()
            self.notifier.close()

    def _begin(self, engine: E) -> None:
        with suppress(OSError):
            forget_alarm(self._home)
        self.notifier.ready()
        self.notifier.keep(engine.keys_descriptor)
        if self._guarded and not self.notifier.watched:
            self.have_watchdog()
        self._on_ready()

    async def _attend(self, engine: E) -> int:
        beside = asyncio.create_task(self._accompany(engine), name="beside")
        over = asyncio.create_task(engine.wait_stopped(), name="engine")
        stop = asyncio.create_task(self._stop.wait(), name="stop requested")
        await asyncio.wait({over, stop}, return_when=asyncio.FIRST_COMPLETED)
        failure = over.exception() if over.done() else None
        self._stop.set()
        if engine.successor:
            self.notifier.succeeded_by(engine.successor)
        elif failure is None:
            self.notifier.stopping()
        await asyncio.wait({beside})
        if failure is not None:
            logger.error("the engine failed", exc_info=failure)
            self._tell(f"The engine stopped by an error: {failure}")
        stopping = asyncio.create_task(engine.stop(), name="engine stop")
        done, _ = await asyncio.wait({stopping}, timeout=self._stop_deadline)
        for task in (over, stop, *self._errands):
            task.cancel()
        if not done:
            logger.error("the engine did not stop within %s s", self._stop_deadline)
            self._tell(f"The engine did not stop within {self._stop_deadline:g} s and was ended.")
            self._leave_now(FAILED)
        stopping.result()
        return 0 if failure is None else FAILED

    def _do(self, work: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
        task = asyncio.create_task(work, name=name)
        self._errands.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._errands.discard(task)
        if not task.cancelled() and task.exception() is not None:
            logger.error("%s failed", task.get_name(), exc_info=task.exception())

    # --- signals

    def _listen(self, loop: asyncio.AbstractEventLoop) -> None:
        loop.add_signal_handler(signal.SIGTERM, self._on_terminate)
        loop.add_signal_handler(signal.SIGINT, self._on_terminate)
        loop.add_signal_handler(signal.SIGHUP, self._on_hang_up)

    def _on_terminate(self) -> None:
        if self._stop.is_set():
            logger.warning("told to stop a second time: ending at once")
            self._leave_now(FORCED)
        self._stop.set()
        # Also while it starts: who ends it then wants no other one.
        self.notifier.stopping()

    def _on_hang_up(self) -> None:
        """Read the settings again; what is asked while they are being read is done once more afterwards."""
        engine = self._engine
        if engine is None or self._stop.is_set():
            logger.info("SIGHUP: the engine is starting or ending; the settings are not read again")
            return
        self._reload_wanted = True
        if self._reload is None or self._reload.done():
            self._reload = self._do(self._read_again(engine), "settings")

    async def _read_again(self, engine: E) -> None:
        self.notifier.reloading()
        try:
            while self._reload_wanted:
                self._reload_wanted = False
                await engine.reload()
        finally:
            self.notifier.ready()

    def _leave_now(self, status: int) -> NoReturn:
        """End the process without asking anyone: the journal is durable at every moment."""
        self._before_leaving(status)
        logging.shutdown()
        os._exit(status)


def drive(coroutine: Coroutine[Any, Any, int]) -> int:
    """Run the process's one event loop to the end of this coroutine.

    A `SystemExit` raised by a guest on the loop (a widget, a plug-in) is logged and does not end it: asyncio would
    otherwise let it stop the engine with it.
    """
    with asyncio.Runner() as runner:
        loop = runner.get_loop()
        task = loop.create_task(coroutine, name="host")
        while True:
            try:
                return loop.run_until_complete(task)
            except (SystemExit, KeyboardInterrupt):
                if task.done():
                    raise
                logger.exception("something on the event loop asked the process to exit; it goes on")


def successor_command(home: Path) -> list[str]:
    """What starts the process that takes an engine over: one without a console, whatever this one is."""
    return [sys.executable, "-P", "-m", "console.headless", "--home", str(home), "--guarded", "--take-over"]


def name_release() -> str:
    """The version of this program."""
    from importlib.metadata import version

    return version("quarterdeck")
