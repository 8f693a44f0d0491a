"""Operations on what has ended: orders and executions out of the report database, page by page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.control.present.orders import fill_row, order_row
from engine.control.registry import operation
from engine.control.requests_research import HistoryPage
from engine.control.views import FillHistoryView, FillRow, OrderHistoryView, OrderRow
from engine.errors import NotFoundError, StorageError
from engine.events import OrderFilled
from engine.logs import get_logger
from engine.model.ids import MANUAL, AccountId, ClientOrderId, Currency, InstrumentId, Owner
from storage.journal.reader import Query

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.control.context import Context
    from storage.database import Database
    from storage.tables import FillHistoryRow, OrderHistoryRow

log = get_logger(__name__)


@operation("orders.history", HistoryPage, offline=True)
async def order_history(context: Context, request: HistoryPage) -> OrderHistoryView:
    """Ended orders of all time, the last ended first; while the database is away, those that the engine remembers."""
    owner, name = owner_of(context, request.owner), owner_names(context)
    if context.replay is not None:
        # The database knows what came later.
        return _remembered(context, request, owner)

    async def work(database: Database) -> OrderHistoryView:
        from storage.repositories.repository import Repository
        from storage.tables import OrderHistoryRow

        async with database.reading() as session:
            table = Repository(session, OrderHistoryRow)
            query = table.query().sorted_by("-closed_ns")
            if owner is not None:
                query = query.equal(owner=owner)
            if request.instrument is not None:
                query = query.equal(instrument=request.instrument)
            page = await table.page(query, number=request.page, size=request.size)
        rows = tuple(_order(row, name) for row in page.items)
        return OrderHistoryView(rows=rows, page=page.number, pages=page.pages, total=page.total)

    try:
        return await context.need_reports().run(work)
    except StorageError as error:
        if context.engine is None:
            raise
        log.warning("the order history comes from memory", problem=error.message)
        return _remembered(context, request, owner)


@operation("orders.fill_history", HistoryPage, offline=True)
async def fill_history(context: Context, request: HistoryPage) -> FillHistoryView:
    """Executions of all time, the newest first."""
    owner, name = owner_of(context, request.owner), owner_names(context)
    if context.replay is not None:
        return await _replayed(context, request, owner)

    async def work(database: Database) -> FillHistoryView:
        from storage.repositories.repository import Repository
        from storage.tables import FillHistoryRow

        async with database.reading() as session:
            table = Repository(session, FillHistoryRow)
            query = table.query().sorted_by("-ts_ns")
            if owner is not None:
                query = query.equal(owner=owner)
            if request.instrument is not None:
                query = query.equal(instrument=request.instrument)
            page = await table.page(query, number=request.page, size=request.size)
        rows = tuple(fill_of(row, name) for row in page.items)
        return FillHistoryView(rows=rows, page=page.number, pages=page.pages, total=page.total)

    return await context.need_reports().run(work)


def owner_names(context: Context) -> Callable[[str], str]:
    """Gives names of owners as they are now; work in the thread of the reports must not look into the state."""
    bots = {} if context.engine is None else {bot.id: bot.name for bot in context.engine.state.bots.values()}
    return lambda owner: bots.get(Owner(owner), owner)


def owner_of(context: Context, name: str | None) -> str | None:
    """The owner whom a person named: by a bot's name or id, or `manual`; None for none."""
    if name is None or name == MANUAL or context.engine is None:
        return name
    try:
        return context.engine.bots.find(name).id
    except NotFoundError:
        # A bot that was deleted still has its history, under its id.
        return name


async def _replayed(context: Context, request: HistoryPage, owner: str | None) -> FillHistoryView:
    """Executions as far as a replay has come, out of the journal."""
    engine, reader = context.need_engine(), context.reader
    assert reader is not None
    query = Query(kinds=("OrderFilled",), owner=owner or "")
    total = await reader.count(query)
    first = (request.page - 1) * request.size
    records = (await reader.latest(first + request.size, query))[first:]
    rows = tuple(
        fill_row(engine, record.seq, record.event)
        for record in records
        if isinstance(record.event, OrderFilled)
        and (request.instrument is None or record.event.fill.instrument == request.instrument)
    )
    return FillHistoryView(rows=rows, page=request.page, pages=-(-total // request.size), total=total)


def _remembered(context: Context, request: HistoryPage, owner: str | None) -> OrderHistoryView:
    engine = context.need_engine()
    found = [
        order
        for order in reversed(engine.state.recent.values())
        if (owner is None or order.owner == owner)
        and (request.instrument is None or order.instrument == request.instrument)
    ]
    first = (request.page - 1) * request.size
    rows = tuple(order_row(engine, order) for order in found[first : first + request.size])
    return OrderHistoryView(rows=rows, page=request.page, pages=-(-len(found) // request.size), total=len(found))


def _order(row: OrderHistoryRow, name: Callable[[str], str]) -> OrderRow:
    return OrderRow(
        client_id=ClientOrderId(row.client_order_id),
        venue_order_id=row.venue_order_id or "",
        account=AccountId(row.account),
        instrument=InstrumentId(row.instrument),
        owner=Owner(row.owner),
        owner_name=name(row.owner),
        side=row.side,
        type=row.type,
        tif=row.tif,
        quantity=row.quantity,
        filled=row.filled,
        price=row.price,
        stop_price=row.stop_price,
        average_price=row.average_price,
        status=row.status,
        # Of use while an order works; not kept of ended ones.
        cancel_requested=False,
        reduce_only=False,
        post_only=False,
        created=row.created_ns,
        updated=row.closed_ns,
        reason=row.close_reason or row.reason,
    )


def fill_of(row: FillHistoryRow, name: Callable[[str], str]) -> FillRow:
    """An execution out of the report database; `name` gives an owner's name."""
    return FillRow(
        seq=0,
        ts=row.ts_ns,
        instrument=InstrumentId(row.instrument),
        owner=Owner(row.owner),
        owner_name=name(row.owner),
        side=row.side,
        price=row.price,
        quantity=row.quantity,
        fee=row.fee,
        fee_currency=Currency(row.fee_currency),
        liquidity=row.liquidity,
        client_id=ClientOrderId(row.client_order_id),
        account=AccountId(row.account),
    )
