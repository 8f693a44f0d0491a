"""How measured risk moves the state: regimes in force, adapted values, the value of each day, the last stress test."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine import events as ev
from engine.model.adaptation import AdaptedEntry
from engine.model.regime import RegimeEntry
from engine.model.risk_metrics import DayEquity

if TYPE_CHECKING:
    from engine.state.core import EngineState
    from engine.state.money import Handlers

__all__ = ["EQUITY_DAYS", "HANDLERS", "STRESS_TESTS"]

NS_PER_DAY = 86_400_000_000_000
EQUITY_DAYS = 400
"""Days whose value is kept."""
STRESS_TESTS = 30
"""Stress tests that are kept, one a day."""


def _measured(state: EngineState, event: ev.RiskMeasured, _ts: int) -> None:
    metrics = event.metrics
    for currency, total in event.deposits:
        state.deposits_seen[currency] = total
    if metrics.equity is None:
        return
    day = metrics.ts // NS_PER_DAY
    entry = state.equity_days.get(day)
    if entry is None or entry.currency != metrics.currency:
        state.equity_days[day] = DayEquity(metrics.equity, event.moved, metrics.currency)
        while len(state.equity_days) > EQUITY_DAYS:
            del state.equity_days[next(iter(state.equity_days))]
        return
    entry.equity = metrics.equity
    entry.moved = None if entry.moved is None or event.moved is None else entry.moved + event.moved


def _regime(state: EngineState, event: ev.RegimeChanged, _ts: int) -> None:
    state.regimes[event.kind, event.scope] = RegimeEntry(event.after, event.ts, event.cause)


def _adapted(state: EngineState, event: ev.RiskAdapted, _ts: int) -> None:
    key = (event.name, event.scope)
    if event.value == event.base:
        state.adapted.pop(key, None)
    else:
        state.adapted[key] = AdaptedEntry(event.base, event.value, event.ts, event.cause)


def _stressed(state: EngineState, event: ev.StressTested, _ts: int) -> None:
    state.stress_tests[event.ts // NS_PER_DAY] = event
    while len(state.stress_tests) > STRESS_TESTS:
        del state.stress_tests[next(iter(state.stress_tests))]


HANDLERS: Handlers = {
    ev.RiskMeasured: _measured,
    ev.RegimeChanged: _regime,
    ev.RiskAdapted: _adapted,
    ev.StressTested: _stressed,
}
