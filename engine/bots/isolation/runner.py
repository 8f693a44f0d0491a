"""The engine's side of a strategy in a process of its own: looks like a `StrategyRunner`, and answers later.

Bars leave at once and the loop goes on; signals come with the answer. A request that takes too long, a process that
ends, memory or processor time beyond the limits: each ends this one strategy with a sentence, and nothing else notices.
What the strategy remembers comes with every answer, so that it can be saved at any moment without asking.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
import tempfile
import threading
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from engine.bots.isolation.protocol import (
    HEAD,
    MOST_REPLY_BYTES,
    Begin,
    Decide,
    Done,
    Failed,
    Take,
    decode_reply,
    framed,
    packed,
)
from engine.errors import StrategyError
from engine.logs import get_logger
from engine.strategy.faults import source_file
from engine.strategy.runner import StrategyRunner

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.bots.isolation.protocol import PackedBars, Reply
    from engine.model.candle import Bars
    from engine.model.ids import InstrumentId
    from engine.model.signal import Signal
    from engine.strategy.contract import Holding, Strategy, StrategyMemory

__all__ = ["IsolatedRunner", "WorkerLimits"]

log = get_logger(__name__)

MB = 1 << 20
START_S = 30.0
"""Longest time until a strategy has taken in its history."""
GRACE_S = 0.25
"""Between the time that a request may take and the end of the process, so that answers that are there are read."""
DRAINED_BYTES = 1 << 16
BUILT_IN = "strategies."
LOWEST = 19
_PASSED_ON = ("PATH", "LANG", "LC_ALL", "TZ", "PYTHONPATH", "PYTHONHASHSEED", "VIRTUAL_ENV", "TMPDIR")
"""The environment's names that a strategy's process gets; the rest may hold secrets."""


class WorkerLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What one strategy's process may use."""

    memory_mb: int
    storage_mb: int
    bar_seconds: float
    """Longest time for one bar, and most processor time for it."""
    core: int = -1
    """Processor core on which it runs; -1 for any."""


class _Asked:
    """A request that is not answered yet, and what ends the process when the answer is too late."""

    def __init__(self, number: int, seconds: float) -> None:
        self.number = number
        self.seconds = seconds
        self.is_late = False
        self.timer: asyncio.TimerHandle


class IsolatedRunner:
    """One strategy at work in its own process. Used on the event loop alone.

    Until `begin` it takes in history and a saved state as a `StrategyRunner` does; from then on `on_bars` answers with
    nothing, and what the strategy wants is told to `on_answer`.

    Args:
        strategy: As the engine has loaded it; its parameters are read here, its decisions are made in the process.
        instrument: What its signals are for.
        timeframe: Timeframe of the bars.
        limits: What the process may use.
    """

    def __init__(self, strategy: Strategy, instrument: InstrumentId, *, timeframe: str, limits: WorkerLimits) -> None:
        self._shadow = StrategyRunner(strategy, instrument, timeframe=timeframe)
        self.strategy = strategy
        self.instrument = instrument
        self.timeframe = timeframe
        self.limits = limits
        self.params_hash = self._shadow.params_hash
        self.history = self._shadow.history
        self.last_ts = -1
        self.seen = 0
        self.broken = 0
        self.latency_ns = 0
        self.on_answer: Callable[[list[Signal]], None] = lambda signals: None
        """Told what the strategy wants, a turn of the loop or more after its bars; empty for nothing."""
        self.on_failure: Callable[[StrategyError], None] = lambda error: None
        """Told once why the strategy decides nothing more."""
        self._saved = b""
        self._memory_only = False
        self._past: list[PackedBars] = []
        self._process: asyncio.subprocess.Process | None = None
        self._hearing: asyncio.Task[None] | None = None
        self._ready: asyncio.Future[None] | None = None
        self._waiting: deque[_Asked] = deque()
        """Requests that are not answered yet, the oldest first."""
        self._number = 0
        self._ended = False
        self._folder = ""
        self._sweeper: threading.Thread | None = None

    # --- as a runner -------------------------------------------------------------------------------------------------

    @property
    def pid(self) -> int:
        """Number of the process; 0 where there is none."""
        process = self._process
        return process.pid if process is not None and process.returncode is None and not self._ended else 0

    @property
    def memory(self) -> StrategyMemory:
        """What the strategy remembered when it was restored; what it remembers now is in `save`."""
        return self._shadow.memory

    @property
    def folder(self) -> str:
        """The folder that it may write to; empty before it is there."""
        return self._folder

    def restore(self, data: bytes, *, memory_only: bool = False) -> None:
        """Take up a saved state. Raises as `StrategyRunner.restore`; only before `begin`."""
        self._shadow.restore(data, memory_only=memory_only)
        self._saved, self._memory_only = data, memory_only
        self.last_ts, self.seen = self._shadow.last_ts, self._shadow.seen

    def warm_up(self, bars: Bars) -> None:
        """Take in history without asking for decisions."""
        if not len(bars):
            return
        if self._process is None:
            self._past.append(packed(bars))
            self.last_ts = max(self.last_ts, int(bars.ts[-1]))
            return
        self._number += 1
        self._send(Take(number=self._number, bars=packed(bars)))

    def on_bars(self, bars: Bars, holding: Holding) -> list[Signal]:
        """Send newly closed bars; the answer comes to `on_answer`.

        Raises:
            StrategyError: The process is not there any more.
        """
        if self._process is None or self._ended:
            raise StrategyError(
                f"The process of the strategy {self.strategy.name} is not there any more; start the bot again."
            )
        self._number += 1
        self._send(
            Decide(
                number=self._number,
                bars=packed(bars),
                quantity=holding.quantity,
                entry_price=holding.entry_price,
                regime=self.strategy.regime,
                peers=self.strategy.peers,
            )
        )
        return []

    def save(self) -> bytes:
        """The state that came with the last answer."""
        return self._saved

    # --- the process -------------------------------------------------------------------------------------------------

    async def begin(self) -> None:
        """Start the process and let it take in what was given so far.

        Raises:
            StrategyError: It cannot be started, or the strategy failed at its history.
        """
        loop = asyncio.get_running_loop()
        self._folder = tempfile.mkdtemp(prefix="quarterdeck-bot-")
        limits = self.limits
        module, file = _source(self.strategy)
        task = Begin(
            module=module,
            file=file,
            name=self.strategy.name,
            params=self.strategy.params.model_dump(mode="json"),
            instrument=self.instrument,
            timeframe=self.timeframe,
            saved=self._saved,
            memory_only=self._memory_only,
            past=tuple(self._past),
            memory_bytes=limits.memory_mb * MB,
            bar_cpu_s=limits.bar_seconds,
            storage_bytes=limits.storage_mb * MB,
            core=limits.core,
        )
        self._past.clear()
        try:
            process = self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-m", "engine.bots.isolation.worker", str(os.getpid())),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                env=_environment(),
                cwd=self._folder,
                start_new_session=True,
            )
        except OSError as error:
            self.end()
            raise StrategyError(f"The process of the strategy could not be started ({error}).") from error
        self._ready = loop.create_future()
        self._hearing = loop.create_task(self._listen(process), name=f"strategy {self.strategy.name}")
        self._send(task, within=max(START_S, limits.bar_seconds))
        try:
            await self._ready
        except BaseException:
            self.end()
            raise

    def end(self) -> None:
        """End the process; harmless when it has gone."""
        self._ended = True
        while self._waiting:
            self._waiting.popleft().timer.cancel()
        process = self._process
        if process is not None and process.returncode is None:
            # The group: what the strategy may have started ends with it.
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
        if self._folder:
            # In a thread: what is in there may be much.
            self._sweeper = threading.Thread(target=shutil.rmtree, args=(self._folder, True), daemon=True)
            self._sweeper.start()
            self._folder = ""

    @property
    def has_ended(self) -> bool:
        """Whether its process is gone, or there was none."""
        return self._hearing is None or self._hearing.done()

    async def ended(self) -> None:
        """Wait until the process and its folder are gone; `end` comes first."""
        hearing, sweeper = self._hearing, self._sweeper
        if hearing is not None:
            await hearing
        if sweeper is not None:
            await asyncio.to_thread(sweeper.join)

    def slow_down(self) -> None:
        """Give it the processor only where nobody else wants it."""
        if self.pid:
            with suppress(ProcessLookupError, PermissionError):
                os.setpriority(os.PRIO_PROCESS, self.pid, LOWEST)

    def _send(self, request: Begin | Decide | Take, within: float | None = None) -> None:
        process = self._process
        if self._ended or process is None or process.stdin is None or process.returncode is not None:
            return
        number = 0 if isinstance(request, Begin) else request.number
        seconds = self.limits.bar_seconds if within is None else within
        asked = _Asked(number, seconds)
        self._await(asked)
        self._waiting.append(asked)
        process.stdin.write(framed(request))

    def _await(self, asked: _Asked) -> None:
        # Real time, whatever the engine's clock says: processes are real.
        asked.timer = asyncio.get_running_loop().call_later(asked.seconds, self._too_late, asked)

    def _too_late(self, asked: _Asked) -> None:
        if not asked.is_late:
            # Where the loop itself was held up, the answer may lie in the pipe, unread.
            asked.is_late = True
            asked.timer = asyncio.get_running_loop().call_later(GRACE_S, self._too_late, asked)
            return
        what = "for one bar" if asked.number else "to take in its history"
        self._fail(f"The strategy {self.strategy.name} took longer than {asked.seconds:g} s {what} and was ended.")

    async def _listen(self, process: asyncio.subprocess.Process) -> None:
        pipe = process.stdout
        assert pipe is not None
        try:
            while True:
                (size,) = HEAD.unpack(await pipe.readexactly(HEAD.size))
                if size > MOST_REPLY_BYTES:
                    self._fail(f"The strategy {self.strategy.name} answered more than {MOST_REPLY_BYTES >> 20} MB.")
                    break
                self._hear(decode_reply(await pipe.readexactly(size)))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        except msgspec.MsgspecError as error:
            log.warning("a strategy's process said something that is no message", problem=str(error))
            self._fail(f"The process of the strategy {self.strategy.name} said something that is no message.")
        # What it has said more than is read would keep its end from being noticed.
        with suppress(ConnectionError):
            while await pipe.read(DRAINED_BYTES):
                pass
        code = await process.wait()
        self._fail(_how_it_ended(self.strategy.name, code))

    def _hear(self, reply: Reply) -> None:
        if self._ended:
            return
        if isinstance(reply, Failed):
            self._fail(reply.message, reply.error_code)
            return
        self._take(reply)
        if reply.number:
            self.on_answer(reply.signals)
        elif self._ready is not None and not self._ready.done():
            self._ready.set_result(None)

    def _take(self, reply: Done) -> None:
        while self._waiting and self._waiting[0].number <= reply.number:
            self._waiting.popleft().timer.cancel()
        self._saved = reply.saved
        self.last_ts, self.seen, self.broken = reply.last_ts, reply.seen, reply.broken
        self.latency_ns = reply.latency_ns

    def _fail(self, message: str, error_code: str = "") -> None:
        if self._ended:
            return
        self.end()
        error = StrategyError(message, error_code=error_code) if error_code else StrategyError(message)
        if self._ready is not None and not self._ready.done():
            self._ready.set_exception(error)
        else:
            self.on_failure(error)


def _source(strategy: Strategy) -> tuple[str, str]:
    """Module of a strategy that comes with the program, or path of a file with the source of any other."""
    cls = type(strategy)
    if cls.__module__.startswith(BUILT_IN):
        return cls.__module__, ""
    return "", os.path.abspath(strategy.source_copy or source_file(cls))


def _environment() -> dict[str, str]:
    kept = {name: value for name in _PASSED_ON if (value := os.environ.get(name)) is not None}
    # One thread each: more of them would take the cores of others, and map memory that nobody uses.
    threads = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    return {**kept, **threads, "MALLOC_ARENA_MAX": "2", "PYTHONDONTWRITEBYTECODE": "1"}


def _how_it_ended(name: str, code: int) -> str:
    if code == -signal.SIGXCPU:
        return f"The strategy {name} used more processor time for one bar than it may and was ended."
    if code == -signal.SIGKILL:
        return f"The process of the strategy {name} was killed, by hand or because memory ran out."
    if code < 0:
        return f"The process of the strategy {name} was ended by {signal.Signals(-code).name}."
    return f"The process of the strategy {name} ended by itself (status {code})."
