"""What capital there is and where: pools, accounts and everything together, as of now.

An account's equity is divided without a rest: what is free, the reserve, locked profit, and the pools of its bots, each
worth its capital, what it made since, and its open profit. Amounts of a pool and an account are in the account's base
currency.
"""

from __future__ import annotations

import decimal
from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from engine.capital.kinds import minimum_of
from engine.capital.performance import Performance, performance_of
from engine.model.account import TradingMode
from engine.model.capital import CapitalEntry
from engine.model.decimals import ZERO
from engine.model.entries import BotState
from engine.model.ids import AccountId, Currency, Owner
from engine.model.valuation import VIEW, Valuation

if TYPE_CHECKING:
    from engine.model.budget import BotBudgets
    from engine.model.capital_settings import CapitalManagementSettings
    from engine.model.entries import BotEntry
    from engine.model.valuation import MarkOf, Rates
    from engine.state import EngineState

__all__ = ["AccountCapital", "CapitalFigures", "CapitalMetrics", "Pool"]

AccountOf = Callable[["BotEntry"], "AccountId | None"]
StrategyOf = Callable[["BotEntry"], "tuple[str, str]"]
"""Name and kind of the strategy of a bot."""
EquityOf = Callable[["AccountId"], "Decimal | None"]

ACTIVE = frozenset({BotState.STARTING, BotState.RUNNING, BotState.PAUSED, BotState.RECOVERING})
"""States in which a bot takes part in rebalancing; others keep what they have."""


class Pool(msgspec.Struct, frozen=True, kw_only=True):
    """The capital of one strategy at one venue (its allocation)."""

    owner: Owner
    name: str
    account: AccountId
    currency: Currency
    strategy: str
    state: BotState
    capital: Decimal
    """What was given to it, settled profit included."""
    realised: Decimal
    """What it made since, after costs."""
    unrealised: Decimal
    invested: Decimal
    """Cost of its open positions."""
    reserved: Decimal
    """Held by its open orders."""
    minimum: Decimal
    """Least capital for a strategy of its kind, in the account's base currency."""
    live: bool
    performance: Performance
    missing: tuple[str, ...] = ()
    """What has no price; the figures are then a part only."""

    @property
    def worth(self) -> Decimal:
        """What it may spend in all."""
        return self.capital + self.realised

    @property
    def value(self) -> Decimal:
        """Its part of the account's equity."""
        return self.worth + self.unrealised

    @property
    def used(self) -> Decimal:
        """What of it is at work."""
        return self.invested + self.reserved

    @property
    def free(self) -> Decimal:
        """What of it is not at work; negative when losses have eaten into what is."""
        return self.worth - self.used

    @property
    def active(self) -> bool:
        """Whether it takes part in rebalancing."""
        return self.state in ACTIVE


class AccountCapital(msgspec.Struct, frozen=True, kw_only=True):
    """One account's capital in its base currency."""

    account: AccountId
    currency: Currency
    equity: Decimal
    reserve: Decimal
    """Kept out of allocation: the required part, or what is booked where that is more."""
    booked_reserve: Decimal
    locked: Decimal
    """Locked profit."""
    allocated: Decimal
    """Value of all pools."""
    used: Decimal
    preserved: str
    """Why capital is preserved; empty while it is not."""
    by_hand: Decimal = ZERO
    """What orders by hand have bought or hold: no pool can be paid with it."""
    missing: tuple[str, ...] = ()

    @property
    def allocatable(self) -> Decimal:
        """What the pools may have together."""
        return self.equity - self.reserve - self.locked

    @property
    def available(self) -> Decimal:
        """What may still be given to pools; negative where they have too much, or their money was spent by hand."""
        return self.allocatable - self.allocated - self.by_hand


class CapitalMetrics(msgspec.Struct, frozen=True, kw_only=True):
    """Everything together, in the base currency."""

    currency: Currency
    total: Decimal
    reserve: Decimal
    locked: Decimal
    allocated: Decimal
    utilised: Decimal
    by_hand: Decimal
    available: Decimal
    missing: tuple[str, ...] = ()

    @property
    def utilisation(self) -> float | None:
        """Part of the allocated capital that is at work; None where none is allocated."""
        return float(self.utilised / self.allocated) if self.allocated > ZERO else None

    @property
    def efficiency(self) -> float | None:
        """Part of what may be allocated that is; None where nothing may be."""
        most = self.total - self.reserve - self.locked
        return float(self.allocated / most) if most > ZERO else None


class CapitalFigures:
    """Looks at capital. Reads only.

    Args:
        state: The truth.
        budgets: What bots may spend.
        rates: Conversions.
        mark_of: Present marks.
        equity_of: Value of an account in its base currency; None while it is not known.
        account_of: Account of a bot.
        strategy_of: Strategy of a bot and its kind.
        settings: The figures of the settings.
        base: Currency of everything together.
    """

    def __init__(
        self,
        state: EngineState,
        budgets: BotBudgets,
        rates: Rates,
        mark_of: MarkOf,
        equity_of: EquityOf,
        account_of: AccountOf,
        strategy_of: StrategyOf,
        settings: CapitalManagementSettings,
        base: Callable[[], Currency],
    ) -> None:
        self.state = state
        self.rates = rates
        self.settings = settings
        self._budgets = budgets
        self.mark_of = mark_of
        self._equity_of = equity_of
        self._account_of = account_of
        self._strategy_of = strategy_of
        self._base = base

    @property
    def base(self) -> Currency:
        """Currency of everything together."""
        return self._base()

    def entry(self, account: AccountId) -> CapitalEntry:
        """What is kept of an account's capital; an empty one where nothing is."""
        return self.state.capital.get(account) or CapitalEntry()

    def bots_of(self, account: AccountId) -> list[BotEntry]:
        """The bots that trade in an account."""
        return [bot for bot in self.state.bots.values() if self._account_of(bot) == account]

    def pools(self, account: AccountId | None = None) -> list[Pool]:
        """The pools of an account, or of all; those of bots whose account is not known here are left out."""
        found = []
        for bot in self.state.bots.values():
            home = self._account_of(bot)
            if home is not None and home in self.state.accounts and account in (None, home):
                found.append(self._pool(bot, home))
        return found

    def _pool(self, bot: BotEntry, home: AccountId) -> Pool:
        budget = self._budgets.budget(bot.id)
        assert budget is not None
        strategy, kind = self._strategy_of(bot)
        known = self.state.accounts[home]
        open_profit = self._unrealised(bot.id, home, known.base_currency)
        # Minimums are said in the currency of everything together.
        rate = self.rates.rate(self.base, known.base_currency) if self.base != known.base_currency else Decimal(1)
        with decimal.localcontext(VIEW):
            minimum = minimum_of(kind, self.settings.minimums) * (rate or ZERO)
        return Pool(
            owner=bot.id,
            name=bot.name,
            account=home,
            currency=known.base_currency,
            strategy=strategy,
            state=bot.state,
            capital=budget.capital,
            realised=budget.realised,
            unrealised=open_profit.value,
            invested=budget.invested,
            reserved=budget.reserved,
            minimum=minimum,
            live=known.mode is TradingMode.LIVE,
            performance=performance_of(self.entry(home).days.get(bot.id, ())),
            missing=tuple(dict.fromkeys((*budget.missing, *open_profit.missing))),
        )

    def _unrealised(self, owner: Owner, account: AccountId, currency: Currency) -> Valuation:
        value, missing = ZERO, []
        with decimal.localcontext(VIEW):
            for (who, where, what), part in self.state.owned.items():
                if who != owner or where != account or not part.lots:
                    continue
                instrument = self.state.instruments[what]
                mark = self.mark_of(what)
                rate = self.rates.rate(instrument.settle, currency, instrument.venue)
                if instrument.settle == currency:
                    rate = Decimal(1)
                if mark is None or rate is None:
                    missing.append(str(what))
                    continue
                value += part.unrealised(mark, instrument.multiplier) * rate
        return Valuation(value=value, missing=tuple(missing))

    def account(self, account: AccountId, pools: list[Pool] | None = None) -> AccountCapital | None:
        """One account's capital; None while it cannot be valued.

        Args:
            account: Which.
            pools: All pools, where they are known already.
        """
        equity = self._equity_of(account)
        if equity is None:
            return None
        own = [pool for pool in (self.pools(account) if pools is None else pools) if pool.account == account]
        entry, (by_hand, unknown) = self.entry(account), self._budgets.by_hand(account)
        with decimal.localcontext(VIEW):
            managed = self._managed(equity, account)
            return AccountCapital(
                account=account,
                currency=self.state.accounts[account].base_currency,
                equity=managed,
                reserve=max(entry.reserve, self.settings.emergency_reserve_pct * managed),
                booked_reserve=entry.reserve,
                locked=sum((lock.amount for lock in entry.locks.values()), ZERO),
                allocated=sum((pool.value for pool in own), ZERO),
                used=sum((pool.used for pool in own), ZERO),
                preserved=entry.preserved,
                by_hand=by_hand,
                missing=tuple(dict.fromkeys((*(name for pool in own for name in pool.missing), *unknown))),
            )

    def _managed(self, equity: Decimal, account: AccountId) -> Decimal:
        """An account's equity, or its part of what is managed where that is less."""
        most = self.settings.total_capital
        if not most:
            return equity
        total = self._total()
        rate = self.rates.rate(self.state.accounts[account].base_currency, self.base)
        if self.state.accounts[account].base_currency == self.base:
            rate = Decimal(1)
        if total is None or rate is None or total <= most:
            return equity
        return equity * most / total

    def _total(self) -> Decimal | None:
        total = ZERO
        for account, known in self.state.accounts.items():
            equity = self._equity_of(account)
            rate = Decimal(1) if known.base_currency == self.base else self.rates.rate(known.base_currency, self.base)
            if equity is not None and rate is not None:
                total += equity * rate
        return total or None

    def metrics(self, pools: list[Pool] | None = None) -> CapitalMetrics:
        """All accounts together; one that cannot be valued is missing."""
        all_pools = self.pools() if pools is None else pools
        sums = dict.fromkeys(("total", "reserve", "locked", "allocated", "utilised", "by_hand", "available"), ZERO)
        missing: list[str] = []
        with decimal.localcontext(VIEW):
            for account, known in self.state.accounts.items():
                part = self.account(account, all_pools)
                rate = (
                    Decimal(1) if known.base_currency == self.base else self.rates.rate(known.base_currency, self.base)
                )
                if part is None or rate is None:
                    missing.append(f"the account {account}")
                    continue
                missing += part.missing
                for name, value in (
                    ("total", part.equity),
                    ("reserve", part.reserve),
                    ("locked", part.locked),
                    ("allocated", part.allocated),
                    ("utilised", part.used),
                    ("by_hand", part.by_hand),
                    ("available", part.available),
                ):
                    sums[name] += value * rate
        return CapitalMetrics(currency=self.base, missing=tuple(missing), **sums)
