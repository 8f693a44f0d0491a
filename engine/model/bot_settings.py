"""Settings of all bots together."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["BotSettings", "ConflictPolicy"]

ConflictPolicy = Literal["refuse", "priority", "net"]
"""Who yields when a bot would enter against another one in the same account."""


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
