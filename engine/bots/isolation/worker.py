"""The process of one strategy: `python -m engine.bots.isolation.worker PARENT`, as `isolation.runner` speaks with it.

The kernel ends it when a request takes more processor time than allowed, refuses it memory beyond its limit, and kills
it with its parent. It holds no key, no socket and none of the engine's environment.
"""

from __future__ import annotations

import importlib
import os
import resource
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from engine.bots.isolation.owned import claim_output, die_with
from engine.bots.isolation.protocol import HEAD, MOST_BYTES, Begin, Decide, Done, Failed, decode_request, framed
from engine.clock import SystemClock
from engine.errors import QuarterdeckError
from engine.strategy.contract import Holding
from engine.strategy.loader import read_strategy_file
from engine.strategy.runner import StrategyRunner

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.bots.isolation.protocol import Reply, Request
    from engine.model.signal import Signal
    from engine.strategy.contract import Strategy

__all__ = ["main"]

NICE = 5
_NO_MEMORY = "The strategy wanted more memory than it may have and was ended."


def _read(pipe: BinaryIO) -> Request | None:
    head = pipe.read(HEAD.size)
    if len(head) < HEAD.size:
        return None
    (size,) = HEAD.unpack(head)
    if size > MOST_BYTES:
        return None
    body = pipe.read(size)
    return decode_request(body) if len(body) == size else None


def _say(pipe: BinaryIO, reply: Reply) -> None:
    pipe.write(framed(reply))
    pipe.flush()


def _strategy(task: Begin) -> Strategy:
    if task.module:
        module = importlib.import_module(task.module)
        found = next(
            member
            for member in vars(module).values()
            if isinstance(member, type) and getattr(member, "name", "") == task.name
        )
        return found.build(task.params)  # type: ignore[attr-defined, no-any-return]
    return read_strategy_file(Path(task.file)).build(task.params)


def _limit(task: Begin) -> None:
    """Let the kernel refuse memory and files beyond the limits. What the program itself maps is left out."""
    if sys.platform == "linux":
        size, resident = (int(part) for part in Path("/proc/self/statm").read_text(encoding="ascii").split()[:2])
        own = (size - resident) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (task.memory_bytes + own, task.memory_bytes + own))
    resource.setrlimit(resource.RLIMIT_FSIZE, (task.storage_bytes, task.storage_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if task.core >= 0:
        # A core may have been taken away meanwhile; then any will do.
        with suppress(OSError):
            os.sched_setaffinity(0, {task.core})


def _allow(seconds: float) -> None:
    """Let the kernel end this process once it has used so much more processor time; whole seconds, rounded up."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    most = int(used.ru_utime + used.ru_stime + seconds) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (most, resource.RLIM_INFINITY))


def _done(runner: StrategyRunner, number: int, signals: list[Signal]) -> Done:
    return Done(
        number=number,
        signals=signals,
        saved=runner.save(),
        last_ts=runner.last_ts,
        seen=runner.seen,
        broken=runner.broken,
        latency_ns=runner.latency_ns,
    )


def _begin(task: Begin) -> StrategyRunner:
    strategy = _strategy(task)
    runner = StrategyRunner(strategy, task.instrument, timeframe=task.timeframe, timer=SystemClock().monotonic)
    if task.saved:
        runner.restore(task.saved, memory_only=task.memory_only)
    for bars in task.past:
        runner.warm_up(bars.unpacked())
    return runner


def _serve(source: BinaryIO, sink: BinaryIO) -> None:
    task, number = _read(source), 0
    if not isinstance(task, Begin):
        return
    try:
        # Imports are the program's own, and many; what the strategy does from here on is limited.
        import numpy as np

        np.zeros(1)
        _limit(task)
        _allow(max(30.0, task.bar_cpu_s))
        runner = _begin(task)
        _say(sink, _done(runner, 0, []))
        while (request := _read(source)) is not None:
            _allow(task.bar_cpu_s)
            number = request.number if not isinstance(request, Begin) else 0
            signals: list[Signal] = []
            if isinstance(request, Decide):
                holding = Holding(request.quantity, request.entry_price)
                runner.strategy.regime, runner.strategy.peers = request.regime, request.peers
                signals = runner.on_bars(request.bars.unpacked(), holding)
            elif not isinstance(request, Begin):
                runner.warm_up(request.bars.unpacked())
            _say(sink, _done(runner, number, signals))
    except QuarterdeckError as error:
        message = _NO_MEMORY if isinstance(error.__cause__, MemoryError) else error.message
        _say(sink, Failed(number=number, message=message, error_code=error.error_code or ""))
    except MemoryError:
        _say(sink, Failed(number=number, message=_NO_MEMORY))
    except BaseException as error:  # a strategy's own code runs here: it may raise anything, also what ends a process
        said = f"{type(error).__name__}: {error}".rstrip(": ")[:300]
        _say(sink, Failed(number=number, message=f"The strategy failed unexpectedly ({said})."))


def main(arguments: Sequence[str]) -> int:
    """Run one strategy until the pipe ends."""
    die_with(int(arguments[0]))
    os.nice(NICE)
    sink = claim_output()
    _serve(sys.stdin.buffer, sink)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
