"""Operations on the hand-over of the engine to a fresh process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.control.registry import Role, Tier, operation
from engine.control.requests import Empty
from engine.control.views_records import HandoverRow
from engine.errors import ConflictError

if TYPE_CHECKING:
    from engine.control.context import Context


@operation("engine.restart", Empty, Role.ADMIN, mutates=True, tier=Tier.CONFIRM)
async def restart(context: Context, _: Empty) -> str:
    """Hand the engine over to a fresh process of the installed release; orders and bots do not notice.

    The reply comes as soon as that process is started. It trades once it has proven that it knows everything; until
    then, and if it cannot, this one goes on. `engine.handover` tells how it went.
    """
    door = context.handover
    if door is None or context.start_successor is None:
        raise ConflictError(
            "This engine cannot be handed over: it runs a scene, or inside another program. Stop it and start it again."
        )
    if door.standing.state == "under way":
        raise ConflictError(f"Process {door.standing.pid} is taking over already; `engine.handover` tells how it goes.")
    busy = (
        [row for row in context.jobs.rows() if row.state in ("running", "queued")] if context.jobs is not None else []
    )
    if busy:
        raise ConflictError(
            f"{len(busy)} {'job is' if len(busy) == 1 else 'jobs are'} under way and would end with this process. Wait "
            "for them, or cancel them (`quarterdeck jobs list`), then ask again."
        )
    pid = await context.start_successor()
    door.expect(pid)
    return f"Process {pid} is getting ready to take over; this one trades until then."


@operation("engine.handover", Empty)
async def handover(context: Context, _: Empty) -> HandoverRow:
    """How the last hand-over went, as far as this process knows."""
    context.need_engine()
    if context.handover is None:
        return HandoverRow(state="none", pid=0, release="", words="This engine cannot be handed over.")
    standing = context.handover.standing
    return HandoverRow(state=standing.state, pid=standing.pid, release=standing.release, words=standing.words)
