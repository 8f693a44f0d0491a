"""Where capital is and how it moved: allocations, flows, profit locks, withdrawal requests."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, ClassVar
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import Field

from engine.errors import DataValidationError
from storage.tables.base import (
    Document,
    Long,
    MaybeName,
    MaybeTime,
    Money,
    Name,
    Ratio,
    Record,
    StampedRecord,
    Time,
    compared,
    non_negative,
    one_of,
    positive,
    word,
)
from storage.tables.words import FlowKind, LockState, WithdrawalState
from storage.types import UtcDateTime

__all__ = ["CapitalAllocationRow", "FundFlowRow", "ProfitLockRow", "WithdrawalRequestRow"]


class CapitalAllocationRow(StampedRecord, table=True):
    """Capital of one strategy in one account of one venue."""

    __tablename__: ClassVar[Any] = "capital_allocations"
    __table_args__ = (
        sa.UniqueConstraint("strategy_id", "account", "exchange"),
        *non_negative("allocated_amount", "utilized_amount", "available_amount"),
        compared("utilized_amount", "allocated_amount"),
        sa.CheckConstraint("allocation_percentage >= 0 AND allocation_percentage <= 1", name="percentage_fraction"),
        sa.Index(None, "bot_id"),
    )

    strategy_id: Name
    bot_id: UUID | None = Field(default=None, foreign_key="bot_instances.id", ondelete="SET NULL")
    account: Name
    exchange: Name
    allocated_amount: Money
    utilized_amount: Money = Decimal(0)
    available_amount: Money
    allocation_percentage: Ratio
    """Fraction of total capital, 0 to 1."""
    last_rebalance: Time

    def verify(self) -> None:
        """Check the use of the allocation exactly.

        Raises:
            DataValidationError: More is used than allocated.
        """
        if self.utilized_amount > self.allocated_amount:
            raise DataValidationError(
                f"The allocation of {self.strategy_id} was not stored: {self.utilized_amount} used is more than "
                f"{self.allocated_amount} allocated."
            )


class FundFlowRow(Record, table=True):
    """One movement of capital, with its reason. Empty ends are outside the product."""

    __tablename__: ClassVar[Any] = "fund_flows"
    __table_args__ = (
        one_of("kind", FlowKind),
        *positive("amount"),
        sa.Index(None, "account", "timestamp"),
        sa.Index(None, "timestamp"),
    )

    account: Name
    kind: FlowKind = word(FlowKind)
    from_strategy: MaybeName = None
    to_strategy: MaybeName = None
    from_exchange: MaybeName = None
    to_exchange: MaybeName = None
    currency: Name
    amount: Money
    reason: Long
    timestamp: Time = Field(default=None, sa_type=UtcDateTime(), nullable=False)


class ProfitLockRow(StampedRecord, table=True):
    """Profit that may not be allocated, compounded or withdrawn yet."""

    __tablename__: ClassVar[Any] = "profit_locks"
    __table_args__ = (
        one_of("status", LockState),
        *positive("amount"),
        sa.Index(None, "account", "unlocks_at"),
        sa.Index(None, "status"),
    )

    account: Name
    currency: Name
    amount: Money
    status: LockState = word(LockState)
    locked_at: Time
    unlocks_at: Time
    unlock_requested_at: MaybeTime = None
    """When an emergency unlock was asked for; its notice runs from here."""
    reason: Long = ""


class WithdrawalRequestRow(StampedRecord, table=True):
    """Somebody asked for money to leave; which rules passed and what was decided."""

    __tablename__: ClassVar[Any] = "withdrawal_requests"
    __table_args__ = (
        one_of("status", WithdrawalState),
        *positive("amount"),
        sa.Index(None, "account", "requested_at"),
        sa.Index(None, "status"),
    )

    user_id: UUID = Field(foreign_key="users.id", ondelete="RESTRICT")
    account: Name
    exchange: Name
    currency: Name
    amount: Money
    status: WithdrawalState = word(WithdrawalState)
    rules: Document
    """Rule name to its verdict at the time of asking."""
    requested_at: Time
    decided_at: MaybeTime = None
    reason: Long = ""
