"""How the quality of executions is judged."""

from __future__ import annotations

from decimal import Decimal

from pydantic import BaseModel, ConfigDict, Field, field_validator

__all__ = ["QualitySettings"]

NS_PER_S = 1_000_000_000


class QualitySettings(BaseModel):
    """When an execution is poor, and what is looked at after it."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)

    poor_slippage: Decimal = Field(
        Decimal("0.005"), gt=0, lt=1, description="Fraction by which a mean price is worse that raises an alert."
    )
    mark_out_s: tuple[int, ...] = Field(
        (60, 300, 900),
        min_length=1,
        max_length=6,
        description="Seconds after an execution at which the market is noted.",
    )
    fill_rate_target: Decimal = Field(
        Decimal("0.95"), gt=0, lt=1, description="Share of limit orders that should be filled."
    )

    @field_validator("mark_out_s")
    @classmethod
    def _rising(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if list(value) != sorted(set(value)) or value[0] < 1 or value[-1] > 86_400:
            raise ValueError("the seconds of mark-outs must rise, from 1 to at most 86400")
        return value

    @property
    def horizons(self) -> tuple[int, ...]:
        """The same in nanoseconds."""
        return tuple(seconds * NS_PER_S for seconds in self.mark_out_s)
