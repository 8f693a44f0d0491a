"""Operations on copies of the home folder."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from engine.control.backups import list_backups
from engine.control.registry import Role, operation
from engine.control.requests import Empty
from engine.control.requests_research import CreateBackup
from engine.control.worker import settings_for_worker

if TYPE_CHECKING:
    from engine.control.context import Context
    from engine.control.views import JobRow
    from engine.control.views_records import BackupRow


@operation("backup.create", CreateBackup, Role.ADMIN, mutates=True, offline=True)
async def create(context: Context, request: CreateBackup) -> JobRow:
    """Copy the home folder while everything goes on; a job, whose result is the backup's name."""
    task = {"candles": request.candles, **settings_for_worker(context.settings)}
    return context.need_jobs().start("backup", "backup of the home folder", task)


@operation("backup.list", Empty, offline=True)
async def list_all(context: Context, _: Empty) -> list[BackupRow]:
    """Copies of the home folder, the newest first."""
    return await asyncio.to_thread(list_backups, context.home, context.settings)
