"""Fetches from the venue what its feed did not tell as a whole: books with a gap, bars, the day before the start."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from engine.errors import ValidationError, VenueCircuitOpenError
from engine.logs import get_logger
from engine.model.candle import timeframe_ns
from engine.model.ids import venue_of

if TYPE_CHECKING:
    from engine.clock import Clock
    from engine.market.hub import CandleSeries, MarketHub
    from engine.model.ids import InstrumentId
    from engine.model.venue import Venue
    from engine.resilience.handler import ErrorHandler

__all__ = ["Mender"]

log = get_logger(__name__)

MEND_S = 0.25
"""How often it is looked for something to fetch."""
ANSWER_S = 10.0
"""Seconds of real time that a venue has for a book or for candles, repeated questions included."""
MEND_TRIES = 20
"""Questions for the venue's own bars before those heard here have to do."""
DAY_TIMEFRAME, DAY_BARS = "1h", 25
"""What a market's change over 24 hours is measured with."""
DEPTH = 1000


class Mender:
    """Keeps the markets of one venue whole.

    Args:
        hub: The markets.
        venue: Asked for books and candles.
        clock: Gives the pauses.
        errors: Hears what cannot be fetched.
    """

    def __init__(self, hub: MarketHub, venue: Venue, clock: Clock, errors: ErrorHandler) -> None:
        self._hub = hub
        self._venue = venue
        self._clock = clock
        self._errors = errors
        self._tries: dict[tuple[InstrumentId, str], int] = {}

    async def run(self) -> None:
        """Fetch books that have a gap or are asked for, and bars that were not heard as a whole, until cancelled."""
        while True:
            for instrument in [key for key in self._hub.needs_snapshot if self._is_own(key)]:
                await self._resnapshot(instrument)
            for instrument, series in [pair for pair in self._hub.doubtful() if self._is_own(pair[0])]:
                await self._fetch_bars(instrument, series)
            await self._clock.sleep(MEND_S)

    async def look_back(self, after_s: float = 0.0) -> None:
        """Learn the last day of every market, so that its change over 24 hours is known from the start.

        Args:
            after_s: Seconds to leave the venue to more urgent questions first.
        """
        await self._clock.sleep(after_s)
        for instrument in [key for key in self._hub.markets if self._is_own(key)]:
            try:
                async with asyncio.timeout(ANSWER_S):
                    history = await self._venue.candles(instrument, DAY_TIMEFRAME, limit=DAY_BARS)
                self._hub.series(instrument, DAY_TIMEFRAME).seed(history)
            except Exception as error:  # a figure less on the screen is no reason to end the engine
                self._not_fetched("a market's last day", instrument, error)

    def _is_own(self, instrument: InstrumentId) -> bool:
        return venue_of(instrument) == self._venue.id

    async def _resnapshot(self, instrument: InstrumentId) -> None:
        try:
            async with asyncio.timeout(ANSWER_S):
                book = await self._venue.book(instrument, DEPTH)
            self._hub.on_market(book, self._clock.now(), asked=True)
        except Exception as error:  # whatever it was: the book stays closed to trading, and is asked for again
            self._not_fetched("a book", instrument, error)

    async def _fetch_bars(self, instrument: InstrumentId, series: CandleSeries) -> None:
        key = (instrument, series.timeframe)
        self._tries[key] = tries = self._tries.get(key, 0) + 1
        first, last = series.waiting[0].ts, series.waiting[-1].ts
        since = series.closed[-1].ts if series.closed else first
        limit = min((last - min(since, first)) // timeframe_ns(series.timeframe) + 2, 2_000)
        mended = False
        try:
            async with asyncio.timeout(ANSWER_S):
                history = await self._venue.candles(instrument, series.timeframe, limit=limit)
            mended = series.mend(history)
        except ValidationError as error:
            tries = MEND_TRIES
            log.info("the venue has no such bars", instrument=instrument, problem=error.message)
        except Exception as error:  # whatever it was, it is tried again
            self._not_fetched("bars", instrument, error)
        if not mended and tries >= MEND_TRIES:
            log.warning("bars go on as they were heard", instrument=instrument, timeframe=series.timeframe)
            series.give_up()
            mended = True
        if mended:
            self._tries.pop(key, None)

    def _not_fetched(self, what: str, instrument: InstrumentId, error: Exception) -> None:
        if isinstance(error, VenueCircuitOpenError):
            # That the venue keeps failing has been told; nobody was asked now.
            return
        words = str(error) or type(error).__name__
        log.warning(f"{what} cannot be fetched", instrument=instrument, problem=words)
        self._errors.report(error, component="feeds", operation=f"fetch {what}", position=instrument)
