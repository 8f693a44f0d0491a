"""What was heard of one market since the last file: columns in memory, appended to in about a microsecond an event.

Nothing here imports more than the standard library, because it is filled on the event loop.
"""

from __future__ import annotations

from array import array
from itertools import chain
from typing import TYPE_CHECKING

from engine.model.order import OrderSide

if TYPE_CHECKING:
    from engine.model.candle import Candle
    from engine.model.market import BookUpdate, FeedStatus, MarketTrade, MarkPrice

__all__ = ["ANCHOR", "CHANGE", "SNAPSHOT", "Chunk"]

CHANGE, SNAPSHOT, ANCHOR = 0, 1, 2
"""Kinds of a book's rows. An anchor repeats the whole book after a change, for whoever begins to read there."""


class _Events:
    """The columns that all kinds have."""

    __slots__ = ("number", "received", "ts")

    def __init__(self) -> None:
        self.number = array("q")
        self.ts = array("q")
        self.received = array("q")


class Books(_Events):
    """Books: levels as price, quantity, price, quantity …; each side has its own column, with a count for each row."""

    __slots__ = ("ask_counts", "asks", "bid_counts", "bids", "kind", "seq")

    def __init__(self) -> None:
        super().__init__()
        self.seq = array("q")
        self.kind = array("b")
        self.bid_counts = array("i")
        self.ask_counts = array("i")
        self.bids = array("q")
        self.asks = array("q")


class Trades(_Events):
    """Public trades."""

    __slots__ = ("buys", "ids", "price", "quantity")

    def __init__(self) -> None:
        super().__init__()
        self.price = array("q")
        self.quantity = array("q")
        self.buys = array("b")
        self.ids: list[str] = []


class Chunk:
    """Columns of one market; everything in it is in the order in which it was heard.

    Args:
        begun: UTC nanoseconds of the engine's clock at which it was begun.
    """

    __slots__ = ("begun", "books", "candles", "events", "last", "marks", "news", "trades")

    def __init__(self, begun: int) -> None:
        self.begun = begun
        self.last = begun
        """UTC nanoseconds of the newest event in it."""
        self.events = 0
        self.books = Books()
        self.trades = Trades()
        self.candles: list[tuple[int, int, Candle]] = []
        """Number, time of receipt, and the candle; the same for the others."""
        self.marks: list[tuple[int, int, MarkPrice]] = []
        self.news: list[tuple[int, int, FeedStatus]] = []

    @property
    def values(self) -> int:
        """Numbers held, about eight bytes each."""
        books = self.books
        return len(books.bids) + len(books.asks) + 12 * self.events

    def add_book(self, number: int, received: int, update: BookUpdate, kind: int) -> None:
        """Append a change or a whole book.

        Raises:
            OverflowError: A price or a quantity has more than 63 bits; nothing was appended.
        """
        books = self.books
        bids, asks = len(books.bids), len(books.asks)
        try:
            books.bids.extend(chain.from_iterable(update.bids))
            books.asks.extend(chain.from_iterable(update.asks))
            books.seq.append(update.seq)
        except OverflowError:
            del books.bids[bids:]
            del books.asks[asks:]
            raise
        books.number.append(number)
        books.ts.append(update.ts)
        books.received.append(received)
        books.kind.append(kind)
        books.bid_counts.append(len(update.bids))
        books.ask_counts.append(len(update.asks))
        self.events += 1
        self.last = received

    def add_trade(self, number: int, received: int, trade: MarketTrade) -> None:
        """Append a public trade.

        Raises:
            OverflowError: Price or quantity has more than 63 bits; nothing was appended.
        """
        trades = self.trades
        trades.price.append(trade.price)
        try:
            trades.quantity.append(trade.quantity)
        except OverflowError:
            trades.price.pop()
            raise
        trades.number.append(number)
        trades.ts.append(trade.ts)
        trades.received.append(received)
        trades.buys.append(trade.aggressor is OrderSide.BUY)
        trades.ids.append(trade.trade_id)
        self.events += 1
        self.last = received

    def note(self, received: int) -> None:
        """Count something that was put into one of the lists."""
        self.events += 1
        self.last = received
