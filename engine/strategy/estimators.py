"""Running estimates for event strategies, to be kept in their memory: saved and taken up with it.

Each is fed with times and values and gives its present figure; nothing depends on how often a host calls while nothing
changes.
"""

from __future__ import annotations

import math

import msgspec

__all__ = ["Average", "Volatility"]

_NS_PER_S = 1_000_000_000
_LN2 = math.log(2.0)


class Average(msgspec.Struct):
    """Mean of a value over time, weighted by an exponential of its age; halves its memory every `halflife_s`."""

    halflife_s: float
    value: float = 0.0
    weight: float = 0.0
    """Share of a full memory that has been seen, 0 to 1."""
    ts: int = 0

    def update(self, ts: int, value: float) -> float:
        """Take in the value that holds from now on.

        Args:
            ts: UTC nanoseconds, not falling.
            value: Counts from the last update to this one.
        """
        if self.ts:
            keep = math.exp(-_LN2 * (ts - self.ts) / (_NS_PER_S * self.halflife_s))
            self.weight = 1.0 - (1.0 - self.weight) * keep
            if self.weight:
                self.value += (value - self.value) * (1.0 - keep) / self.weight
        else:
            self.value = value
        self.ts = ts
        return self.value


class Volatility(msgspec.Struct):
    """Standard deviation of a price's log returns per square root of a second, exponentially weighted.

    The price is looked at every `sample_s`; returns over longer gaps count by their length. Source: RiskMetrics
    Technical Document (1996), section 5.2, with the decay per time instead of per observation.
    """

    halflife_s: float = 60.0
    sample_s: float = 1.0
    variance: float = 0.0
    weight: float = 0.0
    """Share of a full memory that has been seen, 0 to 1."""
    price: float = 0.0
    ts: int = 0

    def update(self, ts: int, price: float) -> float:
        """Take in a price and give the present volatility.

        Args:
            ts: UTC nanoseconds, not falling.
            price: Such as the mid; what is not positive is left out.
        """
        if price > 0.0:
            if not self.price:
                self.price, self.ts = price, ts
            elif ts - self.ts >= self.sample_s * _NS_PER_S:
                seconds = (ts - self.ts) / _NS_PER_S
                change = math.log(price / self.price)
                keep = math.exp(-_LN2 * seconds / self.halflife_s)
                self.weight = 1.0 - (1.0 - self.weight) * keep
                self.variance += (change * change / seconds - self.variance) * (1.0 - keep) / self.weight
                self.price, self.ts = price, ts
        return self.value

    @property
    def value(self) -> float:
        """The present volatility as a fraction of the price per square root of a second; 0 before two samples."""
        return math.sqrt(self.variance)

    def over(self, seconds: float) -> float:
        """The deviation of the price over a time, as a fraction of it."""
        return math.sqrt(self.variance * seconds)
