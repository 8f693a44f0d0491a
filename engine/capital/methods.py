"""Five ways to share capital among strategies, and the bounds that hold for all of them.

Every method gives each strategy a weight above zero; `bounded` makes shares of them. A strategy without enough history
counts as an average one: it has the median volatility, and neither a good nor a bad record.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from engine.capital.performance import correlations, performance_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy.typing as npt

    from engine.capital.performance import Performance
    from engine.model.capital import DayMark
    from engine.model.capital_settings import AllocationMethod, CapitalManagementSettings
    from engine.model.ids import Owner

    Floats = npt.NDArray[np.float64]
    Histories = Mapping[Owner, Sequence[DayMark]]

__all__ = ["METHODS", "bounded", "equal_risk", "shares_of", "sharpe_factor"]

DEFAULT_VOLATILITY = 0.5
"""Annual volatility of strategies while none of them has a history."""
LEAST_VOLATILITY = 0.01
SHARPE_SLOPE = 0.25
"""Change of the factor for one unit of the annual Sharpe ratio."""
SHARPE_BAND = (0.5, 1.5)
_ROUNDS, _EXACT = 10_000, 1e-12


def _performances(histories: Histories) -> list[Performance]:
    return [performance_of(days) for days in histories.values()]


def _volatilities(known: Sequence[Performance]) -> Floats:
    """Annual volatilities; the median of the known ones where there is no history."""
    values = [one.volatility for one in known if one.volatility is not None]
    usual = float(np.median(values)) if values else DEFAULT_VOLATILITY
    return np.array([max(usual if one.volatility is None else one.volatility, LEAST_VOLATILITY) for one in known])


def equal_weight(histories: Histories) -> Floats:
    """Everybody the same."""
    return np.ones(len(histories)) / len(histories)


def performance_weighted(histories: Histories) -> Floats:
    """In proportion to exp(Sharpe ratio / 2), the ratio drawn towards 0 while history is short.

    Unlike the ratio itself that is above zero for a strategy that loses, which then keeps a small part and can recover.
    """
    scores = [(one.sharpe or 0.0) * one.trust for one in _performances(histories)]
    weights = np.exp(np.clip(np.array(scores), -6.0, 6.0) / 2.0)
    result: Floats = weights / weights.sum()
    return result


def volatility_weighted(histories: Histories) -> Floats:
    """In inverse proportion to volatility (naive risk parity)."""
    inverse = 1.0 / _volatilities(_performances(histories))
    result: Floats = inverse / inverse.sum()
    return result


def risk_parity(histories: Histories) -> Floats:
    """So that every strategy contributes the same to the risk of all together, correlations included."""
    volatilities = _volatilities(_performances(histories))
    return equal_risk(np.outer(volatilities, volatilities) * correlations(histories))


def dynamic(histories: Histories) -> Floats:
    """Risk parity, moving to performance weights as history grows, less for who is in a drawdown.

    The weight of performance is half the mean trust in the strategies' figures; each share is then multiplied with one
    less the strategy's largest drawdown, 0.9 at the most.
    """
    known = _performances(histories)
    part = 0.5 * float(np.mean([one.trust for one in known]))
    weights = (1.0 - part) * risk_parity(histories) + part * performance_weighted(histories)
    weights = weights * np.array([1.0 - min(one.drawdown, 0.9) for one in known])
    result: Floats = weights / weights.sum()
    return result


METHODS: dict[AllocationMethod, Callable[[Histories], Floats]] = {
    "equal_weight": equal_weight,
    "performance_weighted": performance_weighted,
    "volatility_weighted": volatility_weighted,
    "risk_parity": risk_parity,
    "dynamic": dynamic,
}
"""By their names in the settings."""


def equal_risk(covariance: Floats) -> Floats:
    """Long-only weights of equal risk contributions (Maillard, Roncalli, Teïletche 2010).

    Found by cyclical coordinate descent on ½ x'Σx - 1/n Σ ln x (Griveau-Billion, Richard, Roncalli 2013), whose minimum
    has equal contributions; the weights are x over its sum.

    Args:
        covariance: n x n, symmetric and positive definite.
    """
    size = len(covariance)
    x = 1.0 / np.sqrt(np.diag(covariance))
    x /= math.sqrt(float(x @ covariance @ x))
    for _ in range(_ROUNDS):
        before = x.copy()
        for i in range(size):
            others = float(covariance[i] @ x) - covariance[i, i] * x[i]
            x[i] = (-others + math.sqrt(others * others + 4.0 * covariance[i, i] / size)) / (2.0 * covariance[i, i])
        if float(np.max(np.abs(x - before) / x)) < _EXACT:
            break
    result: Floats = x / x.sum()
    return result


def sharpe_factor(known: Performance) -> float:
    """What a share is multiplied with for its Sharpe ratio: 1 + ratio / 4, between a half and one and a half."""
    low, high = SHARPE_BAND
    return min(high, max(low, 1.0 + SHARPE_SLOPE * (known.sharpe or 0.0) * known.trust))


def bounded(weights: Sequence[float], low: Sequence[float], high: Sequence[float], whole: float) -> list[float]:
    """Shares in proportion to weights, between bounds, that come to `whole` where the bounds let them.

    What a bound cuts off goes to the others in proportion to their weights; who cannot have the least gets nothing more
    taken off by it: where all least shares are more than the whole, they are cut in proportion.

    Args:
        weights: Above zero.
        low: Least shares.
        high: Largest shares, not below the least.
        whole: What is shared, 0 to 1.
    """
    size = len(weights)
    if sum(low) >= whole:
        scale = whole / sum(low) if sum(low) else 0.0
        return [share * scale for share in low]
    if sum(high) <= whole:
        return list(high)
    # Shares grow with the factor on all weights, so that the one at which they come to the whole can be halved in on.
    down, up = 0.0, max(high[i] / weights[i] for i in range(size))
    for _ in range(200):
        middle = (down + up) / 2.0
        if sum(min(high[i], max(low[i], middle * weights[i])) for i in range(size)) < whole:
            down = middle
        else:
            up = middle
    return [min(high[i], max(low[i], up * weights[i])) for i in range(size)]


def shares_of(histories: Histories, settings: CapitalManagementSettings, whole: float) -> dict[Owner, float]:
    """The share of all capital that each strategy shall have.

    Args:
        histories: How each strategy's pool stood at the ends of days, oldest first; one that is new has none.
        settings: Method, bounds, and whether the Sharpe ratio and the Kelly criterion count.
        whole: What may be shared out, 0 to 1: all but reserve and locked profit.
    """
    if not histories:
        return {}
    weights = METHODS[settings.allocation_strategy](histories)
    known = _performances(histories)
    if settings.sharpe_adjusted and settings.allocation_strategy not in ("performance_weighted", "equal_weight"):
        weights = weights * np.array([sharpe_factor(one) for one in known])
    low, high = float(settings.min_allocation_pct), float(settings.max_allocation_pct)
    highest = [high] * len(known)
    if settings.kelly:
        cap = float(settings.kelly_cap)
        highest = [
            max(low, min(high, cap, one.kelly)) if one.kelly is not None else min(high, max(low, cap)) for one in known
        ]
    found = bounded([float(w) for w in weights], [low] * len(known), highest, whole)
    return dict(zip(histories, found, strict=True))
