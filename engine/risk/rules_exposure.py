"""The rules about how much may be held: of one thing, of one kind, in one place, by one bot, and in all.

An order that would bring a sum above its limit is refused if it makes that sum larger; what is above its limit already,
because a price has moved, keeps everything out that would add to it and nothing else.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from engine.model.decimals import ONE, ZERO
from engine.model.order import OrderSide
from engine.model.risk import Refusal, RefusalCode
from engine.risk.exposure import Exposure, is_strategy
from engine.risk.words import amount, percent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from decimal import Decimal

    from engine.model.ids import AccountId, InstrumentId
    from engine.model.limits import RiskLimits
    from engine.risk.case import Case

__all__ = ["NAMES", "exposure", "own_limits", "room_left"]


NAMES: Mapping[RefusalCode, str] = MappingProxyType(
    {
        RefusalCode.POSITION_SIZE: "max_position_size_pct",
        RefusalCode.EXPOSURE: "max_portfolio_exposure",
        RefusalCode.ACCOUNT_EXPOSURE: "max_account_exposure",
        RefusalCode.VENUE_EXPOSURE: "max_venue_exposure",
        RefusalCode.CLASS_EXPOSURE: "max_class_exposure",
        RefusalCode.CURRENCY_EXPOSURE: "max_currency_exposure",
        RefusalCode.CONCENTRATION: "max_concentration",
        RefusalCode.STRATEGY_EXPOSURE: "max_strategy_exposure",
        RefusalCode.CORRELATED_EXPOSURE: "max_correlated_exposure",
    }
)
"""Reason -> field of the risk limits."""
_ByLine = dict[tuple["AccountId", "InstrumentId"], "Decimal"]


class _Bound(NamedTuple):
    """One limit that an order touches, before and after it."""

    code: RefusalCode
    what: str
    """Begins the sentence."""
    before: Decimal
    after: Decimal
    most: Decimal
    allowed: Callable[[Decimal], str]
    """Tells the limit in words."""


def exposure(case: Case) -> Iterator[Refusal]:
    """Values of the resulting position, and of everything it belongs to, against equity."""
    before, after = case.exposure, case.after
    missing = (*before.missing, *(() if after is not None else (case.instrument.quote,)))
    if missing or after is None:
        if after is None or _grows(case, before, after):
            yield Refusal(
                code=RefusalCode.EVALUATION_FAILED,
                message=f"The portfolio cannot be valued: no price is known for {', '.join(dict.fromkeys(missing))}; "
                f"until then nothing new is opened.",
            )
        return
    for bound in _bounds(case, before, after, case.limits):
        if bound.after > bound.most and bound.after > bound.before:
            yield _refusal(case, bound)
    yield from _clusters(case, before, after)


def _grows(case: Case, before: Exposure, after: Exposure) -> bool:
    key = (case.request.account, case.instrument.id)
    return after.position(*key) > before.position(*key)


def _refusal(case: Case, bound: _Bound) -> Refusal:
    return Refusal(
        code=bound.code,
        message=f"{bound.what} could come to {amount(bound.after, case.base)}, more than {bound.allowed(bound.most)}; "
        f"{case.more(bound.most - bound.before)}.",
        limit=str(bound.most),
        value=str(bound.after),
        name=NAMES[bound.code],
    )


def _bounds(case: Case, before: Exposure, after: Exposure, limits: RiskLimits) -> Iterator[_Bound]:
    """The limits that an order can touch, the narrowest first."""
    account, base, equity = case.request.account, case.base, before.equity.value
    stretched = before.whole.value * limits.max_leverage
    share = limits.max_position_size_pct * case.care
    most = share * equity
    care = ", while trading with care" if case.care < ONE else ""
    key = (account, case.instrument.id)
    yield _Bound(
        RefusalCode.POSITION_SIZE,
        f"The position in {case.instrument.id}",
        before.position(*key),
        after.position(*key),
        most,
        lambda most: f"{percent(share)} of equity ({amount(most, base)}{care})",
    )
    most = limits.max_portfolio_exposure * stretched
    yield _Bound(
        RefusalCode.EXPOSURE,
        "All positions together",
        before.total,
        after.total,
        most,
        lambda most: f"the allowed exposure of {amount(most, base)}",
    )
    most = limits.max_account_exposure * limits.max_leverage * equity
    yield _Bound(
        RefusalCode.ACCOUNT_EXPOSURE,
        f"All positions in the account {account}",
        before.of_account(account),
        after.of_account(account),
        most,
        lambda most: f"the {amount(most, base)} that this account allows",
    )
    venue, most = case.instrument.venue, limits.max_venue_exposure * stretched
    yield _Bound(
        RefusalCode.VENUE_EXPOSURE,
        f"All positions at {venue}",
        before.at_venue(venue),
        after.at_venue(venue),
        most,
        lambda most: f"the {amount(most, base)} that one venue may have",
    )
    yield from _bounds_of_kinds(case, before, after, limits)


def _bounds_of_kinds(case: Case, before: Exposure, after: Exposure, limits: RiskLimits) -> Iterator[_Bound]:
    """Class, currency, the largest positions, and those of one bot: fractions of all equity."""
    whole = before.whole.value

    def bound(code: RefusalCode, what: str, share: Decimal, then: Decimal, now: Decimal) -> _Bound:
        return _Bound(
            code, what, then, now, share * whole, lambda most: f"{percent(share)} of equity ({amount(most, case.base)})"
        )

    name = case.grouping.classes.of(case.instrument)
    yield bound(
        RefusalCode.CLASS_EXPOSURE,
        f"All positions in the asset class {name}",
        limits.max_class_exposure,
        before.in_class(name),
        after.in_class(name),
    )
    currency = case.instrument.base
    if currency != case.base:
        yield bound(
            RefusalCode.CURRENCY_EXPOSURE,
            f"What depends on {currency}",
            limits.max_currency_exposure,
            before.in_currency(currency),
            after.in_currency(currency),
        )
    what = "The three largest positions together"
    yield bound(RefusalCode.CONCENTRATION, what, limits.max_concentration, before.largest, after.largest)
    owner = case.request.owner
    if is_strategy(owner):
        then, now = (sum(values.values(), ZERO) for values in _of_owner(case))
        what = f"All positions of {case.who}"
        yield bound(RefusalCode.STRATEGY_EXPOSURE, what, case.own.max_strategy_exposure, then, now)


def _of_owner(case: Case) -> tuple[_ByLine, _ByLine]:
    """What the owner's positions can come to, by line: without and with the order."""
    owner, account = case.request.owner, case.request.account
    before = case.picture.own_values(owner, account)
    return before, case.picture.own_values_with(before, owner, account, case.instrument, case.overlay)


def _clusters(case: Case, before: Exposure, after: Exposure) -> Iterator[Refusal]:
    limits = case.limits
    most = limits.max_correlated_exposure * before.whole.value
    found = case.grouping.clusters.grown_above(before.held, after.held, limits.correlation_threshold, most)
    if found is not None:
        was = found.used - (after.total - before.total)
        yield Refusal(
            code=RefusalCode.CORRELATED_EXPOSURE,
            message=f"What moves with {found.instrument.id} ({found.members} instruments that correlate by "
            f"{percent(limits.correlation_threshold)} or more, or of which that is not known) could come to "
            f"{amount(found.used, case.base)}, more than {percent(limits.max_correlated_exposure)} of equity "
            f"({amount(most, case.base)}); {case.more(most - was)}.",
            limit=str(most),
            value=str(found.used),
            name=NAMES[RefusalCode.CORRELATED_EXPOSURE],
        )


def own_limits(case: Case) -> Iterator[Refusal]:
    """The stricter limits of the order's owner, on what is its own: largest position and exposure."""
    if case.own is case.limits or case.after is None or case.exposure.missing:
        return
    for bound in _own_bounds(case):
        if bound.after > bound.most and bound.after > bound.before:
            yield _refusal(case, bound)


def _own_bounds(case: Case) -> Iterator[_Bound]:
    limits = case.own
    then, now = _of_owner(case)
    key, base = (case.request.account, case.instrument.id), case.base
    share = limits.max_position_size_pct * case.care
    most = share * case.equity.value
    what = f"The position of {case.who} in {key[1]}"
    yield _Bound(
        RefusalCode.POSITION_SIZE,
        what,
        then.get(key, ZERO),
        now.get(key, ZERO),
        most,
        lambda most: f"its own {percent(share)} ({amount(most, base)})",
    )
    most = limits.max_portfolio_exposure * limits.max_leverage * case.exposure.whole.value
    yield _Bound(
        RefusalCode.EXPOSURE,
        f"All positions of {case.who}",
        sum(then.values(), ZERO),
        sum(now.values(), ZERO),
        most,
        lambda most: f"its own limit of {amount(most, base)}",
    )


_LEFT = {
    RefusalCode.POSITION_SIZE: "what is left of the largest position",
    RefusalCode.EXPOSURE: "what is left of the allowed exposure",
    RefusalCode.ACCOUNT_EXPOSURE: "what is left of the account's exposure",
    RefusalCode.VENUE_EXPOSURE: "what is left of the venue's exposure",
    RefusalCode.CLASS_EXPOSURE: "what is left of the asset class",
    RefusalCode.CURRENCY_EXPOSURE: "what is left of the currency",
    RefusalCode.CONCENTRATION: "what is left of the three largest positions",
    RefusalCode.STRATEGY_EXPOSURE: "what is left of the bot's exposure",
    RefusalCode.CORRELATED_EXPOSURE: "what is left of what may move together",
}


def room_left(case: Case) -> tuple[Decimal, str]:
    """What the tightest of all value limits leaves in base currency, and which one it is in words.

    Only a limit that the order touches counts.

    Args:
        case: The smallest such order; nothing of its exposure is missing, and it has a price.
    """
    before, after = case.exposure, case.after
    assert after is not None
    bounds = list(_bounds(case, before, after, case.limits))
    if case.own is not case.limits:
        bounds += _own_bounds(case)
    rooms = [(bound.most - bound.before, bound.code) for bound in bounds if bound.after > bound.before]
    limits = case.limits
    most = limits.max_correlated_exposure * before.whole.value
    cluster = case.grouping.clusters.fullest_with(
        before.held,
        after.held,
        case.instrument,
        short=case.request.side is OrderSide.SELL,
        threshold=limits.correlation_threshold,
    )
    if cluster is not None:
        rooms.append((most - cluster, RefusalCode.CORRELATED_EXPOSURE))
    left, code = min(rooms, key=lambda room: room[0], default=(before.equity.value, RefusalCode.EXPOSURE))
    return left, _LEFT[code]
