"""Which algorithm an order gets by itself, how it is split, and how it keeps to the market while it is traded.

Everything here is a pure function of what is known: the estimate before the order, the market while it is worked on.
"""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from engine.errors import SlippageError, ValidationError

if TYPE_CHECKING:
    from engine.model.impact import ImpactEstimate

__all__ = [
    "RESTLESS",
    "Algorithm",
    "Choice",
    "SelectionSettings",
    "affordable_part",
    "check_estimate",
    "choose",
    "parts_needed",
    "should_wait",
]

DAY_NS = 86_400_000_000_000
MINUTE_NS = 60_000_000_000
VISIBLE_PART = Decimal("0.5")
"""Largest part of what is visible within its slippage limit that a slice takes at once."""
RESTLESS = 2.0
"""Volatility, as a multiple of the usual one, above which schedules adapt to it."""


class Algorithm(enum.StrEnum):
    """How an order is traded."""

    MARKET = "market"
    LIMIT = "limit"
    """With price improvement."""
    TWAP = "twap"
    VWAP = "vwap"
    SHORTFALL = "implementation_shortfall"


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectionSettings:
    """What the choice of an algorithm hangs on."""

    impact_limit: float = 0.001
    """Estimated impact, as a fraction, from which on an order is split."""
    participation: float = 0.1
    """Largest share of the expected volume that an order may be while it is traded."""
    shortest_ns: int = 5 * MINUTE_NS
    longest_ns: int = DAY_NS
    slice_ns: int = MINUTE_NS
    """Usual distance of two slices."""
    most_slices: int = 120
    patient: float = 0.25
    """Urgency below which an order follows the volume instead of trading cost off against risk."""
    at_once: float = 0.9
    """Urgency from which on even a small order takes instead of resting."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The algorithm of an order, and why."""

    algorithm: Algorithm
    reason: str
    duration_ns: int = 0
    """Window of a schedule; 0 for what is not scheduled."""
    slices: int = 1


def parts_needed(estimate: ImpactEstimate, limit: float) -> int:
    """Number of equal parts so that each one's estimated impact is within a limit; 1 for no split.

    The spread is no impact: no split makes it smaller. By the visible book the impact grows about as fast as the
    quantity, by the square-root model with its root.

    Raises:
        ValidationError: The limit is not above 0.
    """
    if limit <= 0:
        raise ValidationError(f"The limit of an order's impact must be above 0, not {limit}.")
    ratio = max(estimate.cost - estimate.half_spread, 0.0) / limit
    if estimate.walk is None:
        ratio **= 2
    return max(1, math.ceil(ratio - 1e-9))


def choose(estimate: ImpactEstimate | None, urgency: float = 0.5, settings: SelectionSettings | None = None) -> Choice:
    """The algorithm for an order by its size relative to depth and volume, and by its urgency.

    Args:
        estimate: Of the whole order sent at once; None where nothing is known.
        urgency: 0 (patient) to 1 (now).
        settings: What it hangs on.

    Raises:
        ValidationError: The urgency is not 0 to 1.
    """
    if not 0 <= urgency <= 1:
        raise ValidationError(f"The urgency must be 0 to 1, not {urgency}.")
    rules = settings or SelectionSettings()
    if urgency == 1:
        return Choice(algorithm=Algorithm.MARKET, reason="It cannot wait.")
    if estimate is None:
        return Choice(
            algorithm=Algorithm.TWAP,
            reason="Nothing is known of the book's depth: equal slices over time.",
            duration_ns=rules.shortest_ns,
            slices=_slices(rules.shortest_ns, rules),
        )
    impact = max(estimate.cost - estimate.half_spread, 0.0)
    parts = parts_needed(estimate, rules.impact_limit)
    if parts == 1:
        small = f"Its estimated impact of {impact:.3%} is within {rules.impact_limit:.3%}"
        if urgency >= rules.at_once:
            return Choice(algorithm=Algorithm.MARKET, reason=f"{small}, and it is urgent.")
        return Choice(algorithm=Algorithm.LIMIT, reason=f"{small}, and there is time to improve the price.")
    large = f"Its estimated impact of {impact:.3%} is over {rules.impact_limit:.3%}"
    duration = _duration(estimate, parts, rules)
    slices = _slices(duration, rules)
    if estimate.volume_share is None:
        reason = f"{large}, and no volume is known: equal slices over time."
        return Choice(algorithm=Algorithm.TWAP, reason=reason, duration_ns=duration, slices=slices)
    if urgency < rules.patient:
        reason = f"{large}, and it is patient: it follows the expected volume."
        return Choice(algorithm=Algorithm.VWAP, reason=reason, duration_ns=duration, slices=slices)
    reason = f"{large}: cost is traded off against the risk of waiting."
    return Choice(algorithm=Algorithm.SHORTFALL, reason=reason, duration_ns=duration, slices=slices)


def _duration(estimate: ImpactEstimate, parts: int, rules: SelectionSettings) -> int:
    """Long enough for its parts, and not to be more than its share of the volume."""
    wanted = max(rules.shortest_ns, parts * rules.slice_ns)
    if estimate.volume_share is not None:
        wanted = max(wanted, math.ceil(estimate.volume_share / rules.participation * DAY_NS))
    return min(wanted, rules.longest_ns)


def _slices(duration_ns: int, rules: SelectionSettings) -> int:
    return max(2, min(rules.most_slices, duration_ns // rules.slice_ns))


def should_wait(spread: float, usual: float, patience: float = 3.0) -> bool:
    """Whether a slice should wait for a narrower spread.

    Args:
        spread: Present one, as a fraction of the price.
        usual: When the order began.
        patience: How many times as wide a spread may be.
    """
    return usual > 0 and spread > patience * usual


def affordable_part(visible: Decimal, least: Decimal) -> Decimal:
    """Most that one slice takes at once: half of what is visible, but the smallest order where that is there."""
    return max(visible * VISIBLE_PART, min(least, visible))


def check_estimate(estimate: ImpactEstimate, limit: Decimal) -> None:
    """Refuse an order that would by estimate cost more than it may.

    Args:
        estimate: Of the order sent at once.
        limit: Largest cost against the middle, as a fraction.

    Raises:
        SlippageError: It would; the message names in how many parts it would keep within the limit.
    """
    if estimate.cost <= float(limit):
        return
    room = float(limit) - estimate.half_spread
    if room <= 0:
        what = "half the spread alone is more, so rest with a limit order or raise the limit"
    else:
        what = f"split it into {max(2, parts_needed(estimate, room))} parts over time or raise the limit"
    raise SlippageError(
        f"The order is estimated to cost {estimate.cost:.3%} against the middle, more than its limit of "
        f"{float(limit):.3%}: {what}.",
        error_code="estimated_slippage",
        details={"estimate": estimate.cost, "limit": str(limit)},
    )
