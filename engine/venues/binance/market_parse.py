"""Binance's public messages, spot and USD-M alike, from bytes to model objects. Pure."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, TypeVar

import msgspec

from engine.errors import DataValidationError
from engine.model.candle import Candle, timeframe_ns
from engine.model.ids import TradeId
from engine.model.market import BookUpdate, MarketTrade, MarkPrice, Ticker
from engine.model.order import OrderSide
from engine.venues.binance.numbers import levels, or_none
from engine.venues.binance.table import MS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from engine.model.instrument import Instrument

__all__ = [
    "Combined",
    "DayEvent",
    "KlineEvent",
    "MarkEvent",
    "TradeEvent",
    "decode",
    "parse_book",
    "parse_candle",
    "parse_candles",
    "parse_combined",
    "parse_day",
    "parse_mark",
    "parse_tickers",
    "parse_trade",
    "parse_trades",
]


class Combined(msgspec.Struct):
    """A message of a combined stream, its content not read yet."""

    stream: str = ""
    data: msgspec.Raw = msgspec.Raw(b"null")
    id: int | None = None
    """Number of a request that this answers."""
    error: msgspec.Raw = msgspec.Raw(b"")
    code: int | None = None
    msg: str = ""


class TradeEvent(msgspec.Struct):
    """`trade` and `aggTrade`."""

    s: str
    p: Decimal
    q: Decimal
    T: int
    m: bool
    t: int = 0
    a: int = 0
    X: str = ""
    """USD-M: `MARKET` for real ones; others are corrections such as those of the insurance fund."""


class _Kline(msgspec.Struct):
    t: int
    i: str
    o: str
    h: str
    l: str  # noqa: E741
    c: str
    v: str
    x: bool


class KlineEvent(msgspec.Struct):
    """`kline`."""

    s: str
    k: _Kline


class MarkEvent(msgspec.Struct):
    """`markPriceUpdate`."""

    s: str
    E: int
    p: Decimal
    i: Decimal | None = None
    r: str = ""
    T: int = 0


class DayEvent(msgspec.Struct):
    """`24hrTicker`; USD-M tells no best prices in it."""

    s: str
    E: int
    o: Decimal
    h: Decimal
    l: Decimal  # noqa: E741
    c: Decimal
    v: Decimal
    q: Decimal
    b: Decimal | None = None
    a: Decimal | None = None


class _Depth(msgspec.Struct):
    lastUpdateId: int
    bids: list[tuple[Decimal, Decimal]]
    asks: list[tuple[Decimal, Decimal]]
    E: int | None = None
    T: int | None = None


class _Trade(msgspec.Struct):
    id: int
    price: Decimal
    qty: Decimal
    time: int
    isBuyerMaker: bool


class _Ticker(msgspec.Struct):
    symbol: str
    lastPrice: Decimal
    openPrice: Decimal
    highPrice: Decimal
    lowPrice: Decimal
    volume: Decimal
    quoteVolume: Decimal
    closeTime: int
    bidPrice: Decimal | None = None
    askPrice: Decimal | None = None


T = TypeVar("T")

_combined = msgspec.json.Decoder(Combined)
_trade_event = msgspec.json.Decoder(TradeEvent)
_depth = msgspec.json.Decoder(_Depth)
_trades = msgspec.json.Decoder(list[_Trade])
_tickers = msgspec.json.Decoder(_Ticker | list[_Ticker])
_klines = msgspec.json.Decoder(list[tuple[int, str, str, str, str, str, int, str, int, str, str, str]])


def decode(decoder: msgspec.json.Decoder[T], body: bytes | msgspec.Raw, what: str) -> T:
    """Read a message.

    Raises:
        DataValidationError: It is not of the form that it has today.
    """
    try:
        return decoder.decode(body)
    except msgspec.MsgspecError as error:
        raise DataValidationError(f"Binance sent {what} that cannot be read: {error}.") from error


def parse_combined(frame: bytes) -> Combined:
    """The envelope of a message of a market stream. Raises DataValidationError."""
    return decode(_combined, frame, "a market message")


def parse_trade(data: bytes | msgspec.Raw, instrument: Instrument) -> MarketTrade | None:
    """A `trade` (or `aggTrade`) event; None for what is no trade on the market. Raises DataValidationError."""
    event = decode(_trade_event, data, "a trade")
    if event.X not in ("", "MARKET") or not event.q:
        return None
    return MarketTrade(
        instrument.id,
        event.T * MS,
        TradeId(str(event.t or event.a)),
        instrument.price_to_int(event.p),
        instrument.quantity_to_int(event.q),
        _aggressor(buyer_is_maker=event.m),
    )


def parse_trades(body: bytes, instrument: Instrument) -> list[MarketTrade]:
    """Answer of `trades`, oldest first. Raises DataValidationError."""
    return [
        MarketTrade(
            instrument.id,
            row.time * MS,
            TradeId(str(row.id)),
            instrument.price_to_int(row.price),
            instrument.quantity_to_int(row.qty),
            _aggressor(buyer_is_maker=row.isBuyerMaker),
        )
        for row in decode(_trades, body, "trades")
    ]


def _aggressor(*, buyer_is_maker: bool) -> OrderSide:
    return OrderSide.SELL if buyer_is_maker else OrderSide.BUY


_kline_event = msgspec.json.Decoder(KlineEvent)


def parse_candle(data: bytes | msgspec.Raw, instrument: Instrument) -> Candle:
    """A `kline` event. Raises DataValidationError."""
    bar = decode(_kline_event, data, "a candle").k
    return Candle(
        instrument.id,
        bar.i,
        bar.t * MS,
        float(bar.o),
        float(bar.h),
        float(bar.l),
        float(bar.c),
        float(bar.v),
        closed=bar.x,
    )


_mark_event = msgspec.json.Decoder(MarkEvent)


def parse_mark(data: bytes | msgspec.Raw, instrument: Instrument) -> MarkPrice:
    """A `markPriceUpdate` event. Raises DataValidationError."""
    event = decode(_mark_event, data, "a mark price")
    return MarkPrice(
        instrument.id,
        event.E * MS,
        event.p,
        index=or_none(event.i),
        # Empty for contracts without funding.
        funding_rate=Decimal(event.r) if event.r else None,
        next_funding=event.T * MS or None,
    )


_day_event = msgspec.json.Decoder(DayEvent)


def parse_day(data: msgspec.Raw | bytes, instrument: Instrument) -> Ticker:
    """A `24hrTicker` event. Raises DataValidationError."""
    event = decode(_day_event, data, "a ticker")
    return Ticker(
        instrument=instrument.id,
        ts=event.E * MS,
        bid=or_none(event.b),
        ask=or_none(event.a),
        last=or_none(event.c),
        open=or_none(event.o),
        high=or_none(event.h),
        low=or_none(event.l),
        base_volume=event.v,
        quote_volume=event.q,
    )


def parse_candles(body: bytes, instrument: Instrument, timeframe: str, now: int) -> list[Candle]:
    """Answer of `klines`, oldest first; those that have not ended by `now` (UTC nanoseconds) still grow."""
    length = timeframe_ns(timeframe)
    return [
        Candle(
            instrument.id,
            timeframe,
            row[0] * MS,
            float(row[1]),
            float(row[2]),
            float(row[3]),
            float(row[4]),
            float(row[5]),
            closed=row[0] * MS + length <= now,
        )
        for row in decode(_klines, body, "candles")
    ]


def parse_book(body: bytes, instrument: Instrument, depth: int, now: int) -> BookUpdate:
    """Answer of `depth`, cut to so many levels a side; `now` stands for the time where the venue tells none."""
    found = decode(_depth, body, "a book")
    ts = found.T or found.E
    return BookUpdate(
        instrument.id,
        now if ts is None else ts * MS,
        found.lastUpdateId,
        snapshot=True,
        bids=levels(instrument, found.bids[:depth]),
        asks=levels(instrument, found.asks[:depth]),
    )


def parse_tickers(body: bytes, find: Callable[[str], Instrument | None]) -> list[Ticker]:
    """Answer of `ticker/24hr`, those of unknown symbols left out. Raises DataValidationError."""
    rows = decode(_tickers, body, "tickers")
    return [
        Ticker(
            instrument=instrument.id,
            ts=row.closeTime * MS,
            bid=or_none(row.bidPrice),
            ask=or_none(row.askPrice),
            last=or_none(row.lastPrice),
            open=or_none(row.openPrice),
            high=or_none(row.highPrice),
            low=or_none(row.lowPrice),
            base_volume=row.volume,
            quote_volume=row.quoteVolume,
        )
        for row in _as_list(rows)
        if (instrument := find(row.symbol)) is not None
    ]


def _as_list(rows: _Ticker | list[_Ticker]) -> Sequence[_Ticker]:
    return rows if isinstance(rows, list) else [rows]
