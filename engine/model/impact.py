"""What an order is expected to cost by its own pressure on the market, as it is stored with the decision."""

from __future__ import annotations

import msgspec

__all__ = ["ImpactEstimate"]


class ImpactEstimate(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Expected cost of an order that is sent at once; every figure is a fraction of its value at the middle price."""

    cost: float
    """Expected average price against the middle, the half spread included: `walk`, or `model` where the visible book
    is smaller than the order."""
    half_spread: float
    walk: float | None = None
    """By walking the visible book; None where it is too small."""
    model: float | None = None
    """By the square-root model; None while nothing is known of volatility and volume."""
    scale: float | None = None
    """The model's size of the order: daily volatility x root of its share of the daily volume."""
    depth_share: float | None = None
    """The order as a part of the visible quantity on the side that it takes from; over 1 where it is larger."""
    volume_share: float | None = None
    """The order as a part of the expected daily volume."""

    @property
    def sigma(self) -> float | None:
        """Daily volatility that the model was told; None without a model."""
        return None if self.scale is None or not self.volume_share else self.scale / self.volume_share**0.5
