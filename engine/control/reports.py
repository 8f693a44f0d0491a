"""The report database in a thread with an event loop of its own, so that its work never holds the engine's loop."""

from __future__ import annotations

import asyncio
import importlib
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, TypeVar

from engine.errors import QuarterdeckError, StorageCircuitOpenError, StorageError
from engine.logs import get_logger
from engine.model.faults import BreakerState, Severity
from engine.resilience.breaker import CircuitBreaker
from engine.resilience.handler import ErrorHandler
from engine.resilience.policy import RetryPolicy

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterator
    from pathlib import Path
    from typing import Any

    from engine.clock import Clock
    from engine.resilience.breaker import BreakerStanding
    from storage.database import Database
    from storage.settings import DatabaseSettings

__all__ = ["Reports"]

_T = TypeVar("_T")

log = get_logger(__name__)

_ANSWERS = frozenset({"constraint", "append-only"})
CLOSE_S = 5.0
"""Longest time that connections of cancelled work have to close before the database is closed over them."""


class Reports:
    """Opens the database when it is first asked, bringing its schema up to date, and does work on it in its thread.

    Work gets the open `Database` and runs on the thread's loop: it must not touch anything of the caller's loop. What
    could not be opened is tried again at the next call.

    Args:
        settings: Which backend and where.
        home: The home folder.
        clock: Gives time stamps.
        errors: Hears what fails, and gives the figures; None keeps to the built-in ones.
    """

    def __init__(
        self, settings: DatabaseSettings, home: Path, clock: Clock, errors: ErrorHandler | None = None
    ) -> None:
        self._errors = errors or ErrorHandler(clock)
        figures = self._errors.settings
        self.breaker = CircuitBreaker(
            "report database", figures.database_connections, clock, StorageCircuitOpenError, self._on_breaker
        )
        self._policy = RetryPolicy(figures.database_errors, clock)
        self._settings = settings
        self._home = home
        self._clock = clock
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._database: Database | None = None
        self._opening: asyncio.Lock | None = None
        self._closed = False
        self._work: set[asyncio.Task[Any]] = set()
        self.problem = ""
        """Why it could not be opened the last time; empty while all is well."""

    @property
    def is_open(self) -> bool:
        """True once the database can be used."""
        return self._database is not None

    async def run(self, work: Callable[[Database], Awaitable[_T]]) -> _T:
        """Do work on the database and wait for it; cancelling the wait cancels the work.

        Raises:
            StorageCircuitOpenError: It failed so often that it is left alone for a while.
            StorageError: The database cannot be opened, or refused; nothing of the work was kept.
            QuarterdeckError: Whatever the work raised.
        """

        async def call() -> _T:
            return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self._do(work), loop))

        loop = self._started()
        try:
            return await self.breaker.run(call, counts=_fails)
        except StorageError as error:
            if not isinstance(error, StorageCircuitOpenError):
                self._errors.report(error, component="reports", operation="run")
            raise

    def _on_breaker(self, standing: BreakerStanding) -> None:
        if standing.state is BreakerState.OPEN:
            seconds = self.breaker.settings.recovery_timeout
            words = f"The report database failed {standing.failures} times in a row and is left alone for {seconds:g} s"
            self._errors.alert(Severity.HIGH, "reports", f"{words}: {standing.reason} Trading goes on without it.")
        elif standing.state is BreakerState.CLOSED:
            self._errors.alert(Severity.LOW, "reports", "The report database answers again.")

    def warm_up(self) -> None:
        """Begin to open the database without waiting for it, so that it is ready when it is asked."""
        if self._database is None:
            loop = self._started()
            asyncio.run_coroutine_threadsafe(self._quietly_opened(), loop)

    async def close(self) -> None:
        """Close the database and end the thread; what is under way is cancelled."""
        self._closed = True
        loop, thread = self._loop, self._thread
        if loop is None or thread is None:
            return
        self._loop = None
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self._end(), loop))
        await asyncio.to_thread(thread.join)

    # --- the thread's side -------------------------------------------------------------------------------------------

    def _started(self) -> asyncio.AbstractEventLoop:
        if self._closed:
            raise StorageError("The report database is closed; the engine is stopping.")
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(target=_serve, args=(self._loop,), name="reports", daemon=True)
            self._thread.start()
        return self._loop

    async def _do(self, work: Callable[[Database], Awaitable[_T]]) -> _T:
        with self._at_work():
            return await work(await self._opened())

    async def _quietly_opened(self) -> None:
        with suppress(QuarterdeckError), self._at_work():
            await self._opened()

    @contextmanager
    def _at_work(self) -> Iterator[None]:
        """Count the current task among those that the end cancels."""
        task = asyncio.current_task()
        assert task is not None
        self._work.add(task)
        try:
            yield
        finally:
            self._work.discard(task)

    async def _opened(self) -> Database:
        if self._database is not None:
            return self._database
        self._opening = self._opening or asyncio.Lock()
        async with self._opening:
            if self._database is None:
                try:
                    self._database = await self._policy.run(self._open)
                except QuarterdeckError as error:
                    self.problem = error.message
                    log.error("the report database cannot be opened", problem=error.message)
                    raise
                self.problem = ""
        return self._database

    async def _open(self) -> Database:
        module = importlib.import_module("storage.database")
        database: Database = module.Database(self._settings, self._home, self._clock)
        await database.open()
        return database

    async def _end(self) -> None:
        work = tuple(self._work)
        for task in work:
            task.cancel()
        await asyncio.gather(*work, return_exceptions=True)
        await self._see_off()
        database, self._database = self._database, None
        if database is not None:
            await database.close()
        asyncio.get_running_loop().call_soon(asyncio.get_running_loop().stop)

    async def _see_off(self) -> None:
        """Let what the work began end by itself, connections that close above all: cancelled, one may wait for ever."""
        others = asyncio.all_tasks() - {asyncio.current_task()}
        if not others:
            return
        _, stuck = await asyncio.wait(others, timeout=CLOSE_S)
        for task in stuck:
            log.warning("a task of the report database does not end", task=task.get_name())
            task.cancel()


def _fails(error: BaseException) -> bool:
    """Whether an error says that the database is not well; a row that it refuses is an answer."""
    return isinstance(error, StorageError) and error.error_code not in _ANSWERS


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
        rest: list[Coroutine[Any, Any, Any]] = [loop.shutdown_asyncgens(), loop.shutdown_default_executor()]
        for last in rest:
            loop.run_until_complete(last)
    finally:
        loop.close()
