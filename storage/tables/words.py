"""The closed vocabularies of columns whose meaning lives in storage alone; trading's own words are engine.model's."""

from __future__ import annotations

import enum

from engine.model.faults import BreakerState, Severity

__all__ = [
    "BotState",
    "BreakerKind",
    "BreakerState",
    "FlowKind",
    "LockState",
    "OperationState",
    "PositionSide",
    "ReportKind",
    "RunState",
    "Severity",
    "StopScope",
    "StrategyKind",
    "WithdrawalState",
]


class StrategyKind(enum.StrEnum):
    """Family of a strategy."""

    STATIC = "static"
    DYNAMIC = "dynamic"
    ARBITRAGE = "arbitrage"
    MARKET_MAKING = "market_making"
    EVOLUTIONARY = "evolutionary"
    HYBRID = "hybrid"
    AI_ML = "ai_ml"


class BotState(enum.StrEnum):
    """Life of a bot."""

    STOPPED = "stopped"
    STARTING = "starting"
    RUNNING = "running"
    PAUSED = "paused"
    STOPPING = "stopping"
    RECOVERING = "recovering"
    ERROR = "error"


class PositionSide(enum.StrEnum):
    """Direction of an open position or of a round trip."""

    LONG = "long"
    SHORT = "short"


class RunState(enum.StrEnum):
    """Life of a backtest run."""

    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELED = "canceled"


class ReportKind(enum.StrEnum):
    """Rhythm of an error-analytics report."""

    DAILY = "daily"
    WEEKLY = "weekly"
    TREND = "trend"


class OperationState(enum.StrEnum):
    """What became of an operation kept for after a disconnection."""

    PENDING = "pending"
    RESUMED = "resumed"
    DONE = "done"
    ABANDONED = "abandoned"


class FlowKind(enum.StrEnum):
    """Why capital moved."""

    DEPOSIT = "deposit"
    WITHDRAWAL = "withdrawal"
    TRANSFER = "transfer"
    REBALANCE = "rebalance"
    COMPOUNDING = "compounding"


class LockState(enum.StrEnum):
    """Life of a profit lock."""

    LOCKED = "locked"
    UNLOCK_REQUESTED = "unlock_requested"
    UNLOCKED = "unlocked"


class WithdrawalState(enum.StrEnum):
    """Life of a withdrawal request."""

    REQUESTED = "requested"
    APPROVED = "approved"
    REFUSED = "refused"
    EXECUTED = "executed"
    CANCELED = "canceled"


class BreakerKind(enum.StrEnum):
    """What a trading breaker watches."""

    DAILY_LOSS = "daily_loss"
    DRAWDOWN = "drawdown"
    VOLATILITY = "volatility"
    MODEL_CONFIDENCE = "model_confidence"
    ERROR_RATE = "error_rate"


class StopScope(enum.StrEnum):
    """How far an emergency stop reaches."""

    GLOBAL = "global"
    VENUE = "venue"
    ACCOUNT = "account"
    STRATEGY = "strategy"
    BOT = "bot"
