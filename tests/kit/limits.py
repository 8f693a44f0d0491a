"""Limits for tests that look at something else."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from engine.model.limits import RiskLimits

__all__ = ["WIDE", "loose"]

WIDE = {
    "max_account_exposure": Decimal(10),
    "max_venue_exposure": Decimal(10),
    "max_class_exposure": Decimal(10),
    "max_currency_exposure": Decimal(10),
    "max_correlated_exposure": Decimal(10),
    "max_concentration": Decimal(10),
    "max_strategy_exposure": Decimal(10),
    "max_positions_per_strategy": 1000,
}
"""Limits that bound groups of positions, as wide as they may be."""


def loose(**limits: Any) -> RiskLimits:
    """The usual limits, but those that bound groups of positions are out of the way."""
    return RiskLimits(**{**WIDE, **limits})
