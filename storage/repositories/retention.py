"""Retention: rows that say when they expire are removed when that time has come."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from storage.database import session_time
from storage.repositories.query import Query
from storage.repositories.repository import Repository
from storage.tables import AnalyticsReportRow, ErrorPatternRow, ErrorRecordRow, Record

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy.ext.asyncio import AsyncSession

__all__ = ["RETENTION", "purge_expired"]

RETENTION: Mapping[type[Record], timedelta] = {
    ErrorRecordRow: timedelta(days=90),
    ErrorPatternRow: timedelta(days=30),
    AnalyticsReportRow: timedelta(days=365),
}
"""How long a row is kept after it was last seen, unless its writer says otherwise in `expires_at`."""


async def purge_expired(session: AsyncSession) -> dict[str, int]:
    """Remove every row whose `expires_at` has passed.

    Returns:
        Table name to number of rows removed.
    """
    now = session_time(session)
    removed: dict[str, int] = {}
    for model in RETENTION:
        expired = Query(model).within("expires_at", end=now)
        removed[str(model.__tablename__)] = await Repository(session, model).delete_where(expired)
    return removed
