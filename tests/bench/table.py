"""What a benchmark gives back, and the few tools that benchmarks share."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

__all__ = ["OUT", "Lag", "Row", "best_rate", "percentile", "sync_times", "workplace"]

OUT = Path(__file__).parent / "out"
"""Where benchmarks write: beside them, because a real disk is wanted and /tmp may be memory."""


class Row(NamedTuple):
    """One line of the table."""

    what: str
    measured: str
    bar: str = ""
    """What is asked for; empty for a figure that only explains another."""
    ok: bool | None = None
    """Whether the bar is met; None when there is none."""


@contextmanager
def workplace(name: str) -> Iterator[Path]:
    """An empty folder on the disk for the time of a measurement."""
    folder = OUT / f"{name}-{os.getpid()}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def percentile(values: Sequence[float], percent: float) -> float:
    """The value that `percent` per cent of the values do not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def best_rate(work: Callable[[], int], rounds: int = 3) -> float:
    """Things done per second in the best of a few rounds; `work` returns how many it did."""
    best = 0.0
    for _ in range(rounds):
        began = time.perf_counter()
        done = work()
        best = max(best, done / (time.perf_counter() - began))
    return best


def sync_times(folder: Path, sync: Callable[[int], None], *, count: int, pause_s: float) -> list[float]:
    """Milliseconds of so many bare syncs, each after 4 KiB appended to a file and a pause."""
    descriptor = os.open(folder / "sync", os.O_CREAT | os.O_WRONLY, 0o600)
    times: list[float] = []
    try:
        for _ in range(count):
            os.write(descriptor, b"x" * 4096)
            began = time.perf_counter()
            sync(descriptor)
            times.append((time.perf_counter() - began) * 1e3)
            time.sleep(pause_s)
    finally:
        os.close(descriptor)
    return times


class Lag:
    """A heartbeat on an event loop: by how much a sleep of `BEAT_S` ends late."""

    BEAT_S = 0.005

    def __init__(self) -> None:
        self.late: list[float] = []
        """Milliseconds."""
        self.own: list[float] = []
        """The same without the time in which the thread could have gone on and other processes had the processors."""

    async def beat(self) -> None:
        """Measure until cancelled."""
        while True:
            waited, before = _waited(), time.monotonic()
            await asyncio.sleep(self.BEAT_S)
            late = max(0.0, (time.monotonic() - before - self.BEAT_S) * 1e3)
            self.late.append(late)
            self.own.append(max(0.0, late - (_waited() - waited)))

    def words(self) -> str:
        """For the table."""
        worst = f"p99 {percentile(self.late, 99):.1f} ms, most {max(self.late):.1f} ms"
        return f"{worst} (without waiting for a processor {percentile(self.own, 99):.1f} and {max(self.own):.1f} ms)"


def _waited() -> float:
    """Milliseconds that this thread has waited for a processor so far; 0 where the system does not tell."""
    try:
        with Path("/proc/thread-self/schedstat").open(encoding="ascii") as file:
            return int(file.read().split()[1]) / 1e6
    except (OSError, IndexError, ValueError):
        return 0.0
