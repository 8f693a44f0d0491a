"""Figures of the market's and the system's breakers, of loss periods and of locks: the settings group `protections`."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, field_validator

__all__ = ["ProtectionSettings"]

_Fraction = Annotated[Decimal, Field(gt=0, le=1)]
_Seconds = Annotated[float, Field(ge=1, le=604_800)]
_Span = Annotated[float, Field(ge=0, le=2_592_000)]
_NS = 1_000_000_000


class ProtectionSettings(BaseModel):
    """When breakers open and how they close again, where periods begin, and which locks are placed.

    Fractions are of 1 (0.05 is 5 %). A lock whose count, loss or time is 0 is off.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)

    volatility_spike: Decimal = Field(
        Decimal(3), gt=1, le=100, description="Multiple of its own average at which volatility opens the breaker."
    )
    volatility_periods: int = Field(
        20, ge=5, le=500, description="Periods whose volatility is measured, and over which it is averaged."
    )
    volatility_period_s: float = Field(60.0, ge=1, le=86_400, description="Length of such a period in seconds.")
    volatility_floor: Decimal = Field(
        Decimal("0.0005"),
        ge=0,
        le=1,
        description="Volatility of a period below which nothing is a spike, however calm it was before.",
    )
    price_shock_pct: _Fraction = Field(
        Decimal("0.05"), description="Move of a price within price_shock_window_s that opens the breaker."
    )
    price_shock_window_s: _Seconds = Field(300.0, description="Window of that move in seconds.")
    stale_feed_s: _Seconds = Field(60.0, description="Seconds without a word of a market that open the breaker.")
    frozen_price_s: _Seconds = Field(
        600.0, description="Seconds of unchanged quotes without a trade, while a feed delivers, that open the breaker."
    )
    min_model_confidence: _Fraction = Field(
        Decimal("0.6"), description="Mean confidence of a model's last predictions below which the breaker opens."
    )
    model_predictions: int = Field(20, ge=1, le=1000, description="Predictions of that mean.")
    max_errors_per_minute: int = Field(
        10, ge=1, le=10_000, description="Errors of medium severity or above within a minute that are still borne."
    )
    recovery_s: _Seconds = Field(
        300.0, description="Seconds for which the condition of an open breaker must be gone before a trial."
    )
    trial_s: _Seconds = Field(
        900.0, description="Seconds of trial with smaller entries before a breaker closes; also after a recovery."
    )
    day_zone: str = Field("UTC", description="Time zone in which days, weeks and months of loss limits begin.")
    day_hour: int = Field(0, ge=0, le=23, description="Hour of that zone at which they begin; weeks begin on Monday.")

    cooldown_s: _Span = Field(0.0, description="Seconds without a new entry of a bot in what it has just left.")
    stop_guard_stops: int = Field(
        4, ge=0, le=1000, description="Losing stops in one instrument within the window that lock it."
    )
    stop_guard_global_stops: int = Field(
        10, ge=0, le=1000, description="Losing stops in all instruments within the window that lock everything."
    )
    stop_guard_window_s: _Span = Field(86_400.0, description="Window of the stop guard in seconds.")
    stop_guard_lock_s: _Span = Field(14_400.0, description="Seconds for which it locks.")
    low_profit_trades: int = Field(
        0, ge=0, le=1000, description="Trades in one instrument within the window before their sum is judged."
    )
    low_profit_required: Decimal = Field(
        Decimal(0), ge=-1, le=1, description="Their sum as a fraction of equity; below it, the instrument is locked."
    )
    low_profit_window_s: _Span = Field(86_400.0, description="Window of that lock in seconds.")
    low_profit_lock_s: _Span = Field(28_800.0, description="Seconds for which it locks.")
    equity_lock_pct: Decimal = Field(
        Decimal(0), ge=0, le=1, description="Fall of equity, open positions included, from its highest in the window."
    )
    equity_lock_window_s: _Span = Field(172_800.0, description="Window of that lock in seconds.")
    equity_lock_s: _Span = Field(14_400.0, description="Seconds for which it locks.")

    @field_validator("day_zone")
    @classmethod
    def _known(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (KeyError, OSError, ValueError) as error:
            raise ValueError(f"{value} is no time zone; write one such as UTC or Europe/Berlin") from error
        return value

    def ns(self, name: str) -> int:
        """A span of seconds in nanoseconds."""
        return int(getattr(self, name) * _NS)
