"""Risk limits: one declaration from which settings, checks, views and forms derive."""

from __future__ import annotations

import difflib
from decimal import Decimal
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic import ValidationError as PydanticError

from engine.errors import ConfigurationError
from engine.model.adaptation import RiskMode

__all__ = ["RiskLimits", "SizeMethod"]

SizeMethod = Literal["fixed_percentage", "confidence_weighted", "volatility_adjusted", "kelly", "risk_parity"]
"""How large one entry is; see `engine.risk.sizing`."""


class RiskLimits(BaseModel):
    """Every limit of the gate and the breakers. Fractions are of 1 (0.05 is 5 %)."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)

    position_size_method: SizeMethod = Field("fixed_percentage", description="How the size of one entry is found.")
    position_size_pct: Decimal = Field(
        Decimal("0.02"), gt=0, le=1, description="Size of one entry as a fraction of equity, unless asked otherwise."
    )
    max_position_size_pct: Decimal = Field(
        Decimal("0.1"), gt=0, le=1, description="Largest value of one position as a fraction of equity."
    )
    max_total_positions: int = Field(10, ge=1, le=1000, description="Most positions held or being opened at once.")
    max_positions_per_symbol: int = Field(
        1, ge=1, le=100, description="Most positions that one owner holds in the same symbol, over all accounts."
    )
    max_positions_per_strategy: int = Field(
        5,
        ge=1,
        le=1000,
        description="Most positions that one bot holds or is opening at once; orders by hand are free.",
    )
    max_portfolio_exposure: Decimal = Field(
        Decimal("0.95"), gt=0, le=1, description="Sum of all position values as a fraction of equity times leverage."
    )
    max_account_exposure: Decimal = Field(
        Decimal(1),
        gt=0,
        le=10,
        description="Position values of one account as a fraction of its equity times leverage.",
    )
    max_venue_exposure: Decimal = Field(
        Decimal(1), gt=0, le=10, description="Position values at one venue as a fraction of equity times leverage."
    )
    max_strategy_exposure: Decimal = Field(
        Decimal(1), gt=0, le=10, description="Position values of one bot as a fraction of equity; by hand it is free."
    )
    max_class_exposure: Decimal = Field(
        Decimal("0.25"), gt=0, le=10, description="Position values in one class of assets as a fraction of equity."
    )
    max_currency_exposure: Decimal = Field(
        Decimal("0.5"),
        gt=0,
        le=10,
        description="What depends on one currency beside the base, as a fraction of equity.",
    )
    max_correlated_exposure: Decimal = Field(
        Decimal("0.5"), gt=0, le=10, description="Values of positions that move together, as a fraction of equity."
    )
    correlation_threshold: Decimal = Field(
        Decimal("0.7"), gt=0, le=1, description="Correlation over 30 days from which positions move together."
    )
    max_concentration: Decimal = Field(
        Decimal(1), gt=0, le=10, description="Value of the three largest positions together as a fraction of equity."
    )
    max_leverage: Decimal = Field(
        Decimal("1.0"), ge=1, le=10, description="Factor on equity that exposure may use; 1 means none is borrowed."
    )
    max_daily_loss_pct: Decimal = Field(
        Decimal("0.05"), gt=0, le=1, description="Loss since the start of the UTC day that stops new entries."
    )
    max_weekly_loss_pct: Decimal = Field(
        Decimal("0.1"), gt=0, le=1, description="Loss since the start of the week that halves entries until the next."
    )
    max_monthly_loss_pct: Decimal = Field(
        Decimal("0.15"), gt=0, le=1, description="Loss since the start of the month that stops new entries until reset."
    )
    breaker_drawdown_pct: Decimal = Field(
        Decimal("0.1"), gt=0, le=1, description="Fall of equity from its peak that stops new entries."
    )
    max_drawdown_pct: Decimal = Field(
        Decimal("0.15"), gt=0, le=1, description="Fall of equity from its peak that starts the emergency stop."
    )
    price_band_pct: Decimal = Field(
        Decimal("0.1"), gt=0, le=1, description="Farthest distance of a limit or stop price from the mark."
    )
    stale_market_s: float = Field(
        30.0, ge=0.1, le=86_400, description="Age in seconds after which a market is too old to enter on."
    )
    max_orders_per_second: int = Field(10, ge=1, le=1000, description="Most orders of one owner within a second.")
    max_orders_per_minute: int = Field(120, ge=1, le=60_000, description="Most orders of one owner within a minute.")
    risk_mode: RiskMode = Field(
        "static", description="Whether sizes, limits and stops follow market regimes (dynamic) or a model (ai)."
    )
    allow_short: bool = Field(False, description="Whether margin and derivative positions may be sold short.")

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        if self.position_size_pct > self.max_position_size_pct:
            raise ValueError(
                f"position_size_pct ({self.position_size_pct}) must not be above "
                f"max_position_size_pct ({self.max_position_size_pct})"
            )
        if self.breaker_drawdown_pct > self.max_drawdown_pct:
            raise ValueError(
                f"breaker_drawdown_pct ({self.breaker_drawdown_pct}) must not be above "
                f"max_drawdown_pct ({self.max_drawdown_pct}), or the softer stop would come last"
            )
        return self

    def loosened_by(self, after: RiskLimits) -> tuple[str, ...]:
        """Names of the limits of which others would allow more; another way to find sizes counts as one.

        Of every figure here the larger one allows more; a higher correlation threshold leaves more pairs out.
        """
        before, then = self.model_dump(), after.model_dump()
        ways = {"position_size_method", "risk_mode"}
        return tuple(
            name for name in before if (then[name] != before[name] if name in ways else then[name] > before[name])
        )

    @property
    def stale_market_ns(self) -> int:
        """`stale_market_s` in nanoseconds."""
        return int(self.stale_market_s * 1_000_000_000)

    def encode(self) -> bytes:
        """JSON for the fact `LimitsChanged`."""
        return self.model_dump_json().encode()

    @classmethod
    def decode(cls, body: bytes) -> RiskLimits:
        """Read the JSON of `encode`.

        Raises:
            ConfigurationError: A limit is unknown, of the wrong type or out of bounds; all faults are listed.
        """
        try:
            return cls.model_validate_json(body)
        except PydanticError as error:
            raise _listed(error) from error

    def changed(self, changes: dict[str, object]) -> RiskLimits:
        """These limits with some of them changed.

        Raises:
            ConfigurationError: A change is unknown, of the wrong type or out of bounds; all faults are listed.
        """
        try:
            return type(self).model_validate({**self.model_dump(), **changes})
        except PydanticError as error:
            raise _listed(error) from error


def _listed(error: PydanticError) -> ConfigurationError:
    faults = []
    for fault in error.errors(include_url=False):
        name = ".".join(str(part) for part in fault["loc"])
        said = _no_limit(name) if fault["type"] == "extra_forbidden" else str(fault["msg"])
        faults.append(f"{name}: {said}" if name else said)
    return ConfigurationError(
        "These risk limits cannot be used: " + "; ".join(faults) + ". Nothing was changed.",
        details={"faults": faults},
    )


def _no_limit(name: str) -> str:
    near = difflib.get_close_matches(name, RiskLimits.model_fields, 1, 0.4)
    hint = f", did you mean {near[0]}?" if near else f"; there are {', '.join(RiskLimits.model_fields)}"
    return f"no such limit{hint}"
