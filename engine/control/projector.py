"""Follows the journal and keeps the history tables: what has ended, what was executed, who did what.

The tables are a view: a page of facts and the cursor behind it are written in one transaction, writing a page again
changes nothing, and another journal instance makes the view begin anew. All of it happens in the thread of the reports.
"""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

from engine import events as ev
from engine.errors import DataError, DataValidationError, QuarterdeckError
from engine.logs import get_logger
from engine.resilience.handler import ErrorHandler
from engine.resilience.policy import RetryPolicy
from storage.journal.pacing import Pacer
from storage.journal.reader import Query, Reader
from storage.journal.schema import connect, read_meta

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sqlalchemy.ext.asyncio import AsyncSession

    from engine.clock import Clock
    from engine.control.reports import Reports
    from storage.database import Database
    from storage.tables import ProjectionCursorRow, Record

__all__ = ["Projector"]

log = get_logger(__name__)

VIEW = "history"
PAGE = 250
"""Facts of a transaction."""
QUIET_FACTS = 2_000
"""Facts without anything to show after which the cursor alone is written."""
INTERVAL_S = 0.5
CATCH_UP_S = 0.02
"""Rest between two pages while there is more to do."""
RETRY_S = 10.0
"""Longest rest after a failure."""

KINDS = (
    "OrderFilled", "OrderAmended", "OrderCanceled", "OrderExpired", "OrderRejected", "ExternalFillSeen",
    "OperatorActed", "BreakerTripped", "TradingStateChanged", "BotStateChanged", "PositionLiquidated", "ScenarioEnded",
    "RecoveryVerified", "StateChecked", "PositionAdopted", "LockPlaced", "RegimeChanged", "StressTested",
    "PoorExecution",
    "LimitBreached",
)  # fmt: skip


class Projector:
    """Keeps the history tables of one home folder. Another view of the journal overrides what it keeps.

    Args:
        reports: The database, and the thread in which everything is done.
        journal: The journal's file.
        clock: Waits.
        newest: Gives the number of the last durable fact, so that nothing is asked while there is nothing new.
        errors: Hears why it cannot follow, and gives the pauses.
    """

    view = VIEW
    kinds: tuple[str, ...] = KINDS
    """Facts that it looks at."""

    def __init__(
        self,
        reports: Reports,
        journal: Path,
        clock: Clock,
        newest: Callable[[], int] | None = None,
        errors: ErrorHandler | None = None,
    ) -> None:
        self._errors = errors or ErrorHandler(clock)
        self._policy = RetryPolicy(self._errors.settings.database_errors, clock)
        self._failures = 0
        self._reports = reports
        self._journal = journal
        self._clock = clock
        self._newest = newest
        self._pacer = Pacer()
        self._page = PAGE
        self._stored = 0
        self.cursor: int | None = None
        """Last fact that the tables contain; None before the first look."""
        self.problem = ""
        """Why it cannot follow; empty while all is well."""

    @property
    def behind(self) -> int | None:
        """Durable facts that have not been looked at; None when that is not known."""
        if self._newest is None or self.cursor is None:
            return None
        return max(0, self._newest() - self.cursor)

    async def run(self) -> None:
        """Follow until cancelled; a database that is away is asked again later."""
        while True:
            more = False
            try:
                if self.cursor is None or self._newest is None or self._newest() > self.cursor:
                    more = await self._reports.run(self.step)
                self.problem, self._failures = "", 0
            except Exception as error:
                # A view that fails must neither end for good nor touch the engine.
                problem = error.message if isinstance(error, QuarterdeckError) else repr(error)
                if self.problem != problem:
                    log.warning("the history is not being written", problem=problem, exc_info=error)
                self.problem = problem
                self._failures += 1
                self._errors.report(error, component="reports", operation="project")
            await self._clock.sleep(self._rest(more=more))

    def _rest(self, *, more: bool) -> float:
        if self._failures:
            return min(self._policy.pause(self._failures), RETRY_S)
        return CATCH_UP_S if more else INTERVAL_S

    async def catch_up(self) -> int:
        """Follow to the end of the journal once; returns the number of the last fact seen."""
        while await self._reports.run(self.step):
            pass
        return self.cursor or 0

    async def step(self, database: Database) -> bool:
        """Take in one page of facts; tells whether there are more. Runs in the thread of the reports.

        Raises:
            QuarterdeckError: Journal or database cannot be used; nothing of the page was kept.
        """
        self._pacer.begin()
        with closing(Reader(self._journal, self._pacer.pause)) as reader:
            if self.cursor is None:
                self.cursor = self._stored = await self.begin(database, reader)
            page = reader.since(self.cursor, self._page, Query(kinds=self.kinds))
            rows = self.rows_of(reader, page.records)
        if rows or page.cursor - self._stored >= QUIET_FACTS:
            try:
                async with database.session() as session:
                    await self.keep(session, rows, page.cursor)
            except DataError as error:
                if not _refused(error) or not self.step_aside(page.records, error):
                    raise
                return True
            self._stored = page.cursor
        if self._page < PAGE and page.records:
            self._page = min(PAGE, self._page * 2)
        self.cursor = page.cursor
        return page.cursor < page.last

    def rows_of(self, reader: Reader, records: list[ev.Record]) -> dict[Any, Record]:
        """The rows that a page of facts makes or changes, by key."""
        return _rows(reader, records)

    async def keep(self, session: AsyncSession, rows: dict[Any, Record], seq: int) -> None:
        """Write rows and the cursor behind them."""
        await _write(session, rows)
        await _move_cursor(session, seq, self.view)

    async def clear(self, session: AsyncSession) -> None:
        """Empty what can be told again."""
        await _clear(session)

    def step_aside(self, records: list[ev.Record], error: DataError) -> bool:
        """A fact that a table refuses must not keep the others out: find it alone, note it, go on behind it."""
        if len(records) > 1:
            self._page = max(1, len(records) // 2)
            return True
        if not records:
            return False
        log.error("a fact has no place in the history", seq=records[0].seq, problem=error.message)
        self.cursor = records[0].seq
        return True

    async def begin(self, database: Database, reader: Reader) -> int:
        """Find the cursor; begin anew when it belongs to another instance of the journal or lies beyond its end."""
        from storage.repositories.repository import Repository
        from storage.tables import ProjectionCursorRow

        with closing(connect(self._journal, read_only=True)) as connection:
            meta = read_meta(connection)
        async with database.session() as session:
            table = Repository(session, ProjectionCursorRow)
            found = await table.first(table.query().equal(view=self.view))
            if found is not None and found.instance == meta.instance and found.seq <= reader.last_seq():
                return found.seq
            if found is None:
                await table.add(ProjectionCursorRow(view=self.view, instance=meta.instance, epoch=meta.epoch, seq=0))
            else:
                log.warning("a view is made anew from the journal", view=self.view, instance=meta.instance)
                await self.clear(session)
                _point(found, 0, meta.instance, meta.epoch)
            return 0


def _refused(error: DataError) -> bool:
    """A row itself was at fault; a full disk or a lost connection is no reason to leave anything out."""
    return isinstance(error, DataValidationError) or error.error_code == "constraint"


def _point(cursor: ProjectionCursorRow, seq: int, instance: str, epoch: int) -> None:
    cursor.seq, cursor.instance, cursor.epoch = seq, instance, epoch


async def _clear(session: AsyncSession) -> None:
    """Empty what can be told again; the audit log is append-only and recognises what it has."""
    import sqlalchemy as sa

    from storage.tables import FillHistoryRow, OrderHistoryRow

    for model in (OrderHistoryRow, FillHistoryRow):
        await session.execute(sa.delete(model))


async def _move_cursor(session: AsyncSession, seq: int, name: str) -> None:
    import sqlalchemy as sa

    from storage.repositories.query import column_of
    from storage.tables import ProjectionCursorRow

    view = column_of(ProjectionCursorRow, "view")
    await session.execute(sa.update(ProjectionCursorRow).where(view == name).values(seq=seq))


def _rows(reader: Reader, records: list[ev.Record]) -> dict[Any, Record]:
    """The rows that these facts make or change, by key; a later one takes an earlier one's place."""
    from engine.control import history_rows as make

    rows: dict[Any, Record] = {}
    owners: dict[str, str] = {}

    def keep(row: Record | None) -> None:
        if row is not None:
            rows[row.id] = row

    def order(client_id: str) -> None:
        if client_id in owners:
            return
        life = reader.order_history(client_id)
        begins = (r.event.owner for r in life if isinstance(r.event, ev.OrderIntended | ev.OrderAdopted))
        owners[client_id] = next(begins, "external")
        keep(make.order_row(life))

    for record in records:
        match record.event:
            case ev.OrderFilled(fill=fill):
                order(fill.client_id)
                keep(make.fill_row(fill, owners[fill.client_id]))
            case ev.ExternalFillSeen(fill=fill):
                keep(make.fill_row(fill, "external"))
            case ev.OrderAmended() | ev.OrderCanceled() | ev.OrderExpired() | ev.OrderRejected():
                order(record.event.client_id)
            case _:
                for row in make.told_rows(record):
                    keep(row)
    return rows


async def _write(session: AsyncSession, rows: dict[Any, Record]) -> None:
    """Add rows; an order takes the place of its earlier row, anything else that is there already stays."""
    import sqlalchemy as sa

    from storage.repositories.query import column_of
    from storage.repositories.repository import Repository
    from storage.tables import OrderHistoryRow

    by_model: dict[type[Record], list[Record]] = {}
    for row in rows.values():
        by_model.setdefault(type(row), []).append(row)
    for model, found in by_model.items():
        identity = column_of(model, "id")
        wanted = [row.id for row in found]
        if model is OrderHistoryRow:
            await session.execute(sa.delete(model).where(identity.in_(wanted)))
        else:
            known = set(await session.scalars(sa.select(identity).where(identity.in_(wanted))))
            found = [row for row in found if row.id not in known]
        await Repository(session, model).add_many(found)
