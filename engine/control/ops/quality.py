"""Operations on execution quality: what executions cost and how fast they were, out of the report database."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from engine.control.ops.history import owner_names, owner_of
from engine.control.present.quality import MOST_ORDERS, trade_detail, trade_score
from engine.control.registry import operation
from engine.control.requests import Empty
from engine.control.requests_quality import QualityOf, QualitySummary, QualityTrades
from engine.control.views_quality import OffsetRow, QualityReport, TradeScores
from engine.errors import ConflictError, NotFoundError
from engine.quality.summary import summarise

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy.ext.asyncio import AsyncSession

    from engine.control.context import Context
    from engine.control.views_quality import TradeDetail
    from engine.model.quality import GroupQuality, OrderQuality
    from storage.database import Database
    from storage.journal.pacing import Pacer
    from storage.tables import TradeQualityRow

MOST = 20_000
"""Orders that are put together at once, the newest ones."""
BATCH = 200


@operation("quality.summary", QualitySummary, offline=True)
async def quality_summary(context: Context, request: QualitySummary) -> QualityReport:
    """Slippage, timing, fill rates, mark-outs and causes of profit of orders, put together by something."""
    _not_in_the_past(context)
    owner, name, since = owner_of(context, request.owner), owner_names(context), request.since or 0
    settings = context.settings.quality
    behind = None if context.quality_book is None else context.quality_book.behind

    async def work(database: Database) -> QualityReport:
        from engine.control.quality_book import order_of
        from storage.journal.pacing import Pacer
        from storage.repositories.repository import Repository
        from storage.tables import OrderQualityRow

        pacer, found, complete = Pacer(), list["OrderQuality"](), True
        async with database.reading() as session:
            table = Repository(session, OrderQualityRow)
            query = table.query().between("created_ns", since).sorted_by("-created_ns")
            if owner is not None:
                query = query.equal(owner=owner)
            if request.instrument is not None:
                query = query.equal(instrument=request.instrument)
            pacer.begin()
            async for row in table.stream(query, batch=BATCH):
                if len(found) == MOST:
                    complete = False
                    break
                found.append(order_of(row))
                pacer.pause()
        groups = summarise(_paced(found, pacer), request.by, settings.poor_slippage)
        if request.by == "bot":
            groups = [_renamed(group, name(group.name)) for group in groups]
        return QualityReport(
            by=request.by,
            since=since,
            groups=tuple(groups),
            complete=complete,
            poor_slippage=settings.poor_slippage,
            fill_rate_target=settings.fill_rate_target,
            behind=behind,
        )

    return await context.need_reports().run(work)


@operation("quality.trades", QualityTrades, offline=True)
async def quality_trades(context: Context, request: QualityTrades) -> TradeScores:
    """Trades with their profit by its causes, their slippage and their score, the last opened first."""
    _not_in_the_past(context)
    owner, name = owner_of(context, request.owner), owner_names(context)
    poor = float(context.settings.quality.poor_slippage)

    async def work(database: Database) -> TradeScores:
        from engine.control.quality_book import trade_of
        from storage.repositories.repository import Repository
        from storage.tables import TradeQualityRow

        async with database.reading() as session:
            table = Repository(session, TradeQualityRow)
            query = table.query().sorted_by("-opened_ns")
            if owner is not None:
                query = query.equal(owner=owner)
            if request.instrument is not None:
                query = query.equal(instrument=request.instrument)
            if request.open is not None:
                query = query.equal(closed_ns=0) if request.open else query.unequal(closed_ns=0)
            page = await table.page(query, number=request.page, size=request.size)
            orders = await _orders_of(session, [row.trade for row in page.items])
        rows = tuple(trade_score(trade_of(row), orders.get(row.trade, ()), name, poor) for row in page.items)
        return TradeScores(rows=rows, page=page.number, pages=page.pages, total=page.total)

    return await context.need_reports().run(work)


@operation("quality.trade", QualityOf, offline=True)
async def quality_trade(context: Context, request: QualityOf) -> TradeDetail:
    """One trade with its orders, their timing, mark-outs and executions, found by any name that leads to it."""
    _not_in_the_past(context)
    owner, name = owner_of(context, request.id), owner_names(context)
    poor = context.settings.quality.poor_slippage

    async def work(database: Database) -> TradeDetail:
        async with database.reading() as session:
            found = await _trades_of(session, request.id, owner or request.id)
            if not found:
                raise NotFoundError(
                    f"No trade is known under {request.id}; a moment ago it may not have been recorded yet. "
                    "`quality.trades` lists them."
                )
            return await trade_detail(session, found, name, poor)

    return await context.need_reports().run(work)


@operation("quality.offsets", Empty)
async def quality_offsets(context: Context, request: Empty) -> list[OffsetRow]:
    """How far from the market slices of passive schedules rest, by instrument, and how many were executed in time."""
    offsets = context.need_engine().algos.offsets
    rates = {} if offsets is None else offsets.rates
    return [
        OffsetRow(
            instrument=instrument,
            offset=rate.offset,
            seen=rate.seen,
            filled=rate.filled,
            fill_rate=rate.rate,
            fill_rate_target=rate.target,
        )
        for instrument, rate in sorted(rates.items())
    ]


def _paced(orders: Sequence[OrderQuality], pacer: Pacer) -> Iterator[OrderQuality]:
    """Orders one by one, with rests in between for the engine's loop."""
    pacer.begin()
    for order in orders:
        pacer.pause()
        yield order


def _not_in_the_past(context: Context) -> None:
    if context.replay is not None:
        raise ConflictError(
            "Execution quality is recorded up to the present and not for moments of the past; leave the replay for it."
        )


def _renamed(group: GroupQuality, name: str) -> GroupQuality:
    return msgspec.structs.replace(group, name=name)


async def _orders_of(session: AsyncSession, trades: Sequence[str]) -> dict[str, list[OrderQuality]]:
    """The records of the orders of these trades, those of a trade the first intended first."""
    from engine.control.quality_book import order_of
    from storage.repositories.repository import Repository
    from storage.tables import OrderQualityRow

    table, found = Repository(session, OrderQualityRow), dict[str, list["OrderQuality"]]()
    for column in ("trade", "next_trade"):
        query = table.query().one_of(column, trades).sorted_by("created_ns")
        for row in await table.find(query, limit=MOST_ORDERS):
            found.setdefault(getattr(row, column), []).append(order_of(row))
    return found


async def _trades_of(session: AsyncSession, name: str, owner: str) -> list[TradeQualityRow]:
    """The trades that a name leads to, the last opened first."""
    from storage.repositories.repository import Repository
    from storage.tables import FillHistoryRow, OrderQualityRow, TradeQualityRow

    trades, orders = Repository(session, TradeQualityRow), Repository(session, OrderQualityRow)
    wanted = {name}
    named = [name]
    fills = Repository(session, FillHistoryRow)
    named += [fill.client_order_id for fill in await fills.find(fills.query().equal(trade_id=name), limit=20)]
    leads = (
        orders.query().one_of("client_order_id", named),
        orders.query().equal(venue_order_id=name),
        orders.query().equal(parent=name),
    )
    for lead in leads:
        for row in await orders.find(lead, limit=MOST_ORDERS):
            wanted |= {trade for trade in (row.trade, row.next_trade) if trade is not None}
    found = await trades.find(trades.query().one_of("trade", sorted(wanted)).sorted_by("-opened_ns"))
    if found:
        return found
    for column, value in (("owner", owner), ("instrument", name)):
        query = trades.query().equal(**{column: value}).sorted_by("-opened_ns")
        found = await trades.find(query, limit=20)
        if found:
            break
    return found
