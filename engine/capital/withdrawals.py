"""What must hold before money comes in or leaves, rule by rule."""

from __future__ import annotations

import decimal
from decimal import ROUND_UP, Decimal
from typing import TYPE_CHECKING

import msgspec

from engine.capital.amounts import cent
from engine.capital.profits import realised_profit, withdrawable_profit
from engine.model.capital import FREE, FundFlow
from engine.model.decimals import ZERO, floor_to
from engine.model.valuation import VIEW

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from engine.capital.figures import AccountCapital, CapitalFigures, Pool

__all__ = ["Ruling", "deposit_flows", "deposit_rulings", "withdrawal_flows", "withdrawal_rulings"]

_NS_PER_HOUR = 3_600_000_000_000


class Ruling(msgspec.Struct, frozen=True, kw_only=True):
    """What one rule says."""

    rule: str
    passed: bool
    words: str


def _money(amount: Decimal, currency: str) -> str:
    return f"{amount:,.2f} {currency}"


def deposit_rulings(figures: CapitalFigures, value: Decimal, known: AccountCapital) -> list[Ruling]:
    """What the rules say about a deposit.

    Args:
        figures: Capital as it is.
        value: What comes in, in the account's base currency.
        known: The account's figures.
    """
    least = figures.settings.deposits.minimum
    words = (
        f"A deposit is of {_money(least, known.currency)} at least; this one is worth {_money(value, known.currency)}."
    )
    return [Ruling(rule="minimum", passed=value >= least, words=words)]


def withdrawal_rulings(figures: CapitalFigures, value: Decimal, known: AccountCapital, now: int) -> list[Ruling]:
    """What every rule that is switched on says about a withdrawal.

    Args:
        figures: Capital as it is.
        value: What shall leave, in the account's base currency.
        known: The account's figures.
        now: UTC nanoseconds.
    """
    with decimal.localcontext(VIEW):
        return list(_withdrawal_rulings(figures, value, known, now))


def _withdrawal_rulings(figures: CapitalFigures, value: Decimal, known: AccountCapital, now: int) -> Iterator[Ruling]:
    rules, entry, unit = figures.settings.withdrawals, figures.entry(known.account), known.currency
    yield Ruling(
        rule="minimum",
        passed=value >= rules.minimum,
        words=f"A withdrawal is of {_money(rules.minimum, unit)} at least; this one is worth {_money(value, unit)}.",
    )
    most = rules.max_pct * known.equity
    yield Ruling(
        rule="max_pct",
        passed=value <= most,
        words=f"At most {float(rules.max_pct):.0%} of capital leaves at once, {_money(most, unit)}.",
    )
    wait = int(rules.interval_hours * _NS_PER_HOUR) - (now - entry.withdrawn_at) if entry.withdrawn_at else 0
    yield Ruling(
        rule="interval",
        passed=wait <= 0,
        words=f"Between two withdrawals are {rules.interval_hours:g} h"
        + (f"; {wait / _NS_PER_HOUR:.1f} h are left." if wait > 0 else "."),
    )
    yield Ruling(
        rule="preservation",
        passed=not known.preserved,
        words=f"Capital is preserved: {known.preserved}" if known.preserved else "Capital is not being preserved.",
    )
    if rules.profit_only:
        profit = withdrawable_profit(figures, known.account)
        yield Ruling(
            rule="profit_only",
            passed=profit is not None and value <= profit,
            words="What was realised cannot be valued at present."
            if profit is None
            else f"Only realised profit that is not locked may leave; that is {_money(profit, unit)}.",
        )
    pools = figures.pools(known.account)
    short = max(ZERO, value - max(known.available, ZERO))
    enough = short <= sum((max(pool.free, ZERO) for pool in pools), ZERO)
    yield Ruling(
        rule="available",
        passed=enough,
        words=f"{_money(max(known.available, ZERO), unit)} is in no pool"
        + (f"; the pools would have to give {_money(short, unit)}." if short else "."),
    )
    if rules.maintain_minimum:
        yield _maintains(pools, short, known)
    if rules.performance_based:
        yield _performs(figures, known)


def _maintains(pools: Sequence[Pool], short: Decimal, known: AccountCapital) -> Ruling:
    below = []
    for flow in _shares_of_pools(pools, short, cent(known.currency)):
        pool = next(one for one in pools if one.owner == flow.source)
        if pool.worth - flow.amount < pool.minimum:
            below.append(f"{pool.name} would have {pool.worth - flow.amount:,.2f} of {pool.minimum:,.0f}")
    words = "; ".join(below) if below else "no strategy falls below its minimum"
    return Ruling(rule="maintain_minimum", passed=not below, words=f"{words[0].upper()}{words[1:]}.")


def _performs(figures: CapitalFigures, known: AccountCapital) -> Ruling:
    rules, profit = figures.settings.withdrawals, realised_profit(figures, known.account)
    # What was paid in is what is there without what was made; what has left counts as made.
    paid_in = None if profit is None else known.equity - profit + figures.entry(known.account).withdrawn
    made = None if profit is None or paid_in is None or paid_in <= ZERO else profit / paid_in
    needed = f"Profit must exceed {float(rules.performance_threshold):.0%} of what was paid in"
    return Ruling(
        rule="performance_based",
        passed=made is not None and made > rules.performance_threshold,
        words=f"{needed}; it is not known." if made is None else f"{needed}; it is {float(made):.1%}.",
    )


def _shares_of_pools(pools: Sequence[Pool], wanted: Decimal, unit: Decimal) -> list[FundFlow]:
    """Flows out of the pools in proportion to what each has free; they may come to a little more than is wanted."""
    free = {pool.owner: max(pool.free, ZERO) for pool in pools}
    whole = sum(free.values(), ZERO)
    if wanted <= ZERO or whole <= ZERO:
        return []
    found = []
    for owner, part in free.items():
        amount = min((wanted * part / whole / unit).to_integral_value(ROUND_UP) * unit, floor_to(part, unit))
        if amount > ZERO:
            found.append(FundFlow(owner, FREE, amount))
    return found


def withdrawal_flows(figures: CapitalFigures, value: Decimal, known: AccountCapital) -> tuple[FundFlow, ...]:
    """What the pools give so that an amount can leave; nothing where what is free is enough."""
    with decimal.localcontext(VIEW):
        short = max(ZERO, value - max(known.available, ZERO))
        return tuple(_shares_of_pools(figures.pools(known.account), short, cent(known.currency)))


def deposit_flows(figures: CapitalFigures, value: Decimal, known: AccountCapital) -> tuple[FundFlow, ...]:
    """How a deposit is spread over the pools, in proportion to what they are worth; its part of the reserve stays.

    No pool is brought above its largest share by it.

    Args:
        figures: Capital as it is, the deposit included.
        value: What came in, in the account's base currency.
        known: The account's figures, the deposit included.
    """
    settings = figures.settings
    pools = [pool for pool in figures.pools(known.account) if pool.active and pool.worth > ZERO]
    unit = cent(known.currency)
    with decimal.localcontext(VIEW):
        whole = sum((pool.worth for pool in pools), ZERO)
        if not settings.deposits.spread or whole <= ZERO or known.preserved:
            return ()
        spread = min(value * (1 - settings.emergency_reserve_pct), max(known.available, ZERO))
        most = settings.max_allocation_pct * known.equity
        found = []
        for pool in pools:
            amount = floor_to(max(ZERO, min(spread * pool.worth / whole, most - pool.value)), unit)
            if amount > ZERO:
                found.append(FundFlow(FREE, pool.owner, amount))
    return tuple(found)
