"""Taking a home folder over by force: its engine is killed, whatever it does, and its lock taken at once."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from engine.clock import SystemClock
from engine.control.lock import EngineLock, find_holder
from engine.errors import EngineAlreadyRunningError, EngineError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["Taken", "take_over"]

TRIES = 3
"""Engines that are killed before it counts as hopeless: a watchdog may have started one in between."""
DEATH_S = 5.0
"""How long a killed process may take to let go of the lock."""
PAUSE_S = 0.02


class Taken(NamedTuple):
    """A home folder that is ours."""

    lock: EngineLock
    killed: tuple[int, ...]
    """Process numbers of the engines that were killed."""


def take_over(home: Path, release: str) -> Taken:
    """Kill whoever holds a home folder's lock and take it. Blocks for some seconds at most.

    A process that is stopped (SIGSTOP) or hangs dies as well: nothing is asked of it.

    Raises:
        EngineError: The holder does not say who it is, belongs to somebody else, or does not die.
    """
    killed: list[int] = []
    for _ in range(TRIES):
        holder = find_holder(home)
        if holder is not None and holder.pid:
            _kill(holder.pid)
            killed.append(holder.pid)
        lock = _lock_within(home, release, killed)
        if lock is not None:
            return Taken(lock, tuple(killed))
    holder = find_holder(home)
    who = f"process {holder.pid}" if holder is not None and holder.pid else "a process that has not said who it is"
    raise EngineError(
        f"The home folder {home} is held by {who}, which did not let go of it (killed: "
        f"{', '.join(map(str, killed)) or 'nobody'}). End that process, then ask again."
    )


def _kill(pid: int) -> None:
    try:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    except PermissionError as error:
        raise EngineError(
            f"The engine (process {pid}) belongs to somebody else and cannot be killed. Run the command as its owner."
        ) from error


def _lock_within(home: Path, release: str, killed: Sequence[int]) -> EngineLock | None:
    """The lock, as soon as it is free; None when another engine has it, or the killed one does not die."""
    clock = SystemClock()
    end = clock.monotonic() + int(DEATH_S * 1e9)
    while True:
        try:
            return EngineLock.acquire(home, release=release)
        except EngineAlreadyRunningError:
            holder = find_holder(home)
            another = holder is not None and holder.pid != 0 and holder.pid not in killed
            if another or clock.monotonic() >= end:
                return None
            time.sleep(PAUSE_S)
