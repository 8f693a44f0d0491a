"""Market data in motion: what a feed delivers and the level-2 book it builds."""

from __future__ import annotations

from bisect import bisect_left, insort
from decimal import Decimal
from typing import Protocol

import msgspec

from engine.model.candle import Candle
from engine.model.ids import InstrumentId, TradeId
from engine.model.order import OrderSide

__all__ = [
    "BookMoved",
    "BookUpdate",
    "BookView",
    "FeedStatus",
    "KeptBook",
    "MarkPrice",
    "MarketDatum",
    "MarketEvent",
    "MarketTrade",
    "OrderBook",
    "Ticker",
]


class BookUpdate(msgspec.Struct, frozen=True, gc=False):
    """Levels that changed, or a whole book.

    Levels are (scaled price, scaled quantity) pairs in the instrument's scales; quantity 0 removes a level.
    """

    instrument: InstrumentId
    ts: int
    """UTC nanoseconds at the venue."""
    seq: int
    """Counts up by one per instrument and feed; a gap means the book must be fetched anew."""
    snapshot: bool
    bids: tuple[tuple[int, int], ...]
    asks: tuple[tuple[int, int], ...]


class MarketTrade(msgspec.Struct, frozen=True, gc=False):
    """A public execution; price and quantity are scaled integers."""

    instrument: InstrumentId
    ts: int
    trade_id: TradeId
    price: int
    quantity: int
    aggressor: OrderSide


class FeedStatus(msgspec.Struct, frozen=True, gc=False):
    """A feed began, paused, resumed or ended for an instrument."""

    instrument: InstrumentId
    ts: int
    live: bool
    reason: str = ""


class MarkPrice(msgspec.Struct, frozen=True, gc=False):
    """What a venue values the positions of a perpetual at, and what it will charge for holding them."""

    instrument: InstrumentId
    ts: int
    mark: Decimal
    index: Decimal | None = None
    funding_rate: Decimal | None = None
    """Of the running period, as a fraction of the position's value; longs pay a positive one."""
    next_funding: int | None = None
    """UTC nanoseconds of the next payment."""


class Ticker(msgspec.Struct, frozen=True, kw_only=True):
    """The last 24 hours of an instrument as its venue reckons them; None where the venue does not say it."""

    instrument: InstrumentId
    ts: int
    """UTC nanoseconds at the venue."""
    bid: Decimal | None = None
    ask: Decimal | None = None
    last: Decimal | None = None
    open: Decimal | None = None
    """Price 24 hours ago."""
    high: Decimal | None = None
    low: Decimal | None = None
    base_volume: Decimal | None = None
    quote_volume: Decimal | None = None


class BookView(Protocol):
    """A level-2 book to look at, in scaled integers; it changes while it is held."""

    @property
    def seq(self) -> int:
        """Number of the last update that is in it; -1 before the first."""

    @property
    def ts(self) -> int:
        """UTC nanoseconds at the venue of that update."""

    @property
    def best_bid(self) -> int | None:
        """Highest bid as a scaled price; None when the side is empty."""

    @property
    def best_ask(self) -> int | None:
        """Lowest ask as a scaled price; None when the side is empty."""

    @property
    def crossed(self) -> bool:
        """True when the best bid is at or above the best ask."""

    def top_bids(self, n: int) -> list[tuple[int, int]]:
        """The best n bids, best first, as (scaled price, scaled quantity)."""

    def top_asks(self, n: int) -> list[tuple[int, int]]:
        """The best n asks, best first, as (scaled price, scaled quantity)."""

    def size_at(self, side: OrderSide, price: int) -> int:
        """Scaled quantity of a resting side (BUY for bids) at a scaled price; 0 for none."""

    def levels(self, side: OrderSide) -> list[tuple[int, int]]:
        """All levels an order of `side` would meet, best first: asks for a buy, bids for a sell."""

    def to_snapshot(self, depth: int | None = None) -> BookUpdate:
        """The whole book, or its first `depth` levels a side, as a snapshot update."""


class KeptBook(BookView, Protocol):
    """A book that also remembers its last update."""

    def last_change(self) -> BookUpdate:
        """The levels that the last update changed."""


class BookMoved(msgspec.Struct, frozen=True, eq=False, gc=False):
    """A book that the venue's adapter keeps and checks itself has changed; `book` is as it is now.

    Whoever is told looks at `book` at once or later, when it has moved on; what changed must be asked for at once.
    """

    instrument: InstrumentId
    ts: int
    """UTC nanoseconds at the venue."""
    book: KeptBook
    snapshot: bool = False
    """True when the book began anew: the first one, or after a gap."""

    def changes(self) -> BookUpdate:
        """What changed, or the whole book when it began anew; only from within the sink that was told."""
        return self.book.to_snapshot() if self.snapshot else self.book.last_change()


MarketDatum = BookUpdate | MarketTrade | Candle | FeedStatus | MarkPrice | Ticker
"""Market events that are plain data, to be kept or sent."""
MarketEvent = MarketDatum | BookMoved


class OrderBook:
    """Level-2 book in scaled integers: a dict for sizes and a sorted list of prices a side.

    Not thread-safe; apply updates in order. Best prices and the first n levels cost O(1) and O(n).
    """

    __slots__ = ("_ask_prices", "_bid_prices", "asks", "bids", "instrument", "seq", "ts")

    def __init__(self, instrument: InstrumentId) -> None:
        self.instrument = instrument
        self.bids: dict[int, int] = {}
        """Scaled quantity by scaled price."""
        self.asks: dict[int, int] = {}
        # Bids are kept negated so that both lists ascend from the best price.
        self._bid_prices: list[int] = []
        self._ask_prices: list[int] = []
        self.seq = -1
        self.ts = 0

    def apply(self, update: BookUpdate) -> bool:
        """Apply an update; False when its sequence does not follow (the book is unchanged and needs a snapshot)."""
        if update.snapshot:
            self.bids = {p: q for p, q in dict(update.bids).items() if q}
            self.asks = {p: q for p, q in dict(update.asks).items() if q}
            self._bid_prices = sorted(-p for p in self.bids)
            self._ask_prices = sorted(self.asks)
        else:
            if update.seq != self.seq + 1:
                return False
            for price, quantity in update.bids:
                _set_level(self.bids, self._bid_prices, price, -price, quantity)
            for price, quantity in update.asks:
                _set_level(self.asks, self._ask_prices, price, price, quantity)
        self.seq = update.seq
        self.ts = update.ts
        return True

    @property
    def best_bid(self) -> int | None:
        """Highest bid as a scaled price; None when the side is empty."""
        return -self._bid_prices[0] if self._bid_prices else None

    @property
    def best_ask(self) -> int | None:
        """Lowest ask as a scaled price; None when the side is empty."""
        return self._ask_prices[0] if self._ask_prices else None

    @property
    def crossed(self) -> bool:
        """True when the best bid is at or above the best ask."""
        return bool(self._bid_prices and self._ask_prices and -self._bid_prices[0] >= self._ask_prices[0])

    def top_bids(self, n: int) -> list[tuple[int, int]]:
        """The best n bids, best first, as (scaled price, scaled quantity)."""
        bids = self.bids
        return [(-p, bids[-p]) for p in self._bid_prices[:n]]

    def top_asks(self, n: int) -> list[tuple[int, int]]:
        """The best n asks, best first, as (scaled price, scaled quantity)."""
        asks = self.asks
        return [(p, asks[p]) for p in self._ask_prices[:n]]

    def size_at(self, side: OrderSide, price: int) -> int:
        """Scaled quantity of a resting side (BUY for bids) at a scaled price; 0 for none."""
        return (self.bids if side is OrderSide.BUY else self.asks).get(price, 0)

    def levels(self, side: OrderSide) -> list[tuple[int, int]]:
        """All levels an order of `side` would meet, best first: asks for a buy, bids for a sell."""
        return self.top_asks(len(self.asks)) if side is OrderSide.BUY else self.top_bids(len(self.bids))

    def to_snapshot(self, depth: int | None = None) -> BookUpdate:
        """The whole book, or its first `depth` levels a side, as a snapshot update."""
        n = depth if depth is not None else max(len(self.bids), len(self.asks))
        return BookUpdate(
            self.instrument,
            self.ts,
            self.seq,
            snapshot=True,
            bids=tuple(self.top_bids(n)),
            asks=tuple(self.top_asks(n)),
        )


def _set_level(levels: dict[int, int], prices: list[int], price: int, key: int, quantity: int) -> None:
    if quantity:
        if price not in levels:
            insort(prices, key)
        levels[price] = quantity
    elif price in levels:
        del levels[price]
        del prices[bisect_left(prices, key)]
