"""From shares to flows: what each pool shall have, and what moves now within every bound.

A plan moves nothing. What a pool has at work stays there: it gives what is free, and the rest another day. Risk may
shrink any increase down to nothing; a decrease always passes.
"""

from __future__ import annotations

import decimal
from collections import defaultdict
from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from engine.capital.amounts import down
from engine.capital.figures import CapitalMetrics
from engine.capital.methods import shares_of
from engine.model.capital import FREE, NS_PER_DAY, FundFlow
from engine.model.decimals import ONE, ZERO
from engine.model.ids import AccountId, Currency, Owner
from engine.model.valuation import VIEW

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from engine.capital.figures import AccountCapital, CapitalFigures, Pool

__all__ = ["CapitalPlan", "RiskFactor", "Target", "make_plan", "match"]

RiskFactor = Callable[["Pool"], Decimal]
"""Part of an increase that risk allows, 0 to 1."""

LEAST_CHANGE = Decimal("0.001")
"""Part of all capital below which a pool's distance from its target moves nothing."""


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """What one pool has, shall have, and gets or gives now; in its account's base currency."""

    owner: Owner
    name: str
    account: AccountId
    currency: Currency
    share: float
    """Of all capital."""
    value: Decimal
    target: Decimal
    change: Decimal
    """What moves now; negative is given back."""
    notes: tuple[str, ...] = ()
    """What holds it back, or what to know about it."""


class CapitalPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What rebalancing would do now."""

    method: str
    metrics: CapitalMetrics
    targets: tuple[Target, ...]
    flows: dict[AccountId, tuple[FundFlow, ...]]
    moved: Decimal
    """Sum of all flows in the base currency."""
    cap: Decimal
    """What may still be moved today, in the base currency."""
    notes: tuple[str, ...] = ()


class _Change:
    def __init__(self, pool: Pool, target: Decimal, rate: Decimal) -> None:
        self.pool = pool
        self.target = target
        self.rate = rate
        """Base currency for one unit of the account's."""
        self.change = target - pool.value
        self.notes: list[str] = []


def make_plan(figures: CapitalFigures, now: int, risk: RiskFactor) -> CapitalPlan:
    """Find what each pool shall have and what moves now.

    Args:
        figures: Capital as it is.
        now: UTC nanoseconds.
        risk: What risk allows.
    """
    pools = figures.pools()
    metrics = figures.metrics(pools)
    with decimal.localcontext(VIEW):
        cap = _cap(figures, metrics, now)
        changes = _wanted(figures, metrics, pools)
        notes = [f"{name} cannot be valued." for name in metrics.missing]
        if metrics.missing:
            # A share of a total that is not known would be a guess.
            changes = []
        _bound(figures, metrics, changes, risk)
        _hold_to_cap(changes, cap)
        flows = _flows(changes)
        rates = {change.pool.account: change.rate for change in changes}
        moved = sum((flow.amount * rates[account] for account, some in flows.items() for flow in some), ZERO)
    total = metrics.total
    return CapitalPlan(
        method=figures.settings.allocation_strategy,
        metrics=metrics,
        targets=tuple(
            Target(
                owner=change.pool.owner,
                name=change.pool.name,
                account=change.pool.account,
                currency=change.pool.currency,
                share=float(change.target * change.rate / total) if total > ZERO else 0.0,
                value=change.pool.value,
                target=change.target,
                change=change.change,
                notes=tuple(change.notes),
            )
            for change in changes
        ),
        flows=flows,
        moved=moved,
        cap=cap,
        notes=tuple(notes),
    )


def _cap(figures: CapitalFigures, metrics: CapitalMetrics, now: int) -> Decimal:
    """What may still be moved on this UTC day."""
    moved = ZERO
    for account, entry in figures.state.capital.items():
        if entry.moved_day == now // NS_PER_DAY and entry.moved:
            rate = _rate(figures, figures.state.accounts[account].base_currency)
            moved += entry.moved * (rate or ONE)
    return max(ZERO, figures.settings.max_daily_reallocation_pct * metrics.total - moved)


def _rate(figures: CapitalFigures, currency: Currency) -> Decimal | None:
    return ONE if currency == figures.base else figures.rates.rate(currency, figures.base)


def _wanted(figures: CapitalFigures, metrics: CapitalMetrics, pools: Sequence[Pool]) -> list[_Change]:
    """The pools that take part, with what each shall have."""
    if metrics.total <= ZERO:
        return []
    rates = {pool.currency: _rate(figures, pool.currency) for pool in pools}
    kept = sum((pool.value * (rates[pool.currency] or ZERO) for pool in pools if not pool.active), ZERO)
    whole = max(ZERO, metrics.total - metrics.reserve - metrics.locked - kept) / metrics.total
    histories = {pool.owner: figures.entry(pool.account).days.get(pool.owner, ()) for pool in pools if pool.active}
    shares = shares_of(histories, figures.settings, float(whole))
    found = []
    for pool in pools:
        rate = rates[pool.currency]
        if pool.owner in shares and rate is not None and rate > ZERO:
            amount = Decimal(repr(shares[pool.owner])) * metrics.total / rate
            found.append(_Change(pool, down(amount, pool.currency), rate))
    return found


def _bound(figures: CapitalFigures, metrics: CapitalMetrics, changes: Sequence[_Change], risk: RiskFactor) -> None:
    """Keep every change within what is free, what the account has, and what risk allows."""
    by_account: dict[AccountId, list[_Change]] = defaultdict(list)
    for change in changes:
        _bound_one(change, LEAST_CHANGE * metrics.total, risk)
        by_account[change.pool.account].append(change)
    for account, own in by_account.items():
        known = figures.account(account)
        if known is not None:
            _bound_account(known, own)


def _bound_one(change: _Change, least: Decimal, risk: RiskFactor) -> None:
    pool = change.pool
    if change.target < pool.minimum:
        kind = pool.strategy.replace("_", " ")
        change.notes.append(f"below the least capital of {kind}, {pool.minimum:,.0f} {pool.currency}")
    if abs(change.change) * change.rate < least:
        change.change = ZERO
    elif change.change < ZERO and -change.change > max(pool.free, ZERO):
        change.change = -down(pool.free, pool.currency)
        change.notes.append("the rest is at work")
    elif change.change > ZERO and (factor := risk(pool)) < ONE:
        change.change = down(change.change * factor, pool.currency)
        change.notes.append("risk allows no more" if factor <= ZERO else f"risk allows {float(factor):.0%} of it")


def _bound_account(known: AccountCapital, own: Sequence[_Change]) -> None:
    """Give no more than is free in an account and comes back to it."""
    room = max(ZERO, known.available) - sum((c.change for c in own if c.change < ZERO), ZERO)
    wanted = sum((c.change for c in own if c.change > ZERO), ZERO)
    if wanted <= room:
        return
    for change in own:
        if change.change > ZERO:
            change.change = down(change.change * room / wanted, change.pool.currency)
            change.notes.append(f"{known.account} has no more to give")


def _hold_to_cap(changes: Sequence[_Change], cap: Decimal) -> None:
    """Shrink all changes so that no more moves than may today."""
    more = sum((c.change * c.rate for c in changes if c.change > ZERO), ZERO)
    less = -sum((c.change * c.rate for c in changes if c.change < ZERO), ZERO)
    most = max(more, less)
    if most <= cap:
        return
    for change in changes:
        if change.change:
            part = down(abs(change.change) * cap / most, change.pool.currency)
            change.change = part if change.change > ZERO else -part
            change.notes.append("as much as may move in a day")


def _flows(changes: Iterable[_Change]) -> dict[AccountId, tuple[FundFlow, ...]]:
    by_account: dict[AccountId, dict[str, Decimal]] = defaultdict(dict)
    for change in changes:
        if change.change:
            by_account[change.pool.account][change.pool.owner] = change.change
    return {account: match(own) for account, own in by_account.items()}


def match(changes: Mapping[str, Decimal]) -> tuple[FundFlow, ...]:
    """The fewest simple flows that bring these changes about; what the givers and takers differ by is free capital.

    Args:
        changes: Pool -> what it gets (positive) or gives.
    """
    givers = {pool: -amount for pool, amount in changes.items() if amount < ZERO}
    takers = {pool: amount for pool, amount in changes.items() if amount > ZERO}
    rest = sum(changes.values(), ZERO)
    if rest > ZERO:
        givers[FREE] = rest
    elif rest < ZERO:
        takers[FREE] = -rest
    found: list[FundFlow] = []
    for source, left in givers.items():
        for target, wanted in tuple(takers.items()):
            amount = min(left, wanted)
            if amount:
                found.append(FundFlow(source, target, amount))
                takers[target] -= amount
                left -= amount
    return tuple(found)
