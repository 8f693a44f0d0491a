"""What went wrong and what was done: errors and their patterns, state audit, pending operations, breakers, stops."""

from __future__ import annotations

from typing import Any, ClassVar
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import Field

from storage.tables.base import (
    Document,
    Long,
    MaybeDocument,
    MaybeMoney,
    MaybeName,
    MaybeTime,
    Name,
    Record,
    StampedRecord,
    Time,
    one_of,
    word,
)
from storage.tables.words import BreakerKind, BreakerState, OperationState, ReportKind, Severity, StopScope
from storage.types import UtcDateTime

__all__ = [
    "AnalyticsReportRow",
    "BreakerEventRow",
    "EmergencyStopRow",
    "ErrorPatternRow",
    "ErrorRecordRow",
    "PendingOperationRow",
    "StateAuditRow",
]


def _cleared_by_somebody() -> sa.CheckConstraint:
    return sa.CheckConstraint("(cleared_at IS NULL) = (cleared_by IS NULL)", name="cleared_by_somebody")


class ErrorRecordRow(StampedRecord, table=True):
    """One error, or several identical ones, with what is needed to find the cause."""

    __tablename__: ClassVar[Any] = "error_records"
    __table_args__ = (
        one_of("severity", Severity),
        sa.CheckConstraint("occurrences >= 1", name="occurrences_positive"),
        sa.CheckConstraint("last_seen >= first_seen", name="last_after_first"),
        sa.Index(None, "component", "last_seen"),
        sa.Index(None, "severity", "last_seen"),
        sa.Index(None, "correlation_id"),
        sa.Index(None, "expires_at"),
    )

    severity: Severity = word(Severity)
    component: Name
    operation: MaybeName = None
    error_type: Name
    message: Long
    context: Document
    """Inputs without secrets, related order, position or bot, and the stack."""
    correlation_id: MaybeName = None
    occurrences: int = 1
    first_seen: Time
    last_seen: Time
    expires_at: Time
    """When retention allows the row to go."""


class ErrorPatternRow(StampedRecord, table=True):
    """A pattern recognised in errors."""

    __tablename__: ClassVar[Any] = "error_patterns"
    __table_args__ = (
        sa.UniqueConstraint("pattern"),
        sa.CheckConstraint("occurrences >= 1", name="occurrences_positive"),
        sa.CheckConstraint("last_seen >= first_seen", name="last_after_first"),
        sa.Index(None, "component", "last_seen"),
        sa.Index(None, "expires_at"),
    )

    pattern: Name
    component: Name
    details: Document
    occurrences: int = 1
    first_seen: Time
    last_seen: Time
    expires_at: Time


class AnalyticsReportRow(StampedRecord, table=True):
    """A report of the error analytics."""

    __tablename__: ClassVar[Any] = "analytics_reports"
    __table_args__ = (
        one_of("kind", ReportKind),
        sa.CheckConstraint("period_end >= period_start", name="period_in_order"),
        sa.Index(None, "kind", "period_end"),
        sa.Index(None, "expires_at"),
    )

    kind: ReportKind = word(ReportKind)
    period_start: Time
    period_end: Time
    content: Document
    expires_at: Time


class StateAuditRow(Record, table=True):
    """A check of the state's consistency, its finding and its correction."""

    __tablename__: ClassVar[Any] = "state_audit"
    __table_args__ = (
        sa.Index(None, "check_name", "timestamp"),
        sa.Index(None, "account", "timestamp"),
    )

    check_name: Name
    account: MaybeName = None
    subject: MaybeName = None
    """What was checked: an order, instrument or currency."""
    passed: bool
    discrepancy: MaybeMoney = None
    """Size of the difference as a fraction; None when it has no size."""
    finding: Long = ""
    correction: Long = ""
    before: MaybeDocument = None
    after: MaybeDocument = None
    timestamp: Time = Field(default=None, sa_type=UtcDateTime(), nullable=False)


class PendingOperationRow(StampedRecord, table=True):
    """An operation that a disconnection interrupted."""

    __tablename__: ClassVar[Any] = "pending_operations"
    __table_args__ = (
        one_of("status", OperationState),
        sa.CheckConstraint("attempts >= 0", name="attempts_non_negative"),
        sa.Index(None, "status", "created_at"),
        sa.Index(None, "exchange", "status"),
    )

    operation: Name
    account: MaybeName = None
    exchange: MaybeName = None
    payload: Document
    status: OperationState = word(OperationState)
    attempts: int = 0
    outcome: Long = ""


class BreakerEventRow(StampedRecord, table=True):
    """A trading breaker changed its state."""

    __tablename__: ClassVar[Any] = "breaker_events"
    __table_args__ = (
        one_of("kind", BreakerKind),
        one_of("state", BreakerState),
        _cleared_by_somebody(),
        sa.Index(None, "account", "occurred_at"),
        sa.Index(None, "bot_id", "occurred_at"),
        sa.Index(None, "kind", "occurred_at"),
    )

    kind: BreakerKind = word(BreakerKind)
    state: BreakerState = word(BreakerState)
    account: MaybeName = None
    bot_id: UUID | None = Field(default=None, foreign_key="bot_instances.id", ondelete="SET NULL")
    cause: Long
    limit_value: MaybeMoney = None
    actual_value: MaybeMoney = None
    details: Document
    """The values that the decision used."""
    occurred_at: Time
    cleared_at: MaybeTime = None
    cleared_by: MaybeName = None
    clear_reason: Long = ""


class EmergencyStopRow(StampedRecord, table=True):
    """An emergency stop: how far it reached, who pulled it, who released it."""

    __tablename__: ClassVar[Any] = "emergency_stops"
    __table_args__ = (
        one_of("scope", StopScope),
        sa.CheckConstraint("(scope = 'global') = (target IS NULL)", name="target_of_scope"),
        _cleared_by_somebody(),
        sa.Index(None, "occurred_at"),
        sa.Index(None, "scope", "target"),
    )

    scope: StopScope = word(StopScope)
    target: MaybeName = None
    """What is stopped within the scope; None for a global stop."""
    cause: Long
    triggered_by: Name
    """A person, or the breaker that called the stop."""
    details: Document
    occurred_at: Time
    cleared_at: MaybeTime = None
    cleared_by: MaybeName = None
    clear_reason: Long = ""
