"""What a quoting strategy counts as the market goes on: the day's result, and arrivals by depth.

Both are plain structs, so they are part of a strategy's saved memory.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from engine.strategy.views import MarketView, OwnFill

__all__ = ["Arrivals", "DayResult", "fee_in_quote"]

NS = 1e-9
NS_PER_DAY = 86_400_000_000_000


class DayResult(msgspec.Struct):
    """What has been earned in one instrument since it was first seen, and since the day (UTC) began; quote currency."""

    day: int = 0
    """Days since 1970; 0 before the first look."""
    cash: float = 0.0
    """Received less paid, fees included; what was there at the first look counts as bought then."""
    at_midnight: float = 0.0
    """The result when the day began."""
    result: float = 0.0

    def begin(self, position: float, price: float) -> None:
        """Count what is held at the first look as bought at that price; later calls change nothing."""
        if not self.day:
            self.cash = -position * price

    def fill(self, side: int, quantity: float, price: float, fee: float) -> None:
        """Take in an execution; `side` is +1 for a purchase, `fee` in quote currency."""
        self.cash -= side * quantity * price + fee

    def look(self, ts: int, position: float, price: float) -> float:
        """The day's result at a price, and a new day where one has begun.

        Args:
            ts: UTC nanoseconds.
            position: Base units held.
            price: What one is worth.
        """
        self.result = self.cash + position * price
        day = ts // NS_PER_DAY
        if day != self.day:
            self.day, self.at_midnight = day, self.result
        return self.result - self.at_midnight


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


def fee_in_quote(market: MarketView, fill: OwnFill) -> float:
    """Fee of an execution in quote currency; one paid in a third currency counts by the market's own fee rate."""
    if fill.fee_currency == market.quote:
        return fill.fee
    if fill.fee_currency == market.base:
        return fill.fee * fill.price
    return fill.quantity * fill.price * (market.maker_fee if fill.maker else market.taker_fee)
