"""How backtests and studies are run where nothing else is said."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

__all__ = [
    "BacktestMetricsSettings",
    "BacktestingSettings",
    "ExecutionSimulationSettings",
    "HistoricalDataSettings",
    "WalkForwardSettings",
]


class _Group(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_default=True, str_strip_whitespace=True, allow_inf_nan=False
    )


class HistoricalDataSettings(_Group):
    """Which candles are meant."""

    start_date: date = Field(date(2020, 1, 1), description="First day that is collected.")
    end_date: date = Field(date(2024, 1, 1), description="Day before which collecting ends.")
    timeframe: Literal["1m", "5m", "1h", "1d"] = Field("1m", description="Length of the bars that are collected.")
    exchanges: tuple[str, ...] = Field(
        ("binance", "okx", "coinbase"), min_length=1, description="Venues whose candles are collected."
    )

    @model_validator(mode="after")
    def _in_order(self) -> HistoricalDataSettings:
        if self.start_date >= self.end_date:
            raise ValueError(f"start_date ({self.start_date}) must be before end_date ({self.end_date})")
        return self

    @property
    def start(self) -> int:
        """UTC nanoseconds of the first day."""
        return _ns(self.start_date)

    @property
    def end(self) -> int:
        """UTC nanoseconds of the end, exclusive."""
        return _ns(self.end_date)


def _ns(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 10**9


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

    benchmark: Literal["buy_and_hold", "buy_and_hold_btc"] = Field(
        "buy_and_hold_btc", description="What a run is compared with."
    )
    risk_free_rate: float = Field(0.02, ge=-1, le=10, description="A year, as a fraction.")
    required_sharpe: float = Field(1.0, ge=-100, le=100, description="A run below it is marked as failed.")
    max_drawdown_limit: float = Field(0.15, gt=0, le=1, description="A run beyond it is marked as failed.")


class ExecutionSimulationSettings(_Group):
    """How orders are filled in a backtest."""

    slippage_model: Literal["square_root", "linear", "fixed", "none"] = Field(
        "square_root", description="How orders move the price."
    )
    commission_rate: Decimal = Field(
        Decimal("0.001"), ge=Decimal("-0.01"), le=Decimal("0.1"), description="Fee as a fraction, both sides."
    )
    market_impact: bool = Field(default=True, description="Whether large orders get worse prices.")
    partial_fills: bool = Field(default=True, description="Whether the bar's volume limits what is filled.")


class BacktestingSettings(_Group):
    """Backtests and studies."""

    historical_data: HistoricalDataSettings = Field(default_factory=HistoricalDataSettings)
    walk_forward: WalkForwardSettings = Field(default_factory=WalkForwardSettings)
    metrics: BacktestMetricsSettings = Field(default_factory=BacktestMetricsSettings)
    execution: ExecutionSimulationSettings = Field(default_factory=ExecutionSimulationSettings)
