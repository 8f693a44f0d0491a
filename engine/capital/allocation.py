"""Giving capital to bots: no more than the account is worth, counted together with what others already have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.errors import CapitalManagementError, InsufficientCapitalError, ValidationError
from engine.model.decimals import ZERO

if TYPE_CHECKING:
    from decimal import Decimal

__all__ = ["check_allocation"]


def check_allocation(wanted: Decimal, free: Decimal | None) -> None:
    """Make sure that a bot may be given an amount of capital.

    Args:
        wanted: What it is to have, in the account's base currency.
        free: What may still be given out, reserve and locked profit kept; None while the account cannot be valued.

    Raises:
        ValidationError: The amount is not above zero.
        InsufficientCapitalError: More than is left; details carry `wanted` and `free`.
        CapitalManagementError: The account cannot be valued.
    """
    if not wanted.is_finite() or wanted <= ZERO:
        raise ValidationError(f"A bot's capital must be above zero, not {wanted}.")
    if free is None:
        raise CapitalManagementError(
            "Capital cannot be given out while the account cannot be valued; wait until its markets are heard."
        )
    if wanted > free:
        raise InsufficientCapitalError(
            f"The capital of {wanted:,.2f} is more than the {max(free, ZERO):,.2f} that may still be given out: "
            "reserve, locked profit and what other bots have are kept. Choose less, or delete a bot.",
            details={"wanted": str(wanted), "free": str(free)},
        )
