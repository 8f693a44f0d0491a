"""Limit offsets that adapt until a wanted share of limit orders is filled.

The offset is a quantile that is tracked by stochastic approximation (Robbins and Monro, "A stochastic approximation
method", 1951): each order that was not filled moves the next one nearer to the market by `target` steps, each filled
one moves it away by 1 - `target`; the moves cancel out where the share of filled orders is the target.
"""

from __future__ import annotations

import msgspec

from engine.errors import ValidationError

__all__ = ["TARGET", "FillRate"]

TARGET = 0.95
"""Share of limit orders that should be filled."""


class FillRate(msgspec.Struct, frozen=True, kw_only=True):
    """Where limit orders rest, and how many of them were filled.

    Raises:
        ValidationError: Target, step or bounds are out of their ranges.
    """

    offset: float = 0.0
    """Distance from the own side's best price in spreads: above 0 away from the market, below 0 towards it; -1 takes
    the other side's best price."""
    target: float = TARGET
    step: float = 0.1
    """Spreads by which an order moves the offset at most."""
    nearest: float = -1.0
    farthest: float = 2.0
    seen: int = 0
    filled: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.target < 1 or self.step <= 0 or not self.nearest <= self.offset <= self.farthest:
            raise ValidationError(
                "A fill rate needs a target over 0 and under 1, a step above 0 and an offset in bounds."
            )

    @property
    def rate(self) -> float | None:
        """Share of the orders so far that were filled; None before the first."""
        return self.filled / self.seen if self.seen else None

    def after(self, *, filled: bool) -> FillRate:
        """The same after one more order that was filled in time, or was not."""
        move = self.step * (1 - self.target) if filled else -self.step * self.target
        return msgspec.structs.replace(
            self,
            offset=min(max(self.offset + move, self.nearest), self.farthest),
            seen=self.seen + 1,
            filled=self.filled + filled,
        )

    def price(self, best: float, spread: float, sign: int) -> float:
        """Where to rest the next order.

        Args:
            best: The own side's best price.
            spread: Between the two best prices, > 0.
            sign: +1 to buy, -1 to sell.
        """
        return best - sign * self.offset * spread
