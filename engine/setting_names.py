"""Under which names the environment reaches settings."""

from __future__ import annotations

__all__ = ["ENV_NAMES", "FILE_ONLY", "PREFIX"]

ENV_NAMES: dict[str, str] = {
    "ENVIRONMENT": "environment",
    "DEBUG": "debug",
    "DB_HOST": "database.postgresql_host",
    "DB_PORT": "database.postgresql_port",
    "DB_NAME": "database.postgresql_database",
    "DB_USERNAME": "database.postgresql_username",
    "DB_PASSWORD": "database.postgresql_password",
    "DB_POOL_SIZE": "database.postgresql_pool_size",
    "RISK_POSITION_SIZE_PCT": "risk.position_size_pct",
    "RISK_MAX_POSITION_SIZE_PCT": "risk.max_position_size_pct",
    "RISK_MAX_POSITIONS": "risk.max_total_positions",
    "RISK_MAX_PORTFOLIO_EXPOSURE": "risk.max_portfolio_exposure",
    "RISK_MAX_DAILY_LOSS": "risk.max_daily_loss_pct",
    "RISK_MAX_DRAWDOWN": "risk.max_drawdown_pct",
    "CAPITAL_BASE_CURRENCY": "paper.base_currency",
    "CAPITAL_TOTAL": "capital_management.total_capital",
    "CAPITAL_EMERGENCY_RESERVE": "capital_management.emergency_reserve_pct",
    "CAPITAL_ALLOCATION_STRATEGY": "capital_management.allocation_strategy",
    "CAPITAL_REBALANCE_FREQUENCY": "capital_management.rebalance_frequency_hours",
    "CAPITAL_MIN_ALLOCATION": "capital_management.min_allocation_pct",
    "CAPITAL_MAX_ALLOCATION": "capital_management.max_allocation_pct",
    "CAPITAL_MAX_EXCHANGE_PCT": "capital_management.max_exchange_allocation_pct",
    "CAPITAL_MIN_EXCHANGE_BALANCE": "capital_management.min_exchange_balance",
    "CAPITAL_MAX_DAILY_REALLOCATION": "capital_management.max_daily_reallocation_pct",
    "CAPITAL_FLOW_COOLDOWN": "capital_management.fund_flow_cooldown_minutes",
    "MAX_STRATEGIES": "strategies.max_concurrent_strategies",
}
"""Names of single settings in the environment -> setting; also understood with the prefix QUARTERDECK_."""
PREFIX = "QUARTERDECK_"
FILE_ONLY = ("backtesting.", "capital_management.", "error_handling.", "rules", "venues")
"""Settings that the environment does not reach but under the names of `ENV_NAMES`."""
