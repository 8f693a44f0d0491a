"""Keeps the records of execution quality of one home folder in the report database.

The tracker that makes them lives in memory, so after a start the journal is read from its first fact on; what the
tables have already is not written again. All of it happens in the thread of the reports.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import msgspec

from engine.control.projector import Projector
from engine.model.quality import OrderQuality, TradeQuality
from engine.quality.tracker import KINDS, Tracker
from engine.state import EXTERNAL

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from engine import events as ev
    from engine.errors import DataError
    from storage.database import Database
    from storage.journal.reader import Reader
    from storage.tables import OrderQualityRow, Record, TradeQualityRow

__all__ = ["QualityBook", "order_of", "order_row", "trade_of", "trade_row"]

_SPACE = uuid.UUID("f3a1a1de-6d7e-4b5c-93a2-0f6a8f2c7d41")
ROWS = 200
"""Rows that one statement replaces."""


class QualityBook(Projector):
    """See the module; takes what a `Projector` takes."""

    view = "quality"
    kinds = KINDS

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._tracker = Tracker()
        self._heard = 0
        self._known = 0
        """Last fact that the tables contained at the start."""

    @classmethod
    def beside(cls, other: Projector) -> QualityBook:
        """One that follows the journal of another view into the same database."""
        return cls(other._reports, other._journal, other._clock, other._newest, other._errors)

    async def begin(self, database: Database, reader: Reader) -> int:
        """Find out what the tables contain, and begin at the first fact."""
        self._known = await super().begin(database, reader)
        self._tracker, self._heard = Tracker(), 0
        return 0

    async def step(self, database: Database) -> bool:
        """Take in one page of facts; tells whether there are more."""
        more = await super().step(database)
        self._tracker.take()
        return more

    def rows_of(self, reader: Reader, records: list[ev.Record]) -> dict[Any, Record]:
        """The rows of every record that has changed and is not stored."""
        for record in records:
            if record.seq > self._heard:
                # A page whose writing failed comes again; what was heard of it is in the tracker already.
                self._tracker.hear(record)
                self._heard = record.seq
                self._pacer.pause()
        if self._heard <= self._known:
            return {}
        orders, trades = self._tracker.orders.values(), self._tracker.trades.values()
        rows: list[Record] = [order_row(order) for order in orders]
        rows += [trade_row(trade) for trade in trades if trade.owner != EXTERNAL]
        return {row.id: row for row in rows}

    async def keep(self, session: AsyncSession, rows: dict[Any, Record], seq: int) -> None:
        """Put rows in the place of their earlier ones; the cursor does not go back while the journal is read again."""
        from storage.repositories.repository import Repository

        by_model: dict[type[Record], list[Record]] = {}
        for row in rows.values():
            by_model.setdefault(type(row), []).append(row)
        for model, found in by_model.items():
            table = Repository(session, model)
            for first in range(0, len(found), ROWS):
                part = found[first : first + ROWS]
                await table.delete_where(table.query().one_of("id", [row.id for row in part]))
                await table.add_many(part)
        await super().keep(session, {}, max(seq, self._known))

    async def clear(self, session: AsyncSession) -> None:
        """Empty both tables."""
        import sqlalchemy as sa

        from storage.tables import OrderQualityRow, TradeQualityRow

        for model in (OrderQualityRow, TradeQualityRow):
            await session.execute(sa.delete(model))

    def step_aside(self, records: list[ev.Record], error: DataError) -> bool:
        """Go on behind a page of which a record has no place in the tables."""
        self._tracker.take()
        return super().step_aside(records[-1:], error)


def order_row(order: OrderQuality) -> OrderQualityRow:
    """An order's record as a row."""
    from storage.tables import OrderQualityRow

    return OrderQualityRow(
        id=uuid.uuid5(_SPACE, f"order|{order.account}|{order.client_id}"),
        client_order_id=order.client_id,
        venue_order_id=order.venue_order_id or None,
        account=order.account,
        instrument=order.instrument,
        owner=order.owner,
        parent=order.parent or None,
        trade=order.trade or None,
        next_trade=order.next_trade or None,
        created_ns=order.chain.intended,
        ended_ns=order.chain.ended,
        record=_plain(order),
    )


def trade_row(trade: TradeQuality) -> TradeQualityRow:
    """A trade's record as a row."""
    from storage.tables import TradeQualityRow

    return TradeQualityRow(
        id=uuid.uuid5(_SPACE, f"trade|{trade.id}"),
        trade=trade.id,
        account=trade.account,
        instrument=trade.instrument,
        owner=trade.owner,
        opened_ns=trade.opened,
        closed_ns=trade.closed,
        record=_plain(trade),
    )


def order_of(row: OrderQualityRow) -> OrderQuality:
    """The record in a row."""
    return msgspec.convert(row.record, OrderQuality)


def trade_of(row: TradeQualityRow) -> TradeQuality:
    """The record in a row."""
    return msgspec.convert(row.record, TradeQuality)


def _plain(record: OrderQuality | TradeQuality) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.to_builtins(record, str_keys=True)
    return found
