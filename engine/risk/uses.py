"""How much of each limit is used, and how grave that is."""

from __future__ import annotations

import decimal
import enum
from typing import TYPE_CHECKING

import msgspec

from engine.model.decimals import ZERO
from engine.model.valuation import VIEW
from engine.risk.words import amount, percent, plain

if TYPE_CHECKING:
    from collections.abc import Iterable
    from decimal import Decimal

    from engine.model.ids import AccountId
    from engine.model.limits import RiskLimits
    from engine.risk.breakers import BreakerStanding
    from engine.risk.picture import Picture
    from engine.risk.throttle import Throttle

__all__ = ["BREAKER_FIELDS", "LimitUse", "RiskLevel", "level_of", "limit_uses", "worst_level"]


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
) -> tuple[LimitUse, ...]:
    """All limits of an account with their use, open orders counted as if they filled.

    Raises:
        KeyError: The account is not known.
    """
    with decimal.localcontext(VIEW):
        picture.look()
        base = picture.state.accounts[account].base_currency
        equity = picture.equity(account)
        whole = equity.value if equity.known else None
        everything, exposure = picture.portfolio(account)
        largest, where = _largest(picture, account)
        second, minute = throttle.busiest(now)
        rows = [
            _money(
                "max_position_size_pct",
                f"Largest position{f' ({where})' if where else ''}",
                largest,
                None if whole is None else limits.max_position_size_pct * whole,
                base,
            ),
            _money(
                "max_portfolio_exposure",
                "Exposure",
                exposure.value if exposure.known else None,
                limits.max_portfolio_exposure * limits.max_leverage * everything.value if everything.known else None,
                base,
            ),
            _count("max_total_positions", "Positions", len(picture.positions()), limits.max_total_positions),
            *(
                _share(BREAKER_FIELDS[row.name], row.label, row.value, row.threshold)
                for row in breakers
                if row.scope == account and row.name in BREAKER_FIELDS
            ),
            _count("max_orders_per_second", "Orders within a second", second, limits.max_orders_per_second),
            _count("max_orders_per_minute", "Orders within a minute", minute, limits.max_orders_per_minute),
        ]
    return tuple(rows)


BREAKER_FIELDS = {
    "daily_loss": "max_daily_loss_pct",
    "weekly_loss": "max_weekly_loss_pct",
    "monthly_loss": "max_monthly_loss_pct",
    "drawdown": "breaker_drawdown_pct",
    "max_drawdown": "max_drawdown_pct",
}


def _largest(picture: Picture, account: AccountId) -> tuple[Decimal | None, str]:
    base = picture.state.accounts[account].base_currency
    largest, where = ZERO, ""
    for holder, instrument_id in picture.commitments.lines:
        instrument = picture.state.instruments[instrument_id]
        units = picture.most(account, instrument) if holder == account else ZERO
        if not units:
            continue
        unit = picture.unit_value(instrument, base)
        if unit is None:
            return None, instrument.symbol
        if units * unit > largest:
            largest, where = units * unit, instrument.symbol
    return largest, where


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
