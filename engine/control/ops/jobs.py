"""Operations on jobs: heavy work in processes of its own."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from engine.control.present.listing import listed
from engine.control.registry import Role, operation
from engine.control.requests_listing import ListRows
from engine.control.requests_research import JobId, JobQuery

if TYPE_CHECKING:
    from engine.control.context import Context
    from engine.control.views import JobRow


@operation("jobs.list", ListRows)
async def list_jobs(context: Context, request: ListRows) -> list[JobRow]:
    """Jobs that wait, run or have ended since the start, the newest first."""
    return listed(context.jobs.rows() if context.jobs is not None else [], request)


@operation("jobs.get", JobQuery)
async def get(context: Context, request: JobQuery) -> JobRow:
    """One job, at once or when it has ended."""
    jobs = context.need_jobs()
    if request.wait:
        with suppress(TimeoutError):
            async with asyncio.timeout(request.wait):
                return await jobs.wait(request.id)
    return jobs.get(request.id)


@operation("jobs.cancel", JobId, Role.TRADER, mutates=True)
async def cancel(context: Context, request: JobId) -> JobRow:
    """End a job; one that has ended stays as it is."""
    return context.need_jobs().cancel(request.id)
