"""Which markets a bot may trade, said as a rule instead of a list: quote currency, rank by volume, age and more."""

from __future__ import annotations

import fnmatch
import re
from decimal import Decimal
from typing import TYPE_CHECKING, Literal

import msgspec
from pydantic import BaseModel, ConfigDict, Field, field_validator
from pydantic import ValidationError as PydanticError

from engine.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["MarketFacts", "Seat", "UniverseRule", "Verdict", "universe_rule"]


class UniverseRule(BaseModel):
    """A universe of markets at one venue. Fractions are of 1 (0.01 is 1 %); what is None or 0 does not count."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)

    quote: str = Field("USDT", min_length=1, max_length=20, description="Quote currency.")
    kind: Literal["spot", "perpetual", "any"] = Field("spot", description="Kind of market.")
    top: int = Field(20, ge=1, le=200, description="Most members: the first so many by volume of a day.")
    min_volume: Decimal = Field(Decimal(0), ge=0, description="Least volume of a day, in quote currency.")
    min_age_days: int = Field(0, ge=0, le=10_000, description="Days that a market has at least traded.")
    max_age_days: int | None = Field(None, ge=1, le=10_000, description="Days that a market has at most traded.")
    min_price: Decimal = Field(Decimal(0), ge=0, description="Least price.")
    max_price: Decimal | None = Field(None, gt=0, description="Largest price.")
    max_spread: Decimal | None = Field(None, gt=0, le=1, description="Largest spread as a fraction of the price.")
    min_volatility: Decimal | None = Field(
        None, ge=0, le=100, description="Least standard deviation of daily returns over volatility_days."
    )
    max_volatility: Decimal | None = Field(
        None, gt=0, le=100, description="Largest standard deviation of daily returns over volatility_days."
    )
    volatility_days: int = Field(10, ge=2, le=365, description="Days of which volatility is measured.")
    min_change: Decimal | None = Field(None, ge=-1, description="Least change of the price within a day.")
    max_change: Decimal | None = Field(None, ge=-1, description="Largest change of the price within a day.")
    allow: tuple[str, ...] = Field((), max_length=500, description="Only symbols like these, such as BTC/*.")
    deny: tuple[str, ...] = Field((), max_length=500, description="Never symbols like these, such as *UP/USDT.")
    leave_factor: Decimal = Field(
        Decimal("1.5"), ge=1, le=10, description="A member leaves when it ranks beyond top times this…"
    )
    leave_after: int = Field(3, ge=1, le=1000, description="…at so many refreshes one after the other.")
    refresh_s: float = Field(3600.0, ge=60, le=604_800, description="Seconds between two refreshes.")

    @field_validator("quote")
    @classmethod
    def _upper(cls, value: str) -> str:
        return value.strip().upper()

    @field_validator("allow", "deny", mode="before")
    @classmethod
    def _patterns(cls, value: object) -> object:
        # As text from a command line: several, with ; between them.
        parts = value.split(";") if isinstance(value, str) else value
        if isinstance(parts, list | tuple):
            return tuple(str(part).strip().upper() for part in parts if str(part).strip())
        return parts

    def names(self, symbol: str) -> str:
        """Why the patterns exclude a symbol; empty where they do not."""
        if self.allow and not any(fnmatch.fnmatchcase(symbol, pattern) for pattern in self.allow):
            return "no pattern of allow names it"
        for pattern in self.deny:
            if fnmatch.fnmatchcase(symbol, pattern):
                return f"deny names it ({pattern})"
        return ""


def universe_rule(values: Mapping[str, object]) -> UniverseRule:
    """A rule from plain values, as a person writes them.

    A text may go on with further values, as in `quote=USDT,top=20,min_age_days=30`.

    Raises:
        ConfigurationError: A value is unknown, of the wrong type or out of bounds; all faults are listed.
    """
    plain: dict[str, object] = {}
    for name, value in values.items():
        first, *rest = re.split(r",(?=[a-z_]+=)", value) if isinstance(value, str) else (value,)
        plain[name] = first
        for part in rest:
            key, _, text = str(part).partition("=")
            plain[key] = text
    try:
        return UniverseRule.model_validate(plain)
    except PydanticError as error:
        faults = "; ".join(f"{'.'.join(str(p) for p in f['loc'])}: {f['msg']}" for f in error.errors())
        known = ", ".join(UniverseRule.model_fields)
        raise ConfigurationError(f"The universe cannot be used: {faults}. It knows {known}.") from None


class MarketFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one market when a universe is refreshed; None where it is not known."""

    symbol: str
    quote: str
    kind: str = "spot"
    trading: bool = True
    """False when the venue has halted or delisted it, or is about to."""
    volume: Decimal | None = None
    """Of a day, in quote currency."""
    price: Decimal | None = None
    bid: Decimal | None = None
    ask: Decimal | None = None
    change: Decimal | None = None
    """Of the price within a day, as a fraction."""
    age_days: float | None = None
    volatility: float | None = None
    """Standard deviation of daily log returns."""


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What a rule says of one market."""

    symbol: str
    rank: int
    """By volume among those that fulfil the rule, from 1; 0 for one that does not."""
    reason: str = ""
    """Why it does not fulfil the rule; empty when it does."""
    volume: Decimal | None = None
    member: bool = False
    """Whether it is in the universe now."""
    winding_down: bool = False
    """Out of the universe with an open position: nothing new is entered, what is held is looked after."""


class Seat(msgspec.Struct, frozen=True, kw_only=True):
    """A member, and for how many refreshes in a row it has ranked too low to stay."""

    symbol: str
    low: int = 0
