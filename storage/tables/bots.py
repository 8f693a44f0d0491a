"""Bots, the stored configurations and models they use, and how they performed day by day."""

from __future__ import annotations

from datetime import date
from typing import Any, ClassVar
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import Field

from storage.tables.base import (
    Document,
    Long,
    MaybeDocument,
    MaybeRatio,
    MaybeTime,
    Money,
    Name,
    StampedRecord,
    non_negative,
    one_of,
    word,
)
from storage.tables.words import BotState, StrategyKind

__all__ = ["BotInstanceRow", "MLModelRow", "PerformanceMetricsRow", "StrategyConfigRow"]

_NOT_DELETED = sa.text("deleted_at IS NULL")


class BotInstanceRow(StampedRecord, table=True):
    """One bot. Deleting a bot marks it, so that its history keeps a name."""

    __tablename__: ClassVar[Any] = "bot_instances"
    __table_args__ = (
        one_of("strategy_type", StrategyKind),
        one_of("status", BotState),
        sa.Index(
            "uq_bot_instances_name", "name", unique=True, sqlite_where=_NOT_DELETED, postgresql_where=_NOT_DELETED
        ),
        sa.Index(None, "user_id", "created_at"),
        sa.Index(None, "status"),
    )

    name: Name
    user_id: UUID = Field(foreign_key="users.id", ondelete="RESTRICT")
    strategy_type: StrategyKind = word(StrategyKind)
    strategy: Name
    """Registered name of the strategy, such as `trend_following`."""
    exchange: Name
    status: BotState = word(BotState)
    config: Document
    deleted_at: MaybeTime = None


class StrategyConfigRow(StampedRecord, table=True):
    """One version of a stored strategy configuration; earlier versions stay for a rollback."""

    __tablename__: ClassVar[Any] = "strategy_configs"
    __table_args__ = (
        sa.UniqueConstraint("name", "version"),
        one_of("strategy_type", StrategyKind),
        sa.CheckConstraint("version >= 1", name="version_positive"),
        sa.Index(None, "is_active"),
    )

    name: Name
    strategy_type: StrategyKind = word(StrategyKind)
    parameters: Document
    risk_parameters: Document
    is_active: bool = True
    version: int = 1


class MLModelRow(StampedRecord, table=True):
    """A trained model and where its file is."""

    __tablename__: ClassVar[Any] = "ml_models"
    __table_args__ = (
        sa.UniqueConstraint("name", "version"),
        sa.CheckConstraint("version >= 1", name="version_positive"),
        sa.Index(None, "model_type", "is_active"),
    )

    name: Name
    model_type: Name
    version: int = 1
    file_path: Long
    metrics: Document
    parameters: Document
    training_data_range: MaybeDocument = None
    """`start` and `end` of the training data as ISO-8601 UTC; None when it was not recorded."""
    is_active: bool = False


class PerformanceMetricsRow(StampedRecord, table=True):
    """What a bot did on one UTC day; ratios are None while they are undefined."""

    __tablename__: ClassVar[Any] = "performance_metrics"
    __table_args__ = (
        sa.UniqueConstraint("bot_id", "metric_date"),
        sa.CheckConstraint("total_trades >= winning_trades + losing_trades", name="trade_counts"),
        sa.CheckConstraint("winning_trades >= 0 AND losing_trades >= 0", name="trade_counts_non_negative"),
        sa.CheckConstraint("win_rate >= 0 AND win_rate <= 1", name="win_rate_fraction"),
        sa.CheckConstraint("max_drawdown >= 0", name="max_drawdown_non_negative"),
        *non_negative("volume"),
        sa.Index(None, "metric_date"),
    )

    bot_id: UUID = Field(foreign_key="bot_instances.id", ondelete="CASCADE")
    metric_date: date
    total_trades: int = 0
    winning_trades: int = 0
    losing_trades: int = 0
    realized_pnl: Money
    unrealized_pnl: Money
    total_pnl: Money
    fees: Money
    volume: Money
    """Traded notional, quote currency."""
    win_rate: MaybeRatio = None
    sharpe_ratio: MaybeRatio = None
    profit_factor: MaybeRatio = None
    max_drawdown: MaybeRatio = None
    """Fraction of the day's peak equity, 0 or more."""
