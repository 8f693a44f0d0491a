"""Kinds of strategies and the least capital of each."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from engine.errors import InsufficientCapitalError
from engine.model.decimals import ZERO

if TYPE_CHECKING:
    from engine.model.capital_settings import CapitalManagementSettings, MinimumSettings

__all__ = ["KINDS", "check_minimum", "kind_of", "minimum_of", "needed_in_all"]

KINDS = ("mean_reversion", "trend_following", "ml_strategy", "arbitrage", "market_making")
"""Kinds that have a minimum; a strategy of none of them has none."""


def kind_of(strategy: str, *, uses_model: bool = False) -> str:
    """The kind of a strategy by its name; one that asks a model is `ml_strategy`; empty for any other."""
    if uses_model:
        return "ml_strategy"
    return next((kind for kind in KINDS if strategy.startswith(kind)), "")


def minimum_of(kind: str, minimums: MinimumSettings) -> Decimal:
    """Least capital of a kind, in the base currency; 0 for one that has none."""
    found = getattr(minimums, kind) if kind in KINDS else ZERO
    return Decimal(found)


def check_minimum(name: str, strategy: str, capital: Decimal, minimum: Decimal) -> None:
    """Refuse a strategy with less capital than its kind needs.

    Raises:
        InsufficientCapitalError: It has less; details carry `capital` and `minimum`.
    """
    if capital < minimum:
        raise InsufficientCapitalError(
            f"The bot {name} has a capital of {capital:,.2f}, less than the {minimum:,.2f} that {strategy} needs with "
            "real money; give it more, or lower the minimum in capital_management.minimums.",
            details={"capital": str(capital), "minimum": str(minimum)},
        )


def needed_in_all(settings: CapitalManagementSettings, *, live: bool) -> tuple[str, Decimal]:
    """What the money is for, and how much is needed for that in the base currency."""
    purpose = settings.purpose or ("production_starter" if live else "testing")
    return purpose, Decimal(getattr(settings.minimums, purpose))
