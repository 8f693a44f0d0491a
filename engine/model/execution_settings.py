"""When orders are split, and how much of the market's volume they may be."""

from __future__ import annotations

from decimal import Decimal

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["ExecutionSettings"]


class ExecutionSettings(BaseModel):
    """What the choice of an algorithm hangs on where none is named."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)

    impact_limit: Decimal = Field(
        Decimal("0.001"), gt=0, lt=1, description="Estimated impact without the spread, above which an order is split."
    )
    participation: Decimal = Field(
        Decimal("0.1"), gt=0, le=1, description="Largest share of the expected volume that a split order may be."
    )
    profile_days: int = Field(20, ge=1, le=60, description="Days of candles of which the volume by hour is made.")
