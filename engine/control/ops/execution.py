"""Operations on how an order is best executed: its impact, and where it goes."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from engine.control.live.admission import live_order
from engine.control.present.execution import estimate_view, route_view
from engine.control.present.orders import order_row
from engine.control.registry import Role, Tier, operation
from engine.control.requests_execution import EstimateOrder, PlaceRoute, RouteOrder
from engine.control.routing import candidates_for, followed
from engine.errors import ConflictError
from engine.execution.router import route
from engine.logs import current_operation
from engine.model.decimals import ONE
from engine.model.ids import MANUAL, InstrumentId
from engine.model.order import Decision, OrderRequest, OrderType, TimeInForce

if TYPE_CHECKING:
    from engine.control.context import Context
    from engine.control.views import OrderRow
    from engine.control.views_execution import EstimateView, OrderRouteView
    from engine.execution.router import Leg


@operation("orders.estimate", EstimateOrder)
async def estimate(context: Context, request: EstimateOrder) -> EstimateView:
    """What an order would cost by its own impact, and by which algorithm it is best traded."""
    engine = context.need_engine()
    instrument = InstrumentId(request.instrument)
    engine.unit(instrument)
    engine.hub.market(instrument)
    await engine.impact.look(instrument)
    return estimate_view(engine, instrument, request, followed(engine, instrument, request.side))


@operation("orders.route", RouteOrder)
async def preview_route(context: Context, request: RouteOrder) -> OrderRouteView:
    """How an order would be split over the venues that trade the same, by price after fees; nothing is sent."""
    engine = context.need_engine()
    candidates = await candidates_for(engine, request.symbol, request.side, request.accounts)
    return route_view(request, route(request.side, request.quantity, candidates), candidates[0].instrument.quote)


@operation("orders.place_route", PlaceRoute, Role.TRADER, mutates=True, tier=Tier.CONFIRM)
async def place_route(context: Context, request: PlaceRoute) -> list[OrderRow]:
    """Split an order over the venues that trade the same and send all parts, each at once or not at all.

    Every part passes the risk gate by itself before it is sent. All are one correlation.
    """
    engine = context.need_engine()
    candidates = await candidates_for(engine, request.symbol, request.side, request.accounts)
    found = route(request.side, request.quantity, candidates)
    if not found.legs:
        reasons = "; ".join(f"{one.account}: {one.reason}" for one in found.passed_over) or "no book has any depth"
        raise ConflictError(f"Nothing of it can be sent anywhere now ({reasons}).")
    if found.unrouted:
        raise ConflictError(
            f"Only {found.quantity.normalize():f} of it can be executed now: depth and free money end there. "
            "Send that much, or trade it over time."
        )
    wanted = [_part(leg, request) for leg in found.legs]
    # A part that is refused keeps all others from being sent.
    wanted.sort(key=lambda part: engine.desk.judge(part).passed)
    with ExitStack() as stack:
        allowed = [stack.enter_context(live_order(context, part, request.live)) for part in wanted]
        orders = [engine.desk.submit(part, current_operation()) for part in allowed]
    return [order_row(engine, order) for order in orders]


def _part(leg: Leg, request: PlaceRoute) -> OrderRequest:
    worse = leg.worst * (ONE + request.side.sign * request.slippage)
    return OrderRequest(
        account=leg.account,
        instrument=leg.instrument.id,
        owner=MANUAL,
        side=request.side,
        type=OrderType.LIMIT,
        quantity=leg.quantity,
        price=leg.instrument.round_price(worse, up=request.side.sign > 0),
        tif=TimeInForce.IOC,
        decision=Decision(reason=request.reason),
    )
