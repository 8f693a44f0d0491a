"""Views of instruments and markets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.control.views import (
    BookView,
    CandleView,
    FeedRow,
    InstrumentRow,
    OwnLevel,
    TickerRow,
    TradeRow,
    TradesView,
)
from engine.model.order import OrderType

if TYPE_CHECKING:
    from decimal import Decimal

    from engine.engine import Engine
    from engine.market.hub import Market
    from engine.model.ids import ClientOrderId, InstrumentId
    from engine.model.instrument import Instrument
    from engine.model.order import Order, OrderSide

__all__ = ["book_view", "candle_view", "feed_row", "instrument_row", "ticker_row", "trades_view"]

DAY_BARS = 24
TICKER_TIMEFRAME = "1h"


def instrument_row(instrument: Instrument) -> InstrumentRow:
    """An instrument with its present rules."""
    rules = instrument.current_rules
    return InstrumentRow(
        id=instrument.id,
        symbol=instrument.symbol,
        venue=instrument.venue,
        kind=instrument.kind,
        base=instrument.base,
        quote=instrument.quote,
        price_tick=rules.price_tick,
        lot=rules.lot,
        min_quantity=rules.min_quantity,
        min_notional=rules.min_notional,
        maker_fee=rules.maker_fee,
        taker_fee=rules.taker_fee,
        price_scale=instrument.price_scale,
        quantity_scale=instrument.quantity_scale,
        multiplier=instrument.multiplier,
    )


def feed_row(market: Market) -> FeedRow:
    """Freshness of one market."""
    return FeedRow(
        instrument=market.instrument.id,
        live=market.live,
        last=market.heard,
        updates=market.updates,
        gaps=market.gaps,
    )


def ticker_row(market: Market) -> TickerRow:
    """One market in a line; the 24 hours are the venue's own, or else of hourly candles, the growing one included."""
    quote, day = market.quote(), market.day()
    series = market.series.get(TICKER_TIMEFRAME)
    bars = list(series.closed)[-DAY_BARS:] if series is not None else []
    growing = series.growing if series is not None else None
    recent = [*bars, growing] if growing is not None else bars
    last = quote.last if quote is not None else None
    price = float(last if last is not None else quote.mark) if quote is not None and quote.mark is not None else None
    before = _told(day.open if day is not None else None, bars[0].open if bars else None)
    return TickerRow(
        instrument=market.instrument.id,
        symbol=market.instrument.symbol,
        bid=quote.bid if quote is not None else None,
        ask=quote.ask if quote is not None else None,
        last=last,
        change_pct=price / before - 1 if price is not None and before else None,
        high=_told(day.high if day is not None else None, max((bar.high for bar in recent), default=None)),
        low=_told(day.low if day is not None else None, min((bar.low for bar in recent), default=None)),
        volume=_told(
            day.base_volume if day is not None else None, sum(bar.volume for bar in recent) if recent else None
        ),
        ts=market.heard,
        spark=tuple(bar.close for bar in recent),
    )


def _told(said: Decimal | None, reckoned: float | None) -> float | None:
    return reckoned if said is None else float(said)


def book_view(engine: Engine, instrument: InstrumentId, depth: int) -> BookView:
    """The top of a book with our own orders.

    Raises:
        NotFoundError: No such instrument.
    """
    market = engine.hub.market(instrument)
    book, known = market.book, market.instrument
    last = market.tape[-1] if market.tape else None
    return BookView(
        instrument=instrument,
        ts=market.heard,
        seq=book.seq,
        price_scale=known.price_scale,
        quantity_scale=known.quantity_scale,
        tick=known.price_to_int(known.current_rules.price_tick),
        bids=tuple(book.top_bids(depth)),
        asks=tuple(book.top_asks(depth)),
        own=_own_levels(engine, known),
        last=last.price if last is not None else None,
        last_side=last.aggressor if last is not None else None,
        live=market.live,
    )


def _own_levels(engine: Engine, instrument: Instrument) -> tuple[OwnLevel, ...]:
    levels: dict[tuple[OrderSide, int, bool], tuple[int, list[ClientOrderId]]] = {}
    for order in engine.state.orders.values():
        if order.instrument != instrument.id:
            continue
        place = _place(order, instrument)
        if place is None:
            continue
        price, waiting = place
        quantity, ids = levels.get((order.side, price, waiting), (0, []))
        ids.append(order.client_id)
        levels[order.side, price, waiting] = (quantity + instrument.quantity_to_int(order.remaining), ids)
    return tuple(
        OwnLevel(side=side, price=price, quantity=quantity, client_ids=tuple(ids), stop=waiting)
        for (side, price, waiting), (quantity, ids) in levels.items()
    )


def _place(order: Order, instrument: Instrument) -> tuple[int, bool] | None:
    """Where an order stands in the ladder, and whether it still waits for its trigger."""
    waiting = order.type in (OrderType.STOP_LOSS, OrderType.TAKE_PROFIT) and not order.triggered
    price = order.stop_price if waiting else order.price
    return None if price is None else (instrument.price_to_int(price), waiting)


def trades_view(engine: Engine, instrument: InstrumentId, limit: int) -> TradesView:
    """Recent public trades, newest first.

    Raises:
        NotFoundError: No such instrument.
    """
    market = engine.hub.market(instrument)
    newest = list(market.tape)[-limit:][::-1]
    return TradesView(
        instrument=instrument,
        price_scale=market.instrument.price_scale,
        quantity_scale=market.instrument.quantity_scale,
        trades=tuple(TradeRow(ts=t.ts, price=t.price, quantity=t.quantity, aggressor=t.aggressor) for t in newest),
    )


def candle_view(engine: Engine, instrument: InstrumentId, timeframe: str) -> CandleView:
    """The last closed and the growing candle.

    Raises:
        NotFoundError: No such instrument.
        ValidationError: The timeframe is not known.
    """
    series = engine.hub.series(instrument, timeframe)
    found = [*list(series.closed)[-1:], *([series.growing] if series.growing is not None else [])]
    return CandleView(instrument=instrument, timeframe=timeframe, candles=tuple(found))
