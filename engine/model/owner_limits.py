"""What a bot's configuration says to risk and to the other bots: stricter limits of its own, and its priority.

It is read from the journalled configuration and kept, so that a check costs one look-up and no parsing.
"""

from __future__ import annotations

from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec

from engine.model.ids import MANUAL

if TYPE_CHECKING:
    from collections.abc import Mapping

    from engine.model.ids import Owner
    from engine.model.limits import RiskLimits
    from engine.state import EngineState

__all__ = [
    "DEFAULT_PRIORITY",
    "MOST_PRIORITY",
    "NO_TERMS",
    "OwnerLimits",
    "OwnerTerms",
    "limits_of_owner",
    "owner_limits",
    "terms_of",
    "terms_of_owner",
    "weight_of",
]

DEFAULT_PRIORITY, MOST_PRIORITY = 5, 10
"""Of 1 to 10; higher goes first."""
_KEPT = 512
_JUDGED_APART = frozenset({"max_daily_loss_pct", "max_drawdown_pct"})
"""Limits that mean the owner's own loss here, and the account's in those for all."""


class OwnerLimits(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Limits of one owner; None leaves the global one in force. None of them can loosen anything.

    The names are those of `RiskLimits`. Positions and exposure are the owner's own; equity is the account's.
    """

    max_position_size_pct: Decimal | None = None
    max_total_positions: int | None = None
    max_portfolio_exposure: Decimal | None = None
    max_leverage: Decimal | None = None
    max_daily_loss_pct: Decimal | None = None
    """Loss of the owner since the start of the UTC day, as a fraction of its capital."""
    max_drawdown_pct: Decimal | None = None
    """Fall of the owner's worth from its peak, as a fraction of that peak."""
    price_band_pct: Decimal | None = None
    stale_market_s: float | None = None
    max_orders_per_second: int | None = None
    max_orders_per_minute: int | None = None
    allow_short: bool | None = None

    def named(self) -> dict[str, Decimal | int | float | bool]:
        """The limits that are set, by name."""
        return {name: value for name in self.__struct_fields__ if (value := getattr(self, name)) is not None}

    def looser_than(self, limits: RiskLimits) -> tuple[str, ...]:
        """Names of those that would allow more than the global ones do; they have no effect."""
        return tuple(name for name, value in self.named().items() if value > getattr(limits, name))

    def stricter(self, limits: RiskLimits) -> RiskLimits:
        """The limits in force for the owner: of each the stricter one, but for its losses, which are judged apart."""
        own = {n: v for n, v in self.named().items() if n not in _JUDGED_APART and v < getattr(limits, n)}
        if not own:
            return limits
        most = own.get("max_position_size_pct")
        if most is not None and most < limits.position_size_pct:
            own["position_size_pct"] = most
        return limits.model_copy(update=own)


class OwnerTerms(msgspec.Struct, frozen=True, kw_only=True):
    """The part of a bot's configuration that others than the bot itself look at."""

    priority: int = DEFAULT_PRIORITY
    risk: OwnerLimits = OwnerLimits()


NO_TERMS = OwnerTerms()


def owner_limits(values: Mapping[str, object]) -> OwnerLimits:
    """Limits from plain values, decimals as text or numbers.

    Raises:
        ValueError: A name is unknown, or a value is of the wrong type or not above 0.
    """
    plain = {name: repr(value) if isinstance(value, float) else value for name, value in values.items()}
    try:
        found = msgspec.convert(plain, OwnerLimits, strict=False)
    except msgspec.ValidationError as error:
        raise ValueError(f"{error}; known are {', '.join(OwnerLimits.__struct_fields__)}") from error
    for name, value in found.named().items():
        if not isinstance(value, bool) and not value > 0:
            raise ValueError(f"{name} must be above 0")
    if found.allow_short:
        raise ValueError("allow_short can only be forbidden to a bot, not allowed")
    return found


@lru_cache(maxsize=_KEPT)
def terms_of(config: bytes) -> OwnerTerms:
    """The terms in a journalled configuration; the usual ones where it cannot be read."""
    try:
        return msgspec.json.decode(config, type=OwnerTerms, strict=False)
    except msgspec.MsgspecError:
        return NO_TERMS


def terms_of_owner(state: EngineState, owner: Owner) -> OwnerTerms:
    """The terms of an owner; the usual ones for an owner that is no bot."""
    entry = state.bots.get(owner)
    return NO_TERMS if entry is None else terms_of(entry.config)


def limits_of_owner(state: EngineState, owner: Owner, limits: RiskLimits) -> RiskLimits:
    """The limits in force for an owner; the very same object where it has none of its own."""
    terms = terms_of_owner(state, owner)
    return limits if terms is NO_TERMS else terms.risk.stricter(limits)


def weight_of(state: EngineState, owner: Owner) -> int:
    """How many turns an owner has where not everybody can be served; by hand is as urgent as any bot can be."""
    return MOST_PRIORITY if owner == MANUAL else terms_of_owner(state, owner).priority
