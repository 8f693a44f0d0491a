"""The tables of history as the monitor of the state sees them: asked, and made anew, in the thread of the reports."""

from __future__ import annotations

from collections import defaultdict
from contextlib import closing
from decimal import Decimal
from typing import TYPE_CHECKING

from engine import events as ev
from engine.consistency.checks import Known
from engine.logs import get_logger
from engine.model.ids import ClientOrderId

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from engine.control.projector import Projector
    from engine.control.reports import Reports
    from engine.engine import Engine
    from storage.database import Database
    from storage.tables import Record

__all__ = ["DatabaseMirror"]

log = get_logger(__name__)


class DatabaseMirror:
    """Ended orders and their executions in the report database of one home folder.

    Args:
        reports: The database, and the thread in which everything is done.
        projector: Knows how far the tables follow the journal.
        journal: The journal's file.
    """

    def __init__(self, reports: Reports, projector: Projector, journal: Path) -> None:
        self._reports = reports
        self._projector = projector
        self._journal = journal

    def serve(self, engine: Engine) -> None:
        """Let the checks of every account of an engine ask here."""
        for unit in engine.venues.values():
            for keep in unit.upkeep.values():
                keep.monitor.mirror = self

    async def stored(self, wanted: Sequence[ClientOrderId]) -> dict[ClientOrderId, Known] | str:
        """What the tables have of these orders; a sentence when they do not follow the journal now.

        Raises:
            QuarterdeckError: The database cannot be read.
        """
        projector = self._projector
        if projector.problem:
            return projector.problem
        if projector.behind is None or not self._reports.is_open:
            return "it has not been opened yet."
        if projector.behind:
            return f"it is {projector.behind:,} facts behind."

        async def work(database: Database) -> dict[ClientOrderId, Known]:
            from storage.repositories.repository import Repository
            from storage.tables import FillHistoryRow, OrderHistoryRow

            async with database.reading() as session:
                orders, fills = Repository(session, OrderHistoryRow), Repository(session, FillHistoryRow)
                found = await orders.find(orders.query().one_of("client_order_id", wanted))
                sums: dict[str, Decimal] = defaultdict(Decimal)
                for fill in await fills.find(fills.query().one_of("client_order_id", wanted)):
                    sums[fill.client_order_id] += fill.quantity
            return {
                ClientOrderId(row.client_order_id): Known(row.status, row.filled, sums[row.client_order_id])
                for row in found
            }

        return await self._reports.run(work)

    async def remake(self, wanted: Sequence[ClientOrderId]) -> None:
        """Make the rows of these orders and of their executions anew from the journal.

        Raises:
            QuarterdeckError: Journal or database cannot be used; nothing was changed.
        """

        async def work(database: Database) -> None:
            import sqlalchemy as sa

            from storage.repositories.query import column_of
            from storage.repositories.repository import Repository
            from storage.tables import FillHistoryRow, OrderHistoryRow

            rows = self._rows(wanted)
            async with database.session() as session:
                for model in (OrderHistoryRow, FillHistoryRow):
                    await session.execute(sa.delete(model).where(column_of(model, "client_order_id").in_(wanted)))
                for row in rows:
                    await Repository(session, type(row)).add_many([row])

        await self._reports.run(work)
        log.warning("rows of history were made anew from the journal", orders=len(wanted))

    def _rows(self, wanted: Sequence[ClientOrderId]) -> list[Record]:
        from engine.control import history_rows as make
        from storage.journal.reader import Reader

        rows: list[Record] = []
        with closing(Reader(self._journal)) as reader:
            for client_id in wanted:
                life = reader.order_history(client_id)
                begins = (r.event.owner for r in life if isinstance(r.event, ev.OrderIntended | ev.OrderAdopted))
                owner = next(begins, "external")
                row = make.order_row(life)
                fills = {r.event.fill.key: r.event.fill for r in life if isinstance(r.event, ev.OrderFilled)}
                rows += [row] if row is not None else []
                rows += [make.fill_row(fill, owner) for fill in fills.values()]
        return rows
