"""Fills on quotes: own orders laid over the best prices alone, where nobody recorded the levels behind them.

All is as on a level-2 book (`book_matching`) of one level a side that every quote sends anew, but for the queue: what
stands at a price behind the best one is not known. An order that rests there is taken to stand behind everything that
is displayed when its price first becomes the best one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.model.market import OrderBook
from engine.venues.paper.book_matching import BookMatching

if TYPE_CHECKING:
    from engine.model.ids import InstrumentId
    from engine.model.instrument import Instrument
    from engine.venues.paper.fill_model import Clearing
    from engine.venues.paper.orders import PaperOrder
    from engine.venues.paper.settings import BookFillSettings

__all__ = ["TopBook", "TopMatching"]

_NO_BOUND = 1 << 62


class TopBook(OrderBook):
    """A book of the best prices alone, in scaled integers; 0 stands for an empty side."""

    __slots__ = ("ask", "ask_size", "bid", "bid_size")

    def __init__(self, instrument: InstrumentId) -> None:
        self.bid = self.ask = self.bid_size = self.ask_size = 0
        super().__init__(instrument)

    @property
    def bids(self) -> dict[int, int]:
        """Scaled quantity by scaled price."""
        return {self.bid: self.bid_size} if self.bid_size else {}

    @bids.setter
    def bids(self, levels: dict[int, int]) -> None:
        self.bid, self.bid_size = max(levels.items(), default=(0, 0))

    @property
    def asks(self) -> dict[int, int]:
        """Scaled quantity by scaled price."""
        return {self.ask: self.ask_size} if self.ask_size else {}

    @asks.setter
    def asks(self, levels: dict[int, int]) -> None:
        self.ask, self.ask_size = min(levels.items(), default=(0, 0))

    @property
    def best_bid(self) -> int | None:
        """Highest bid; None when the side is empty."""
        return self.bid if self.bid_size else None

    @property
    def best_ask(self) -> int | None:
        """Lowest ask; None when the side is empty."""
        return self.ask if self.ask_size else None

    def top_bids(self, n: int) -> list[tuple[int, int]]:
        """The best bid as (scaled price, scaled quantity)."""
        return [(self.bid, self.bid_size)] if self.bid_size and n > 0 else []

    def top_asks(self, n: int) -> list[tuple[int, int]]:
        """The best ask as (scaled price, scaled quantity)."""
        return [(self.ask, self.ask_size)] if self.ask_size and n > 0 else []


class TopMatching(BookMatching):
    """Fill model of one instrument on its best prices and, where there are any, public trades."""

    def __init__(self, instrument: Instrument, clearing: Clearing, settings: BookFillSettings) -> None:
        super().__init__(instrument, clearing, settings)
        self.top = self.book = TopBook(instrument.id)
        self._unseen: set[int] = set()
        """Numbers of the own orders whose price has not been the best one yet."""
        self._bounds: tuple[int, int] | None = None

    def bounds(self) -> tuple[int, int]:
        """Between these two prices a bid below and an ask above move nothing here."""
        if self._bounds is None:
            low, high = 0, _NO_BOUND
            for order in self._resting:
                if order.price is None:
                    continue
                if order.buy:
                    low = max(low, order.price)
                else:
                    high = min(high, order.price)
            self._bounds = (_NO_BOUND, 0) if self._waiting else (low, high)
        return self._bounds

    def add(self, order: PaperOrder, now: int) -> None:
        """As on a book; an order behind the best price does not know its queue."""
        super().add(order, now)
        self._bounds = None
        if order.is_open and order.price is not None and not order.waits:
            top = self.top
            if order.price < top.bid if order.buy else order.price > top.ask:
                self._unseen.add(order.seq)

    def amended(self, order: PaperOrder, now: int, *, keeps_place: bool) -> None:
        """As on a book."""
        super().amended(order, now, keeps_place=keeps_place)
        self._bounds = None

    def restore(self, order: PaperOrder) -> None:
        """As on a book."""
        super().restore(order)
        self._bounds = None

    def remove(self, order: PaperOrder) -> None:
        """Forget an order."""
        super().remove(order)
        self._unseen.discard(order.seq)
        self._bounds = None

    def passes(self, ts: int, bid: int, bid_size: int, ask: int, ask_size: int) -> bool:
        """Take a quote that can neither fill an own order nor move a queue; False, and nothing is taken, if it can."""
        low, high = self._bounds or self.bounds()
        if not (low < bid and ask < high and bid_size and ask_size):
            return False
        top = self.top
        top.bid, top.bid_size, top.ask, top.ask_size, top.ts = bid, bid_size, ask, ask_size, ts
        bids_taken, asks_taken = self._taken
        if bids_taken:
            bids_taken.clear()
        if asks_taken:
            asks_taken.clear()
        return True

    def on_quote(self, ts: int, bid: int, bid_size: int, ask: int, ask_size: int) -> None:
        """Take the best prices; scaled integers, a size of 0 for an empty side."""
        top = self.top
        was_bid, was_bid_size, was_ask, was_ask_size = top.bid, top.bid_size, top.ask, top.ask_size
        top.bid, top.bid_size, top.ask, top.ask_size, top.ts = bid, bid_size, ask, ask_size, ts
        bids_taken, asks_taken = self._taken
        bids_taken.clear()
        asks_taken.clear()
        reached = False
        for order in self._resting:
            price = order.price or 0
            if order.buy:
                self._queue(order, price, (was_bid, was_bid_size), (bid, bid_size), hidden=price < bid)
                reached = reached or (ask_size > 0 and price >= ask)
            else:
                self._queue(order, price, (was_ask, was_ask_size), (ask, ask_size), hidden=price > ask)
                reached = reached or (bid_size > 0 and price <= bid)
        if reached:
            self._fill_crossed(ts)
        if self._waiting:
            self._check_triggers(ts)

    def _queue(
        self, order: PaperOrder, price: int, was: tuple[int, int], now: tuple[int, int], *, hidden: bool
    ) -> None:
        """Move an order's queue by what its level shows now."""
        if hidden:
            return
        size = now[1] if now[0] == price else 0
        if order.seq in self._unseen:
            self._unseen.discard(order.seq)
            order.ahead = size
            return
        if order.ahead:
            expected = (was[1] if was[0] == price else 0) - self._traded.pop(price, 0)
            if size < expected:
                order.ahead = -(-order.ahead * size // expected)
            order.ahead = min(order.ahead, size)
