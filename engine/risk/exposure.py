"""Every sum of values that is limited: by position, account, venue, class, currency, strategy, and all together.

One place computes them for the gate, the watch over limits and the screens, so that all three mean the same. Positions,
classes, currencies, strategies, clusters and the three largest are bounded by fractions of equity; the total, accounts
and venues by fractions of equity times leverage.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from engine.model.decimals import ZERO
from engine.model.ids import MANUAL
from engine.model.instrument import InstrumentKind
from engine.model.lazy import lazy
from engine.risk.ample import Ample
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
    sums: SumsBefore
    ample: Ample

    @classmethod
    def by(cls, classes: AssetClasses, clusters: Clusters) -> Grouping:
        """By these classes and clusters."""
        return cls(classes, clusters, SumsBefore(), Ample())


class SumsBefore:
    """The sums of the moment before: between two looks little changes, and sums of exact values do not drift."""

    def __init__(self) -> None:
        self._known: dict[AccountId, tuple[list[HeldLine], _Sums]] = {}

    def of(self, account: AccountId, held: list[HeldLine], classes: AssetClasses) -> _Sums:
        """The sums of what is held as an account sees it."""
        known = self._known.get(account)
        changed = None if known is None else [
            (now, then) for now, then in zip(held, known[0], strict=False) if now is not then
        ]  # fmt: skip
        if known is None or changed is None or len(held) != len(known[0]) or len(changed) > len(held) // 2 or any(
            now.account != then.account or now.instrument is not then.instrument for now, then in changed
        ):  # fmt: skip
            sums = _Sums.of(held, classes)
        elif changed:
            sums = known[1].copy()
            for now, then in changed:
                sums.add(now, classes.of(now.instrument), now.value - then.value)
        else:
            return known[1]
        self._known[account] = held, sums
        return sums


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

    @lazy
    def missing(self) -> tuple[str, ...]:
        """What has no price; the sums are a part only unless this is empty."""
        return tuple(dict.fromkeys((*self.equity.missing, *self.whole.missing, *self._unpriced)))

    def with_line(self, line: HeldLine) -> Exposure:
        """The same with another value of one line."""
        changed = Exposure.__new__(Exposure)
        changed.__dict__ |= {name: value for name, value in self.__dict__.items() if name not in _DERIVED}
        key = (line.account, line.instrument.id)
        before = next((one for one in self.held if one.account == key[0] and one.instrument.id == key[1]), None)
        changed.held = [line if one is before else one for one in self.held]
        if before is None:
            changed.held.append(line)
        changed._sums = self._sums.with_line(before, line, self.grouping.classes.of(line.instrument))
        return changed

    # --- sums --------------------------------------------------------------------------------------------------------

    @lazy
    def _sums(self) -> _Sums:
        return self.grouping.sums.of(self.account, self.held, self.grouping.classes)

    @property
    def total(self) -> Decimal:
        """All positions."""
        return self._sums.total

    def position(self, account: AccountId, instrument: InstrumentId) -> Decimal:
        """One position."""
        return self._sums.lines.get((account, instrument), ZERO)

    def of_account(self, account: AccountId) -> Decimal:
        """All positions of an account."""
        return self._sums.accounts.get(account, ZERO)

    def at_venue(self, venue: VenueId) -> Decimal:
        """All positions at a venue."""
        return self._sums.venues.get(venue, ZERO)

    def in_class(self, name: str) -> Decimal:
        """All positions in a class of assets."""
        return self._sums.classes.get(name, ZERO)

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

    @lazy
    def largest(self) -> Decimal:
        """The largest positions together, the same instrument in several accounts as one."""
        return sum(sorted(self._sums.instruments.values(), reverse=True)[:LARGEST], ZERO)

    def concentration(self) -> Decimal | None:
        """The Herfindahl-Hirschman index of the positions, 1/n for n equal ones up to 1 for one; None without any.

        Hirschman, "The Paternity of an Index" (1964): the sum of the squared shares.
        """
        if not self.total:
            return None
        return sum(((one.value / self.total) ** 2 for one in self.held), ZERO)


_DERIVED = frozenset({"_sums", "largest"})


class _Sums:
    """Values added up by what belongs together."""

    __slots__ = ("accounts", "classes", "instruments", "lines", "total", "venues")

    def __init__(self) -> None:
        self.total = ZERO
        self.lines: dict[tuple[AccountId, InstrumentId], Decimal] = {}
        self.instruments: dict[InstrumentId, Decimal] = {}
        self.accounts: dict[AccountId, Decimal] = {}
        self.venues: dict[VenueId, Decimal] = {}
        self.classes: dict[str, Decimal] = {}

    @classmethod
    def of(cls, held: Sequence[HeldLine], classes: AssetClasses) -> _Sums:
        """From the beginning."""
        sums = cls()
        for one in held:
            sums.add(one, classes.of(one.instrument), one.value)
        return sums

    def with_line(self, before: HeldLine | None, line: HeldLine, name: str) -> _Sums:
        """The same with another value of one line of a class."""
        sums = self.copy()
        sums.add(line, name, line.value if before is None else line.value - before.value)
        return sums

    def copy(self) -> _Sums:
        """Others that may be added to."""
        sums = _Sums()
        sums.total = self.total
        sums.lines, sums.instruments = dict(self.lines), dict(self.instruments)
        sums.accounts, sums.venues, sums.classes = dict(self.accounts), dict(self.venues), dict(self.classes)
        return sums

    def add(self, one: HeldLine, name: str, value: Decimal) -> None:
        """Add to everything that a line of a class belongs to."""
        instrument, account = one.instrument, one.account
        key = (account, instrument.id)
        self.total += value
        self.lines[key] = self.lines.get(key, ZERO) + value
        self.instruments[instrument.id] = self.instruments.get(instrument.id, ZERO) + value
        self.accounts[account] = self.accounts.get(account, ZERO) + value
        self.venues[instrument.venue] = self.venues.get(instrument.venue, ZERO) + value
        self.classes[name] = self.classes.get(name, ZERO) + value


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
