"""Margin of linear contracts: tiers and settings, and the formulas for margin, ratio and liquidation price.

A linear contract is settled in its quote currency, so everything here is in that currency. The formulas are those that
Binance publishes for one-way mode ("How to calculate liquidation price of USDⓈ-M futures", "Leverage and margin of
USDⓈ-M futures"); OKX's are the same without a deduction, with tiers by contracts instead of notional.

Quotients are bounds and views, not booked money: they are rounded, margins upwards.
"""

from __future__ import annotations

import decimal
import enum
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from engine.model.decimals import ONE, ZERO

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "MOST_RATIO",
    "UNKNOWN_TIERS",
    "UNLEVERED",
    "MarginMode",
    "MarginSetting",
    "MarginTier",
    "initial_margin",
    "liquidation_price",
    "maintenance_margin",
    "margin_ratio",
    "most_leverage",
    "tier_of",
]

MOST_RATIO = Decimal(10)
"""Margin ratios are cut here: nothing is left long before."""
_STEP = Decimal("1e-12")
_UP = decimal.Context(prec=60, rounding=decimal.ROUND_CEILING, traps=[decimal.InvalidOperation, decimal.DivisionByZero])
_NEAR = decimal.Context(
    prec=60, rounding=decimal.ROUND_HALF_EVEN, traps=[decimal.InvalidOperation, decimal.DivisionByZero]
)


class MarginMode(enum.StrEnum):
    """What stands for the losses of a leveraged position."""

    ISOLATED = "isolated"
    """The margin set aside for this position alone."""
    CROSS = "cross"
    """Everything in the account."""


class MarginSetting(msgspec.Struct, frozen=True):
    """Leverage and margin mode of one account in one instrument."""

    leverage: Decimal = ONE
    mode: MarginMode = MarginMode.ISOLATED


UNLEVERED = MarginSetting()
"""What holds where nothing was set."""


class MarginTier(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a venue asks of positions from a size on.

    Adapters put them into `InstrumentRules.margin`, the smallest first. Binance: one for each of `brackets` of
    `/fapi/v1/leverageBracket` (`notionalFloor`, `maintMarginRatio`, `cum`, `initialLeverage`), whose request is signed,
    so that without a key there are none. OKX: one for each row of `/api/v5/public/position-tiers` (`minSz` as
    `from_quantity`, `mmr`, `maxLever`).
    """

    maintenance: Decimal
    """Maintenance margin as a fraction of the position's value at the mark."""
    max_leverage: Decimal
    from_notional: Decimal = Decimal(0)
    """Smallest value of a position in this tier, in the settle currency."""
    from_quantity: Decimal = Decimal(0)
    """Smallest size of a position in this tier, in contracts; a venue bounds its tiers by one of the two."""
    deduction: Decimal = Decimal(0)
    """Taken off the maintenance margin, so that it does not jump where a tier begins (Binance's `cum`)."""


UNKNOWN_TIERS = (MarginTier(maintenance=Decimal("0.025"), max_leverage=Decimal(20)),)
"""Used where a venue has not told its tiers: more careful than those of the large perpetuals."""


def tier_of(tiers: Sequence[MarginTier], notional: Decimal, quantity: Decimal) -> MarginTier:
    """The tier of a position.

    Args:
        tiers: Of its instrument, the smallest first; empty for those of an unknown venue.
        notional: Its value at the mark, in the settle currency, of either sign.
        quantity: Its contracts, of either sign.
    """
    known = tiers or UNKNOWN_TIERS
    found = known[0]
    for tier in known:
        if abs(notional) < tier.from_notional or abs(quantity) < tier.from_quantity:
            break
        found = tier
    return found


def most_leverage(tiers: Sequence[MarginTier], notional: Decimal = ZERO, quantity: Decimal = ZERO) -> Decimal:
    """The largest leverage that a position of this size may have."""
    return tier_of(tiers, notional, quantity).max_leverage


def initial_margin(notional: Decimal, leverage: Decimal) -> Decimal:
    """What has to be set aside for a value at a leverage, rounded up to 12 decimal places."""
    return _UP.divide(abs(notional), leverage).quantize(_STEP, context=_UP).normalize(_UP) if notional else ZERO


def maintenance_margin(tiers: Sequence[MarginTier], notional: Decimal, quantity: Decimal) -> Decimal:
    """Below what a position is liquidated: value at the mark x the tier's fraction - the tier's deduction."""
    tier = tier_of(tiers, notional, quantity)
    return max(_NEAR.subtract(_NEAR.multiply(abs(notional), tier.maintenance), tier.deduction), ZERO)


def margin_ratio(maintenance: Decimal, balance: Decimal) -> Decimal:
    """Maintenance margin over margin balance: 1 and above is liquidated; at most MOST_RATIO."""
    if maintenance <= ZERO:
        return ZERO
    if balance <= ZERO:
        return MOST_RATIO
    return min(_NEAR.divide(maintenance, balance), MOST_RATIO)


def liquidation_price(
    *, quantity: Decimal, cost: Decimal, multiplier: Decimal, margin: Decimal, tiers: Sequence[MarginTier]
) -> Decimal | None:
    """The mark at which margin and open profit have shrunk to the maintenance margin.

    From margin + P·q·m - cost = P·|q|·m·r - d follows P = (cost - margin - d) / (m·(q - |q|·r)), with the fraction r
    and the deduction d of the tier that the position is in at P.

    Args:
        quantity: Signed contracts q.
        cost: Signed value at the entry price.
        multiplier: Base units m per contract.
        margin: What stands for it: the isolated margin, or all that is left in the account when the open profit and
            the maintenance margins of its other positions are taken into account.
        tiers: Of the instrument.

    Returns:
        The price; None when there is no position, or when no price can liquidate it.
    """
    if not quantity:
        return None
    known = tiers or UNKNOWN_TIERS
    prices = [_liquidated_at(quantity, cost, multiplier, margin, tier) for tier in known]
    with decimal.localcontext(_NEAR):
        fitting = [
            price
            for price, tier in zip(prices, known, strict=True)
            if price > ZERO and tier_of(known, price * quantity * multiplier, quantity) is tier
        ]
    if not fitting:
        # Without deductions the margin jumps where a tier begins; what holds at the entry is the best that can be said.
        price = _liquidated_at(quantity, cost, multiplier, margin, tier_of(known, cost, quantity))
        return price if price > ZERO else None
    # Of two that fit, the one that is met first.
    return max(fitting) if quantity > ZERO else min(fitting)


def _liquidated_at(quantity: Decimal, cost: Decimal, multiplier: Decimal, margin: Decimal, tier: MarginTier) -> Decimal:
    with decimal.localcontext(_NEAR):
        divisor = multiplier * (quantity - abs(quantity) * tier.maintenance)
        return (cost - margin - tier.deduction) / divisor if divisor else ZERO
