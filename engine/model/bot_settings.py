"""Settings of all bots together."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["BotSettings", "ConflictPolicy"]

ConflictPolicy = Literal["refuse", "priority", "net"]
"""Who yields when a bot would enter against another one in the same account."""


class StrategyDefaults(BaseModel):
    """Values that strategies have where neither they nor a bot say another; what is left out stays as declared."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    min_confidence: float | None = Field(None, ge=0, le=1, description="Signals below this confidence are dropped.")
    max_positions: int | None = Field(None, ge=1, description="Most positions held at once.")
    position_size_pct: float | None = Field(
        None, ge=0.001, le=0.1, description="Size of one entry as a fraction of equity."
    )
    stop_loss_pct: float | None = Field(None, ge=0.001, le=0.1, description="Stop distance where no other stop is set.")
    take_profit_pct: float | None = Field(None, ge=0.001, le=0.2, description="Target distance where none is set.")


class BotSettings(BaseModel):
    """Limits on bots, and how they are looked after."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)
    max_concurrent_strategies: int = Field(10, ge=1, le=100, description="Bots that may run at once.")
    heartbeat_seconds: float = Field(5.0, ge=1, le=300, description="How often it is looked whether bots are alive.")
    save_seconds: float = Field(10.0, ge=1, le=3600, description="How often what bots remember is saved if it changed.")
    strategy_restart_delay: float = Field(
        60.0,
        ge=1,
        le=3600,
        description="Seconds before a failed bot is restarted; each further try waits twice as long.",
    )
    hot_reload: bool = Field(
        default=True, description="Whether changed files of strategies and bots are applied to running bots."
    )
    hot_reload_seconds: float = Field(30.0, ge=1, le=3600, description="How often those files are looked at.")
    defaults: StrategyDefaults = Field(
        default_factory=StrategyDefaults,
        description="Values of the parameters that every strategy has; a strategy's own default wins.",
    )
    parameters: dict[str, dict[str, bool | int | float | str]] = Field(
        default_factory=dict,
        description="Default values of one strategy's parameters, by its name; what a bot says wins.",
    )
    max_restarts_per_hour: int = Field(5, ge=0, le=60, description="Restarts of a failed bot within an hour.")
    conflict_policy: ConflictPolicy = Field(
        "refuse",
        description="A bot would enter against another: refuse it; by priority or net the other one may have to close.",
    )
    memory_budget_mb: int = Field(
        0, ge=0, description="Memory for strategies in processes of their own; 0 for three quarters of the machine's."
    )
    cpu_budget_cores: float = Field(
        0.0, ge=0, le=1024, description="Processor cores for strategies in processes of their own; 0 for all."
    )
