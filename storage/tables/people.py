"""People and what they did: users, the append-only audit log, alerts addressed to them."""

from __future__ import annotations

from typing import Any, ClassVar
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import Field

from storage.tables.base import (
    Document,
    Long,
    MaybeDocument,
    MaybeName,
    Name,
    Record,
    StampedRecord,
    Time,
    one_of,
    word,
)
from storage.tables.words import Severity
from storage.types import JSON_DOCUMENT, BoundedText, UtcDateTime

__all__ = ["LOCAL_OPERATOR_ID", "AlertRow", "AuditLogRow", "UserRow"]

LOCAL_OPERATOR_ID = UUID("6f1d0a52-3c1e-4f0e-9a4b-5d1f0c7e2b90")
"""Key of the person at this machine, created by the first migration."""


class UserRow(StampedRecord, table=True):
    """Somebody who may act. A user is switched off, not deleted, once the audit log names them."""

    __tablename__: ClassVar[Any] = "users"
    __table_args__ = (
        sa.UniqueConstraint("username"),
        sa.UniqueConstraint("email"),
        sa.Index(None, "is_active"),
    )

    username: Name
    email: str | None = Field(default=None, sa_type=BoundedText(254))
    password_hash: str | None = Field(default=None, sa_type=BoundedText(256), repr=False)
    """None: cannot sign in over the gateway."""
    is_active: bool = True


class AlertRow(Record, table=True):
    """Something a person should know."""

    __tablename__: ClassVar[Any] = "alerts"
    __table_args__ = (
        one_of("severity", Severity),
        sa.Index(None, "user_id", "timestamp"),
        sa.Index(None, "bot_id", "timestamp"),
        sa.Index(None, "is_read"),
    )

    user_id: UUID = Field(foreign_key="users.id", ondelete="CASCADE")
    bot_id: UUID | None = Field(default=None, foreign_key="bot_instances.id", ondelete="SET NULL")
    alert_type: Name
    severity: Severity = word(Severity)
    title: Name
    message: Long
    details: Document = Field(
        default_factory=dict, sa_type=JSON_DOCUMENT, nullable=False, sa_column_kwargs={"name": "metadata"}
    )
    """The column `metadata`; the ORM keeps that attribute name for itself."""
    is_read: bool = False
    timestamp: Time = Field(default=None, sa_type=UtcDateTime(), nullable=False)


class AuditLogRow(Record, table=True):
    """Who changed what. Rows are only ever added; a trigger refuses everything else."""

    __tablename__: ClassVar[Any] = "audit_log"
    __table_args__ = (
        sa.Index(None, "user_id", "timestamp"),
        sa.Index(None, "resource_type", "resource_id"),
        sa.Index(None, "timestamp"),
    )

    user_id: UUID = Field(foreign_key="users.id", ondelete="RESTRICT")
    action: Name
    resource_type: Name
    resource_id: MaybeName = None
    old_value: MaybeDocument = None
    new_value: MaybeDocument = None
    ip_address: str | None = Field(default=None, sa_type=BoundedText(45))
    """Empty over the local socket."""
    user_agent: str | None = Field(default=None, sa_type=BoundedText(256))
    """Names the client, such as `console` or `daemon`."""
    timestamp: Time = Field(default=None, sa_type=UtcDateTime(), nullable=False)
