"""How flows of capital, locks, measured pools and planned transfers move the state."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine import events as ev
from engine.errors import StateConsistencyError
from engine.model.capital import (
    FREE,
    LOCKED,
    NS_PER_DAY,
    RESERVE,
    CapitalEntry,
    DayMark,
    FlowCause,
    LockEntry,
    TransferEntry,
    TransferKind,
)
from engine.model.decimals import ZERO
from engine.model.ids import Owner

if TYPE_CHECKING:
    from collections.abc import Iterable
    from decimal import Decimal

    from engine.model.capital import FundFlow
    from engine.model.ids import AccountId
    from engine.state.core import EngineState
    from engine.state.money import Handlers

__all__ = ["DAYS_KEPT", "HANDLERS", "capital_of", "forget_pool", "settled_of"]

DAYS_KEPT = 120
"""Ends of days that are kept of each pool."""


def capital_of(state: EngineState, account: AccountId) -> CapitalEntry:
    """What is kept of an account's capital, made when missing."""
    if account not in state.accounts:
        raise StateConsistencyError(f"The account {account} is not known.")
    entry = state.capital.get(account)
    if entry is None:
        entry = state.capital[account] = CapitalEntry()
    return entry


def settled_of(state: EngineState, owner: Owner) -> Decimal:
    """Realised result of an owner that is part of its capital already, in its account's base currency."""
    return sum((entry.settled.get(owner, ZERO) for entry in state.capital.values()), ZERO)


def _check(state: EngineState, flows: Iterable[FundFlow], *, locks: bool) -> None:
    own = {FREE, RESERVE, *((LOCKED,) if locks else ())}
    for flow in flows:
        for pool in (flow.source, flow.target):
            if pool not in own and Owner(pool) not in state.bots:
                raise StateConsistencyError(f"There is no pool {pool} that capital could flow from or to.")
        if flow.amount <= ZERO or flow.source == flow.target or flow.source == LOCKED:
            raise StateConsistencyError(
                f"Capital cannot flow like this: {flow.amount:f} from {flow.source} to {flow.target}."
            )


def _flow(state: EngineState, entry: CapitalEntry, flows: Iterable[FundFlow]) -> Decimal:
    moved = ZERO
    for flow in flows:
        moved += flow.amount
        for pool, amount in ((flow.source, -flow.amount), (flow.target, flow.amount)):
            if pool == RESERVE:
                entry.reserve += amount
            elif pool not in (FREE, LOCKED):
                state.bots[Owner(pool)].capital += amount
    return moved


def _funds_moved(state: EngineState, event: ev.FundsMoved, ts: int) -> None:
    _check(state, event.flows, locks=False)
    entry = capital_of(state, event.account)
    moved = _flow(state, entry, event.flows)
    if event.cause is not FlowCause.REBALANCE:
        return
    entry.rebalanced_at = ts
    if not event.flows:
        return
    entry.flowed_at = ts
    if entry.moved_day != ts // NS_PER_DAY:
        entry.moved_day, entry.moved = ts // NS_PER_DAY, ZERO
    entry.moved += moved


def _profit_settled(state: EngineState, event: ev.ProfitSettled, ts: int) -> None:
    _check(state, event.flows, locks=True)
    known = state.capital.get(event.account)
    locked = sum((flow.amount for flow in event.flows if flow.target == LOCKED), ZERO)
    if (
        locked != event.locked
        or bool(event.lock) is not bool(event.locked)
        or (known is not None and event.lock in known.locks)
    ):
        raise StateConsistencyError(f"The lock {event.lock or 'of no name'} does not hold what flowed into it.")
    entry = capital_of(state, event.account)
    for result in event.results:
        bot = state.bots.get(result.owner)
        if bot is not None:
            # What was made is capital from now on: a pool's worth is its capital and what was made since.
            bot.capital += result.net - entry.settled.get(result.owner, ZERO)
        entry.settled[result.owner] = result.net
    _flow(state, entry, event.flows)
    entry.settled_at = ts
    if event.lock:
        entry.locks[event.lock] = LockEntry(event.locked, ts, event.unlocks_at)


def _lock(state: EngineState, account: AccountId, lock: str) -> LockEntry:
    entry = state.capital.get(account)
    found = entry.locks.get(lock) if entry is not None else None
    if found is None:
        raise StateConsistencyError(f"There is no locked profit {lock} in {account}.")
    return found


def _unlock_asked(state: EngineState, event: ev.ProfitUnlockAsked, ts: int) -> None:
    lock = _lock(state, event.account, event.lock)
    lock.asked_at, lock.unlocks_at = ts, min(lock.unlocks_at, event.due)


def _unlocked(state: EngineState, event: ev.ProfitUnlocked, _ts: int) -> None:
    _lock(state, event.account, event.lock)
    del state.capital[event.account].locks[event.lock]


def _preserved(state: EngineState, event: ev.CapitalPreserved, ts: int) -> None:
    _check(state, event.flows, locks=False)
    entry = capital_of(state, event.account)
    _flow(state, entry, event.flows)
    entry.preserved, entry.preserved_at = (event.reason, ts) if event.on else ("", 0)


def _measured(state: EngineState, event: ev.PoolsMeasured, _ts: int) -> None:
    entry = capital_of(state, event.account)
    for pool in event.pools:
        days = entry.days.setdefault(pool.owner, [])
        if days and days[-1].day >= event.day:
            continue
        days.append(DayMark(event.day, pool.capital, pool.result))
        del days[:-DAYS_KEPT]


def _transfer_planned(state: EngineState, event: ev.TransferPlanned, ts: int) -> None:
    if event.transfer in state.transfers:
        raise StateConsistencyError(f"The transfer {event.transfer} is planned already.")
    if event.amount <= ZERO or event.source == event.target:
        raise StateConsistencyError(f"The transfer {event.transfer} moves nothing.")
    state.transfers[event.transfer] = TransferEntry(
        event.kind, event.currency, event.amount, event.source, event.target, event.reason, ts
    )


def _transfer_left(state: EngineState, event: ev.TransferLeft, _ts: int) -> None:
    planned = state.transfers.get(event.transfer)
    if planned is None:
        raise StateConsistencyError(f"There is no planned transfer {event.transfer}.")
    planned.left = True


def _transfer_ended(state: EngineState, event: ev.TransferEnded, ts: int) -> None:
    planned = state.transfers.get(event.transfer)
    if planned is None:
        raise StateConsistencyError(f"There is no planned transfer {event.transfer}.")
    if event.arrived and planned.kind is TransferKind.WITHDRAWAL:
        entry = capital_of(state, planned.source)
        entry.withdrawn_at = ts
        entry.withdrawn += event.value
    del state.transfers[event.transfer]


def forget_pool(state: EngineState, owner: Owner) -> None:
    """Forget how a pool has done that is no more; what is settled of its profit stays settled."""
    for entry in state.capital.values():
        entry.days.pop(owner, None)


HANDLERS: Handlers = {
    ev.FundsMoved: _funds_moved,
    ev.ProfitSettled: _profit_settled,
    ev.ProfitUnlockAsked: _unlock_asked,
    ev.ProfitUnlocked: _unlocked,
    ev.CapitalPreserved: _preserved,
    ev.PoolsMeasured: _measured,
    ev.TransferPlanned: _transfer_planned,
    ev.TransferLeft: _transfer_left,
    ev.TransferEnded: _transfer_ended,
}
