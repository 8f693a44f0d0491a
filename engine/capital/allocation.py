"""Giving capital to bots: no more than the account is worth, counted together with what others already have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.errors import CapitalManagementError, InsufficientCapitalError, ValidationError
from engine.model.decimals import ZERO

if TYPE_CHECKING:
    from collections.abc import Iterable
    from decimal import Decimal

    from engine.model.entries import BotEntry
    from engine.model.ids import Owner

__all__ = ["check_allocation", "unallocated"]


def unallocated(equity: Decimal, bots: Iterable[BotEntry], without: Owner | None = None) -> Decimal:
    """Equity that no bot has been given, in the account's base currency; negative when too much was given.

    Args:
        equity: The account's value in its base currency, in which all capital is given.
        bots: All bots of the account.
        without: A bot whose capital is not counted, because it is about to change.
    """
    return equity - sum((bot.capital for bot in bots if bot.id != without), ZERO)


def check_allocation(wanted: Decimal, free: Decimal | None) -> None:
    """Make sure that a bot may be given an amount of capital.

    Args:
        wanted: What it is to have, in the account's base currency.
        free: What no other bot has; None while the account cannot be valued.

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
            f"The capital of {wanted:,.2f} is more than the {max(free, ZERO):,.2f} that no other bot has; choose less, "
            "or delete a bot.",
            details={"wanted": str(wanted), "free": str(free)},
        )
