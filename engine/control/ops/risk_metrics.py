"""Operations on measured risk: metrics and their past, regimes and what they adapt, stress tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.control.present.measured import metrics_point, metrics_view, regimes_view, stress_rows, stress_view
from engine.control.registry import operation
from engine.control.requests import Empty
from engine.control.requests_risk import MetricsHistory, StressQuery
from engine.control.views_risk import StressView
from engine.errors import ConflictError, NotFoundError
from engine.events import RiskMeasured

if TYPE_CHECKING:
    from engine.control.context import Context
    from engine.control.views_risk import MetricsPoint, MetricsView, RegimesView


@operation("risk.metrics", Empty)
async def metrics(context: Context, _: Empty) -> MetricsView:
    """Value at risk, expected shortfall, drawdown, Sharpe ratio and concentration of what is held now."""
    engine = context.need_engine()
    if context.replay is None and engine.ready and engine.ledger.failed is None:
        await engine.risk_watch.measure_once()
    return metrics_view(engine)


@operation("risk.metrics_history", MetricsHistory)
async def metrics_history(context: Context, request: MetricsHistory) -> list[MetricsPoint]:
    """Risk metrics over a time, oldest first, as they were kept in the journal."""
    engine = context.need_engine()
    if context.reader is None:
        return []
    now = engine.clock.now()
    since = now - int(request.hours * 3_600_000_000_000)
    records = await context.reader.thinned("RiskMeasured", max(since, 0), now, request.points)
    return [metrics_point(record.event.metrics) for record in records if isinstance(record.event, RiskMeasured)]


@operation("risk.regimes", Empty)
async def regimes(context: Context, _: Empty) -> RegimesView:
    """Market regimes with their readings, and every size, limit and stop that they adapt beside its base."""
    return regimes_view(context.need_engine())


@operation("risk.stress", StressQuery)
async def stress(context: Context, request: StressQuery) -> StressView:
    """What price drops, wild markets, outages and empty books would do to what is held, and which limits break."""
    engine = context.need_engine()
    if request.last or context.replay is not None:
        kept = list(engine.state.stress_tests.values())
        if not kept:
            raise NotFoundError("No stress test has been kept yet; one is made every day while the engine runs.")
        return stress_view(kept[-1])
    if not engine.recovered:
        raise ConflictError("The engine is still starting; what is held is not known yet.")
    held, results = await engine.risk_watch.stress_now()
    return StressView(
        ts=held.ts, cause="asked", currency=held.currency, equity=held.equity, scenarios=stress_rows(results)
    )
