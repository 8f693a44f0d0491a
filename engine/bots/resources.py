"""What bots use of memory, processor and disk: measured every few seconds, warned about at 80 %, acted on at 100 %.

Only a strategy in a process of its own has memory and files that can be told from the engine's; of one in a task the
processor time of its bars and the size of what it remembers are known. From 100 % on a process is throttled (it gets
the processor only where nobody else wants it), and a bot is paused when it stays there for a minute.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from engine.bots.isolation.runner import IsolatedRunner
from engine.errors import ConflictError
from engine.logs import get_logger
from engine.model.entries import BotState
from engine.model.faults import Severity

if TYPE_CHECKING:
    from engine.bots.bot import Bot
    from engine.bots.manager import BotManager
    from engine.model.ids import Owner

__all__ = ["ACT", "PATIENCE_NS", "WARN", "WINDOW_NS", "BotUsage", "Measure", "ResourceWatch"]

log = get_logger(__name__)

WARN, ACT, CALM = 0.8, 1.0, 0.7
"""Shares of a limit: warned about; acted on; below it, what was said may be said again."""
PATIENCE_NS = 60_000_000_000
"""How long a throttled bot may stay above its limit before it is paused."""
WINDOW_NS = 60_000_000_000
"""Time over which the share of a processor is taken."""
_LEAST_WINDOW_NS = 15_000_000_000
_MB = 1 << 20
_COUNTING_S = 1.0
_FILES = 1_000
"""Files that are counted; a folder with more of them is taken for full."""


class BotUsage(msgspec.Struct, frozen=True, kw_only=True):
    """What a bot uses of what it may use. Sizes in MB (1 MB is 2^20 bytes), processor as a share of one core."""

    memory_mb: float | None
    """None where it cannot be told from the engine's own."""
    memory_limit_mb: int
    cpu_share: float | None
    """None in the first seconds."""
    cpu_limit: float
    storage_mb: float
    storage_limit_mb: int
    throttled: bool = False

    @property
    def worst(self) -> tuple[str, float]:
        """The resource that is used most, with its share of the limit."""
        shares = {
            "memory": (self.memory_mb or 0.0) / self.memory_limit_mb,
            "processor": (self.cpu_share or 0.0) / self.cpu_limit,
            "storage": self.storage_mb / self.storage_limit_mb,
        }
        name = max(shares, key=lambda key: shares[key])
        return name, shares[name]


class Measure:
    """Reads what a process uses, as the kernel tells it. Linux; elsewhere nothing is known.

    Args:
        proc: Where the kernel tells it.
    """

    def __init__(self, proc: Path = Path("/proc")) -> None:
        self._proc = proc
        self._page = os.sysconf("SC_PAGE_SIZE")
        self._tick_ns = 1_000_000_000 // os.sysconf("SC_CLK_TCK")

    def memory(self, pid: int) -> int | None:
        """Resident bytes of a process; None when it is gone."""
        try:
            return int((self._proc / str(pid) / "statm").read_text(encoding="ascii").split()[1]) * self._page
        except (OSError, ValueError, IndexError):
            return None

    def busy_ns(self, pid: int) -> int | None:
        """Processor time of a process so far in nanoseconds; None when it is gone."""
        try:
            # The name in brackets may hold anything, also spaces and brackets.
            fields = (self._proc / str(pid) / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()
            return (int(fields[11]) + int(fields[12])) * self._tick_ns
        except (OSError, ValueError, IndexError):
            return None

    @staticmethod
    def stored(folder: str) -> int:
        """Bytes of the files in a folder and below it."""
        total = count = 0
        folders = [folder]
        while folders:
            try:
                with os.scandir(folders.pop()) as entries:
                    for entry in entries:
                        count += 1
                        if count > _FILES:
                            return 1 << 60
                        if entry.is_dir(follow_symlinks=False):
                            folders.append(entry.path)
                        else:
                            total += entry.stat(follow_symlinks=False).st_size
            except OSError:
                continue
        return total


class _Seen:
    """What was measured of one bot, and what was said about it."""

    def __init__(self) -> None:
        self.samples: deque[tuple[int, int]] = deque()
        """Time and processor time so far, both in nanoseconds."""
        self.usage: BotUsage | None = None
        self.warned = False
        self.over_at = 0
        """UTC nanoseconds since which it uses too much; 0 while it does not."""
        self.stored = 0
        """Bytes in its folder when they were last counted."""


class ResourceWatch:
    """Looks at what the bots of a manager use, and acts.

    Args:
        manager: Whose bots they are.
        measure: Reads what processes use.
    """

    def __init__(self, manager: BotManager, measure: Measure | None = None) -> None:
        self._manager = manager
        self._measure = measure or Measure()
        self._seen: dict[Owner, _Seen] = {}
        self._counting: asyncio.Future[dict[IsolatedRunner, int]] | None = None
        """Files that are being counted."""

    def usage(self, owner: Owner) -> BotUsage | None:
        """What a bot used when it was last looked at; None for one that is not up."""
        seen = self._seen.get(owner)
        return None if seen is None else seen.usage

    async def count_files(self) -> None:
        """Sum up the folders of those bots that have one, in a thread: they may be large, and a disk slow.

        Waits for it no longer than a second; what takes longer counts when it is asked for again.
        """
        if self._counting is None:
            folders = {
                one: one.folder
                for one in (bot.runner for bot in self._manager.running.values())
                if isinstance(one, IsolatedRunner) and one.folder
            }
            if not folders:
                return
            stored = self._measure.stored
            self._counting = asyncio.get_running_loop().run_in_executor(
                None, lambda: {one: stored(folder) for one, folder in folders.items()}
            )
        counting = self._counting
        await asyncio.wait({counting}, timeout=_COUNTING_S)
        if not counting.done():
            return
        self._counting = None
        sizes = counting.result()
        for owner, bot in self._manager.running.items():
            # By process, not by bot: another one may have come in the place of the one whose folder it was.
            if isinstance(bot.runner, IsolatedRunner) and bot.runner in sizes:
                self._seen.setdefault(owner, _Seen()).stored = sizes[bot.runner]

    def look(self, now: int) -> None:
        """Measure every bot that is up, and act on what is too much; `now` in UTC nanoseconds.

        What is in their folders is taken as `count_files` found it last.

        Raises:
            JournalError: Nothing can be booked any more.
        """
        running = self._manager.running
        for owner in [owner for owner in self._seen if owner not in running]:
            del self._seen[owner]
        for owner, bot in tuple(running.items()):
            seen = self._seen.setdefault(owner, _Seen())
            seen.usage = self._measured(bot, seen, now)
            self._judge(owner, bot, seen, now)

    def _measured(self, bot: Bot, seen: _Seen, now: int) -> BotUsage:
        runner, memory, busy, stored = bot.runner, None, None, 0
        if isinstance(runner, IsolatedRunner):
            if runner.pid:
                memory, busy = self._measure.memory(runner.pid), self._measure.busy_ns(runner.pid)
            stored = seen.stored if runner.folder else 0
        else:
            busy = bot.busy_ns
        entry = self._manager.entry(bot.owner)
        share = _share(seen.samples, now, busy)
        return BotUsage(
            memory_mb=None if memory is None else memory / _MB,
            memory_limit_mb=bot.allowance.memory_mb,
            cpu_share=share,
            cpu_limit=bot.allowance.cpu_share,
            storage_mb=(stored + len(entry.memory if entry is not None else b"")) / _MB,
            storage_limit_mb=bot.allowance.storage_mb,
            throttled=bool(seen.over_at) and isinstance(runner, IsolatedRunner),
        )

    def _judge(self, owner: Owner, bot: Bot, seen: _Seen, now: int) -> None:
        entry, usage = self._manager.entry(owner), seen.usage
        if entry is None or usage is None:
            return
        what, share = usage.worst
        if share < CALM:
            seen.warned, seen.over_at = False, 0
        elif share >= ACT and not seen.over_at:
            seen.warned, seen.over_at = True, now
            then = "it is paused if that goes on for a minute"
            if isinstance(bot.runner, IsolatedRunner):
                bot.runner.slow_down()
                then = f"it is throttled, and {then.removeprefix('it is ')}"
            self._say(Severity.HIGH, f"The bot {entry.name} uses {share:.0%} of its {what} limit; {then}.")
        elif share >= ACT and now - seen.over_at >= PATIENCE_NS and entry.state is BotState.RUNNING:
            reason = f"it uses {share:.0%} of its {what} limit"
            try:
                self._manager.pause(entry, reason)
            except ConflictError as error:
                log.info("a bot could not be paused", bot=owner, problem=error.message)
                return
            self._say(Severity.HIGH, f"The bot {entry.name} is paused: {reason} for a minute. Exits go on.")
        elif share >= WARN and not seen.warned:
            seen.warned = True
            self._say(Severity.MEDIUM, f"The bot {entry.name} uses {share:.0%} of its {what} limit.")

    def _say(self, severity: Severity, text: str) -> None:
        self._manager.errors.alert(severity, "bots", text)


def _share(samples: deque[tuple[int, int]], now: int, busy: int | None) -> float | None:
    """Share of one core over the window that ends now."""
    if busy is None:
        samples.clear()
        return None
    if samples and busy < samples[-1][1]:
        # Another process counts from nothing.
        samples.clear()
    samples.append((now, busy))
    while len(samples) > 2 and samples[1][0] <= now - WINDOW_NS:
        samples.popleft()
    begun, before = samples[0]
    return (busy - before) / (now - begun) if now - begun >= _LEAST_WINDOW_NS else None
