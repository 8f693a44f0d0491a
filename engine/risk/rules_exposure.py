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
    from collections.abc import Iterator, Mapping
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
    before: Decimal
    after: Decimal
    most: Decimal
    share: Decimal
    """The limit itself, a fraction."""
    own: bool = False
    """Whether it is the owner's own, stricter one."""


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
    if case.own is case.limits:
        ample = case.grouping.ample.used(
            case.picture, case.request.account, after.held, before.equity, case.limits, case.care
        )
        if ample is not None:
            return
    for bound in _bounds(case, before, after, case.limits):
        if bound.after > bound.most and bound.after > bound.before:
            yield _refusal(case, bound)
    yield from _clusters(case, before, after)


def _grows(case: Case, before: Exposure, after: Exposure) -> bool:
    key = (case.request.account, case.instrument.id)
    return after.position(*key) > before.position(*key)


def _refusal(case: Case, bound: _Bound) -> Refusal:
    what, allowed = _words(case, bound)
    return Refusal(
        code=bound.code,
        message=f"{what} could come to {amount(bound.after, case.base)}, more than {allowed}; "
        f"{case.more(bound.most - bound.before)}.",
        limit=str(bound.most),
        value=str(bound.after),
        name=NAMES[bound.code],
    )


def _words(case: Case, bound: _Bound) -> tuple[str, str]:
    """What is limited, as the beginning of a sentence, and how much of it is allowed."""
    most, code, instrument = amount(bound.most, case.base), bound.code, case.instrument
    care = ", while trading with care" if case.care < ONE else ""
    of_equity = f"{percent(bound.share)} of equity ({most})"
    if bound.own:
        if code is RefusalCode.POSITION_SIZE:
            return f"The position of {case.who} in {instrument.id}", f"its own {percent(bound.share)} ({most})"
        return f"All positions of {case.who}", f"its own limit of {most}"
    if code is RefusalCode.POSITION_SIZE:
        return f"The position in {instrument.id}", f"{percent(bound.share)} of equity ({most}{care})"
    if code is RefusalCode.EXPOSURE:
        return "All positions together", f"the allowed exposure of {most}"
    if code is RefusalCode.ACCOUNT_EXPOSURE:
        return f"All positions in the account {case.request.account}", f"the {most} that this account allows"
    if code is RefusalCode.VENUE_EXPOSURE:
        return f"All positions at {instrument.venue}", f"the {most} that one venue may have"
    subject = {
        RefusalCode.CLASS_EXPOSURE: f"All positions in the asset class {case.grouping.classes.of(instrument)}",
        RefusalCode.CURRENCY_EXPOSURE: f"What depends on {instrument.base}",
        RefusalCode.CONCENTRATION: "The three largest positions together",
        RefusalCode.STRATEGY_EXPOSURE: f"All positions of {case.who}",
    }
    return subject[code], of_equity


def _bounds(case: Case, before: Exposure, after: Exposure, limits: RiskLimits) -> Iterator[_Bound]:
    """The limits that an order can touch, the narrowest first."""
    account, instrument, equity, whole = case.request.account, case.instrument, before.equity.value, before.whole.value
    stretched, key, codes = whole * limits.max_leverage, (account, instrument.id), RefusalCode
    share = limits.max_position_size_pct * case.care
    yield _Bound(codes.POSITION_SIZE, before.position(*key), after.position(*key), share * equity, share)
    share = limits.max_portfolio_exposure
    yield _Bound(codes.EXPOSURE, before.total, after.total, share * stretched, share)
    share = limits.max_account_exposure
    most = share * limits.max_leverage * equity
    yield _Bound(codes.ACCOUNT_EXPOSURE, before.of_account(account), after.of_account(account), most, share)
    venue, share = instrument.venue, limits.max_venue_exposure
    yield _Bound(codes.VENUE_EXPOSURE, before.at_venue(venue), after.at_venue(venue), share * stretched, share)
    # Class, currency, the largest positions, and those of one bot: fractions of all equity.
    name, share = case.grouping.classes.of(instrument), limits.max_class_exposure
    yield _Bound(codes.CLASS_EXPOSURE, before.in_class(name), after.in_class(name), share * whole, share)
    currency, share = instrument.base, limits.max_currency_exposure
    if currency != case.base:
        then, now = before.in_currency(currency), after.in_currency(currency)
        yield _Bound(codes.CURRENCY_EXPOSURE, then, now, share * whole, share)
    share = limits.max_concentration
    yield _Bound(codes.CONCENTRATION, before.largest, after.largest, share * whole, share)
    if is_strategy(case.request.owner):
        then, now = (sum(values.values(), ZERO) for values in _of_owner(case))
        share = case.own.max_strategy_exposure
        yield _Bound(codes.STRATEGY_EXPOSURE, then, now, share * whole, share)


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
    key = (case.request.account, case.instrument.id)
    share = limits.max_position_size_pct * case.care
    most = share * case.equity.value
    yield _Bound(RefusalCode.POSITION_SIZE, then.get(key, ZERO), now.get(key, ZERO), most, share, own=True)
    share = limits.max_portfolio_exposure
    most = share * limits.max_leverage * case.exposure.whole.value
    yield _Bound(RefusalCode.EXPOSURE, sum(then.values(), ZERO), sum(now.values(), ZERO), most, share, own=True)


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
