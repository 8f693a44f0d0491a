"""Adaptive risk: its modes, its figures, what a model may say about risk, and an adapted value beside its base."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Literal, Protocol

import msgspec
from pydantic import BaseModel, ConfigDict, Field, model_validator

if TYPE_CHECKING:
    from typing import Self

    from engine.model.ids import InstrumentId

__all__ = ["AdaptedEntry", "AdaptedValue", "AdaptiveSettings", "Assessment", "RiskMode", "RiskModel"]

RiskMode = Literal["static", "dynamic", "ai"]
"""static: the limits as they are set. dynamic: sizes, limits and stops follow the market regimes. ai: a model's
confidence and assessment of risk move sizes and limits. Whatever cannot be known leaves the static values in force."""


class AdaptiveSettings(BaseModel):
    """How regimes are told apart, and what they change. Fractions are of 1."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)

    timeframe: Literal["15m", "1h", "4h"] = Field("1h", description="Bars that the regimes of a market are read from.")
    volatility_bars: int = Field(24, ge=5, le=500, description="Bars of a rolling volatility.")
    history_bars: int = Field(720, ge=50, le=1_900, description="Past volatilities that the present one is ranked in.")
    low_percentile: float = Field(33.0, gt=0, lt=100, description="Volatility up to this percentile is low.")
    high_percentile: float = Field(67.0, gt=0, lt=100, description="Volatility above this percentile is high.")
    trend_bars: int = Field(14, ge=2, le=100, description="Periods of the average directional index.")
    trend_strength: float = Field(
        25.0, gt=0, lt=100, description="Average directional index from which a market trends."
    )
    correlation: float = Field(
        0.7, gt=0, le=1, description="Mean correlation of the portfolio's markets from which it is elevated."
    )
    correlation_release: float = Field(0.6, ge=0, le=1, description="Mean correlation below which it is normal again.")
    confirmations: int = Field(3, ge=1, le=50, description="Readings in a row that a change of regime takes.")
    stale_bars: int = Field(3, ge=1, le=100, description="Bars after which a reading is too old to adapt to.")
    size_low: Decimal = Field(Decimal("1.2"), ge=1, le=2, description="Factor on sizes in low volatility.")
    size_medium: Decimal = Field(Decimal(1), gt=0, le=2, description="Factor on sizes in medium volatility.")
    size_high: Decimal = Field(Decimal("0.6"), gt=0, le=1, description="Factor on sizes in high volatility.")
    elevated_limits: Decimal = Field(
        Decimal("0.8"), gt=0, le=1, description="Factor on limits of exposure while correlations are elevated."
    )
    stop_with: float = Field(
        1.25, ge=1, le=2, description="Factor on a stop's distance when the trend is with the trade."
    )
    stop_against: float = Field(0.75, gt=0, le=1, description="The same when the trend is against it.")
    model_stale_s: float = Field(
        900.0, ge=1, le=86_400, description="Age in seconds after which a model's assessment of risk counts no more."
    )

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.low_percentile >= self.high_percentile:
            raise ValueError(
                f"low_percentile ({self.low_percentile:g}) must be below high_percentile ({self.high_percentile:g})"
            )
        if self.correlation_release > self.correlation:
            raise ValueError(
                f"correlation_release ({self.correlation_release:g}) must not be above correlation "
                f"({self.correlation:g})"
            )
        if not self.size_high <= self.size_medium <= self.size_low:
            raise ValueError("size_high must not be above size_medium, nor that above size_low")
        return self


class Assessment(msgspec.Struct, frozen=True, kw_only=True):
    """What a model says about trading a market now."""

    confidence: float
    """How sure it is, 0 to 1."""
    risk: float
    """How dangerous it finds the market, 0 (not at all) to 1."""
    ts: int
    """UTC nanoseconds at which it said so."""
    reason: str = ""


class RiskModel(Protocol):
    """A model that assesses risk."""

    @property
    def name(self) -> str:
        """What it is called."""

    def assess(self, instrument: InstrumentId, now: int) -> Assessment | None:
        """The newest assessment of a market; None while it has none."""


class AdaptedValue(msgspec.Struct, frozen=True, kw_only=True):
    """An adapted value beside its base."""

    name: str
    """What is adapted: `size`, `stop_long`, `stop_short` of a market, or the name of a limit."""
    scope: str
    """The market; `portfolio` for a limit of the whole."""
    label: str
    base: Decimal
    value: Decimal
    cause: str
    """Why it differs, or why it does not."""


class AdaptedEntry(msgspec.Struct):
    """The last adaptation of a value, as the state keeps it."""

    base: Decimal
    value: Decimal
    since: int
    cause: str
