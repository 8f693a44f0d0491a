"""Operations on the exits of a position of one's own: a stop and a target."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.control.live.admission import live_order
from engine.control.present.exits import check_sides, exit_requests, exits_preview
from engine.control.present.orders import order_row
from engine.control.registry import Role, Tier, operation
from engine.control.requests_exits import PlaceExits, PreviewExits
from engine.errors import QuarterdeckError
from engine.model.ids import MANUAL, InstrumentId

if TYPE_CHECKING:
    from engine.control.context import Context
    from engine.control.views import OrderRow
    from engine.control.views_orders import ExitsPreview
    from engine.model.order import Order


@operation("orders.preview_exits", PreviewExits)
async def preview_exits(context: Context, request: PreviewExits) -> ExitsPreview:
    """What a stop and a target for a position would be, and where they wait; without prices it proposes some."""
    return exits_preview(context.need_engine(), request)


@operation("orders.place_exits", PlaceExits, Role.TRADER, mutates=True, tier=Tier.CONFIRM)
async def place_exits(context: Context, request: PlaceExits) -> list[OrderRow]:
    """Place a stop, a target or both for a position: the end of one is the end of the other (OCO)."""
    engine = context.need_engine()
    engine.hub.market(InstrumentId(request.instrument))
    check_sides(engine, request)
    group = f"{MANUAL}-{engine.ledger.seq + 1}"
    placed: list[Order] = []
    for wanted in exit_requests(engine, request, request.quantity, request.reason, group):
        try:
            with live_order(context, wanted, request.live) as allowed:
                placed.append(engine.desk.submit(allowed))
        except QuarterdeckError:
            # Half a bracket is not what was asked for.
            for order in placed:
                engine.desk.cancel(order.client_id, "the other order of its group was refused")
            raise
    return [order_row(engine, order) for order in placed]
