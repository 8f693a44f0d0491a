"""Views of capital."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine import events as ev
from engine.capital.kinds import needed_in_all
from engine.control.views_capital import (
    AccountRow,
    CapitalPlanView,
    CapitalView,
    FlowRow,
    LockedProfitRow,
    PoolRow,
    RulingRow,
    TargetRow,
    TransferRow,
)
from engine.model.account import TradingMode
from engine.model.decimals import ZERO
from engine.model.ids import AccountId, Owner

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from engine.capital.figures import Pool
    from engine.capital.plan import CapitalPlan
    from engine.capital.withdrawals import Ruling
    from engine.engine import Engine
    from engine.model.capital import FundFlow
    from engine.model.ids import Currency

__all__ = ["capital_view", "flow_rows", "plan_view", "pool_flows", "pool_name", "ruling_rows"]

_FAR = 2**62
_NS = 1_000_000_000


def pool_name(engine: Engine, pool: str) -> str:
    """A pool as a person calls it."""
    bot = engine.state.bots.get(Owner(pool))
    return bot.name if bot is not None else pool


def capital_view(engine: Engine) -> CapitalView:
    """All capital as it is now."""
    capital, now = engine.capital, engine.clock.now()
    figures, settings = capital.figures, capital.figures.settings
    pools = figures.pools()
    metrics = figures.metrics(pools)
    live = any(known.mode is TradingMode.LIVE for known in engine.state.accounts.values())
    purpose, needed = needed_in_all(settings, live=live)
    due = capital.rebalancing_due()
    accounts = []
    for account in engine.state.accounts:
        known = figures.account(account, pools)
        if known is None:
            continue
        settlement = capital.settlement_due(account)
        accounts.append(
            AccountRow(
                account=account,
                currency=known.currency,
                equity=known.equity,
                reserve=known.reserve,
                locked=known.locked,
                allocated=known.allocated,
                used=known.used,
                available=known.available,
                preserved=known.preserved,
                next_settlement=settlement if settings.compounding.automatic and settlement < _FAR else None,
            )
        )
    return CapitalView(
        currency=metrics.currency,
        total=metrics.total,
        reserve=metrics.reserve,
        locked=metrics.locked,
        allocated=metrics.allocated,
        utilised=metrics.utilised,
        available=metrics.available,
        by_hand=metrics.by_hand,
        utilisation=metrics.utilisation,
        efficiency=metrics.efficiency,
        method=settings.allocation_strategy,
        automatic=settings.automatic,
        next_rebalancing=due if due < _FAR else None,
        obstacles=capital.obstacles(now),
        purpose=purpose,
        needed=needed,
        accounts=tuple(accounts),
        pools=tuple(_pool_row(engine, pool) for pool in sorted(pools, key=lambda pool: -pool.value)),
        locks=tuple(_locks(engine, now)),
        transfers=tuple(_transfers(engine)),
        missing=metrics.missing,
    )


def _pool_row(engine: Engine, pool: Pool) -> PoolRow:
    figures = engine.capital.figures
    known = figures.account(pool.account)
    share = float(pool.value / known.equity) if known is not None and known.equity > ZERO else None
    notes = []
    if pool.worth < pool.minimum:
        notes.append(f"below the least capital of {pool.strategy.replace('_', ' ')}, {pool.minimum:,.0f}")
    if share is not None and share > float(figures.settings.max_allocation_pct):
        notes.append(f"more than {float(figures.settings.max_allocation_pct):.0%} of capital")
    notes += [f"no price for {name}" for name in pool.missing]
    return PoolRow(
        owner=pool.owner,
        name=pool.name,
        account=pool.account,
        currency=pool.currency,
        strategy=pool.strategy,
        state=pool.state,
        capital=pool.capital,
        worth=pool.worth,
        value=pool.value,
        used=pool.used,
        free=pool.free,
        share=share,
        minimum=pool.minimum,
        days=pool.performance.days,
        sharpe=pool.performance.sharpe,
        volatility=pool.performance.volatility,
        notes=tuple(notes),
    )


def _locks(engine: Engine, now: int) -> Iterator[LockedProfitRow]:
    for account, entry in engine.state.capital.items():
        for name, lock in entry.locks.items():
            yield LockedProfitRow(
                lock=name,
                account=account,
                currency=engine.state.accounts[account].base_currency,
                amount=lock.amount,
                locked_at=lock.locked_at,
                unlocks_at=lock.unlocks_at,
                remaining_s=max(0.0, (lock.unlocks_at - now) / _NS),
                asked_at=lock.asked_at or None,
            )


def _transfers(engine: Engine) -> Iterator[TransferRow]:
    for name, planned in engine.state.transfers.items():
        yield TransferRow(
            transfer=name,
            kind=planned.kind,
            source=planned.source,
            target=planned.target,
            currency=planned.currency,
            amount=planned.amount,
            since=planned.since,
            reason=planned.reason,
        )


def plan_view(engine: Engine, plan: CapitalPlan, actor: str, obstacles: tuple[str, ...] = ()) -> CapitalPlanView:
    """A plan, carried out or not."""
    now = engine.clock.now()
    flows: list[FlowRow] = []
    for account, some in plan.flows.items():
        currency = engine.state.accounts[account].base_currency
        flows += pool_flows(engine, some, account, currency, now, "rebalance", "towards the plan", actor)
    return CapitalPlanView(
        method=plan.method,
        currency=plan.metrics.currency,
        total=plan.metrics.total,
        moved=plan.moved,
        cap=plan.cap,
        targets=tuple(
            TargetRow(
                owner=target.owner,
                name=target.name,
                account=target.account,
                currency=target.currency,
                share=target.share,
                value=target.value,
                target=target.target,
                change=target.change,
                notes=target.notes,
            )
            for target in plan.targets
        ),
        flows=tuple(flows),
        obstacles=obstacles,
        notes=plan.notes,
    )


def pool_flows(
    engine: Engine,
    flows: Iterable[FundFlow],
    account: AccountId,
    currency: Currency,
    ts: int,
    kind: str,
    reason: str,
    actor: str,
    seq: int = 0,
) -> list[FlowRow]:
    """Flows between the pools of an account."""
    return [
        FlowRow(
            ts=ts,
            account=account,
            kind=kind,
            source=pool_name(engine, flow.source),
            target=pool_name(engine, flow.target),
            amount=flow.amount,
            currency=currency,
            reason=reason,
            actor=actor,
            seq=seq,
        )
        for flow in flows
    ]


def flow_rows(engine: Engine, record: ev.Record) -> list[FlowRow]:
    """The movements of capital that a fact tells of."""
    event, ts, seq = record.event, record.ts, record.seq
    if isinstance(event, ev.FundsMoved | ev.ProfitSettled | ev.CapitalPreserved):
        kind, why = _cause(event)
        return pool_flows(engine, event.flows, event.account, event.currency, ts, kind, why, event.actor, seq)
    source, target = "", ""
    if isinstance(event, ev.Deposited):
        kind, target = "deposit", event.account
    elif isinstance(event, ev.Withdrawn):
        kind, source = "withdrawal", event.account
    elif isinstance(event, ev.Transferred):
        kind, source, target = "transfer", event.source, event.target
    else:
        return []
    return [
        FlowRow(
            ts=ts,
            account=AccountId(source or target),
            kind=kind,
            source=source or "outside",
            target=target or "outside",
            amount=event.amount,
            currency=event.currency,
            reason=event.reference,
            actor="",
            seq=seq,
        )
    ]


def _cause(event: ev.FundsMoved | ev.ProfitSettled | ev.CapitalPreserved) -> tuple[str, str]:
    if isinstance(event, ev.FundsMoved):
        return event.cause, event.reason
    if isinstance(event, ev.ProfitSettled):
        return "compounding", f"profit of {event.profit:,.2f} settled"
    return "preservation", event.reason


def ruling_rows(rulings: Iterable[Ruling]) -> tuple[RulingRow, ...]:
    """What rules say."""
    return tuple(RulingRow(rule=one.rule, passed=one.passed, words=one.words) for one in rulings)
