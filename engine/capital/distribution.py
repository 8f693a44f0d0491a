"""How money is spread over venues: scores, target shares, and the transfers that would bring them about.

Nothing is sent: a plan is shown, and what a person has moved is booked when it arrives.
"""

from __future__ import annotations

import decimal
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from engine.capital.amounts import down
from engine.capital.methods import bounded
from engine.model.decimals import ZERO
from engine.model.ids import AccountId, Currency, VenueId
from engine.model.valuation import VIEW

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.model.capital_settings import CapitalManagementSettings

__all__ = ["Distribution", "TransferIdea", "VenueFigures", "VenueShare", "distribute", "score"]

NEUTRAL = 0.5
"""Score of what is not known."""
USUAL_SPREAD_BPS, USUAL_FEE_BPS, USUAL_SLIPPAGE_BPS = 10.0, 20.0, 20.0
"""Spread, taker fee and slippage that score a half."""


class VenueFigures(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a venue where money may be; amounts in the base currency."""

    venue: VenueId
    account: AccountId
    currency: Currency
    """In which its money moves: the account's base currency."""
    rate: Decimal
    """Base currency for one unit of it."""
    value: Decimal
    """What is there."""
    movable: Decimal
    """What of it is free to be moved."""
    usable: bool = True
    """False while it is in maintenance or fails; its share is then given to the others."""
    why: str = ""
    spread_bps: float | None = None
    """Median spread of its watched markets."""
    fee_bps: float | None = None
    """Taker fee."""
    slippage_bps: float | None = None
    """Mean distance of own market executions from the mark, adverse ones positive."""
    reliability: float | None = None
    """Share of requests that were answered, 0 to 1."""


class VenueShare(msgspec.Struct, frozen=True, kw_only=True):
    """What a venue has and shall have."""

    venue: VenueId
    account: AccountId
    value: Decimal
    share: float
    target: float
    deviation: float
    score: float
    liquidity: float
    fees: float
    slippage: float
    reliability: float
    notes: tuple[str, ...] = ()


class TransferIdea(msgspec.Struct, frozen=True, kw_only=True):
    """A transfer that would bring shares nearer to their targets."""

    source: AccountId
    target: AccountId
    currency: Currency
    amount: Decimal
    value: Decimal
    """In the base currency."""


class Distribution(msgspec.Struct, frozen=True, kw_only=True):
    """Shares of all venues, and what would move."""

    mode: str
    shares: tuple[VenueShare, ...]
    transfers: tuple[TransferIdea, ...]
    notes: tuple[str, ...] = ()


def _falling(value: float | None, usual: float) -> float:
    """1 for nothing, a half at the usual figure, towards 0 beyond it."""
    return NEUTRAL if value is None else usual / (usual + max(value, 0.0))


def score(figures: VenueFigures, settings: CapitalManagementSettings) -> tuple[float, float, float, float, float]:
    """The score of a venue, 0 to 1, and its parts: liquidity, fees, slippage, reliability.

    Spread, fee and slippage of x score u / (u + x) with the usual figure u; reliability is itself, and what is not
    known scores a half. The score is their weighted mean.
    """
    weights = settings.distribution
    parts = (
        _falling(figures.spread_bps, USUAL_SPREAD_BPS),
        _falling(figures.fee_bps, USUAL_FEE_BPS),
        _falling(figures.slippage_bps, USUAL_SLIPPAGE_BPS),
        NEUTRAL if figures.reliability is None else figures.reliability,
    )
    by = (weights.liquidity_weight, weights.fee_weight, weights.slippage_weight, weights.reliability_weight)
    whole = sum(part * weight for part, weight in zip(parts, by, strict=True)) / sum(by)
    return whole, *parts


def distribute(venues: Sequence[VenueFigures], settings: CapitalManagementSettings) -> Distribution:
    """Find every venue's target share and the transfers towards it.

    Args:
        venues: All venues with an account; of several accounts at one venue, each counts for itself.
        settings: Mode, weights and bounds.
    """
    total = sum((venue.value for venue in venues), ZERO)
    if total <= ZERO:
        return Distribution(mode=settings.distribution.mode, shares=(), transfers=(), notes=("There is no capital.",))
    scores = {venue.account: score(venue, settings) for venue in venues}
    notes: list[str] = []
    targets = _targets(venues, settings, {account: found[0] for account, found in scores.items()}, total, notes)
    shares = []
    for venue in venues:
        share = float(venue.value / total)
        whole, liquidity, fees, slippage, reliability = scores[venue.account]
        own = (venue.why or "It cannot be used at present.",) if not venue.usable else ()
        shares.append(
            VenueShare(
                venue=venue.venue,
                account=venue.account,
                value=venue.value,
                share=share,
                target=targets[venue.account],
                deviation=round(share - targets[venue.account], 9),
                score=whole,
                liquidity=liquidity,
                fees=fees,
                slippage=slippage,
                reliability=reliability,
                notes=own,
            )
        )
    with decimal.localcontext(VIEW):
        transfers = _transfers(venues, shares, settings, total)
    return Distribution(mode=settings.distribution.mode, shares=tuple(shares), transfers=transfers, notes=tuple(notes))


def _targets(
    venues: Sequence[VenueFigures],
    settings: CapitalManagementSettings,
    scores: dict[AccountId, float],
    total: Decimal,
    notes: list[str],
) -> dict[AccountId, float]:
    """Shares that come to 1, within the bounds, over the venues that can be used."""
    mode, fixed = settings.distribution.mode, settings.distribution.fixed
    weights = {}
    for venue in venues:
        if mode == "fixed":
            weight = float(fixed.get(venue.venue, fixed.get(venue.venue.lower(), ZERO)))
        else:
            weight = scores[venue.account] if mode == "dynamic" else float(venue.value / total)
        weights[venue.account] = weight if venue.usable else 0.0
    least = float(settings.min_exchange_balance / total)
    used = {account: weight for account, weight in weights.items() if weight > 0}
    while used and len(used) * least > 1.0:
        # Too little for so many venues: the one of the least weight is not used.
        dropped = min(used, key=lambda account: used[account])
        del used[dropped]
        notes.append(f"{dropped} is not used: there is too little for so many venues.")
    most = float(settings.max_exchange_allocation_pct)
    if len(used) * most < 1.0:
        if used:
            notes.append(f"With {len(used)} usable venue(s) one must have more than {most:.0%}.")
        most = 1.0 if len(used) <= 1 else 1.0 / len(used)
    found = bounded(
        list(used.values()), [min(least, most)] * len(used), [max(most, least)] * len(used), 1.0
    ) if used else []  # fmt: skip
    shares = dict.fromkeys(weights, 0.0)
    shares.update(zip(used, found, strict=True))
    return shares


def _transfers(
    venues: Sequence[VenueFigures], shares: Sequence[VenueShare], settings: CapitalManagementSettings, total: Decimal
) -> tuple[TransferIdea, ...]:
    """Transfers where a share is too far from its target, at most one step of all capital."""
    if all(abs(share.deviation) < float(settings.distribution.deviation_pct) for share in shares):
        return ()
    known = {venue.account: venue for venue in venues}
    over = {share.account: Decimal(repr(share.deviation)) * total for share in shares if share.deviation > 0}
    under = {share.account: -Decimal(repr(share.deviation)) * total for share in shares if share.deviation < 0}
    left = settings.distribution.step_pct * total
    found = []
    for source, much in sorted(over.items(), key=lambda item: -item[1]):
        give = min(much, max(known[source].movable, ZERO))
        for target, want in sorted(under.items(), key=lambda item: -item[1]):
            if known[source].currency != known[target].currency or not known[target].usable:
                continue
            value = min(give, want, left)
            amount = down(value / known[source].rate, known[source].currency)
            if amount * known[source].rate < min(settings.min_exchange_balance, want):
                continue
            found.append(
                TransferIdea(source=source, target=target, currency=known[source].currency, amount=amount, value=value)
            )
            give, left = give - value, left - value
            under[target] -= value
    return tuple(found)
