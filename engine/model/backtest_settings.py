"""How backtests and studies are run where nothing else is said."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = [
    "BacktestMetricsSettings",
    "BacktestingSettings",
    "ExecutionSimulationSettings",
    "WalkForwardSettings",
]


class _Group(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_default=True, str_strip_whitespace=True, allow_inf_nan=False
    )


class WalkForwardSettings(_Group):
    """Windows of a walk-forward analysis."""

    training_period: int = Field(365, ge=1, le=3_650, description="Days on which parameters are optimised.")
    validation_period: int = Field(30, ge=1, le=3_650, description="Days after them on which one set is chosen.")
    test_period: int = Field(30, ge=1, le=3_650, description="Days after those on which it is measured once.")
    step_size: int = Field(7, ge=1, le=3_650, description="Days from one window to the next.")
    min_trades: int = Field(
        50, ge=0, le=100_000,
        description="Least trades of a period; with bars of 1h and longer that of the training period alone.",
    )  # fmt: skip
    min_ratio: float = Field(
        0.5, ge=0, le=10, description="Out-of-sample score over that of the training below which a warning is given."
    )


class BacktestMetricsSettings(_Group):
    """What a run is measured against."""

    risk_free_rate: float = Field(0.02, ge=-1, le=10, description="A year, as a fraction.")
    required_sharpe: float = Field(1.0, ge=-100, le=100, description="A run below it is marked as failed.")
    max_drawdown_limit: float = Field(0.15, gt=0, le=1, description="A run beyond it is marked as failed.")


class ExecutionSimulationSettings(_Group):
    """What orders cost in a backtest with our own fill rules."""

    slippage_model: Literal["square_root", "linear", "fixed", "none"] = Field(
        "square_root", description="How orders move the price."
    )
    commission_rate: Decimal = Field(
        Decimal("0.001"), ge=Decimal("-0.01"), le=Decimal("0.1"), description="Fee as a fraction, both sides."
    )
    market_impact: bool = Field(
        default=True, description="Whether an order moves the price the more the larger it is; else nothing slips."
    )

    @property
    def slippage(self) -> str:
        """The model in force."""
        grows = self.slippage_model in ("square_root", "linear")
        return "none" if grows and not self.market_impact else self.slippage_model


class BacktestingSettings(_Group):
    """Backtests and studies."""

    walk_forward: WalkForwardSettings = Field(
        default_factory=WalkForwardSettings,
        description="How long the parts of a walk-forward analysis are, and how it judges.",
    )
    metrics: BacktestMetricsSettings = Field(
        default_factory=BacktestMetricsSettings, description="What a run is measured by and must reach."
    )
    execution: ExecutionSimulationSettings = Field(
        default_factory=ExecutionSimulationSettings, description="How orders of a run are executed."
    )
