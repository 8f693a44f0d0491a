"""Operations on orders and the portfolio."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

from engine import events as ev
from engine.control.closing import close_position
from engine.control.live.admission import live_change, live_order
from engine.control.present.listing import listed
from engine.control.present.orders import fill_row, order_row, preview, to_request
from engine.control.present.portfolio import balance_rows, overview, position_rows
from engine.control.present.sizes import suggestion
from engine.control.registry import Role, Tier, operation
from engine.control.requests import (
    CancelAll,
    CancelOrder,
    ClosePosition,
    Empty,
    HistoryQuery,
    ListFills,
    ListOrders,
    PlaceOrder,
    PreviewOrder,
    ReplaceOrder,
    SuggestSize,
)
from engine.control.requests_listing import ListPositions, ListRows
from engine.control.slippage import bounded
from engine.control.views import EquityPoint
from engine.errors import ConflictError, ValidationError
from engine.model.ids import MANUAL, ClientOrderId, InstrumentId, Owner
from storage.journal.reader import Query

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from decimal import Decimal

    from engine.control.context import Context
    from engine.control.views import BalanceRow, FillRow, OrderPreview, OrderRow, PortfolioOverview, PositionRow
    from engine.control.views_orders import SizeSuggestion
    from engine.model.ids import AccountId
    from engine.model.order import Order

NS_PER_DAY = 86_400_000_000_000
_RANGES = {"day": NS_PER_DAY, "week": 7 * NS_PER_DAY, "month": 31 * NS_PER_DAY}
HISTORY_POINTS = 1_000


@operation("orders.preview", PreviewOrder)
async def preview_order(context: Context, request: PreviewOrder) -> OrderPreview:
    """What an order would cost now and whether risk would let it pass."""
    return preview(context.need_engine(), request)


@operation("orders.suggest_size", SuggestSize)
async def suggest_size(context: Context, request: SuggestSize) -> SizeSuggestion:
    """The size of an entry by the method of the limits, as a bot's would be, capped by every limit."""
    return suggestion(context.need_engine(), request)


@operation("orders.place", PlaceOrder, Role.TRADER, mutates=True, tier=Tier.CONFIRM)
async def place(context: Context, request: PlaceOrder) -> OrderRow:
    """Place an order by hand, through the same gate as every other."""
    engine = context.need_engine()
    engine.unit(InstrumentId(request.instrument))
    engine.hub.market(InstrumentId(request.instrument))
    wanted = to_request(engine, request, request.quantity, request.reason)
    if request.max_slippage is not None:
        wanted = bounded(engine, wanted, request.max_slippage)
    with live_order(context, wanted, request.live) as allowed:
        order = engine.desk.submit(allowed)
    return order_row(engine, order)


@operation("orders.cancel", CancelOrder, Role.TRADER, mutates=True, emergency=True)
async def cancel(context: Context, request: CancelOrder) -> OrderRow:
    """Ask the venue to cancel an order."""
    engine, reason = context.need_engine(), f"cancelled by {context.actor}"
    order = engine.desk.cancel(ClientOrderId(request.client_id), reason)
    parent = engine.state.parents.get(order.parent) if order.parent is not None else None
    if parent is not None and order.oco_group is not None:
        # The parent takes the end of a group's member for the work of the other one; of all others it has heard.
        engine.algos.cancel(parent, f"an order of it was {reason}")
    return order_row(engine, order)


@operation("orders.replace", ReplaceOrder, Role.TRADER, mutates=True, tier=Tier.CONFIRM)
async def replace(context: Context, request: ReplaceOrder) -> OrderRow:
    """Change quantity or prices of a working order in place."""
    if request.quantity is None and request.price is None and request.stop_price is None:
        raise ValidationError("Say what to change: quantity, price or stop price.")
    engine = context.need_engine()
    client_id = ClientOrderId(request.client_id)
    known = engine.state.order(client_id)
    with live_change(context, known, request) if known is not None else nullcontext():
        order = engine.desk.amend(
            client_id, quantity=request.quantity, price=request.price, stop_price=request.stop_price
        )
    return order_row(engine, order)


@operation("orders.cancel_all", CancelAll, Role.TRADER, mutates=True, tier=Tier.CONFIRM, emergency=True)
async def cancel_all(context: Context, request: CancelAll) -> list[OrderRow]:
    """Ask the venue to cancel all open orders, or those of one instrument or owner."""
    engine = context.need_engine()
    owner = _owner(context, request.owner) if request.owner else None

    def wanted(order: Order) -> bool:
        fits = request.instrument is None or order.instrument == request.instrument
        return fits and (owner is None or order.owner == owner)

    # Whoever would place them anew ends first.
    engine.algos.cancel_matching(
        lambda parent: request.instrument in (None, parent.instrument) and owner in (None, parent.owner),
        f"all cancelled by {context.actor}",
    )
    orders = engine.desk.cancel_matching(wanted, f"all cancelled by {context.actor}")
    return [order_row(engine, order) for order in orders]


@operation("orders.list", ListOrders)
async def list_orders(context: Context, request: ListOrders) -> list[OrderRow]:
    """Open orders, or the last ended ones; newest first unless sorted otherwise."""
    engine = context.need_engine()
    owner = _owner(context, request.owner) if request.owner else None
    source = engine.state.orders if request.open else engine.state.recent
    found = [order for order in reversed(source.values()) if _fits(order, request, owner)]
    page = ListRows(limit=request.limit, page=request.page, sort=request.sort)
    if request.sort:
        return listed([order_row(engine, order) for order in found], page)
    # Without an order of one's own only the rows that are shown are made.
    return [order_row(engine, order) for order in listed(found, page)]


def _fits(order: Order, request: ListOrders, owner: Owner | None) -> bool:
    fits = request.instrument is None or order.instrument == request.instrument
    fits = fits and (request.side is None or order.side is request.side)
    return fits and (owner is None or order.owner == owner)


@operation("orders.fills", ListFills)
async def fills(context: Context, request: ListFills) -> list[FillRow]:
    """The last executions, newest first."""
    engine = context.need_engine()
    if context.reader is None:
        return []
    records = await context.reader.latest(request.limit, Query(kinds=("OrderFilled",)))
    ordered = sorted(records, key=lambda record: -record.seq)
    return [fill_row(engine, r.seq, r.event) for r in ordered if isinstance(r.event, ev.OrderFilled)]


@operation("portfolio.overview", Empty)
async def portfolio(context: Context, _: Empty) -> PortfolioOverview:
    """The account in figures."""
    return overview(context.need_engine())


@operation("portfolio.positions", ListPositions)
async def positions(context: Context, request: ListPositions) -> list[PositionRow]:
    """Open positions by owner."""
    owner = _owner(context, request.owner) if request.owner else None
    rows = [
        row
        for row in position_rows(context.need_engine())
        if (owner is None or row.owner == owner) and (request.instrument in (None, row.instrument))
    ]
    return listed(rows, request)


@operation("portfolio.balances", Empty)
async def balances(context: Context, _: Empty) -> list[BalanceRow]:
    """Balances by currency."""
    return balance_rows(context.need_engine())


@operation("portfolio.history", HistoryQuery)
async def history(context: Context, request: HistoryQuery) -> list[EquityPoint]:
    """Equity over time, at most 1,000 points, oldest first; the present value last."""
    engine = context.need_engine()
    now = engine.clock.now()
    since = now - _RANGES[request.range] if request.range in _RANGES else 0
    points: list[EquityPoint] = []
    rates = {
        account.id: engine.rates.rate(account.base_currency, engine.base_currency) for account in engine.open_accounts()
    }
    if context.reader is not None:
        # Thinned in the reader's thread: a month is up to a quarter of a million facts.
        records = await context.reader.thinned("EquityRecorded", since, now, HISTORY_POINTS - 1)
        points = list(_together((r.event for r in records if isinstance(r.event, ev.EquityRecorded)), rates))
    whole = engine.total()
    if whole.known:
        points.append(EquityPoint(ts=now, equity=float(whole.value)))
    return points


def _together(facts: Iterable[ev.EquityRecorded], rates: dict[AccountId, Decimal | None]) -> Iterator[EquityPoint]:
    """What all accounts were worth at each time, in today's rates; nothing before the last of them was opened."""
    last: dict[AccountId, Decimal] = {}
    for fact in facts:
        rate = rates.get(fact.account)
        if rate is None:
            continue
        last[fact.account] = fact.equity * rate
        if len(last) == sum(known is not None for known in rates.values()):
            yield EquityPoint(ts=fact.ts, equity=float(sum(last.values())))


@operation("portfolio.close", ClosePosition, Role.TRADER, mutates=True, tier=Tier.CONFIRM, emergency=True)
async def close(context: Context, request: ClosePosition) -> list[OrderRow]:
    """Close one owner's position at the market; a running bot closes its own and goes on."""
    engine = context.need_engine()
    owner, instrument = _owner(context, request.owner), InstrumentId(request.instrument)
    entry = engine.state.bots.get(owner)
    own = engine.bots.account_of(entry) if entry is not None else None
    account = engine.account_for(instrument, request.account or own or "")
    position = engine.state.owned.get((owner, account, instrument))
    if position is None or not position.lots:
        raise ConflictError(f"{request.owner} has no position in {request.instrument}.")
    return [order_row(engine, order) for order in await close_position(context, position, owner)]


def _owner(context: Context, name: str) -> Owner:
    return MANUAL if name == MANUAL else context.need_engine().bots.find(name).id
