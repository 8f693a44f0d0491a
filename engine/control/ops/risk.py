"""Operations on risk: what is seen of it, and what an operator may do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.control.live.admission import need_deliberate
from engine.control.present.emergency import scope_of
from engine.control.present.risk import risk_view
from engine.control.registry import Role, Tier, operation
from engine.control.requests import BreakerReset, EmergencyStop, Empty, Halt, Resume, SetLimits
from engine.model.entries import TradingState

if TYPE_CHECKING:
    from engine.control.context import Context
    from engine.control.views import LimitRow, RiskView


@operation("risk.overview", Empty, emergency=True)
async def view(context: Context, _: Empty) -> RiskView:
    """Trading state, limits in use and breakers."""
    return risk_view(context.need_engine())


@operation("risk.limits", Empty)
async def limits(context: Context, _: Empty) -> list[LimitRow]:
    """Every limit with its value and how much of it is used."""
    return list(risk_view(context.need_engine()).limits)


@operation("risk.halt", Halt, Role.TRADER, mutates=True, tier=Tier.CONFIRM, emergency=True)
async def halt(context: Context, request: Halt) -> RiskView:
    """Stop new orders of a part of trading, or let them only reduce positions."""
    engine = context.need_engine()
    state = TradingState.REDUCING if request.reducing else TradingState.HALTED
    engine.risk.hold(context.actor, request.reason, state, scope_of(engine, request.scope))
    return risk_view(engine)


@operation("risk.resume", Resume, Role.ADMIN, mutates=True, tier=Tier.CONFIRM)
async def resume(context: Context, request: Resume) -> RiskView:
    """Let a part of trading go on, once every check has passed; with real money an armed console is asked for."""
    engine = context.need_engine()
    need_deliberate(context, request.live)
    engine.risk.release(context.actor, request.reason, scope_of(engine, request.scope))
    return risk_view(engine)


@operation("risk.emergency_stop", EmergencyStop, Role.TRADER, mutates=True, tier=Tier.CONFIRM, emergency=True)
async def emergency_stop(context: Context, request: EmergencyStop) -> RiskView:
    """Block new orders of a part of trading, cancel its open ones and close its positions, all at once."""
    engine = context.need_engine()
    scope = scope_of(engine, request.scope)
    if request.close:
        engine.risk.emergency(context.actor, request.reason, scope)
    else:
        if engine.state.trading_state(scope.key) is not TradingState.HALTED:
            engine.risk.hold(context.actor, request.reason, TradingState.HALTED, scope)
        engine.desk.cancel_matching(
            lambda o: not o.reduce_only and scope.covers(engine.state, o.owner, o.account, o.instrument),
            f"emergency stop by {context.actor}",
        )
    return risk_view(engine)


@operation("risk.reset_breaker", BreakerReset, Role.ADMIN, mutates=True, tier=Tier.CONFIRM)
async def reset_breaker(context: Context, request: BreakerReset) -> RiskView:
    """Close a breaker again, once its condition is over; with real money an armed console is asked for."""
    engine = context.need_engine()
    circuit = engine.remedies.circuit_breakers.get(request.breaker)
    if circuit is not None:
        circuit.reset()
    else:
        need_deliberate(context, request.live)
        scope = request.account or request.scope or None
        engine.risk.reset_breaker(context.actor, request.reason, request.breaker, scope, force=request.force)
    return risk_view(engine)


@operation("risk.set_limits", SetLimits, Role.ADMIN, mutates=True, tier=Tier.CONFIRM)
async def set_limits(context: Context, request: SetLimits) -> RiskView:
    """Change risk limits; they hold from the next check on. With real money only tighter ones need no armed console."""
    engine = context.need_engine()
    held = engine.risk.limits()
    if held.loosened_by(held.changed(dict(request.limits))):
        need_deliberate(context, request.live)
    before = held.model_dump(mode="json")
    after = engine.risk.change_limits(context.actor, dict(request.limits)).model_dump(mode="json")
    changed = [name for name, value in after.items() if before[name] != value]
    context.audit_change(
        "risk.set_limits", {name: before[name] for name in changed}, {name: after[name] for name in changed}
    )
    return risk_view(engine)
