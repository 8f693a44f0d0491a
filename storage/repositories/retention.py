"""Retention: rows that say when they expire are removed when that time has come."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from storage.database import session_time
from storage.repositories.query import Query
from storage.repositories.repository import Repository
from storage.tables import AnalyticsReportRow, ErrorPatternRow, ErrorRecordRow, Record, StateAuditRow

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy.ext.asyncio import AsyncSession

__all__ = ["AGES", "RETENTION", "purge_expired"]

RETENTION: Mapping[type[Record], timedelta] = {
    ErrorRecordRow: timedelta(days=90),
    ErrorPatternRow: timedelta(days=30),
    AnalyticsReportRow: timedelta(days=365),
}
"""How long a row is kept after it was last seen, unless its writer says otherwise in `expires_at`."""


AGES: Mapping[type[Record], timedelta] = {StateAuditRow: timedelta(days=90)}
"""How long a row is kept that does not say itself when it expires; the journal holds the same for longer."""


async def purge_expired(session: AsyncSession) -> dict[str, int]:
    """Remove every row whose `expires_at` has passed, or that is older than its table keeps rows.

    Returns:
        Table name to number of rows removed.
    """
    now = session_time(session)
    removed: dict[str, int] = {}
    for model in RETENTION:
        expired = Query(model).within("expires_at", end=now)
        removed[str(model.__tablename__)] = await Repository(session, model).delete_where(expired)
    for model, age in AGES.items():
        old = Query(model).within("timestamp", end=now - age)
        removed[str(model.__tablename__)] = await Repository(session, model).delete_where(old)
    return removed
