"""Views of impact estimates and routes."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from engine.control.views_execution import EstimateView, OrderRouteView, PassedRow, RouteLeg, RouteShare
from engine.execution.router import route
from engine.execution.schedules.almgren_chriss import risk_aversion
from engine.execution.selection import Algorithm, Choice, choose, parts_needed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.control.requests_execution import EstimateOrder, RouteOrder
    from engine.engine import Engine
    from engine.execution.router import Candidate, Route
    from engine.execution.schedules.almgren_chriss import Costs
    from engine.model.ids import Currency, InstrumentId
    from engine.model.impact import ImpactEstimate

__all__ = ["estimate_view", "route_view"]

AUTO = "auto"


def estimate_view(
    engine: Engine, instrument: InstrumentId, request: EstimateOrder, candidates: Sequence[Candidate]
) -> EstimateView:
    """What an order would cost at once, and by an algorithm; candles must have been looked at before.

    Args:
        engine: Whose market counts.
        instrument: What is traded.
        request: The order.
        candidates: Accounts that it could be shared among.
    """
    market = engine.hub.market(instrument)
    told = engine.impact.estimate(instrument, request.side, request.quantity)
    rules = engine.planner.rules
    choice = choose(told, request.urgency, rules)
    if request.algorithm != AUTO:
        algorithm, window = Algorithm(request.algorithm), int(request.duration_s * 1e9)
        choice = Choice(algorithm=algorithm, reason="It was asked for.", duration_ns=window, slices=request.slices)
    mark, cost = engine.mark(instrument), None
    if told is not None and mark is not None:
        cost = told.cost * float(market.instrument.notional(mark, request.quantity))
    known = engine.impact.coefficients(instrument, request.quantity)
    costs = _costs(engine, instrument, request, told, choice)
    return EstimateView(
        instrument=instrument,
        side=request.side,
        quantity=request.quantity,
        estimate=told,
        cost=cost,
        currency=market.instrument.quote,
        permanent=known.permanent,
        temporary=known.temporary,
        seen=known.seen,
        parts=1 if told is None else parts_needed(told, rules.impact_limit),
        algorithm=str(choice.algorithm),
        reason=choice.reason,
        duration_s=choice.duration_ns / 1e9,
        slices=choice.slices,
        expected=None if costs is None else costs.expected,
        deviation=None if costs is None else costs.deviation,
        route=tuple(
            RouteShare(account=leg.account, share=float(leg.quantity / request.quantity))
            for leg in route(request.side, request.quantity, candidates).legs
        ),
    )


def _costs(
    engine: Engine, instrument: InstrumentId, request: EstimateOrder, told: ImpactEstimate | None, choice: Choice
) -> Costs | None:
    """What the chosen schedule is expected to cost; None for what is not scheduled."""
    conditions = engine.impact.conditions(instrument)
    if told is None or conditions is None or not choice.duration_ns:
        return None
    seconds = choice.duration_ns / 1e9
    shortfall = engine.impact.coefficients(instrument, request.quantity).shortfall(
        conditions, float(request.quantity), told.half_spread, seconds, choice.slices
    )
    aversion = risk_aversion(request.urgency) if choice.algorithm is Algorithm.SHORTFALL else 0.0
    return shortfall.costs(shortfall.weights(seconds, choice.slices, aversion), seconds)


def route_view(request: RouteOrder, found: Route, currency: Currency) -> OrderRouteView:
    """A route as it is shown."""
    legs = tuple(
        RouteLeg(
            account=leg.account,
            instrument=leg.instrument.id,
            quantity=leg.quantity,
            price=leg.instrument.round_price(leg.price, up=request.side.sign > 0),
            worst=leg.worst,
            fee=_shown(leg.fee),
        )
        for leg in found.legs
    )
    price = found.price_after_fees(request.side)
    return OrderRouteView(
        symbol=request.symbol,
        side=request.side,
        quantity=request.quantity,
        legs=legs,
        unrouted=found.unrouted,
        price=None if price is None else _shown(price),
        currency=currency,
        passed_over=tuple(PassedRow(account=one.account, reason=one.reason) for one in found.passed_over),
    )


def _shown(value: Decimal) -> Decimal:
    return value.quantize(Decimal("1e-8"))
