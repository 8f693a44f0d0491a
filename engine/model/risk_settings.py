"""How risk is measured and what it is stressed with."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from engine.model.risk_metrics import VarMethod

__all__ = ["LEAST_DAYS", "MetricsSettings", "StressSettings"]

LEAST_DAYS = 30
"""Daily returns that a market needs to be counted, and that equity needs for its Sharpe ratio."""


class MetricsSettings(BaseModel):
    """How risk is measured."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)

    method: VarMethod = Field(VarMethod.HISTORICAL, description="Method whose figures are shown first.")
    confidence: float = Field(0.95, ge=0.8, lt=1, description="Confidence of value at risk and expected shortfall.")
    history_days: int = Field(365, ge=LEAST_DAYS, le=1_000, description="Past days that are looked at.")
    risk_free_rate: float = Field(0.02, ge=-0.1, le=1, description="A year, as a fraction, for the Sharpe ratio.")
    interval_s: float = Field(15.0, ge=1, le=3_600, description="Seconds between two measurements.")
    record_s: float = Field(60.0, ge=1, le=86_400, description="Seconds between two that are kept.")


class StressSettings(BaseModel):
    """The scenarios. Fractions are of 1."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)

    price_drops: tuple[float, ...] = Field((0.1, 0.2, 0.4), description="Falls of all prices at once.")
    volatility_factor: float = Field(3.0, gt=1, le=20, description="Factor on the volatility of all markets.")
    outage_drop: float = Field(
        0.2, gt=0, le=1, description="Fall of the prices at a venue while nothing there can be closed."
    )
    liquidity_cost: float = Field(
        0.05, gt=0, le=1, description="Part of its value that closing a position costs when books are empty."
    )
    daily: bool = Field(default=True, description="Run all scenarios once a day and keep the result.")
