"""The view of risk."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from engine.control.present.emergency import halt_rows, stop_rows
from engine.control.views import LimitRow, RiskView
from engine.control.views_guards import BreakerRow, LockRow, RecoveryStepRow, StepTimeRow
from engine.model.faults import BreakerState
from engine.model.places import place_name
from engine.model.risk import BREAKER_FIELDS
from engine.risk.reductions import WEEKLY
from engine.risk.scopes import Scope
from engine.state import ENGINE_SCOPE

if TYPE_CHECKING:
    from engine.engine import Engine
    from engine.model.entries import LockEntry
    from engine.resilience.breaker import BreakerStanding as CircuitStanding
    from engine.resilience.settings import BreakerSettings
    from engine.risk.breakers import BreakerStanding
    from engine.risk.uses import LimitUse

__all__ = ["lock_rows", "recovery_rows", "risk_view", "step_times"]

OF_ACCOUNTS = frozenset({"max_position_size_pct", "max_account_exposure", *BREAKER_FIELDS.values()})
"""Limits of which each account has its own use; that of the others is the engine's."""
_ORDER = ("low", "medium", "high", "critical")


def _percent(value: object) -> str:
    return "unknown" if value is None else f"{float(str(value)) * 100:.2f} %"


def _place(engine: Engine, account: str) -> str:
    """What stands behind a label where several accounts have one of the same name."""
    places = [(str(unit.id), str(known)) for known, unit in engine.accounts.items()]
    name = next((place_name(places, venue, known) for venue, known in places if known == account), "")
    return f" ({name})" if name else ""


def _limits(engine: Engine) -> list[LimitUse]:
    """Every limit with its use; of several accounts the one that has used most of it."""
    accounts = [account for account in engine.accounts if account in engine.state.accounts]
    if len(accounts) < 2:
        return list(engine.risk.uses(*accounts))
    worst: dict[str, LimitUse] = {}
    for account in accounts:
        for use in engine.risk.uses(account):
            known, place = worst.get(use.name), _place(engine, account)
            # What cannot be told may be anything: it is shown before everything that is known.
            if known is None or _pressing(use) > _pressing(known):
                worst[use.name] = (
                    msgspec.structs.replace(use, label=f"{use.label}{place}") if use.name in OF_ACCOUNTS else use
                )
    return list(worst.values())


def _pressing(use: LimitUse) -> float:
    return float("inf") if use.share is None else use.share


def _breaker(engine: Engine, standing: BreakerStanding) -> BreakerRow:
    opened = standing.open
    share = standing.share
    if share is None and standing.value is not None and standing.threshold:
        share = float(standing.value / standing.threshold)
    instrument = standing.scope.removeprefix("instrument:")
    place = f" ({instrument})" if instrument != standing.scope else _place(engine, standing.scope)
    state = _state_of(standing)
    return BreakerRow(
        name=standing.name,
        label=f"{standing.label}{place}",
        open=state in ("open", "held"),
        value=standing.words or _percent(standing.value),
        threshold=standing.threshold_words or _percent(standing.threshold),
        share=share,
        since=opened.since if opened is not None else 0,
        reason=opened.reason if opened is not None else "",
        account=standing.scope if standing.scope in engine.state.accounts else "",
        state=state,
        scope=standing.scope,
        ends=standing.ends,
    )


def _state_of(standing: BreakerStanding) -> str:
    entry = standing.open
    if entry is None:
        return "closed"
    if entry.held:
        return "held"
    if not entry.reduces:
        return "open"
    return "reduced" if standing.name == WEEKLY else "half_open"


def _lock(entry: LockEntry) -> LockRow:
    words = Scope.parse(entry.scope).words.removeprefix("all trading of ").removeprefix("all trading in ")
    return LockRow(
        lock=entry.lock,
        kind=entry.kind,
        scope=f"{words} in {entry.instrument}" if entry.instrument else words,
        reduces=entry.reduces,
        since=entry.since,
        until=entry.until,
        reason=entry.reason,
        actor=entry.actor,
    )


def lock_rows(engine: Engine) -> list[LockRow]:
    """Every lock, the one that ends first before the others."""
    return sorted((_lock(entry) for entry in engine.state.locks.values()), key=lambda row: row.until)


def step_times(engine: Engine) -> list[StepTimeRow]:
    """How long risk's calculations have taken."""
    return [
        StepTimeRow(
            step=one.name,
            count=one.count,
            mean_ms=round(one.mean_ns / 1e6, 3),
            last_ms=round(one.last_ns / 1e6, 3),
            longest_ms=round(one.longest_ns / 1e6, 3),
        )
        for one in engine.risk.times.steps.values()
    ]


def recovery_rows(engine: Engine) -> list[RecoveryStepRow]:
    """The steps of the recovery procedure as they stand now."""
    return [
        RecoveryStepRow(step=step.name, passed=not step.problems, problems=step.problems)
        for step in engine.risk.recovery()
    ]


def _circuit(standing: CircuitStanding, settings: BreakerSettings) -> BreakerRow:
    """A technical breaker: it counts failures in a row, and closes by itself."""
    tried = "is being tried again" if standing.state is BreakerState.HALF_OPEN else ""
    return BreakerRow(
        name=standing.name,
        label=f"{standing.name[0].upper()}{standing.name[1:]}",
        open=standing.state is not BreakerState.CLOSED,
        value=f"{standing.failures} failed",
        threshold=f"{settings.failure_threshold} in a row",
        share=min(1.0, standing.failures / settings.failure_threshold),
        since=standing.since if standing.state is not BreakerState.CLOSED else 0,
        reason=tried or standing.reason,
        state=standing.state,
    )


def risk_view(engine: Engine) -> RiskView:
    """Trading state, every limit with its use, every breaker."""
    halt = engine.state.halts.get(ENGINE_SCOPE)
    limits = tuple(
        LimitRow(name=u.name, label=u.label, used=u.used, limit=u.limit, share=u.share, level=str(u.level))
        for u in _limits(engine)
    )
    level = max((limit.level for limit in limits), key=_ORDER.index, default="low")
    return RiskView(
        trading=engine.state.trading_state(),
        reason=halt.reason if halt is not None else "",
        actor=halt.actor if halt is not None else "",
        since=halt.since if halt is not None else 0,
        level=level,
        limits=limits,
        breakers=(
            *(_breaker(engine, standing) for standing in engine.risk.standings()),
            *(_circuit(breaker.standing, breaker.settings) for breaker in engine.remedies.circuit_breakers.values()),
        ),
        refusals_last_hour=engine.refusals_last_hour(),
        emergency=engine.risk.emergency_words,
        values=engine.risk.limits().model_dump(mode="json"),
        care=engine.caution.words,
        locks=tuple(lock_rows(engine)),
        halts=halt_rows(engine),
        stops=stop_rows(engine),
    )
