"""How breakers, loss periods, locks and ended trades move the state."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine import events as ev
from engine.model.entries import BreakerEntry, ExitEntry, LockEntry, PeakEntry, PeriodEntry
from engine.model.ids import AccountId

if TYPE_CHECKING:
    from engine.state.core import EngineState
    from engine.state.money import Handlers

__all__ = ["HANDLERS", "RECENT_EXITS", "RECENT_PEAKS"]

RECENT_EXITS = 1_000
"""Ended trades that are remembered."""
RECENT_PEAKS = 24 * 14
"""Highest equities that are remembered of an account, one an hour."""


def _breaker_tripped(state: EngineState, event: ev.BreakerTripped, ts: int) -> None:
    state.breakers[event.breaker, event.scope] = BreakerEntry(
        event.breaker,
        event.scope,
        event.value,
        event.threshold,
        event.reason,
        ts,
        reduces=event.reduces,
        until=event.until,
        held=event.held,
    )


def _half_opened(state: EngineState, event: ev.BreakerHalfOpened, _ts: int) -> None:
    entry = state.breakers.get((event.breaker, event.scope))
    if entry is not None:
        entry.reduces, entry.until = True, event.until


def _held(state: EngineState, event: ev.BreakerHeld, _ts: int) -> None:
    entry = state.breakers.get((event.breaker, event.scope))
    if entry is not None:
        entry.held, entry.reduces, entry.until = event.actor, False, 0


def _breaker_reset(state: EngineState, event: ev.BreakerReset, _ts: int) -> None:
    state.breakers.pop((event.breaker, event.scope), None)
    account = AccountId(event.scope)
    for period, start in (("day", event.day_start), ("week", event.week_start), ("month", event.month_start)):
        begun = state.periods.get((account, period))
        if start is not None and begun is not None:
            begun.equity = start
    entry = state.equity.get(account)
    if entry is None:
        return
    if event.peak is not None:
        entry.peak = event.peak
    if event.day_start is not None:
        entry.day_start = event.day_start


def _period_began(state: EngineState, event: ev.PeriodBegan, _ts: int) -> None:
    state.periods[event.account, event.period] = PeriodEntry(event.start, event.end, event.equity)


def _peak(state: EngineState, event: ev.PeakRecorded, _ts: int) -> None:
    peaks = state.peaks.setdefault(event.account, [])
    peaks.append(PeakEntry(event.equity, event.ts))
    del peaks[:-RECENT_PEAKS]


def _trade_ended(state: EngineState, event: ev.TradeEnded, _ts: int) -> None:
    state.trade_totals[event.owner, event.account, event.instrument] = event.total
    state.exits[state.meta.seq] = ExitEntry(
        event.owner, event.account, event.instrument, event.profit, event.stopped, event.ts, event.cost
    )
    if len(state.exits) > RECENT_EXITS:
        del state.exits[next(iter(state.exits))]


def _lock_placed(state: EngineState, event: ev.LockPlaced, ts: int) -> None:
    state.locks[event.lock] = LockEntry(
        event.lock,
        event.kind,
        event.scope,
        event.until,
        event.reason,
        ts,
        event.instrument,
        event.reduces,
        event.actor,
    )


def _lock_ended(state: EngineState, event: ev.LockEnded, _ts: int) -> None:
    state.locks.pop(event.lock, None)


HANDLERS: Handlers = {
    ev.BreakerTripped: _breaker_tripped,
    ev.BreakerHalfOpened: _half_opened,
    ev.BreakerHeld: _held,
    ev.BreakerReset: _breaker_reset,
    ev.PeriodBegan: _period_began,
    ev.PeakRecorded: _peak,
    ev.TradeEnded: _trade_ended,
    ev.LockPlaced: _lock_placed,
    ev.LockEnded: _lock_ended,
}
