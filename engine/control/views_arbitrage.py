"""What is told about arbitrage."""

from __future__ import annotations

import msgspec

__all__ = ["OpportunityRow"]


class OpportunityRow(msgspec.Struct, frozen=True, kw_only=True):
    """One arbitrage between the markets that are followed, as their books stand."""

    kind: str
    """`cross` (two venues) or `loop` (three markets of one venue)."""
    path: str
    """Its markets in order, each with what is done there."""
    quantity: float
    """Base units of a cross, start currency of a loop."""
    profit: float
    """After fees and depth, in `currency`."""
    margin: float
    """Profit as a fraction of what is put in."""
    currency: str
    risk: float
    """0 (none) to 1: thin books, slow venues, volatility, number of legs."""
    refused: str
    """Why an arbitrage bot would leave it alone; empty when nothing stands against it."""
