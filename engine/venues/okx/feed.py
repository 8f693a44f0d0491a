"""OKX's markets: verified books, trades, days, candles, and the marks of swaps, over public connections."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.model.instrument import InstrumentKind
from engine.model.market import BookMoved, FeedStatus
from engine.venues.native.books.keeping import Taken
from engine.venues.native.books.okx import OkxBooks
from engine.venues.native.stream import Listener, StreamPool, StreamTable
from engine.venues.okx.channels import CANDLES, MARK_CHANNELS, MARKET_CHANNELS, candles_table, on_event, public_table
from engine.venues.okx.messages import CandleRow, Frame, FundingRow, IndexRow, MarkRow, TickerRow, TradeRow, decode
from engine.venues.okx.public_data import Marks, parse_candle, parse_ticker, parse_trade

if TYPE_CHECKING:
    import random
    from collections.abc import Mapping, Sequence

    from engine.model.instrument import Instrument
    from engine.model.market import MarketEvent
    from engine.model.venue import StreamHealth
    from engine.venues.limits.connections import Connections
    from engine.venues.native.books.keeping import Kept
    from engine.venues.native.stream import StreamConnection
    from engine.venues.native.venue import NativeVenue

__all__ = ["OkxFeed"]


class OkxFeed:
    """The markets' connections (`MarketFeed`), and the `BookSink` of their books.

    Args:
        venue: Gets what happens.
        addresses: Of the `public` and the `business` streams.
        limit: What OKX allows of connections.
        chance: Draws the jitter.
    """

    def __init__(
        self, venue: NativeVenue, addresses: Mapping[str, str], limit: Connections, chance: random.Random
    ) -> None:
        self._venue = venue
        self._books = OkxBooks(self)
        self._marks = Marks()
        self._watched: dict[str, Instrument] = {}
        self._lost: set[str] = set()
        self._started = False

        def pool(table: StreamTable) -> StreamPool:
            listener = Listener(self._on_frame, self._on_up, self._on_down)
            ca_file = venue.options.ca_file
            return StreamPool(table, listener, clock=venue.clock, chance=chance, limit=limit, ca_file=ca_file)

        self._pool = pool(public_table(addresses["public"]))
        self._candles = pool(candles_table(addresses["business"]))

    @property
    def up(self) -> bool:
        """False while something is watched and cannot be heard."""
        return not self._watched or any(c.up for c in self._pool.connections)

    async def watch(self, instruments: Sequence[Instrument]) -> None:
        """Deliver these too. Raises ExchangeConnectionError."""
        if not self._started:
            self._started = True
            await self._pool.start()
            await self._candles.start()
        wanted: list[str] = []
        for instrument in instruments:
            symbol = self._venue.catalogue.symbol(instrument.id)
            self._watched[symbol] = instrument
            self._books.add(symbol, instrument)
            wanted += _channels(symbol, instrument)
        await self._pool.subscribe(wanted)
        # Nobody waits for these: bars are made of trades as well.
        self._candles.add(_candles(instruments, self._venue))

    async def unwatch(self, instruments: Sequence[Instrument]) -> None:
        """Deliver nothing more of these, from the call on."""
        leaving: list[str] = []
        for instrument in instruments:
            symbol = self._venue.catalogue.symbol(instrument.id)
            self._watched.pop(symbol, None)
            self._lost.discard(symbol)
            self._books.remove(symbol)
            self._marks.forget(instrument.id)
            leaving += _channels(symbol, instrument)
        # The index of a pair may still be of use to another swap.
        still = {channel for symbol, kept in self._watched.items() for channel in _channels(symbol, kept)}
        self._pool.remove([channel for channel in leaving if channel not in still])
        self._candles.remove(_candles(instruments, self._venue))

    async def close(self) -> None:
        """Disconnect everything; idempotent."""
        await self._pool.close()
        await self._candles.close()

    def health(self) -> Sequence[StreamHealth]:
        """How each connection is."""
        return [*self._pool.health(), *self._candles.health()]

    # --- books -------------------------------------------------------------------------------------------------------

    def moved(self, kept: Kept, snapshot: bool) -> None:
        """A book has changed."""
        if snapshot and kept.symbol in self._lost:
            self._lost.discard(kept.symbol)
            self._venue.show(FeedStatus(kept.instrument.id, kept.book.ts, live=True))
        self._venue.show(BookMoved(kept.instrument.id, kept.book.ts, kept.book, snapshot=snapshot))

    def lost(self, kept: Kept, reason: str) -> None:
        """A book cannot be trusted any more: joining the channel again brings a snapshot."""
        self._lost.add(kept.symbol)
        self._venue.show(FeedStatus(kept.instrument.id, self._venue.venue_now(), live=False, reason=reason))
        self._pool.again([f"books:{kept.symbol}"])

    # --- connections -------------------------------------------------------------------------------------------------

    def _on_up(self, connection: StreamConnection) -> None:
        self._venue.public_moved()

    def _on_down(self, connection: StreamConnection, reason: str) -> None:
        if not connection.retired:
            books = [c.removeprefix("books:") for c in connection.channels if c.startswith("books:")]
            self._books.lose(reason, books)
        self._venue.public_moved()

    def _on_frame(self, connection: StreamConnection, data: bytes, received_ns: int) -> None:
        if self._books.feed(data) is not Taken.OTHER:
            return
        frame = decode(data, Frame)
        if frame.event:
            on_event(connection, frame)
            return
        name = frame.arg.channel
        if name == "index-tickers":
            for row in decode(frame.data, list[IndexRow]):
                self._marks.index(row)
            return
        instrument = self._watched.get(frame.arg.inst_id)
        if instrument is not None:
            self._on_data(name, instrument, frame)

    def _on_data(self, name: str, instrument: Instrument, frame: Frame) -> None:
        if name == "funding-rate":
            for row in decode(frame.data, list[FundingRow]):
                self._marks.funding(instrument, row)
            return
        for event in self._events(name, instrument, frame):
            self._venue.show(event)

    def _events(self, name: str, instrument: Instrument, frame: Frame) -> list[MarketEvent]:
        match name:
            case "trades":
                return [parse_trade(instrument, row) for row in decode(frame.data, list[TradeRow])]
            case "tickers":
                return [parse_ticker(instrument, row) for row in decode(frame.data, list[TickerRow])]
            case "mark-price":
                return [self._marks.mark(instrument, row) for row in decode(frame.data, list[MarkRow])]
        if name == CANDLES:
            timeframe = CANDLES.removeprefix("candle")
            return [parse_candle(instrument, timeframe, row) for row in decode(frame.data, list[CandleRow])]
        return []


def _candles(instruments: Sequence[Instrument], venue: NativeVenue) -> list[str]:
    return [f"{CANDLES}:{venue.catalogue.symbol(instrument.id)}" for instrument in instruments]


def _channels(symbol: str, instrument: Instrument) -> list[str]:
    found = [f"{name}:{symbol}" for name in MARKET_CHANNELS]
    if instrument.kind is InstrumentKind.LINEAR_PERPETUAL:
        found += [f"{name}:{symbol}" for name in MARK_CHANNELS]
        found.append(f"index-tickers:{instrument.base}-{instrument.quote}")
    return found
