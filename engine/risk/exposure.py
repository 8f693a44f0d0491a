"""Every sum of values that is limited: by position, account, venue, class, currency, strategy, and all together.

One place computes them for the gate, the watch over limits and the screens, so that all three mean the same. Positions,
classes, currencies, strategies, clusters and the three largest are bounded by fractions of equity; the total, accounts
and venues by fractions of equity times leverage.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from engine.model.decimals import ZERO
from engine.model.ids import MANUAL
from engine.model.instrument import InstrumentKind
from engine.state import EXTERNAL

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from decimal import Decimal

    from engine.model.asset_classes import AssetClasses
    from engine.model.ids import AccountId, Currency, InstrumentId, Owner, VenueId
    from engine.model.limits import RiskLimits
    from engine.model.valuation import Valuation
    from engine.risk.clusters import Clusters
    from engine.risk.lines import HeldLine
    from engine.risk.picture import Picture

__all__ = ["LARGEST", "Exposure", "Grouping", "Measure", "account_measures", "is_strategy", "measures"]

LARGEST = 3
"""Positions whose values together tell how concentrated a portfolio is."""


class Grouping(NamedTuple):
    """How lines belong together beyond account and venue."""

    classes: AssetClasses
    clusters: Clusters


class Measure(NamedTuple):
    """One limited sum."""

    limit: str
    """Its field in `RiskLimits`."""
    scope: str
    """What of: an account and an instrument, a venue, a class, a currency, an owner; empty for everything."""
    used: Decimal
    most: Decimal

    @property
    def key(self) -> str:
        """The limit and what it is measured of, in one word."""
        return f"{self.limit}|{self.scope}"

    @property
    def broken(self) -> bool:
        """Whether it is above its limit."""
        return self.used > self.most


class Exposure:
    """What can be held at one moment, in the base currency of one account.

    Args:
        picture: Values of the moment; its `look` has been called.
        account: Whose currency.
        grouping: Classes and clusters.
    """

    def __init__(self, picture: Picture, account: AccountId, grouping: Grouping) -> None:
        self.picture = picture
        self.account = account
        self.grouping = grouping
        self.base: Currency = picture.state.accounts[account].base_currency
        self.equity: Valuation = picture.equity(account)
        self.whole, self.held, self._unpriced = picture.whole(account)

    @cached_property
    def missing(self) -> tuple[str, ...]:
        """What has no price; the sums are a part only unless this is empty."""
        return tuple(dict.fromkeys((*self.equity.missing, *self.whole.missing, *self._unpriced)))

    def with_line(self, line: HeldLine) -> Exposure:
        """The same with another value of one line."""
        changed = Exposure.__new__(Exposure)
        changed.__dict__ |= {name: value for name, value in self.__dict__.items() if name not in _SUMS}
        key = (line.account, line.instrument.id)
        changed.held = [one for one in self.held if (one.account, one.instrument.id) != key]
        changed.held.append(line)
        return changed

    # --- sums --------------------------------------------------------------------------------------------------------

    @cached_property
    def total(self) -> Decimal:
        """All positions."""
        return sum((one.value for one in self.held), ZERO)

    def position(self, account: AccountId, instrument: InstrumentId) -> Decimal:
        """One position."""
        return sum((one.value for one in self.held if one.account == account and one.instrument.id == instrument), ZERO)

    def of_account(self, account: AccountId) -> Decimal:
        """All positions of an account."""
        return sum((one.value for one in self.held if one.account == account), ZERO)

    def at_venue(self, venue: VenueId) -> Decimal:
        """All positions at a venue."""
        return sum((one.value for one in self.held if one.instrument.venue == venue), ZERO)

    def in_class(self, name: str) -> Decimal:
        """All positions in a class of assets."""
        of = self.grouping.classes.of
        return sum((one.value for one in self.held if of(one.instrument) == name), ZERO)

    def in_currency(self, currency: Currency) -> Decimal:
        """What depends on the price of a currency: balances, what is being bought or sold of it, and derivatives on it.

        Longs and shorts stand against each other, but open orders count on the side on which they add. Accounts whose
        own currency it is are at home in it and left out.
        """
        state, picture = self.picture.state, self.picture
        up = down = ZERO
        for account in state.accounts.values():
            balance = state.balances[account.id].get(currency)
            if balance is None or account.base_currency == currency or account.id in picture.absent:
                continue
            rate = picture.rates.rate(currency, self.base, account.venue)
            if balance.total and rate is not None:
                up += balance.total * rate
                down += balance.total * rate
        for one in self.held:
            if one.instrument.base != currency or state.accounts[one.account].base_currency == currency:
                continue
            spot = one.instrument.kind is InstrumentKind.SPOT
            # Units held on spot are in the balances already.
            up += one.sides.buys + (ZERO if spot else one.sides.net)
            down += (ZERO if spot else one.sides.net) - one.sides.sells
        return max(up, -down, ZERO)

    @cached_property
    def largest(self) -> Decimal:
        """The largest positions together, the same instrument in several accounts as one."""
        values: dict[InstrumentId, Decimal] = {}
        for one in self.held:
            values[one.instrument.id] = values.get(one.instrument.id, ZERO) + one.value
        return sum(sorted(values.values(), reverse=True)[:LARGEST], ZERO)

    def concentration(self) -> Decimal | None:
        """The Herfindahl-Hirschman index of the positions, 1/n for n equal ones up to 1 for one; None without any.

        Hirschman, "The Paternity of an Index" (1964): the sum of the squared shares.
        """
        if not self.total:
            return None
        return sum(((one.value / self.total) ** 2 for one in self.held), ZERO)


_SUMS = frozenset({"total", "largest"})


def is_strategy(owner: Owner) -> bool:
    """Whether the limits of strategies are meant for an owner: not for the operator, nor for others at the venue."""
    return owner not in (MANUAL, EXTERNAL)


def measures(exposure: Exposure, limits: RiskLimits, owners: Sequence[Owner]) -> Iterator[Measure]:
    """Every limited sum of the whole portfolio; what concerns single accounts is with those, see `account_measures`.

    Run it in the `VIEW` context, and only when nothing is missing.
    """
    equity, stretched = exposure.whole.value, exposure.whole.value * limits.max_leverage
    yield Measure("max_portfolio_exposure", "", exposure.total, limits.max_portfolio_exposure * stretched)
    for venue in dict.fromkeys(one.instrument.venue for one in exposure.held):
        yield Measure("max_venue_exposure", venue, exposure.at_venue(venue), limits.max_venue_exposure * stretched)
    for name in dict.fromkeys(exposure.grouping.classes.of(one.instrument) for one in exposure.held):
        yield Measure("max_class_exposure", name, exposure.in_class(name), limits.max_class_exposure * equity)
    for currency in dict.fromkeys(_currencies(exposure)):
        used = exposure.in_currency(currency)
        yield Measure("max_currency_exposure", currency, used, limits.max_currency_exposure * equity)
    cluster = exposure.grouping.clusters.largest(exposure.held, limits.correlation_threshold)
    used = ZERO if cluster is None else cluster.used
    yield Measure("max_correlated_exposure", "", used, limits.max_correlated_exposure * equity)
    yield Measure("max_concentration", "", exposure.largest, limits.max_concentration * equity)
    for owner in owners:
        if is_strategy(owner):
            values = exposure.picture.own_values(owner, exposure.account)
            used = sum(values.values(), ZERO)
            yield Measure("max_strategy_exposure", owner, used, limits.max_strategy_exposure * equity)


def account_measures(exposure: Exposure, limits: RiskLimits, position_factor: Decimal) -> Iterator[Measure]:
    """Every limited sum of the account in whose currency an exposure is.

    Args:
        exposure: Nothing of it is missing.
        limits: Those in force.
        position_factor: What the largest position is multiplied with while trading with care.
    """
    equity, account = exposure.equity.value, exposure.account
    most = limits.max_position_size_pct * position_factor * equity
    for one in exposure.held:
        if one.account == account:
            yield Measure("max_position_size_pct", f"{account}|{one.instrument.id}", one.value, most)
    yield Measure(
        "max_account_exposure",
        account,
        exposure.of_account(account),
        limits.max_account_exposure * limits.max_leverage * equity,
    )


def _currencies(exposure: Exposure) -> Iterator[Currency]:
    state = exposure.picture.state
    for account in state.accounts.values():
        if account.id not in exposure.picture.absent:
            yield from (
                currency
                for currency, balance in state.balances[account.id].items()
                if balance.total and currency != account.base_currency
            )
    for one in exposure.held:
        if one.instrument.base != state.accounts[one.account].base_currency:
            yield one.instrument.base
