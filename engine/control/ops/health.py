"""Operations on the engine's own health."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.control.present.health import FAILED, health_rows
from engine.control.registry import operation
from engine.control.requests import Empty
from engine.control.views_records import Readiness
from engine.model.entries import TradingState

if TYPE_CHECKING:
    from engine.control.context import Context
    from engine.control.views import HealthRow


@operation("health.components", Empty, emergency=True)
async def components(context: Context, _: Empty) -> list[HealthRow]:
    """How journal, venue, feeds, recorder, risk, bots, event loop, reports and jobs are, a row each."""
    return health_rows(context)


@operation("health.live", Empty, emergency=True)
async def live(context: Context, _: Empty) -> Readiness:
    """That the engine's event loop turns and answers; nothing more is looked at."""
    engine = context.need_engine()
    words = f"The engine answers; its loop was at most {engine.lag.last_second_ms:.1f} ms late in the last second."
    return Readiness(ready=not engine.stopped, summary=words)


@operation("health.ready", Empty, emergency=True)
async def ready(context: Context, _: Empty) -> Readiness:
    """Whether orders can be placed: nothing has failed, trading is not halted, every market is live."""
    engine = context.need_engine()
    reasons = [f"{row.component}: {row.summary}" for row in health_rows(context) if row.state == FAILED]
    if engine.stopped:
        reasons.append("engine: it has stopped.")
    if engine.state.trading_state() is TradingState.HALTED:
        reasons.append("risk: trading is halted.")
    dead = [str(market.instrument.symbol) for market in engine.hub.markets.values() if not market.live]
    if dead:
        reasons.append(f"feeds: no live book of {', '.join(dead)}.")
    words = "Orders can be placed." if not reasons else "Orders cannot be placed everywhere."
    return Readiness(ready=not reasons, summary=words, reasons=tuple(reasons))
