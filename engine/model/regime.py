"""Market regimes: how volatile a market is, whether it trends, and whether the markets move together."""

from __future__ import annotations

import enum
from typing import Protocol

import msgspec

from engine.model.ids import InstrumentId

__all__ = [
    "PORTFOLIO",
    "CorrelationRegime",
    "MarketRegime",
    "RegimeEntry",
    "RegimeKind",
    "Regimes",
    "TrendRegime",
    "VolatilityRegime",
]

PORTFOLIO = "portfolio"
"""Scope of the correlation regime, which is one of all markets together."""


class RegimeKind(enum.StrEnum):
    """What a regime is about."""

    VOLATILITY = "volatility"
    TREND = "trend"
    CORRELATION = "correlation"


class VolatilityRegime(enum.StrEnum):
    """How volatile a market is compared with its own past."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


class TrendRegime(enum.StrEnum):
    """Whether a market has a direction."""

    TRENDING = "trending"
    RANGING = "ranging"


class CorrelationRegime(enum.StrEnum):
    """Whether the portfolio's markets move together."""

    NORMAL = "normal"
    ELEVATED = "elevated"


class MarketRegime(msgspec.Struct, frozen=True, kw_only=True):
    """The regimes of one market as they are confirmed, with the readings behind them."""

    instrument: InstrumentId
    volatility: VolatilityRegime
    trend: TrendRegime
    momentum: int
    """+1 while a trend goes up, -1 while it goes down, 0 while there is none."""
    percentile: float
    """Where the present volatility stands within its own past, 0 to 100."""
    strength: float
    """Average directional index, 0 to 100."""
    ts: int
    """UTC nanoseconds at which the last bar that was looked at had closed."""


class RegimeEntry(msgspec.Struct):
    """A regime as the state keeps it."""

    value: str
    since: int
    """UTC nanoseconds at which it began."""
    cause: str


class Regimes(Protocol):
    """Who knows the regimes. What is not known, or is too old, is None; static parameters hold then."""

    def market(self, instrument: InstrumentId, now: int) -> MarketRegime | None:
        """The regimes of a market."""

    def correlation(self, now: int) -> CorrelationRegime | None:
        """Whether the portfolio's markets move together."""
