"""Starts a backup when the newest one has become too old, for as long as the engine runs."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from engine.control.backups import list_backups
from engine.control.worker import settings_for_worker
from engine.errors import QuarterdeckError
from engine.logs import get_logger

if TYPE_CHECKING:
    from pathlib import Path

    from engine.clock import Clock
    from engine.config import Settings
    from engine.control.jobs import Jobs

__all__ = ["BackupSchedule"]

log = get_logger(__name__)

LOOK_S = 600.0
"""How often it is looked whether one is due; the first look comes after as long."""
NS_PER_HOUR = 3_600_000_000_000


class BackupSchedule:
    """The backups that nobody asks for.

    Args:
        home: The home folder.
        settings: Say how often.
        jobs: Run them.
        clock: Waits, and tells how old the newest one is.
    """

    def __init__(self, home: Path, settings: Settings, jobs: Jobs, clock: Clock) -> None:
        self._home = home
        self._settings = settings
        self._jobs = jobs
        self._clock = clock
        self.newest: int | None = None
        """When the newest backup was begun, UTC nanoseconds; None when there is none or nobody has looked yet."""
        self.problem = ""
        """Why the last one failed; empty while all is well."""

    @property
    def every_hours(self) -> float:
        """Hours between two backups; 0 when none are wanted."""
        return self._settings.backup.every_hours

    async def run(self) -> None:
        """Look now and then until cancelled."""
        while self.every_hours:
            await self._clock.sleep(LOOK_S)
            try:
                await self.look()
            except (QuarterdeckError, OSError) as error:
                self._failed(str(error))

    async def look(self) -> bool:
        """Make a backup if one is due; tells whether one was made."""
        rows = await asyncio.to_thread(list_backups, self._home, self._settings)
        self.newest = max((row.created for row in rows if not row.problem), default=None)
        if self.newest is not None and self._clock.now() - self.newest < self.every_hours * NS_PER_HOUR:
            return False
        return await self.make()

    async def make(self) -> bool:
        """Make a backup now; tells whether one was made."""
        task = {"candles": None, **settings_for_worker(self._settings)}
        job = await self._jobs.wait(self._jobs.start("backup", "backup of the home folder", task).id)
        if job.state != "done":
            self._failed(job.message or f"it was {job.state}")
            return False
        self.newest, self.problem = job.started, ""
        log.info("backup made", backup=job.result, words=job.message)
        return True

    def _failed(self, problem: str) -> None:
        self.problem = problem
        log.error("no backup was made", problem=problem)
