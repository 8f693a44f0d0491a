"""The market hub: what the engine knows of markets right now, and who is told when a bar closes.

Plain and synchronous. A venue's market sink feeds it on the loop; consumers read the latest state, so a handler always
sees the newest. Nothing here is journalled.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from engine.errors import NotFoundError
from engine.logs import get_logger
from engine.model.candle import Candle, timeframe_ns
from engine.model.candle_builder import CandleBuilder
from engine.model.market import BookUpdate, FeedStatus, MarketEvent, MarketTrade, OrderBook
from engine.model.risk import Quote

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.model.ids import InstrumentId
    from engine.model.instrument import Instrument

__all__ = ["BarListener", "CandleSeries", "Market", "MarketHub"]

log = get_logger(__name__)

TAPE = 200
"""Public trades kept per instrument."""
SERIES = 2_000
"""Closed candles kept per instrument and timeframe."""
BarListener = Callable[[Candle], None]


class CandleSeries:
    """Closed candles of one timeframe with the growing one, and who hears about each close."""

    def __init__(self, instrument: Instrument, timeframe: str) -> None:
        self.timeframe = timeframe
        self.closed: deque[Candle] = deque(maxlen=SERIES)
        """Oldest first."""
        self.listeners: list[BarListener] = []
        self._builder = CandleBuilder(instrument, timeframe)

    @property
    def growing(self) -> Candle | None:
        """The bar that still grows."""
        return self._builder.growing

    def seed(self, history: Sequence[Candle]) -> None:
        """Begin with closed candles of a venue, oldest first; those already known are skipped."""
        last = self.closed[-1].ts if self.closed else -1
        self.closed.extend(candle for candle in history if candle.ts > last and candle.closed)

    def on_trade(self, trade: MarketTrade) -> None:
        """Take a public trade in."""
        for candle in self._builder.on_trade(trade):
            self._close(candle)

    def on_price(self, ts: int, price: float) -> None:
        """Take a price without volume in, in scaled units."""
        for candle in self._builder.on_price(ts, price):
            self._close(candle)

    def on_candle(self, candle: Candle) -> None:
        """Take a venue's own candle in."""
        if candle.closed:
            self._close(candle)
        else:
            self._builder.resume(candle)

    def roll(self, ts: int) -> None:
        """Close what ended at or before a time, silent bars included."""
        for candle in self._builder.roll(ts):
            self._close(candle)

    def _close(self, candle: Candle) -> None:
        if self.closed and candle.ts <= self.closed[-1].ts:
            return
        self.closed.append(candle)
        for listener in tuple(self.listeners):
            listener(candle)


class Market:
    """Everything known of one instrument's market."""

    def __init__(self, instrument: Instrument) -> None:
        self.instrument = instrument
        self.book = OrderBook(instrument.id)
        self.tape: deque[MarketTrade] = deque(maxlen=TAPE)
        """Public trades, oldest first."""
        self.series: dict[str, CandleSeries] = {}
        self.live = False
        self.reason = ""
        self.heard = 0
        """UTC nanoseconds (engine clock) of the last event."""
        self.updates = 0
        self.gaps = 0
        self.version = 0
        """Counts every change, for views that redraw only when something moved."""
        self.trades = 0
        """Counts public trades."""
        self._quote: Quote | None = None
        self._quoted = -1

    def quote(self) -> Quote | None:
        """The market in exact decimals; None before the first event."""
        if self._quoted != self.version:
            self._quoted = self.version
            self._quote = self._make_quote()
        return self._quote

    def _make_quote(self) -> Quote | None:
        if not self.heard:
            return None
        bid, ask, convert = self.book.best_bid, self.book.best_ask, self.instrument.price_from_int
        last = self.tape[-1].price if self.tape else None
        crossed = self.book.crossed
        return Quote(
            None if bid is None or crossed else convert(bid),
            None if ask is None or crossed else convert(ask),
            None if last is None else convert(last),
            self.heard,
        )


class MarketHub:
    """All markets by instrument. Implements `Quotes`."""

    def __init__(self) -> None:
        self.markets: dict[InstrumentId, Market] = {}
        self.needs_snapshot: set[InstrumentId] = set()
        """Instruments whose book has a gap; whoever owns the feed fetches them anew."""

    def add(self, instrument: Instrument) -> Market:
        """Begin to keep an instrument's market; what is already kept stays."""
        market = self.markets.get(instrument.id)
        if market is None:
            market = self.markets[instrument.id] = Market(instrument)
        return market

    def market(self, instrument: InstrumentId) -> Market:
        """The market of an instrument.

        Raises:
            NotFoundError: No such instrument is kept.
        """
        market = self.markets.get(instrument)
        if market is None:
            known = ", ".join(sorted(self.markets)) or "none"
            raise NotFoundError(f"There is no market {instrument}; known are {known}.")
        return market

    def quote(self, instrument: InstrumentId) -> Quote | None:
        """The present market in exact decimals; None when nothing was heard of it."""
        market = self.markets.get(instrument)
        return market.quote() if market is not None else None

    def series(self, instrument: InstrumentId, timeframe: str) -> CandleSeries:
        """The candles of a timeframe, built from now on when nobody asked before.

        Raises:
            NotFoundError: No such instrument is kept.
            ValidationError: The timeframe is not known.
        """
        market = self.market(instrument)
        found = market.series.get(timeframe)
        if found is None:
            timeframe_ns(timeframe)
            found = market.series[timeframe] = CandleSeries(market.instrument, timeframe)
        return found

    def on_market(self, event: MarketEvent, now: int) -> None:
        """Take one market event in; `now` is the engine's clock."""
        market = self.markets.get(event.instrument)
        if market is None:
            return
        market.heard = now
        market.version += 1
        match event:
            case BookUpdate():
                self._on_book(market, event)
            case MarketTrade():
                market.tape.append(event)
                market.trades += 1
                for series in market.series.values():
                    series.on_trade(event)
            case Candle():
                series = self.series(event.instrument, event.timeframe)
                series.on_candle(event)
            case FeedStatus():
                market.live, market.reason = event.live, event.reason

    def _on_book(self, market: Market, update: BookUpdate) -> None:
        market.updates += 1
        if market.book.apply(update):
            market.live = True
            self.needs_snapshot.discard(update.instrument)
            return
        if update.instrument not in self.needs_snapshot:
            market.gaps += 1
            market.live = False
            market.reason = "the book has a gap"
            self.needs_snapshot.add(update.instrument)
            log.warning("book gap", instrument=update.instrument, have=market.book.seq, got=update.seq)

    def roll(self, now: int) -> None:
        """Close bars whose time is over though nothing traded; call it about once a second."""
        for market in self.markets.values():
            for series in market.series.values():
                series.roll(now)

    def feed_age_ns(self, now: int) -> int | None:
        """Age of the market heard of longest ago; None when none was heard of."""
        heard = [market.heard for market in self.markets.values() if market.heard]
        return now - min(heard) if heard else None
