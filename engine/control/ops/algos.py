"""Operations on algorithms: parent orders that are traded in parts by the engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from engine.control.live.admission import live_order, live_parent
from engine.control.present.algos import PLANNED, needs_range, parent_request, parent_row, plan_of, planned, true_range
from engine.control.registry import Role, Tier, operation
from engine.control.requests_algos import AccelerateAlgo, CancelAlgo, ListAlgos, PauseAlgo, ResumeAlgo, StartAlgo
from engine.execution.algos.plans import whole_request
from engine.model.algos import BracketPlan
from engine.model.decimals import ONE
from engine.model.ids import MANUAL, InstrumentId

if TYPE_CHECKING:
    from engine.control.context import Context
    from engine.control.views_algos import ParentRow


@operation("algos.start", StartAlgo, Role.TRADER, mutates=True, tier=Tier.CONFIRM)
async def start(context: Context, request: StartAlgo) -> ParentRow:
    """Trade an order in parts by an algorithm; the whole passes the risk gate first, and each part again."""
    engine = context.need_engine()
    instrument = InstrumentId(request.instrument)
    engine.unit(instrument)
    market = engine.hub.market(instrument)
    distance = await true_range(engine, instrument) if needs_range(request) else None
    wanted = parent_request(engine, request)
    if request.algorithm in PLANNED:
        await engine.impact.look(instrument)
        plan = planned(engine, request, wanted)
    else:
        plan = plan_of(request, market.instrument, distance)
    whole, enters = whole_request(wanted, plan), isinstance(plan, BracketPlan)
    with live_order(context, whole, request.live, enters=enters) as allowed:
        # Each part is judged when its time comes; one that nobody was asked about must reduce then as well.
        wanted = msgspec.structs.replace(wanted, reduce_only=allowed.reduce_only)
        parent = engine.algos.open(wanted, plan, max_slippage=request.max_slippage)
    return parent_row(engine, parent)


@operation("algos.pause", PauseAlgo, Role.TRADER, mutates=True)
async def pause(context: Context, request: PauseAlgo) -> ParentRow:
    """Withdraw what a parent order has working and place nothing more until it is resumed; stops stay."""
    engine = context.need_engine()
    parent = engine.algos.find(request.id)
    engine.algos.pause(parent, request.reason)
    return parent_row(engine, parent)


@operation("algos.resume", ResumeAlgo, Role.TRADER, mutates=True)
async def resume(context: Context, request: ResumeAlgo) -> ParentRow:
    """Go on with a paused parent order; its schedule is later by the pause."""
    engine = context.need_engine()
    parent = engine.algos.find(request.id)
    live_parent(context, parent, request.live)
    engine.algos.resume(parent)
    return parent_row(engine, parent)


@operation("algos.accelerate", AccelerateAlgo, Role.TRADER, mutates=True)
async def accelerate(context: Context, request: AccelerateAlgo) -> ParentRow:
    """Let a parent order's clock run faster or slower; caps, limits and its price stay."""
    engine = context.need_engine()
    parent = engine.algos.find(request.id)
    if request.factor > ONE:
        live_parent(context, parent, request.live)
    engine.algos.accelerate(parent, request.factor)
    return parent_row(engine, parent)


@operation("algos.cancel", CancelAlgo, Role.TRADER, mutates=True, emergency=True)
async def cancel(context: Context, request: CancelAlgo) -> ParentRow:
    """End a parent order: it places nothing more, and all of its orders are cancelled, stops included."""
    engine = context.need_engine()
    parent = engine.algos.find(request.id)
    engine.algos.cancel(parent, request.reason)
    return parent_row(engine, parent)


@operation("algos.list", ListAlgos)
async def list_algos(context: Context, request: ListAlgos) -> list[ParentRow]:
    """Parent orders with their progress, newest first."""
    engine = context.need_engine()
    state = engine.state
    owner = None
    if request.owner:
        owner = MANUAL if request.owner == MANUAL else engine.bots.find(request.owner).id
    source = state.ended_parents if request.ended else state.parents
    found = [
        parent
        for parent in reversed(source.values())
        if request.instrument in (None, parent.instrument) and owner in (None, parent.owner)
    ]
    return [parent_row(engine, parent) for parent in found[: request.limit]]
