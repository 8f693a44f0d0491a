"""How much of each limit is used, and how grave that is."""

from __future__ import annotations

import decimal
import enum
from typing import TYPE_CHECKING

import msgspec

from engine.model.decimals import ONE, ZERO
from engine.model.ids import InstrumentId, symbol_of
from engine.model.risk import BREAKER_FIELDS
from engine.model.valuation import VIEW
from engine.risk.exposure import Exposure, Measure, account_measures, measures
from engine.risk.watch import owners_of
from engine.risk.words import amount, percent, plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from decimal import Decimal

    from engine.model.ids import AccountId
    from engine.model.limits import RiskLimits
    from engine.risk.breakers import BreakerStanding
    from engine.risk.exposure import Grouping
    from engine.risk.picture import Picture
    from engine.risk.throttle import Throttle

__all__ = ["LimitUse", "RiskLevel", "level_of", "limit_uses", "worst_level"]


class RiskLevel(enum.StrEnum):
    """Gravity by the share of a limit in use."""

    LOW = "low"
    MEDIUM = "medium"
    """From 50 %."""
    HIGH = "high"
    """From 75 %."""
    CRITICAL = "critical"
    """From 100 %."""


class LimitUse(msgspec.Struct, frozen=True, kw_only=True):
    """One limit and how much of it is used."""

    name: str
    """The field of the limits it belongs to."""
    label: str
    used: str
    """In words, with its unit."""
    limit: str
    share: float | None
    """Used part as a fraction of the limit; None while it cannot be computed."""
    level: RiskLevel


def level_of(share: Decimal | float | None) -> RiskLevel:
    """The level of a used share; one that cannot be computed counts as high, because nobody knows better."""
    if share is None:
        return RiskLevel.HIGH
    if share >= 1:
        return RiskLevel.CRITICAL
    if share >= 0.75:
        return RiskLevel.HIGH
    return RiskLevel.MEDIUM if share >= 0.5 else RiskLevel.LOW


def worst_level(uses: Iterable[LimitUse]) -> RiskLevel:
    """The level of the limit that is used most; low without any."""
    order = list(RiskLevel)
    return max((use.level for use in uses), key=order.index, default=RiskLevel.LOW)


def limit_uses(
    picture: Picture,
    throttle: Throttle,
    limits: RiskLimits,
    account: AccountId,
    now: int,
    breakers: tuple[BreakerStanding, ...],
    grouping: Grouping,
) -> tuple[LimitUse, ...]:
    """All limits with their use as an account sees them, open orders counted as if they filled at their worst.

    Of limits that hold for several things (positions, classes, venues, bots) the one that is used most is shown.

    Raises:
        KeyError: The account is not known.
    """
    with decimal.localcontext(VIEW):
        picture.look()
        exposure = Exposure(picture, account, grouping)
        alone = [*_unused(limits, exposure), *account_measures(exposure, limits, ONE)]
        owned = not exposure.equity.known or bool(picture.held(account)[1])
        shared = measures(exposure, limits, owners_of(picture))
        second, minute = throttle.busiest(now)
        rows = [
            *_money_rows(alone, exposure, unknown=owned),
            *_money_rows([*_unused(limits, exposure, shared=True), *shared], exposure, unknown=bool(exposure.missing)),
            _count("max_total_positions", "Positions", len(picture.positions()), limits.max_total_positions),
            _strategy_positions(picture, limits),
            _symbol_positions(picture, limits),
            _leverage(picture, limits),
            *(
                _share(BREAKER_FIELDS[row.name], row.label, row.value, row.threshold)
                for row in breakers
                if row.scope == account and row.name in BREAKER_FIELDS
            ),
            _count("max_orders_per_second", "Orders within a second", second, limits.max_orders_per_second),
            _count("max_orders_per_minute", "Orders within a minute", minute, limits.max_orders_per_minute),
        ]
    return tuple(sorted(rows, key=lambda row: _ORDER.index(row.name)))


_LABELS = {
    "max_position_size_pct": "Largest position",
    "max_account_exposure": "Account",
    "max_portfolio_exposure": "Exposure",
    "max_venue_exposure": "Venue",
    "max_strategy_exposure": "Bot",
    "max_class_exposure": "Asset class",
    "max_currency_exposure": "Currency",
    "max_correlated_exposure": "Moving together",
    "max_concentration": "Three largest",
}
"""Name -> label of the limits of money."""
_OF_ACCOUNTS = frozenset({"max_position_size_pct", "max_account_exposure"})
_STRETCHED = frozenset({"max_portfolio_exposure", "max_account_exposure", "max_venue_exposure"})
"""Limits on equity times leverage."""
_ORDER = (
    *_LABELS,
    "max_total_positions",
    "max_positions_per_strategy",
    "max_positions_per_symbol",
    "max_leverage",
    "max_daily_loss_pct",
    "max_weekly_loss_pct",
    "max_monthly_loss_pct",
    "breaker_drawdown_pct",
    "max_drawdown_pct",
    "max_orders_per_second",
    "max_orders_per_minute",
)


def _unused(limits: RiskLimits, exposure: Exposure, *, shared: bool = False) -> Iterator[Measure]:
    """Every limit with nothing of it used, so that each is seen before anything is held."""
    equity = exposure.whole.value if shared else exposure.equity.value
    for limit in _LABELS:
        if (limit in _OF_ACCOUNTS) is not shared:
            factor = limits.max_leverage if limit in _STRETCHED else ONE
            yield Measure(limit, "", ZERO, getattr(limits, limit) * equity * factor)


def _money_rows(found: Sequence[Measure], exposure: Exposure, *, unknown: bool) -> Iterator[LimitUse]:
    """A row for each limit among these, of what has used most of it."""
    worst: dict[str, Measure] = {}
    for one in found:
        known = worst.get(one.limit)
        if known is None or one.used * known.most > known.used * one.most:
            worst[one.limit] = one
    for limit, one in worst.items():
        name = one.scope.rpartition("|")[2]
        what = symbol_of(InstrumentId(name)) or name if limit == "max_position_size_pct" else name
        label = _LABELS[limit] + (f" ({what})" if what and limit != "max_account_exposure" else "")
        if unknown:
            yield _money(limit, _LABELS[limit], None, None, exposure.base)
        else:
            yield _money(limit, label, one.used, one.most, exposure.base)


def _strategy_positions(picture: Picture, limits: RiskLimits) -> LimitUse:
    counts = {owner: len(picture.positions_of(owner)) for owner in owners_of(picture)}
    most = max(counts.values(), default=0)
    return _count("max_positions_per_strategy", "Positions of a bot", most, limits.max_positions_per_strategy)


def _symbol_positions(picture: Picture, limits: RiskLimits) -> LimitUse:
    """The most positions that one owner has in one symbol."""
    taken, counts = picture.positions(), dict[tuple[str, str], int]()
    for (owner, account, key), line in picture.commitments.owned.items():
        if (account, key) in taken and (line.quantity or line.buys or line.sells):
            counts[owner, symbol_of(key)] = counts.get((owner, symbol_of(key)), 0) + 1
    most, limit = max(counts.values(), default=0), limits.max_positions_per_symbol
    # The first one is what the limit is for and uses nothing of it, as with leverage.
    share = ZERO if most <= 1 else VIEW.divide(most, limit)
    return _row("max_positions_per_symbol", "Positions in a symbol", str(most), str(limit), share)


def _leverage(picture: Picture, limits: RiskLimits) -> LimitUse:
    """The highest leverage that is set where something is held; 1 is none and uses nothing."""
    state = picture.state
    held = [state.margin(*key).leverage for key, line in picture.commitments.lines.items() if line.quantity]
    most, limit = max(held, default=ONE), limits.max_leverage
    share = ZERO if most <= ONE else most / limit
    return _row("max_leverage", "Leverage", f"{plain(most)}x", f"{plain(limit)}x", share)


def _row(name: str, label: str, used: str, limit: str, share: Decimal | None) -> LimitUse:
    fraction = None if share is None else float(share)
    return LimitUse(name=name, label=label, used=used, limit=limit, share=fraction, level=level_of(fraction))


def _money(name: str, label: str, used: Decimal | None, limit: Decimal | None, base: str) -> LimitUse:
    share = None if used is None or limit is None or limit <= ZERO else used / limit
    return _row(
        name,
        label,
        "unknown" if used is None else amount(used, base),
        "unknown" if limit is None else amount(limit, base),
        share,
    )


def _share(name: str, label: str, used: Decimal | None, limit: Decimal) -> LimitUse:
    share = None if used is None else used / limit
    return _row(name, label, "unknown" if used is None else percent(used), percent(limit), share)


def _count(name: str, label: str, used: int, limit: int) -> LimitUse:
    return _row(name, label, str(used), plain(VIEW.create_decimal(limit)), VIEW.divide(used, limit))
