"""What the breakers of markets remember of each: closes of periods, the prices of a window, when anything last moved.

Fed with the present quotes a few times a second; a market that is not heard adds nothing, and one that comes back after
a silence begins its periods anew, but not its window: a jump over the silence counts.
"""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING

import msgspec
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.model.breaker_inputs import Markets
    from engine.model.candle import Candle
    from engine.model.ids import InstrumentId
    from engine.model.protections import ProtectionSettings
    from engine.model.risk import Quote, Quotes

__all__ = ["MarketCarried", "MarketMemory", "Memory"]

_PARTS = 100
"""Into so many steps a window of prices is cut; a move is seen to that part of its window."""


class MarketCarried(msgspec.Struct, frozen=True, kw_only=True):
    """The memory of one market, for the process that takes over; times in UTC nanoseconds."""

    closes: list[float]
    period: int
    price: float
    heard: int
    moved: int
    window: list[tuple[int, float, float]]


class MarketMemory:
    """One market."""

    def __init__(self, settings: ProtectionSettings) -> None:
        periods = settings.volatility_periods
        self.closes: deque[float] = deque(maxlen=2 * periods + 1)
        """Price at the end of each period, the oldest first."""
        self.period = -1
        """Number of the period that runs."""
        self.price = 0.0
        """Last mark."""
        self.heard = 0
        """UTC nanoseconds at which the market was last heard."""
        self.moved = 0
        """UTC nanoseconds at which quotes last changed, or something traded."""
        self.window: deque[tuple[int, float, float]] = deque()
        """(begin, lowest, highest) of short steps, the oldest first."""
        self._settings = settings
        self._seen: tuple[object, ...] = ()
        self._shocks: tuple[tuple[object, ...], float] = ((), 0.0)
        self._spikes: tuple[tuple[int, int], float | None] = ((-1, 0), None)

    def take(self, quote: Quote, traded: int, now: int) -> None:
        """Take the present quote in."""
        settings = self._settings
        silent = self.heard and now - self.heard > settings.ns("stale_feed_s")
        self.heard = max(self.heard, quote.ts)
        seen = (quote.bid, quote.ask, quote.last, quote.fair)
        if seen != self._seen:
            # The first look after a start is no move: it goes on where the memory that was carried stands.
            if self._seen or not self.moved:
                self.moved = now
            self._seen = seen
        self.moved = max(self.moved, traded)
        mark = quote.mark
        if mark is None or not mark or now - quote.ts > settings.ns("stale_feed_s"):
            return
        if silent:
            # Returns over a silence are of no known length; a jump over it is a shock all the same.
            self.closes.clear()
        price = float(mark)
        period = now // settings.ns("volatility_period_s")
        if period != self.period:
            if self.period >= 0 and self.price:
                self.closes.append(self.price)
            self.period = period
        self.price = price
        self._keep(price, now)

    def _keep(self, price: float, now: int) -> None:
        window = self.window
        span = self._settings.ns("price_shock_window_s")
        step = max(span // _PARTS, 1)
        begin = now - now % step
        if window and window[-1][0] == begin:
            _, low, high = window[-1]
            if price < low or price > high:
                window[-1] = (begin, min(low, price), max(high, price))
        else:
            window.append((begin, price, price))
        while window and window[0][0] < now - span:
            window.popleft()

    def shock(self) -> float:
        """Largest move of the present price from any within the window, as a fraction of that price."""
        if not self.window or not self.price:
            return 0.0
        key = (self.price, self.window[0][0], self.window[-1])
        if key != self._shocks[0]:
            low, high = min(step[1] for step in self.window), max(step[2] for step in self.window)
            self._shocks = (key, max(self.price / low - 1.0, 1.0 - self.price / high))
        return self._shocks[1]

    def volatility(self) -> tuple[float, float] | None:
        """Volatility now and its average before; None while there are too few periods.

        Volatility is the standard deviation of the logarithmic returns of the last n periods, and the average is that
        of the n values which ended one to n periods earlier.
        """
        periods = self._settings.volatility_periods
        if len(self.closes) < 2 * periods + 1:
            return None
        returns = np.diff(np.log(np.array(self.closes, dtype=np.float64)))
        spans = np.lib.stride_tricks.sliding_window_view(returns, periods)
        spread = spans.std(axis=1)
        return float(spread[-1]), float(spread[:-1].mean())

    def spike(self) -> float | None:
        """Present volatility as a multiple of its average; None while nobody can tell."""
        key = (self.period, len(self.closes))
        if key != self._spikes[0]:
            self._spikes = (key, self._spike())
        return self._spikes[1]

    def _spike(self) -> float | None:
        found = self.volatility()
        if found is None:
            return None
        now, average = found
        floor = float(self._settings.volatility_floor)
        if now < floor:
            return min(now / average, 1.0) if average > 0 else 0.0
        return now / average if average > 0 else math.inf

    @property
    def short(self) -> bool:
        """Whether too few periods are known to tell volatility."""
        return len(self.closes) < 2 * self._settings.volatility_periods + 1

    def warm(self, bars: Sequence[Candle], now: int) -> bool:
        """Put the past before what was heard, as after a start; bars of one period each, the oldest first.

        Args:
            bars: Closed ones. They count for volatility where they reach without a gap up to the first period that
                was heard, and for the window as far as it reaches back.
            now: UTC nanoseconds.

        Returns:
            Whether volatility can be told now.
        """
        if self.period < 0 or not self.short:
            return not self.short
        length = self._settings.ns("volatility_period_s")
        wanted, older = self.period - len(self.closes) - 1, []
        for bar in reversed(bars):
            if bar.ts // length > wanted:
                continue
            if bar.ts // length < wanted or bar.close <= 0:
                break
            older.append(float(bar.close))
            wanted -= 1
        self.closes = deque([*reversed(older), *self.closes], maxlen=self.closes.maxlen)
        first = self.window[0][0] if self.window else now
        reach = now - self._settings.ns("price_shock_window_s")
        past = [(bar.ts, float(bar.low), float(bar.high)) for bar in bars if reach <= bar.ts <= first - length]
        self.window.extendleft(reversed([step for step in past if step[1] > 0]))
        return not self.short

    def forget_volatility(self) -> None:
        """Begin its periods anew."""
        self.closes.clear()

    def forget_window(self, now: int) -> None:
        """Let the present price be the first of the window."""
        self.window.clear()
        if self.price:
            self._keep(self.price, now)

    def save(self) -> MarketCarried:
        """For another process."""
        return MarketCarried(
            closes=list(self.closes), period=self.period, price=self.price, heard=self.heard, moved=self.moved,
            window=list(self.window),
        )  # fmt: skip

    def restore(self, carried: MarketCarried) -> None:
        """Go on from there."""
        self.closes.extend(carried.closes)
        self.period, self.price, self.heard, self.moved = carried.period, carried.price, carried.heard, carried.moved
        self.window.extend(carried.window)


class Memory:
    """All markets that are listened to.

    Args:
        quotes: Present markets.
        markets: Which there are, and when each last traded.
        settings: Windows and periods.
    """

    def __init__(self, quotes: Quotes, markets: Markets, settings: ProtectionSettings) -> None:
        self.known: dict[InstrumentId, MarketMemory] = {}
        self._quotes = quotes
        self._markets = markets
        self._settings = settings

    def look(self, now: int) -> None:
        """Take every market's present quote in; forget those that are watched no more."""
        watched = set()
        for instrument in self._markets.watched():
            watched.add(instrument)
            quote = self._quotes.quote(instrument)
            if quote is None:
                continue
            memory = self.known.get(instrument)
            if memory is None:
                memory = self.known[instrument] = MarketMemory(self._settings)
            memory.take(quote, self._markets.traded(instrument), now)
        for gone in [instrument for instrument in self.known if instrument not in watched]:
            del self.known[gone]

    def save(self) -> dict[InstrumentId, MarketCarried]:
        """For another process."""
        return {instrument: memory.save() for instrument, memory in self.known.items()}

    def restore(self, carried: dict[InstrumentId, MarketCarried]) -> None:
        """Go on from there."""
        for instrument, one in carried.items():
            memory = self.known[instrument] = MarketMemory(self._settings)
            memory.restore(one)
