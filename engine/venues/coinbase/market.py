"""Coinbase's market data: books, trades, days and candles, over connections that count their messages.

USD and USDC markets of one currency share a book: what comes for it is told to everybody who watches either. A number
that is missing ends the connection; the next one begins with snapshots of everything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from engine.model.market import BookMoved, BookUpdate, FeedStatus, MarketTrade, Ticker
from engine.venues.coinbase import frames as fr
from engine.venues.coinbase.parse import day, growing, market_trade
from engine.venues.coinbase.refusals import stream_refusal
from engine.venues.coinbase.values import iso_ns
from engine.venues.native.books.coinbase import CoinbaseBooks
from engine.venues.native.books.keeping import Taken
from engine.venues.native.stream import Listener, StreamConnection, StreamPool, StreamTable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from engine.model.candle import Candle
    from engine.model.ids import InstrumentId
    from engine.model.instrument import Instrument
    from engine.model.market import KeptBook
    from engine.model.order import OrderSide
    from engine.model.venue import StreamHealth
    from engine.venues.limits.connections import Connections
    from engine.venues.native.books.keeping import Kept
    from engine.venues.native.venue import NativeVenue

__all__ = ["CoinbaseFeed"]


class _SharedBook:
    """A `KeptBook` under the name of another instrument that shares it."""

    __slots__ = ("_book", "_instrument")

    def __init__(self, instrument: InstrumentId, book: KeptBook) -> None:
        self._instrument = instrument
        self._book = book

    @property
    def seq(self) -> int:
        return self._book.seq

    @property
    def ts(self) -> int:
        return self._book.ts

    @property
    def best_bid(self) -> int | None:
        return self._book.best_bid

    @property
    def best_ask(self) -> int | None:
        return self._book.best_ask

    @property
    def crossed(self) -> bool:
        return self._book.crossed

    def top_bids(self, n: int) -> list[tuple[int, int]]:
        return self._book.top_bids(n)

    def top_asks(self, n: int) -> list[tuple[int, int]]:
        return self._book.top_asks(n)

    def size_at(self, side: OrderSide, price: int) -> int:
        return self._book.size_at(side, price)

    def levels(self, side: OrderSide) -> list[tuple[int, int]]:
        return self._book.levels(side)

    def to_snapshot(self, depth: int | None = None) -> BookUpdate:
        return replace(self._book.to_snapshot(depth), instrument=self._instrument)

    def last_change(self) -> BookUpdate:
        return replace(self._book.last_change(), instrument=self._instrument)


class _Followed:
    """One product and who watches it."""

    __slots__ = ("doubtful", "last_trade", "listed", "watchers")

    def __init__(self, listed: Instrument) -> None:
        self.listed = listed
        """The product's own instrument; its scales are those of the book."""
        self.watchers: dict[InstrumentId, Instrument] = {}
        self.last_trade = 0
        """Number of the newest trade that was told; 0 before the first."""
        self.doubtful = False
        """Whether it was told that the book is lost."""


def _channels(product: str) -> list[str]:
    return [fr.channel_name(channel, product) for channel in (fr.LEVEL2, fr.TRADES, fr.DAYS, fr.CANDLES)]


class CoinbaseFeed:
    """A `MarketFeed`.

    Args:
        venue: Whose; gives instruments, the clock, and hears what happens.
        address: Of the streams.
        shared: The product whose book a product shares, or itself.
        limit: What Coinbase allows of connections.
    """

    def __init__(self, venue: NativeVenue, address: str, shared: Callable[[str], str], limit: Connections) -> None:
        self._venue = venue
        self._address = address
        self._shared = shared
        self._followed: dict[str, _Followed] = {}
        self._opened: dict[str, int] = {}
        self._ending = False
        """Whether books are lost because their connection has ended already."""
        self._books = CoinbaseBooks(self)
        table = StreamTable(
            name="public",
            address=self._where,
            subscribe=lambda number, channels: self._frames("subscribe", channels),
            unsubscribe=lambda number, channels: self._frames("unsubscribe", channels),
            standing=(fr.HEARTBEATS,),
            batch=50,
            messages_per_second=4.0,
            channels_per_connection=120,
            connections=4,
            of_markets=True,
            silence_s=15.0,
        )
        listener = Listener(self._on_frame, self._on_up, self._on_down)
        self._pool = StreamPool(table, listener, clock=venue.clock, limit=limit, ca_file=venue.options.ca_file)

    @property
    def up(self) -> bool:
        """False while something is watched and nothing can be heard."""
        return not self._followed or any(connection.up for connection in self._pool.connections)

    async def watch(self, instruments: Sequence[Instrument]) -> None:
        """Deliver these too. Raises ExchangeConnectionError, ValidationError."""
        await self._pool.start()
        wanted: list[str] = []
        for instrument in instruments:
            product = self._product(instrument)
            followed = self._followed.get(product)
            if followed is None:
                listed = self._venue.catalogue.by_symbol(product) or instrument
                followed = self._followed[product] = _Followed(listed)
                self._books.add(product, listed)
            if instrument.id not in followed.watchers:
                followed.watchers[instrument.id] = instrument
                self._begin(product, instrument)
            wanted += _channels(product)
        await self._pool.subscribe(wanted, timeout_s=self._venue.options.timeout_s)

    def _product(self, instrument: Instrument) -> str:
        return self._shared(self._venue.catalogue.symbol(instrument.id))

    def _begin(self, product: str, instrument: Instrument) -> None:
        """Tell somebody new of a book that is known already."""
        kept = self._books.kept.get(product)
        if kept is not None and kept.live:
            self._tell(kept, instrument, snapshot=True)

    async def unwatch(self, instruments: Sequence[Instrument]) -> None:
        """Deliver nothing more of these."""
        for instrument in instruments:
            product = self._product(instrument)
            followed = self._followed.get(product)
            if followed is None:
                continue
            followed.watchers.pop(instrument.id, None)
            if not followed.watchers:
                del self._followed[product]
                self._books.remove(product)
                self._pool.remove(_channels(product))

    async def close(self) -> None:
        """Disconnect everything; idempotent."""
        await self._pool.close()

    def health(self) -> Sequence[StreamHealth]:
        """How each connection is."""
        return self._pool.health()

    async def _where(self) -> str:
        return self._address

    @staticmethod
    def _frames(verb: str, channels: Sequence[str]) -> list[bytes]:
        by_channel: dict[str, list[str]] = {}
        for name in channels:
            channel, product = fr.split_channel(name)
            by_channel.setdefault(channel, []).extend([product] if product else [])
        return [fr.subscription(verb, channel, products) for channel, products in by_channel.items()]

    # --- connections -------------------------------------------------------------------------------------------------

    def _on_up(self, connection: StreamConnection) -> None:
        self._venue.public_moved()

    def _on_down(self, connection: StreamConnection, reason: str) -> None:
        self._anew(connection)
        self._venue.public_moved()

    def _anew(self, connection: StreamConnection) -> None:
        """Its numbers begin again, and its books with snapshots."""
        self._opened[connection.name] = connection.opened
        self._ending = True
        try:
            self._books.begin(connection.name)
        finally:
            self._ending = False

    def _on_frame(self, connection: StreamConnection, frame: bytes, received: int) -> None:
        if self._opened.get(connection.name) != connection.opened:
            self._anew(connection)
        taken = self._books.feed(frame, connection.name)
        if taken is Taken.GAP or taken is Taken.UNREADABLE:
            connection.drop("messages are missing or not understood")
        elif taken is Taken.OTHER:
            self._other(connection, frame)

    def _other(self, connection: StreamConnection, frame: bytes) -> None:
        head = fr.read_head(frame)
        if head.channel == fr.TRADES:
            self._trades(fr.read(fr.TradesFrame, frame))
        elif head.channel in fr.DAY_FRAMES:
            self._days(fr.read(fr.DaysFrame, frame))
        elif head.channel == fr.CANDLES:
            self._candles(fr.read(fr.CandlesFrame, frame))
        elif head.channel == "subscriptions":
            for state in fr.read(fr.SubscriptionsFrame, frame).events:
                names = [
                    fr.channel_name(channel, product)
                    for channel, products in state.subscriptions.items()
                    for product in products
                ]
                connection.acknowledge([*names, *(c for c in state.subscriptions if c == fr.HEARTBEATS)])
        elif head.type == "error":
            # It does not say which subscription it means, so all of them are made anew, after a pause.
            connection.drop(stream_refusal(head.message).message)

    # --- trades ------------------------------------------------------------------------------------------------------

    def _trades(self, told: fr.TradesFrame) -> None:
        for event in told.events:
            fresh: dict[str, int] = {}
            for row in reversed(event.trades):
                followed = self._followed.get(row.product_id)
                if followed is None:
                    continue
                number = int(row.trade_id) if row.trade_id.isdecimal() else followed.last_trade + 1
                if event.type == "snapshot" and not followed.last_trade:
                    # The first list tells of the past; one after a break tells what was missed.
                    fresh[row.product_id] = max(number, fresh.get(row.product_id, 0))
                elif number > followed.last_trade:
                    followed.last_trade = number
                    self._show(followed, market_trade(row, followed.listed))
            for product, number in fresh.items():
                self._followed[product].last_trade = number

    def _show(self, followed: _Followed, datum: MarketTrade | Ticker | Candle) -> None:
        for name in followed.watchers:
            self._venue.show(datum if name == datum.instrument else replace(datum, instrument=name))

    # --- days and candles --------------------------------------------------------------------------------------------

    def _days(self, told: fr.DaysFrame) -> None:
        at = iso_ns(told.timestamp)
        for event in told.events:
            for row in event.tickers:
                followed = self._followed.get(row.product_id)
                if followed is not None:
                    self._show(followed, day(row, followed.listed, at))

    def _candles(self, told: fr.CandlesFrame) -> None:
        """The newest of each product; nothing says of an older one that its last change was told."""
        for event in told.events:
            newest = {row.product_id: row for row in sorted(event.candles, key=lambda row: int(row.start))}
            for product, row in newest.items():
                followed = self._followed.get(product)
                if followed is not None:
                    self._show(followed, growing(row, followed.listed))

    # --- books -------------------------------------------------------------------------------------------------------

    def moved(self, kept: Kept, snapshot: bool) -> None:
        """A book has changed."""
        followed = self._followed.get(kept.symbol)
        if followed is None:
            return
        if snapshot and followed.doubtful:
            followed.doubtful = False
            for name in followed.watchers:
                self._venue.show(FeedStatus(name, kept.book.ts, live=True))
        for instrument in followed.watchers.values():
            self._tell(kept, instrument, snapshot=snapshot)

    def _tell(self, kept: Kept, instrument: Instrument, *, snapshot: bool) -> None:
        book = kept.book
        if instrument.id != kept.instrument.id:
            book = _SharedBook(instrument.id, book)
        self._venue.show(BookMoved(instrument.id, book.ts, book, snapshot=snapshot))

    def lost(self, kept: Kept, reason: str) -> None:
        """A book cannot be trusted any more: its connection is made anew."""
        followed = self._followed.get(kept.symbol)
        if followed is None:
            return
        if not followed.doubtful:
            followed.doubtful = True
            for name in followed.watchers:
                self._venue.show(FeedStatus(name, self._venue.venue_now(), live=False, reason=reason))
        connection = self._pool.connection_of(fr.channel_name(fr.LEVEL2, kept.symbol))
        if connection is not None and not self._ending:
            connection.drop(reason)
