"""A book in sorted arrays with the best levels at their ends, where most changes are, for the compiled kernels.

Imports numpy; like the kernels it is loaded off the loop.
"""

from __future__ import annotations

from bisect import bisect_left
from operator import neg
from typing import TYPE_CHECKING

import numpy as np

from engine.model.market import BookUpdate
from engine.model.order import OrderSide
from engine.venues.native.books import kernels
from engine.venues.native.books.kernels import cells
from engine.venues.native.books.plain import PlainLevels

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from engine.model.ids import InstrumentId
    from engine.venues.native.books.plain import Levels

    Array = NDArray[np.int64]

__all__ = ["LARGEST", "ArrayBook", "Scratch", "crc_room"]

FIRST_ROOM = 256
"""Levels a side that a book has room for at first."""
LARGEST = 10**18
"""Scaled numbers from here on do not fit."""
_BEST_BID, _BEST_ASK, _TIME, _SEQ = cells.BEST_BID, cells.BEST_ASK, cells.TIME, cells.SEQ


class Scratch:
    """Changed levels as a kernel leaves them, shared by all books of a venue: the next message overwrites them."""

    def __init__(self) -> None:
        self.rows: Array = np.zeros((5, 1024), np.int64)
        """Prices and quantities of bids, then of asks, then `cells`."""

    @property
    def message(self) -> int:
        """Counts messages, so that a book can tell whether these levels are still its own."""
        return int(self.rows[cells.CELLS, cells.MESSAGE])

    @property
    def changed(self) -> tuple[int, int]:
        """How many bids and asks changed."""
        bids, asks = self.rows[cells.CELLS, [cells.BIDS, cells.ASKS]].tolist()
        return bids, asks

    def grow(self) -> None:
        """Make room for twice as many."""
        wider = np.zeros((5, self.rows.shape[1] * 2), np.int64)
        wider[cells.CELLS, : cells.COUNT] = self.rows[cells.CELLS, : cells.COUNT]
        self.rows = wider

    def hold(self, bids: int, asks: int) -> None:
        """A kernel has left so many of a new message."""
        row = self.rows[cells.CELLS]
        row[cells.BIDS], row[cells.ASKS] = bids, asks
        row[cells.MESSAGE] += 1

    def fill(self, levels: PlainLevels) -> None:
        """Hold levels from the plain way; each number is below `LARGEST`."""
        while self.rows.shape[1] < max(len(levels.bids), len(levels.asks)):
            self.grow()
        for row, side in ((0, levels.bids), (2, levels.asks)):
            if side:
                self.rows[row : row + 2, : len(side)] = np.array(side, np.int64).T
        self.hold(len(levels.bids), len(levels.asks))

    def plain(self) -> PlainLevels:
        """The levels as plain numbers."""
        bids, asks = self.changed
        return PlainLevels(_pairs(self.rows, 0, bids), _pairs(self.rows, 2, asks))


def _pairs(rows: Array, row: int, count: int) -> Levels:
    return tuple(zip(rows[row, :count].tolist(), rows[row + 1, :count].tolist(), strict=True))


class ArrayBook:
    """A `KeptBook` over five rows of integers: keys and quantities of bids, then of asks, then `cells`.

    Args:
        instrument: Whose book.
        scratch: Holds the levels of the message that is taken in.
        places: Decimal places of prices and of quantities.
    """

    __slots__ = ("_cells", "_scratch", "_views", "instrument", "rows")

    def __init__(self, instrument: InstrumentId, scratch: Scratch, places: tuple[int, int]) -> None:
        self.instrument = instrument
        self._scratch = scratch
        self._keep(np.zeros((5, FIRST_ROOM), np.int64))
        self._cells[cells.PRICE_PLACES], self._cells[cells.QUANTITY_PLACES] = places
        self._cells[cells.SEQ] = self._cells[cells.MESSAGE] = -1
        self._cells[cells.WHOLE] = 1

    def _keep(self, rows: Array) -> None:
        self.rows = rows
        """The levels as `kernels.take` wants them."""
        # Looking at a few numbers through these takes a fraction of the time it takes through the array.
        self._views = tuple(memoryview(row) for row in rows)
        self._cells = self._views[cells.CELLS]

    @property
    def seq(self) -> int:
        """Counts updates from 0; -1 before the first."""
        return self._cells[_SEQ]

    @seq.setter
    def seq(self, number: int) -> None:
        self._cells[_SEQ] = number

    @property
    def ts(self) -> int:
        """UTC nanoseconds at the venue of the last update."""
        return self._cells[_TIME]

    @property
    def last(self) -> int:
        """The venue's own number of the last update that a kernel has read and taken in at once."""
        return self._cells[cells.LAST]

    @property
    def best_bid(self) -> int | None:
        """Highest bid as a scaled price; None when the side is empty."""
        return self._cells[_BEST_BID] or None

    @property
    def best_ask(self) -> int | None:
        """Lowest ask as a scaled price; None when the side is empty."""
        return self._cells[_BEST_ASK] or None

    @property
    def crossed(self) -> bool:
        """True when the best bid is at or above the best ask."""
        return 0 < self._cells[_BEST_ASK] <= self._cells[_BEST_BID]

    def begin(self, ts: int) -> None:
        """Begin anew with the whole book that is in scratch."""
        bids, asks = self._scratch.changed
        while self.rows.shape[1] < max(bids, asks) * 5 // 4:
            self._grow()
        row = self._cells
        row[_BEST_BID] = self._sort_in(0, bids, 1)
        row[_BEST_ASK] = -self._sort_in(2, asks, -1)
        row[_TIME] = ts
        row[_SEQ] += 1
        row[cells.WHOLE] = 1
        row[cells.MESSAGE] = self._scratch.message

    def _sort_in(self, row: int, count: int, sign: int) -> int:
        """Put one side of scratch in order, the last of equal prices winning; gives the best key, 0 for none."""
        keys, quantities = self._scratch.rows[row, :count] * sign, self._scratch.rows[row + 1, :count]
        order = np.argsort(keys, kind="stable")
        keys, quantities = keys[order], quantities[order]
        kept = np.ones(count, np.bool_)
        kept[:-1] = keys[1:] != keys[:-1]
        kept &= quantities != 0
        left = int(kept.sum())
        self.rows[row, :left] = keys[kept]
        self.rows[row + 1, :left] = quantities[kept]
        self.rows[cells.CELLS, row // 2] = left
        return int(self.rows[row, left - 1]) if left else 0

    def change(self, ts: int) -> None:
        """Take the changed levels that are in scratch in."""
        bids, asks = self._scratch.changed
        while kernels.take(self.rows, self._scratch.rows, bids, asks, ts) == kernels.ROOM:
            self._grow()

    def _grow(self) -> None:
        wider = np.zeros((5, self.rows.shape[1] * 2), np.int64)
        wider[:, : self.rows.shape[1]] = self.rows
        self._keep(wider)

    def top_bids(self, n: int) -> list[tuple[int, int]]:
        """The best n bids, best first, as (scaled price, scaled quantity)."""
        return self._top(0, n)

    def top_asks(self, n: int) -> list[tuple[int, int]]:
        """The best n asks, best first, as (scaled price, scaled quantity)."""
        return self._top(2, n)

    def _top(self, row: int, n: int) -> list[tuple[int, int]]:
        """The best n levels of a side; empty ones are passed over."""
        end: int = self._cells[row // 2]
        found: list[tuple[int, int]] = []
        while end > 0 and len(found) < n:
            start = max(0, end - (n - len(found)))
            keys: list[int] = self._views[row][start:end].tolist()
            quantities: list[int] = self._views[row + 1][start:end].tolist()
            levels = zip(map(neg, reversed(keys)) if row else reversed(keys), reversed(quantities), strict=True)
            found += levels if all(quantities) else [level for level in levels if level[1]]
            end = start
        return found

    def size_at(self, side: OrderSide, price: int) -> int:
        """Scaled quantity of a resting side (BUY for bids) at a scaled price; 0 for none."""
        if not -LARGEST < price < LARGEST:
            return 0
        row, key = (0, price) if side is OrderSide.BUY else (2, -price)
        keys, count = self._views[row], self._cells[row // 2]
        place = bisect_left(keys, key, 0, count)
        return self._views[row + 1][place] if place < count and keys[place] == key else 0

    def levels(self, side: OrderSide) -> list[tuple[int, int]]:
        """All levels an order of `side` would meet, best first: asks for a buy, bids for a sell."""
        most = self.rows.shape[1]
        return self.top_asks(most) if side is OrderSide.BUY else self.top_bids(most)

    def to_snapshot(self, depth: int | None = None) -> BookUpdate:
        """The whole book, or its first `depth` levels a side, as a snapshot update."""
        n = self.rows.shape[1] if depth is None else depth
        bids, asks = tuple(self.top_bids(n)), tuple(self.top_asks(n))
        return BookUpdate(self.instrument, self.ts, self.seq, snapshot=True, bids=bids, asks=asks)

    def last_change(self) -> BookUpdate:
        """The levels that the last update changed; the whole book once another message has been read."""
        if self._cells[cells.MESSAGE] != self._scratch.message:
            # The levels are gone. A whole book is as true, only longer.
            return self.to_snapshot()
        bids, asks = self._scratch.plain()
        whole = self._cells[cells.WHOLE] == 1
        return BookUpdate(self.instrument, self.ts, self.seq, snapshot=whole, bids=bids, asks=asks)


_CRC_TABLE = np.zeros(256, np.int64)
for _byte in range(256):
    _word = _byte
    for _ in range(8):
        _word = (_word >> 1) ^ 0xEDB88320 if _word & 1 else _word >> 1
    _CRC_TABLE[_byte] = _word


def crc_room() -> tuple[Array, NDArray[np.uint8]]:
    """What `okx_crc` needs besides the book: the table of CRC-32, and room for the text."""
    return _CRC_TABLE, np.zeros(4096, np.uint8)
