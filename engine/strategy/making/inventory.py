"""How much of the base asset a market maker wants to hold, and what it does when it holds another amount.

Quantities are in base units, prices in quote currency, volatility is a fraction of the price over one refresh period.
"""

from __future__ import annotations

import enum

import msgspec

__all__ = ["InventoryAction", "InventoryRules", "reservation_price"]


class InventoryAction(enum.StrEnum):
    """What the inventory asks for."""

    QUOTE = "quote"
    """It lies in its band."""
    REBALANCE = "rebalance"
    """It has left its band: the side that brings it back is quoted at the best price."""
    LIQUIDATE = "liquidate"
    """It has reached the stop: every quote is withdrawn and it is unwound to the target."""


class InventoryRules(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of the inventory."""

    maximum: float
    """Most that is ever bought up to, in base units; above 0."""
    target: float = 0.5
    """Wanted inventory as a fraction of the maximum."""
    band: float = 0.25
    """How far the inventory may lie from the target before it is rebalanced, as a fraction of the maximum."""
    stop: float = 2.0
    """Inventory, in either direction, at which it is unwound, in base units."""
    aversion: float = 0.1
    """How strongly a deviation moves the reservation price; 0 not at all."""

    @property
    def wanted(self) -> float:
        """The target in base units."""
        return self.target * self.maximum

    def deviation(self, inventory: float) -> float:
        """Distance from the target as a fraction of the maximum, from -1 (too little) to +1 (too much)."""
        return max(-1.0, min(1.0, (inventory - self.wanted) / self.maximum))

    def in_band(self, inventory: float) -> bool:
        """Whether the inventory lies within target ± band, the ends included."""
        return abs(inventory - self.wanted) <= self.band * self.maximum * (1.0 + 1e-12)

    def action(self, inventory: float) -> InventoryAction:
        """What the inventory asks for."""
        if abs(inventory) >= self.stop:
            return InventoryAction.LIQUIDATE
        return InventoryAction.QUOTE if self.in_band(inventory) else InventoryAction.REBALANCE

    def room(self, side: int, inventory: float) -> float:
        """How much may still be bought (`side` +1) up to the maximum, or sold (-1) down to nothing, in base units."""
        return max(0.0, self.maximum - inventory) if side > 0 else max(0.0, inventory)


def reservation_price(fair: float, deviation: float, aversion: float, volatility: float) -> float:
    """Price around which a holder of that inventory quotes: fair × (1 − aversion × deviation × volatility).

    Too much inventory lowers both quotes, so that the ask is taken sooner; too little raises them.
    """
    return fair * (1.0 - aversion * deviation * volatility)
