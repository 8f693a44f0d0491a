"""Implementation shortfall: the schedule that trades expected cost off against its variance, in closed form.

Almgren and Chriss, "Optimal execution of portfolio transactions", Journal of Risk 3 (2000), with linear temporary and
permanent impact. All figures are relative: costs as fractions of the order's value at the arrival price, holdings as
shares of the order. With n_k the share traded when the k-th of N intervals of length tau begins, and x_k what is left
after it,

    E = gamma/2 + epsilon + (eta - gamma tau / 2) / tau  sum n_k²,      V = sigma² tau  sum x_k²,

and the schedule that minimises E + lambda V is

    x_k = sinh(kappa (T - t_k)) / sinh(kappa T),
    2 (cosh(kappa tau) - 1) / tau² = lambda sigma² / (eta - gamma tau / 2).
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.errors import ValidationError
from engine.execution.schedules.curves import MOST_SLICES, from_shares

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.model.schedule import Slice

__all__ = ["RISK_AVERSION", "Costs", "Shortfall", "risk_aversion"]

RISK_AVERSION = 30.0
"""Risk aversion at an urgency of 0.5, per unit of relative variance: whoever has it pays 3 basis points for certain to
be rid of a deviation of 31.6 basis points."""
_LEAST_ETA = 1e-3
"""Smallest temporary impact beside the permanent one, as a part of it: with none at all, trading at once is free."""
_LARGEST_KAPPA = 50.0
"""Of kappa tau: from here on all but nothing is traded at once, and cosh would soon overflow."""


def risk_aversion(urgency: float) -> float:
    """The lambda of an urgency: `RISK_AVERSION` x u / (1 - u).

    0 is indifferent to risk, so that the schedule is a TWAP; 0.5 has `RISK_AVERSION`; 1 cannot wait and trades at once.

    Raises:
        ValidationError: The urgency is not 0 to 1.
    """
    if not 0 <= urgency <= 1:
        raise ValidationError(f"The urgency must be 0 to 1, not {urgency}.")
    return math.inf if urgency == 1 else RISK_AVERSION * urgency / (1 - urgency)


@dataclass(frozen=True, slots=True)
class Costs:
    """What a schedule is expected to cost, relative to the order's value at the arrival price."""

    expected: float
    variance: float

    @property
    def deviation(self) -> float:
        """Standard deviation of the cost."""
        return math.sqrt(self.variance)

    def utility(self, aversion: float) -> float:
        """Expected cost + lambda x variance: what the schedule makes small."""
        return self.expected if aversion == 0 else self.expected + aversion * self.variance


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortfall:
    """The linear market of Almgren and Chriss for one order, and the schedules that are best in it.

    Raises:
        ValidationError: A value is negative or not finite.
    """

    sigma: float
    """Standard deviation of the relative price change in one second."""
    eta: float
    """Temporary impact: relative concession x seconds when the whole order is traded evenly in that many seconds."""
    gamma: float
    """Permanent impact: relative price shift once the whole order is traded."""
    epsilon: float
    """Fixed cost: half the spread and fees, as a fraction."""

    def __post_init__(self) -> None:
        for name in ("sigma", "eta", "gamma", "epsilon"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise ValidationError(f"{name} of the market must be a finite number and not negative, not {value}.")

    def weights(self, duration_s: float, slices: int, aversion: float) -> tuple[float, ...]:
        """Shares traded at the begin of each interval; they add up to 1.

        Args:
            duration_s: Length of the window in seconds.
            slices: Number of intervals, 1 to 1,000.
            aversion: lambda, >= 0; infinite for everything at once.

        Raises:
            ValidationError: A value is out of its range.
        """
        if not 1 <= slices <= MOST_SLICES or duration_s <= 0 or aversion < 0:
            raise ValidationError("A schedule needs a window longer than nothing, 1 to 1,000 slices and lambda >= 0.")
        tau = duration_s / slices
        if aversion == 0 or self.sigma == 0:
            return (1.0 / slices,) * slices
        if math.isinf(aversion):
            return (1.0, *(0.0,) * (slices - 1))
        squared = aversion * self.sigma**2 * tau**2 / self._eta_tilde(tau)
        kappa_tau = min(math.acosh(1 + squared / 2), _LARGEST_KAPPA)
        left = [_sinh_ratio(kappa_tau, slices - k, slices) for k in range(slices + 1)]
        return tuple(a - b for a, b in itertools.pairwise(left))

    def costs(self, weights: Sequence[float], duration_s: float) -> Costs:
        """Expected cost and variance of trading such shares at the begin of the intervals of a window."""
        tau = duration_s / len(weights)
        traded, left, variance = 0.0, 1.0, 0.0
        for share in weights:
            traded += share**2
            left -= share
            variance += left**2
        expected = self.gamma / 2 + self.epsilon + self._eta_tilde(tau) / tau * traded
        return Costs(expected, self.sigma**2 * tau * variance)

    def schedule(self, duration_ns: int, slices: int, aversion: float) -> tuple[Slice, ...]:
        """The best schedule for a risk aversion; slices of next to nothing are left out.

        Raises:
            ValidationError: A value is out of its range.
        """
        weights = self.weights(duration_ns / 1e9, slices, aversion)
        shares, done = [], 0.0
        for share in weights:
            done += share
            shares.append(min(done, 1.0))
        return from_shares([duration_ns * k // slices for k in range(slices)], shares)

    def _eta_tilde(self, tau: float) -> float:
        """Temporary impact less the half of the own permanent one, which `gamma / 2` already counts."""
        least = max(_LEAST_ETA * self.gamma * tau, 1e-15)
        return max(self.eta - self.gamma * tau / 2, least)


def _sinh_ratio(kappa_tau: float, left: int, whole: int) -> float:
    """sinh(left x kappa tau) / sinh(whole x kappa tau) without overflow."""
    if left == whole:
        return 1.0
    gap = math.exp(-(whole - left) * kappa_tau)
    return gap * (1 - math.exp(-2 * left * kappa_tau)) / (1 - math.exp(-2 * whole * kappa_tau))
