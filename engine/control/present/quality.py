"""Records of execution quality as they are shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.control.views_quality import OrderScore, TradeDetail, TradeScore
from engine.quality import measures
from engine.quality.summary import summarise

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from decimal import Decimal

    from sqlalchemy.ext.asyncio import AsyncSession

    from engine.model.quality import OrderQuality, TradeQuality
    from storage.tables import TradeQualityRow

__all__ = ["MOST_ORDERS", "order_score", "trade_detail", "trade_score"]

MOST_ORDERS = 2_000
"""Orders that are looked at for a trade or a page of trades."""
MOST_SHOWN = 200
"""Orders and executions of a trade that are shown."""


def trade_score(
    trade: TradeQuality, orders: Sequence[OrderQuality], name: Callable[[str], str], poor: float
) -> TradeScore:
    """A trade in a line, with the records of its orders."""
    worse = [(found, float(order.value)) for order in orders if (found := measures.slippage(order)) is not None]
    weight = sum(value for _, value in worse)
    return TradeScore(
        id=trade.id,
        account=trade.account,
        instrument=trade.instrument,
        owner=trade.owner,
        owner_name=name(trade.owner),
        side=trade.side,
        strategy=trade.strategy,
        algorithms=tuple(sorted({order.algorithm or str(order.type) for order in orders})),
        opened=trade.opened,
        closed=trade.closed,
        quantity=trade.entered,
        position=trade.position,
        entry_price=_mean(trade.entry_value, trade.entered),
        exit_price=_mean(trade.exit_value, trade.exited),
        currency=trade.currency,
        pnl=trade.attribution.profit,
        attribution=trade.attribution,
        slippage_bps=sum(found * value for found, value in worse) / weight * measures.BPS if weight else None,
        score=measures.trade_score(orders, poor),
        poor=any(found > poor for found, _ in worse),
        orders=trade.orders,
        fills=trade.fills,
    )


def _mean(value: Decimal, quantity: Decimal) -> Decimal | None:
    return value / quantity if quantity else None


def order_score(order: OrderQuality, poor: float) -> OrderScore:
    """An order with what its record comes to."""
    found = measures.shortfall(order)
    return OrderScore(
        order=order,
        shortfall=None if found is None else found.total,
        delay=None if found is None else found.delay,
        trading=None if found is None else found.trading,
        shortfall_bps=None if found is None else found.bps,
        slippage_pct=measures.slippage(order),
        score=measures.score(order, poor),
        mark_outs={key: measures.mark_out_bps(order, key) for key in sorted(order.marks, key=int)},
    )


async def trade_detail(
    session: AsyncSession, found: Sequence[TradeQualityRow], name: Callable[[str], str], poor: Decimal
) -> TradeDetail:
    """The first of these trades with everything it was made of; the others by their names."""
    from engine.control.ops.history import fill_of
    from engine.control.quality_book import order_of, trade_of
    from storage.repositories.repository import Repository
    from storage.tables import FillHistoryRow, OrderQualityRow

    trade = trade_of(found[0])
    table, fills = Repository(session, OrderQualityRow), Repository(session, FillHistoryRow)
    rows = []
    for column in ("trade", "next_trade"):
        rows += await table.find(table.query().equal(**{column: trade.id}).sorted_by("created_ns"), limit=MOST_ORDERS)
    orders = sorted((order_of(row) for row in rows), key=lambda order: order.chain.intended)
    parents = sorted({order.parent for order in orders if order.parent is not None})
    parts = [order_of(row) for row in await table.find(table.query().one_of("parent", parents), limit=MOST_ORDERS)]
    shown = orders[:MOST_SHOWN]
    query = fills.query().one_of("client_order_id", [order.client_id for order in shown]).sorted_by("ts_ns")
    executed = await fills.find(query, limit=MOST_SHOWN)
    return TradeDetail(
        trade=trade_score(trade, orders, name, float(poor)),
        other_fees=trade.other_fees,
        unmeasured=trade.unmeasured,
        orders=tuple(order_score(order, float(poor)) for order in shown),
        parents=tuple(summarise(parts, "parent", poor)),
        fills=tuple(fill_of(row, name) for row in executed),
        complete=len(shown) == len(orders) and len(executed) < MOST_SHOWN,
        also=tuple(row.trade for row in found[1:]),
    )
