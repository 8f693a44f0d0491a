"""Operations on breakers by hand, on locks, and on the recovery procedure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.control.live.admission import need_deliberate
from engine.control.present.risk import lock_rows, recovery_rows, risk_view, step_times
from engine.control.registry import Role, Tier, operation
from engine.control.requests import Empty
from engine.control.requests_guards import PlaceLock, TripBreaker, Unlock
from engine.errors import NotFoundError
from engine.risk.scopes import Scope

if TYPE_CHECKING:
    from engine.control.context import Context
    from engine.control.views import RiskView
    from engine.control.views_guards import LockRow, RecoveryStepRow, StepTimeRow
    from engine.engine import Engine


@operation("risk.trip_breaker", TripBreaker, Role.TRADER, mutates=True, tier=Tier.CONFIRM, emergency=True)
async def trip_breaker(context: Context, request: TripBreaker) -> RiskView:
    """Open a breaker by hand, or hold an open one; it stays open until it is reset by hand."""
    engine = context.need_engine()
    engine.risk.trip_breaker(context.actor, request.reason, request.breaker, request.scope)
    return risk_view(engine)


@operation("risk.locks", Empty)
async def locks(context: Context, _: Empty) -> list[LockRow]:
    """Every lock with its reason and its end, the one that ends first before the others."""
    return lock_rows(context.need_engine())


@operation("risk.lock", PlaceLock, Role.TRADER, mutates=True, tier=Tier.CONFIRM)
async def lock(context: Context, request: PlaceLock) -> list[LockRow]:
    """Keep bots from opening anything in a scope for some time; exits and orders by hand pass."""
    engine = context.need_engine()
    engine.risk.place_lock(context.actor, request.reason, _scope(engine, request.scope), request.seconds)
    return lock_rows(engine)


@operation("risk.unlock", Unlock, Role.ADMIN, mutates=True, tier=Tier.CONFIRM)
async def unlock(context: Context, request: Unlock) -> list[LockRow]:
    """End a lock before its time; with real money an armed console is asked for."""
    engine = context.need_engine()
    need_deliberate(context, request.live)
    engine.risk.lift_lock(context.actor, request.reason, request.lock)
    return lock_rows(engine)


@operation("risk.timings", Empty)
async def timings(context: Context, _: Empty) -> list[StepTimeRow]:
    """How long the gate, sizes, breakers, limits and metrics have taken since the engine began."""
    return step_times(context.need_engine())


@operation("risk.recovery", Empty)
async def recovery(context: Context, _: Empty) -> list[RecoveryStepRow]:
    """What has to pass before trading may resume: connectivity, positions, balances, limits, breakers."""
    return recovery_rows(context.need_engine())


def _scope(engine: Engine, key: str) -> Scope:
    """The scope that is meant; a bot may be named as a person names it."""
    scope = Scope.parse(key)
    if scope.owner is not None:
        return Scope(owner=engine.bots.find(key).id)
    if scope.venue is not None and scope.venue not in engine.venues:
        raise NotFoundError(f"There is no venue {scope.venue}; there are {', '.join(engine.venues)}.")
    if scope.instrument is not None and scope.instrument not in engine.state.instruments:
        raise NotFoundError(f"The instrument {scope.instrument} is not known; watch it first.")
    return scope
