"""Smart routing: which accounts at which venues an order goes to, and how much to each.

The books of all candidates are taken from level by level, the best price after fees first, where a slow or unreliable
venue's price counts as worse than it stands. Nothing is sent here: a route says what would be.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from engine.errors import ValidationError
from engine.model.decimals import ONE, ZERO

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from engine.model.ids import AccountId
    from engine.model.instrument import Instrument
    from engine.model.order import OrderSide

__all__ = ["Candidate", "Leg", "Passed", "Route", "RouteSettings", "route"]

_BPS = Decimal("0.0001")


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteSettings:
    """How much speed and reliability are worth against price."""

    latency_bps: Decimal = Decimal("0.2")
    """Basis points by which a price counts as worse for each 100 ms until an order is answered."""
    failure_bps: Decimal = Decimal(20)
    """Basis points by which it would count as worse at a venue where every request fails."""
    least_reliability: Decimal = Decimal("0.9")
    """Share of successful requests below which a venue gets nothing, 0 to 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """An account in which the order could be executed."""

    account: AccountId
    instrument: Instrument
    levels: Sequence[tuple[Decimal, Decimal]]
    """(price, quantity) of the side that is taken from, best first."""
    fee: Decimal
    """Taker fee as a fraction."""
    free: Decimal
    """What is free: quote currency to buy with, base units to sell."""
    latency_ms: Decimal | None = None
    """Until an order is answered, as last measured; None where nothing was measured."""
    reliability: Decimal = ONE
    """Share of the last requests that succeeded, 0 to 1."""
    obstacle: str = ""
    """Why nothing may be sent there now; empty where something may."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """One part of a route."""

    account: AccountId
    instrument: Instrument
    quantity: Decimal
    price: Decimal
    """Expected average price."""
    worst: Decimal
    """Price of the last level that is needed."""
    fee: Decimal
    """In quote currency."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Passed:
    """A candidate that gets nothing, and why."""

    account: AccountId
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """How an order would be split."""

    legs: tuple[Leg, ...]
    """The largest first."""
    unrouted: Decimal
    """Quantity for which no candidate has depth or funds."""
    passed_over: tuple[Passed, ...]

    @property
    def quantity(self) -> Decimal:
        """Base units of all legs."""
        return sum((leg.quantity for leg in self.legs), ZERO)

    def price_after_fees(self, side: OrderSide) -> Decimal | None:
        """Average price of the whole with fees; None for nothing."""
        quantity = self.quantity
        if not quantity:
            return None
        value = sum((leg.quantity * leg.price + side.sign * leg.fee for leg in self.legs), ZERO)
        return value / quantity


def route(
    side: OrderSide, quantity: Decimal, candidates: Iterable[Candidate], settings: RouteSettings | None = None
) -> Route:
    """Split an order over accounts.

    A part that its venue would refuse as too small is given to the others. Where two prices count the same, the
    candidate named first is taken.

    Args:
        side: Buy or sell.
        quantity: Base units, > 0.
        candidates: Accounts with the same base and quote currency and a multiplier of 1.
        settings: What speed and reliability are worth.

    Raises:
        ValidationError: The quantity is not positive, or candidates differ in what they trade.
    """
    rules = settings or RouteSettings()
    known = list(candidates)
    if quantity <= 0:
        raise ValidationError("Say how much to route: a quantity above 0.")
    if len({(c.instrument.base, c.instrument.quote, c.instrument.kind) for c in known}) > 1:
        raise ValidationError("A route is among instruments of one base and one quote currency and of one kind.")
    out: dict[AccountId, str] = {}
    for candidate in known:
        reason = _obstacle(candidate, rules)
        if reason:
            out[candidate.account] = reason
    while True:
        usable = [c for c in known if c.account not in out]
        legs, left = _fill(side, quantity, usable, rules)
        small = [leg for leg in legs if _too_small(leg)]
        if not small:
            break
        # The smallest one goes first: what it would have had may lift another one over its own minimum.
        leg = min(small, key=lambda one: one.quantity * one.price)
        out[leg.account] = f"its part of {leg.quantity.normalize():f} would be below the venue's minimum"
    for candidate in known:
        if candidate.account not in out and all(leg.account != candidate.account for leg in legs):
            out[candidate.account] = "the others are better after fees"
    return Route(
        legs=tuple(sorted(legs, key=lambda one: -one.quantity)),
        unrouted=left,
        passed_over=tuple(Passed(account=account, reason=reason) for account, reason in out.items()),
    )


def _obstacle(candidate: Candidate, rules: RouteSettings) -> str:
    if candidate.obstacle:
        return candidate.obstacle
    if candidate.reliability < rules.least_reliability:
        percent = f"{candidate.reliability * 100:.0f} %"
        return f"only {percent} of its last requests succeeded, at least {rules.least_reliability * 100:.0f} % must"
    if not candidate.levels:
        return "its book is empty"
    return "" if candidate.free > 0 else "nothing is free in it"


def _penalty(candidate: Candidate, rules: RouteSettings) -> Decimal:
    """By which fraction its prices count as worse."""
    slow = rules.latency_bps * (candidate.latency_ms or ZERO) / 100
    return (slow + rules.failure_bps * (ONE - candidate.reliability)) * _BPS


def _fill(
    side: OrderSide, quantity: Decimal, candidates: Sequence[Candidate], rules: RouteSettings
) -> tuple[list[Leg], Decimal]:
    """Take the best levels of all books until the quantity, the depth or the funds end."""
    offers: list[tuple[Decimal, int, Decimal, Decimal]] = []
    for place, candidate in enumerate(candidates):
        worse = ONE + side.sign * (candidate.fee + _penalty(candidate, rules))
        offers += [(side.sign * price * worse, place, price, there) for price, there in candidate.levels]
    offers.sort(key=lambda offer: offer[:2])
    taken: list[list[tuple[Decimal, Decimal]]] = [[] for _ in candidates]
    funds = [candidate.free for candidate in candidates]
    left = quantity
    for _, place, price, there in offers:
        unit = price * (ONE + candidates[place].fee) if side.sign > 0 else ONE
        part = min(left, there, funds[place] / unit)
        if part > 0:
            taken[place].append((price, part))
            funds[place] -= part * unit
            left -= part
    legs = [_leg(candidate, parts) for candidate, parts in zip(candidates, taken, strict=True) if parts]
    legs = _round(side, legs, {candidate.account: candidate.free for candidate in candidates})
    return legs, quantity - sum((leg.quantity for leg in legs), ZERO)


def _leg(candidate: Candidate, parts: Sequence[tuple[Decimal, Decimal]]) -> Leg:
    quantity = sum((part for _, part in parts), ZERO)
    value = sum((price * part for price, part in parts), ZERO)
    return Leg(
        account=candidate.account,
        instrument=candidate.instrument,
        quantity=quantity,
        price=value / quantity,
        worst=parts[-1][0],
        fee=value * candidate.fee,
    )


def _round(side: OrderSide, legs: Sequence[Leg], funds: Mapping[AccountId, Decimal]) -> list[Leg]:
    """Whole lots; what rounding leaves over goes to the largest part whose funds allow it."""
    rounded = [_resized(leg, leg.instrument.floor_quantity(leg.quantity)) for leg in legs]
    rest = sum((leg.quantity for leg in legs), ZERO) - sum((leg.quantity for leg in rounded), ZERO)
    for place in sorted(range(len(rounded)), key=lambda i: -rounded[i].quantity):
        leg = rounded[place]
        more = leg.instrument.floor_quantity(rest)
        grown = _resized(leg, leg.quantity + more)
        needed = grown.quantity * grown.price + grown.fee if side.sign > 0 else grown.quantity
        if more > 0 and needed <= funds[leg.account]:
            rounded[place] = grown
            rest -= more
    return [leg for leg in rounded if leg.quantity > 0]


def _resized(leg: Leg, quantity: Decimal) -> Leg:
    fee = leg.fee / leg.quantity * quantity
    return Leg(
        account=leg.account,
        instrument=leg.instrument,
        quantity=quantity,
        price=leg.price,
        worst=leg.worst,
        fee=fee,
    )


def _too_small(leg: Leg) -> bool:
    rules = leg.instrument.current_rules
    least = max(rules.min_quantity, rules.lot)
    return leg.quantity < least or leg.instrument.notional(leg.price, leg.quantity) < rules.min_notional
