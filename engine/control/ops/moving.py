"""The operation of moving in: another program's candles, settings and strategies, taken over as far as they can be."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from engine.control.ops.data import local_path
from engine.control.registry import Role, operation
from engine.control.requests_moving import MoveIn
from engine.control.worker import settings_for_worker
from engine.errors import ValidationError

if TYPE_CHECKING:
    from engine.control.context import Context
    from engine.control.views import JobRow


@operation("moving.run", MoveIn, Role.TRADER, mutates=True, offline=True)
async def run(context: Context, request: MoveIn) -> JobRow:
    """Take over another program's candles and strategies; a job, whose report has the bots and what was left.

    Nothing of the other program is run, and keys are not read. The report's `bots` are requests of `bots.create`.
    """
    path = local_path(request.path)
    if not await asyncio.to_thread(path.exists):
        raise ValidationError(f"There is no {path}; check the path.")
    task = request.model_dump(mode="json") | {"path": str(path)} | settings_for_worker(context.settings)
    return context.need_jobs().start("move", f"{request.program} {path.name}", task)
