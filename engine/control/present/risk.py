"""The view of risk."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.control.views import BreakerRow, LimitRow, RiskView
from engine.state import ENGINE_SCOPE

if TYPE_CHECKING:
    from engine.engine import Engine
    from engine.risk.breakers import BreakerStanding

__all__ = ["risk_view"]

_ORDER = ("low", "medium", "high", "critical")


def _percent(value: object) -> str:
    return "unknown" if value is None else f"{float(str(value)) * 100:.2f} %"


def _breaker(standing: BreakerStanding) -> BreakerRow:
    opened = standing.open
    share = None if standing.value is None or not standing.threshold else float(standing.value / standing.threshold)
    return BreakerRow(
        name=standing.name,
        label=standing.label,
        open=opened is not None,
        value=_percent(standing.value),
        threshold=_percent(standing.threshold),
        share=share,
        since=opened.since if opened is not None else 0,
        reason=opened.reason if opened is not None else "",
    )


def risk_view(engine: Engine) -> RiskView:
    """Trading state, every limit with its use, every breaker."""
    halt = engine.state.halts.get(ENGINE_SCOPE)
    limits = tuple(
        LimitRow(name=u.name, label=u.label, used=u.used, limit=u.limit, share=u.share, level=str(u.level))
        for u in engine.risk.uses()
    )
    level = max((limit.level for limit in limits), key=_ORDER.index, default="low")
    return RiskView(
        trading=engine.state.trading_state(),
        reason=halt.reason if halt is not None else "",
        actor=halt.actor if halt is not None else "",
        since=halt.since if halt is not None else 0,
        level=level,
        limits=limits,
        breakers=tuple(_breaker(standing) for standing in engine.risk.standings()),
        refusals_last_hour=engine.refusals_last_hour(),
        emergency=engine.risk.emergency_words,
        values=engine.risk.limits().model_dump(mode="json"),
    )
