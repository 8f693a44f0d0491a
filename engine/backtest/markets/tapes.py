"""What a run over several markets reads: one tape an instrument, and their merging on one time axis.

A tape holds what happened at the venue in order of time. Where the engine hears of it later than it happens, it is
played twice: to the exchange when it happens, and to the strategy when it is heard.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from engine.model.market import BookUpdate
from engine.venues.paper.fill_model import FillKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.model.candle import Candle, FloatArray, IntArray
    from engine.model.ids import InstrumentId
    from engine.model.instrument import Instrument
    from engine.model.market import MarketDatum

__all__ = ["EventTape", "QuoteTape", "Tape", "first_prices", "merge"]


@dataclass(slots=True, kw_only=True)
class QuoteTape:
    """Best prices with their sizes, and closed bars where there are some.

    Attributes:
        instrument: What they are of.
        ts: UTC nanoseconds of each quote, ascending, shape (n,).
        bid, ask, bid_size, ask_size: float64, shape (n,); quote currency and base units, 0 for an empty side.
        bars: Closed bars of `timeframe`, told when they close.
        words: Where the quotes come from, for the report.
    """

    instrument: Instrument
    ts: IntArray
    bid: FloatArray
    ask: FloatArray
    bid_size: FloatArray
    ask_size: FloatArray
    bars: Sequence[Candle] = ()
    words: str = "quotes"
    kind: FillKind = FillKind.TOP

    @property
    def id(self) -> InstrumentId:
        """The instrument."""
        return self.instrument.id

    def __len__(self) -> int:
        return len(self.ts)

    def scaled(self) -> tuple[list[int], list[int], list[int], list[int]]:
        """Bid, bid size, ask and ask size in the instrument's scales."""
        price, size = 10.0**self.instrument.price_scale, 10.0**self.instrument.quantity_scale
        columns = ((self.bid, price), (self.bid_size, size), (self.ask, price), (self.ask_size, size))
        bid, bid_size, ask, ask_size = (np.rint(column * scale).astype(np.int64).tolist() for column, scale in columns)
        return bid, bid_size, ask, ask_size


@dataclass(slots=True, kw_only=True)
class EventTape:
    """Recorded events: books, trades, candles and marks as they came."""

    instrument: Instrument
    ts: IntArray
    events: Sequence[MarketDatum]
    digest: str
    """Stands for what the events say."""
    words: str = "a recording"
    kind: FillKind = FillKind.BOOK

    @property
    def id(self) -> InstrumentId:
        """The instrument."""
        return self.instrument.id

    def __len__(self) -> int:
        return len(self.ts)


Tape = QuoteTape | EventTape


def first_prices(tape: Tape) -> tuple[float, float]:
    """The first best bid and ask that are there together; 0 where there are none."""
    if isinstance(tape, QuoteTape):
        both = ((tape.bid_size > 0) & (tape.ask_size > 0)).nonzero()[0]
        return (float(tape.bid[both[0]]), float(tape.ask[both[0]])) if len(both) else (0.0, 0.0)
    unit = 10.0**-tape.instrument.price_scale
    for event in tape.events:
        if isinstance(event, BookUpdate) and event.snapshot and event.bids and event.asks:
            return max(price for price, _ in event.bids) * unit, min(price for price, _ in event.asks) * unit
    return 0.0, 0.0


def merge(columns: Sequence[IntArray]) -> tuple[list[int], list[int], list[int]]:
    """Put ascending times of several columns on one axis; of equal times the earlier column comes first.

    Returns:
        The times, which column each comes from, and its row there.
    """
    if len(columns) == 1:
        count = len(columns[0])
        return columns[0].tolist(), [0] * count, list(range(count))
    times = np.concatenate(list(columns))
    source = np.concatenate([np.full(len(column), number) for number, column in enumerate(columns)])
    row = np.concatenate([np.arange(len(column)) for column in columns])
    order = np.argsort(times, kind="stable")
    return times[order].tolist(), source[order].tolist(), row[order].tolist()
