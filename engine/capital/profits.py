"""Settling profit: a part is locked, the rest goes back to work; and when locks open."""

from __future__ import annotations

import decimal
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from engine.capital.amounts import booked, down
from engine.capital.methods import shares_of
from engine.capital.plan import match
from engine.model.capital import FREE, LOCKED, FundFlow, PoolResult
from engine.model.decimals import ZERO
from engine.model.valuation import VIEW

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from engine.capital.figures import AccountCapital, CapitalFigures, Pool
    from engine.model.capital_settings import ProfitLockSettings
    from engine.model.ids import AccountId, Currency, Owner

__all__ = ["Settlement", "realised_profit", "settle", "unlock_time", "withdrawable_profit"]

_MONTHS = {"monthly": 1, "quarterly": 3, "yearly": 12}
_NOTHING: tuple[FundFlow, ...] = ()


class Settlement(msgspec.Struct, frozen=True, kw_only=True):
    """What settling an account's profit would do, in its base currency."""

    profit: Decimal
    """Made by its bots since the last settlement, after costs."""
    results: tuple[PoolResult, ...]
    locked: Decimal
    compounded: Decimal
    flows: tuple[FundFlow, ...]


def unlock_time(now: int, settings: ProfitLockSettings) -> int:
    """UTC nanoseconds of the end of the month, quarter or year in which a lock is made."""
    months = _MONTHS[settings.unlock]
    today = datetime.fromtimestamp(now // 10**9, UTC)
    following = (today.month - 1) // months * months + months
    end = datetime(today.year + following // 12, following % 12 + 1, 1, tzinfo=UTC)
    return int(end.timestamp()) * 10**9


def settle(figures: CapitalFigures, account: AccountId, known: AccountCapital, *, spread: bool) -> Settlement | None:
    """What settling would do now; None where less profit was made than is settled.

    What is locked comes from the pools that made it, as far as they have it free, then from what is free in the
    account; what is spread comes from the pools too, and goes to them in the proportion of their shares.

    Args:
        figures: Capital as it is.
        account: Whose profit.
        known: Its figures.
        spread: Whether the rest is put to work, or left where it was made.
    """
    settings, currency = figures.settings, known.currency
    pools = [pool for pool in figures.pools(account) if not pool.missing]
    entry = figures.entry(account)
    with decimal.localcontext(VIEW):
        results = tuple(
            PoolResult(pool.owner, booked(pool.realised + entry.settled.get(pool.owner, ZERO))) for pool in pools
        )
        profit = sum((result.net - entry.settled.get(result.owner, ZERO) for result in results), ZERO)
        if profit <= ZERO or profit < settings.compounding.minimum:
            return None
        wanted = down(settings.profit_lock.share * profit, currency)
        taken = _take(pools, {pool.owner: pool.free for pool in pools}, wanted, currency)
        locks = [FundFlow(owner, LOCKED, amount) for owner, amount in taken.items() if amount]
        rest = min(wanted - sum(taken.values(), ZERO), down(known.available, currency))
        if rest > ZERO:
            locks.append(FundFlow(FREE, LOCKED, rest))
        locked = sum((flow.amount for flow in locks), ZERO)
        compounded, flows = ZERO, _NOTHING
        if spread:
            free = {pool.owner: pool.free - taken[pool.owner] for pool in pools}
            compounded, flows = _spread(figures, pools, _take(pools, free, profit - locked, currency), currency)
    return Settlement(profit=profit, results=results, locked=locked, compounded=compounded, flows=(*locks, *flows))


def _take(
    pools: Sequence[Pool], free: Mapping[Owner, Decimal], wanted: Decimal, currency: Currency
) -> dict[Owner, Decimal]:
    """What each pool gives of an amount, in proportion to what it made, as far as it is free."""
    made = {pool.owner: max(pool.realised, ZERO) for pool in pools}
    whole = sum(made.values(), ZERO)
    return {owner: down(min(wanted * part / whole, free[owner]), currency) for owner, part in made.items()}


def _spread(
    figures: CapitalFigures, pools: Sequence[Pool], given: Mapping[Owner, Decimal], currency: Currency
) -> tuple[Decimal, tuple[FundFlow, ...]]:
    """Give what the pools gave by shares; a pool that gets what it gives is left alone."""
    active = [pool for pool in pools if pool.active]
    total = sum(given.values(), ZERO)
    if not active or not total:
        return ZERO, ()
    histories = {pool.owner: figures.entry(pool.account).days.get(pool.owner, ()) for pool in active}
    shares = shares_of(histories, figures.settings, 1.0)
    whole = sum(shares.values())
    changes: dict[str, Decimal] = {owner: -part for owner, part in given.items()}
    for owner, share in shares.items():
        changes[owner] += down(total * Decimal(repr(share / whole)), currency)
    return total, match({owner: change for owner, change in changes.items() if change})


def realised_profit(figures: CapitalFigures, account: AccountId) -> Decimal | None:
    """What an account has realised in all time after costs, in its base currency; None while a rate is missing."""
    known = figures.state.accounts[account]
    total = ZERO
    with decimal.localcontext(VIEW):
        for (owner, currency), sums in figures.state.sums.items():
            if owner != account:
                continue
            net = sums.realised - sums.fees - sums.funding - sums.interest
            if not net:
                continue
            rate = (
                Decimal(1)
                if currency == known.base_currency
                else figures.rates.rate(currency, known.base_currency, known.venue)
            )
            if rate is None:
                return None
            total += net * rate
    return total


def withdrawable_profit(figures: CapitalFigures, account: AccountId) -> Decimal | None:
    """Realised profit that has neither left nor is locked; None while it is not known."""
    realised = realised_profit(figures, account)
    if realised is None:
        return None
    entry = figures.entry(account)
    locked = sum((lock.amount for lock in entry.locks.values()), ZERO)
    return max(ZERO, realised - entry.withdrawn - locked)
