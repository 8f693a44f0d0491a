"""How wide a market maker quotes, around which price, and never below cost.

Spreads are whole spreads (bid to ask) as fractions of the price; prices are in quote currency.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["SpreadRules", "best_foreign", "competitive", "quote_prices", "size_of_level"]


class SpreadRules(msgspec.Struct, frozen=True, kw_only=True):
    """How the spread is found."""

    base: float = 0.001
    """Least spread."""
    multiplier: float = 2.0
    """How strongly it answers to volatility above its average; 0 not at all."""
    widest: float = 0.05
    """Most that volatility may make of it."""
    hysteresis: float = 0.1
    """It becomes narrower only when the new one lies below the present one by this fraction."""

    def wanted(self, volatility: float, average: float) -> float:
        """Base × (1 + multiplier × (volatility ÷ average − 1)), not below the base.

        The base where the average is 0 or not known (NaN).
        """
        if not average > 0.0 or not volatility >= 0.0:
            return self.base
        return max(self.base, min(self.widest, self.base * (1.0 + self.multiplier * (volatility / average - 1.0))))

    def next(self, present: float, volatility: float, average: float) -> float:
        """The spread after `present` (0 for the first): wider at once, narrower only past the hysteresis."""
        wanted = self.wanted(volatility, average)
        if wanted >= present or wanted <= present * (1.0 - self.hysteresis) or wanted == self.base:
            return wanted
        return present

    def cost(self, fee: float, profit: float) -> float:
        """Least spread at which buying and selling one unit pays: both fees and the wanted profit.

        Args:
            fee: Fee of a resting order as a fraction; negative for a rebate.
            profit: Wanted profit of a round trip as a fraction of the price.
        """
        return max(0.0, 2.0 * fee + profit)


def best_foreign(levels: Sequence[tuple[float, float]], own: Iterable[tuple[float, float]], tick: float) -> float:
    """Best price at which others quote; 0 where nobody else does within the levels.

    Args:
        levels: One side of the book as (price, quantity), best first.
        own: Own orders of that side as (price, quantity left).
        tick: Price step.
    """
    mine = list(own)
    for price, quantity in levels:
        ours = sum(left for at, left in mine if abs(at - price) < tick / 2)
        # What is left over by rounding is nobody's.
        if quantity > ours * (1.0 + 1e-9):
            return price
    return 0.0


def competitive(own: float, best: float, tick: float, side: int, limit: float) -> float:
    """A quote moved to one tick ahead of the best foreign one, as far as the limit allows.

    Args:
        own: Price that would be quoted without competition.
        best: Best price of others on this side; 0 where there is none.
        tick: Price step.
        side: +1 for a bid, -1 for an ask.
        limit: Price beyond which a fill would not pay: highest bid, lowest ask.

    Returns:
        The price, never beyond the limit. Where others are far away it lies one tick ahead of them, and the spread
        that they leave is kept.
    """
    ahead = best + side * tick if best > 0.0 else own
    return min(ahead, limit) if side > 0 else max(ahead, limit)


def quote_prices(centre: float, fair: float, spread: float, cost: float) -> tuple[float, float]:
    """Bid and ask around a centre, kept apart by at least the cost of a round trip.

    Args:
        centre: Where the quotes would lie in the middle: the fair price skewed by the inventory.
        fair: The fair price, that neither quote may cross: a skew gives up profit, it never pays to be filled.
        spread: Wanted spread as a fraction of the centre.
        cost: Least spread that pays, as a fraction.
    """
    half = centre * max(spread, cost) / 2.0
    bid, ask = centre - half, centre + half
    # On the far side of the fair price a quote would be a gift; half the cost is what a fill there must still earn.
    least = fair * cost / 2.0
    return min(bid, fair - least), max(ask, fair + least)


def size_of_level(base: float, level: int, distribution: str, multiplier: float = 1.5) -> float:
    """Size of the order of one level, the first being 0.

    `exponential`: base × multiplier ^ level; `linear`: base × (1 + (multiplier − 1) × level); `constant`: base.
    """
    if distribution == "exponential":
        return base * multiplier**level
    return base * (1.0 + (multiplier - 1.0) * level) if distribution == "linear" else base
