"""How large one entry is meant to be, before any cap: the methods, each a function of plain numbers.

Sources: J. L. Kelly, "A New Interpretation of Information Rate" (1956), in the form for a win rate W and a ratio R of
the mean win to the mean loss, f = W - (1 - W) / R. J. W. Wilder, "New Concepts in Technical Trading Systems" (1978),
for the average true range. S. Maillard, T. Roncalli, J. Teiletche, "The Properties of Equally Weighted Risk
Contribution Portfolios" (2010): with equal correlations every position contributes the same risk when weights are
inverse to volatility.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from engine.model.decimals import ONE, ZERO

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.model.entries import ExitEntry
    from engine.model.limits import SizeMethod

__all__ = [
    "DAILY_VOLATILITY_TARGET",
    "KELLY_CAP",
    "KELLY_DAYS",
    "KELLY_TRADES",
    "heat_factor",
    "kelly_fraction",
    "parity_factor",
    "wanted_value",
]

DAILY_VOLATILITY_TARGET = Decimal("0.02")
"""Fraction of the price that a position is meant to move in a period."""
KELLY_CAP = Decimal("0.25")
"""Largest fraction of equity that Kelly's formula may ask for."""
KELLY_DAYS = 30
"""Trades of so many days count."""
KELLY_TRADES = 10
"""With fewer trades there is no win rate to speak of."""
_DAY_NS = 86_400 * 1_000_000_000


def wanted_value(
    method: SizeMethod,
    equity: Decimal,
    pct: Decimal,
    *,
    confidence: Decimal = ONE,
    atr: Decimal | None = None,
    price: Decimal = ONE,
    kelly: Decimal | None = None,
    parity: Decimal | None = None,
) -> Decimal:
    """Value of one entry before caps, in the currency of `equity`; run it in the `VIEW` context.

    Args:
        method: fixed_percentage: equity x pct. confidence_weighted: that x confidence. volatility_adjusted: that x
            DAILY_VOLATILITY_TARGET / (ATR / price), so that calm markets get more and wild ones less. kelly: equity x
            Kelly's fraction. risk_parity: equity x pct x the parity factor. What a method needs and nobody knows makes
            it the fixed percentage.
        equity: The account's value.
        pct: Base size as a fraction of equity.
        confidence: The signal's, 0 to 1.
        atr: Average true range over 20 periods in price units.
        price: Present price, in the same units as `atr`.
        kelly: See `kelly_fraction`.
        parity: See `parity_factor`.
    """
    base = equity * pct
    if method == "confidence_weighted":
        return base * min(max(confidence, ZERO), ONE)
    if method == "volatility_adjusted" and atr is not None and atr > ZERO:
        return base * DAILY_VOLATILITY_TARGET * price / atr
    if method == "kelly" and kelly is not None:
        return equity * kelly
    if method == "risk_parity" and parity is not None:
        return base * parity
    return base


def kelly_fraction(trades: Sequence[ExitEntry], now: int) -> Decimal | None:
    """Kelly's fraction of equity from closed trades: W - (1 - W) / R, from 0 to KELLY_CAP; in the `VIEW` context.

    Results count relative to what the positions cost. A trade that brought nothing is a loss of nothing.

    Args:
        trades: Of one owner, in any order.
        now: UTC nanoseconds; older trades than KELLY_DAYS are left out.

    Returns:
        The fraction; None with fewer than KELLY_TRADES trades.
    """
    since = now - KELLY_DAYS * _DAY_NS
    returns = [trade.profit / trade.cost for trade in trades if trade.ts >= since and trade.cost > ZERO]
    if len(returns) < KELLY_TRADES:
        return None
    wins, losses = [r for r in returns if r > ZERO], [-r for r in returns if r <= ZERO]
    if not wins:
        return ZERO
    rate = Decimal(len(wins)) / len(returns)
    lost = sum(losses, ZERO)
    if not lost:
        return min(rate, KELLY_CAP)
    ratio = (sum(wins, ZERO) / len(wins)) / (lost / len(losses))
    return min(max(rate - (ONE - rate) / ratio, ZERO), KELLY_CAP)


def parity_factor(new: float, held: Sequence[float]) -> Decimal | None:
    """By what an entry is larger than the usual one so that it carries as much risk as what is held.

    Of n positions with volatilities s the weight of one is (1 / s) / sum(1 / s); times n it is 1 where all are alike.

    Args:
        new: Volatility of the entry's daily returns.
        held: Those of what is held, as far as they are known.

    Returns:
        The factor; None where the entry's volatility is not above 0.
    """
    if not new > 0:
        return None
    known = [one for one in held if one > 0]
    inverse = 1 / new
    return Decimal(repr((len(known) + 1) * inverse / (inverse + sum(1 / one for one in known))))


def heat_factor(correlated: Decimal, most: Decimal) -> Decimal:
    """Portfolio heat: what is left of a size when so much of what moves with it is held, 1 for nothing, 0 at the limit.

    Args:
        correlated: Value of what is known to move with the entry.
        most: What may move together at most.
    """
    if most <= ZERO:
        return ZERO
    return min(max(ONE - correlated / most, ZERO), ONE)
