"""Operations on the engine, its markets and its facts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.control.present.activity import activity
from engine.control.present.listing import listed
from engine.control.present.market import (
    book_view,
    feed_row,
    instrument_row,
    ticker_row,
    trades_view,
)
from engine.control.present.status import engine_status
from engine.control.registry import Role, Tier, operation
from engine.control.requests import CandlesQuery, Empty, FactsSince, InstrumentQuery, StopEngine, TradesQuery
from engine.control.requests_listing import WholeList
from engine.errors import ConflictError
from engine.model.candle import timeframe_ns
from engine.model.ids import InstrumentId

if TYPE_CHECKING:
    from collections.abc import Iterable

    from engine.control.context import Context
    from engine.control.views import Activity, BookView, EngineStatus, FeedRow, InstrumentRow, TickerRow, TradesView
    from engine.engine import Engine
    from engine.events import Record
    from engine.model.candle import Candle

CLOSE_DEADLINE_S = 20.0


@operation("engine.status", Empty, emergency=True)
async def status(context: Context, _: Empty) -> EngineStatus:
    """The engine as a whole: mode, age, lag, halts, equity."""
    return engine_status(context.need_engine())


@operation("engine.feeds", Empty)
async def feeds(context: Context, _: Empty) -> list[FeedRow]:
    """Freshness of every market."""
    return [feed_row(market) for market in context.need_engine().hub.markets.values()]


@operation("engine.stop", StopEngine, Role.ADMIN, mutates=True, tier=Tier.CONFIRM, emergency=True)
async def stop(context: Context, request: StopEngine) -> str:
    """End the engine; positions and orders are left, cancelled or closed first."""
    engine = context.need_engine()
    if context.request_stop is None:
        raise ConflictError("This engine cannot be ended from here; stop the process that holds it.")
    if request.positions == "close":
        engine.risk.emergency(context.actor, "the engine is being stopped with all positions closed")
    elif request.positions == "cancel_orders":
        # A bot at work would put its protective orders back; they all go on at the next start.
        engine.bots.suspend()
        engine.desk.cancel_matching(lambda order: True, "the engine is being stopped")
    if request.positions != "leave":
        try:
            await _wait_until_quiet(context, positions=request.positions == "close")
        except ConflictError:
            if request.positions == "cancel_orders":
                await engine.bots.recover(handed_over=True)
            raise
    context.request_stop(f"asked by {context.actor}")
    return "The engine is stopping."


async def _wait_until_quiet(context: Context, *, positions: bool) -> None:
    engine = context.need_engine()
    deadline = engine.clock.monotonic() + int(CLOSE_DEADLINE_S * 1e9)
    while engine.state.orders or (positions and engine.risk.emergency_words):
        if engine.clock.monotonic() > deadline:
            left = engine.risk.emergency_words or f"{len(engine.state.orders)} orders are still open."
            raise ConflictError(f"The engine was not stopped: {left} Look at Portfolio, then stop it again.")
        await engine.clock.sleep(0.05)


@operation("instruments.list", WholeList)
async def instruments(context: Context, request: WholeList) -> list[InstrumentRow]:
    """The instruments whose markets are kept, with their rules; `instruments.search` finds all others."""
    markets = context.need_engine().hub.markets.values()
    return listed([instrument_row(market.instrument) for market in markets], request)


@operation("market.book", InstrumentQuery)
async def book(context: Context, request: InstrumentQuery) -> BookView:
    """The top of a book with our own orders in it."""
    return book_view(context.need_engine(), InstrumentId(request.instrument), request.depth)


@operation("market.trades", TradesQuery)
async def trades(context: Context, request: TradesQuery) -> TradesView:
    """Recent public trades, newest first."""
    return trades_view(context.need_engine(), InstrumentId(request.instrument), request.limit)


@operation("market.tickers", WholeList)
async def tickers(context: Context, request: WholeList) -> list[TickerRow]:
    """Every market in a line."""
    return listed([ticker_row(market) for market in context.need_engine().hub.markets.values()], request)


@operation("market.candles", CandlesQuery)
async def candles(context: Context, request: CandlesQuery) -> list[Candle]:
    """The newest candles of a market, oldest first, the growing one last."""
    engine = context.need_engine()
    timeframe_ns(request.timeframe)
    instrument = InstrumentId(request.instrument)
    engine.hub.market(instrument)
    found = list(
        await engine.unit(instrument).venue.candles(instrument, request.timeframe, end=request.end, limit=request.limit)
    )
    series = engine.hub.series(instrument, request.timeframe)
    if request.end is None:
        series.seed(found)
        growing = series.growing
        if growing is not None and (not found or growing.ts > found[-1].ts):
            found.append(growing)
    return found[-request.limit :]


@operation("facts.since", FactsSince)
async def facts(context: Context, request: FactsSince) -> list[Activity]:
    """Facts after a cursor in words, oldest first; cursor 0 gives the newest ones."""
    engine = context.need_engine()
    if context.reader is None:
        return []
    if not request.cursor:
        records = await context.reader.latest(request.limit * 4)
        return _said(engine, reversed(records))[-request.limit :]
    cursor = request.cursor
    said: list[Activity] = []
    while len(said) < request.limit:
        page = await context.reader.since(cursor, request.limit)
        said += _said(engine, page.records)
        cursor = page.cursor
        if cursor >= page.last:
            break
    return said[: request.limit]


def _said(engine: Engine, records: Iterable[Record]) -> list[Activity]:
    found = (activity(engine.state, record) for record in records)
    return [row for row in found if row is not None]
