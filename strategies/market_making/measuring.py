"""What a quoting strategy measures as the market goes on: volatility, its average, and arrivals by depth.

All three are plain structs, so they are part of a strategy's saved memory.
"""

from __future__ import annotations

import math

import msgspec

__all__ = ["Arrivals", "Volatility"]

NS = 1e-9


class Volatility(msgspec.Struct):
    """Volatility of a price watched at irregular times, and its own long average.

    Squared changes are averaged exponentially by elapsed time; a change is one of the price itself, in quote currency.
    """

    ts: int = 0
    price: float = 0.0
    variance: float = 0.0
    """Quote currency² per second."""
    average: float = 0.0
    """Long average of the same."""
    seen: float = 0.0
    """Seconds watched."""

    def watch(self, ts: int, price: float, half_life: float, long_half_life: float) -> None:
        """Take in a price at `ts` (UTC ns); a time that has been seen already changes nothing.

        Args:
            ts: UTC nanoseconds.
            price: Quote currency.
            half_life: Seconds after which a change weighs half in the present volatility.
            long_half_life: The same for the average.
        """
        if self.ts:
            elapsed = (ts - self.ts) * NS
            if elapsed <= 0.0:
                return
            squared = (price - self.price) ** 2
            self.variance = _blend(self.variance, squared, elapsed, half_life, self.seen)
            self.average = _blend(self.average, squared, elapsed, long_half_life, self.seen)
            self.seen += elapsed
        self.ts, self.price = ts, price

    @property
    def sigma(self) -> float:
        """Present volatility, quote currency per √s."""
        return math.sqrt(self.variance)

    @property
    def usual(self) -> float:
        """Long average of the volatility, quote currency per √s."""
        return math.sqrt(self.average)


def _blend(level: float, squared: float, elapsed: float, half_life: float, seen: float) -> float:
    """The average after `elapsed` seconds in which the price moved by the root of `squared`.

    Until a half-life has been watched it is the plain mean, so that the beginning at 0 is forgotten at once.
    """
    rate = squared / elapsed
    weight = 1.0 - math.exp2(-elapsed / half_life)
    if seen < half_life:
        weight = max(weight, elapsed / (seen + elapsed))
    return level + weight * (rate - level)


class Arrivals(msgspec.Struct):
    """How often somebody trades at least so far from the mid: A e^(−κ δ), fitted to what was seen.

    Attributes:
        counts: Trades that reached at least each depth, thinned out exponentially; depth i is (i + 1) × `step`.
        weight: Seconds that the counts stand for.
        step: Width of a depth, quote currency; 0 before the first trade.
        ts: When it was last brought up to date, UTC ns.
    """

    counts: list[float] = msgspec.field(default_factory=list)
    weight: float = 0.0
    step: float = 0.0
    ts: int = 0

    def trade(self, ts: int, depth: float, step: float, bins: int = 20) -> None:
        """Take in a trade that was executed `depth` away from the mid.

        Args:
            ts: UTC nanoseconds.
            depth: Distance from the mid before it, quote currency.
            step: Width of a depth; another one than before begins anew.
            bins: How many depths are told apart.
        """
        if step != self.step or len(self.counts) != bins:
            self.counts, self.weight, self.step, self.ts = [0.0] * bins, 0.0, step, ts
        for level in range(min(bins, int(depth / step))):
            self.counts[level] += 1.0

    def pass_time(self, ts: int, half_life: float) -> None:
        """Let what was counted grow older up to `ts` (UTC ns), to half its weight in `half_life` seconds."""
        if self.ts and ts > self.ts:
            elapsed = (ts - self.ts) * NS
            fade = math.exp2(-elapsed / half_life)
            self.counts = [count * fade for count in self.counts]
            self.weight = self.weight * fade + elapsed
        self.ts = max(ts, self.ts)

    def fit(self, least: float = 10.0) -> tuple[float, float] | None:
        """A (per second) and κ (per quote currency) by least squares of ln(rate) over depth.

        None while fewer than `least` trades reached the first depth, less than two depths were reached, or the rate
        does not fall with depth.
        """
        if not self.counts or self.counts[0] < least or self.weight <= 0.0:
            return None
        points = [((i + 1) * self.step, math.log(n / self.weight)) for i, n in enumerate(self.counts) if n >= 1.0]
        if len(points) < 2:
            return None
        mean_x = sum(x for x, _ in points) / len(points)
        mean_y = sum(y for _, y in points) / len(points)
        slope = sum((x - mean_x) * (y - mean_y) for x, y in points) / sum((x - mean_x) ** 2 for x, _ in points)
        if not slope < 0.0:
            return None
        return math.exp(mean_y - slope * mean_x), -slope
