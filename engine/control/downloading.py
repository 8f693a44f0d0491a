"""History of an exchange for the candle store: asks for what is not stored, page by page, and stores it as it comes.

What is missing is found in the store itself, so an interrupted download goes on where it stopped, and one over a stored
range fills its holes. Pages go backwards in time, as exchanges give them.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec

from engine.errors import DataValidationError, ExchangeError, NotFoundError, ValidationError
from engine.logs import get_logger
from engine.model.candle import Bars
from storage.candle_sets import CandleSet, missing_ranges, on_grid

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from engine.clock import Clock
    from engine.model.candle import Candle, IntArray
    from engine.model.venue import Venue
    from storage.candles import CandleStore

__all__ = ["Download", "DownloadReport"]

log = get_logger(__name__)

PAGE = 1000
"""Bars asked for at once; the adapter makes as many requests of it as its venue needs."""
STORE_BARS = 20_000
"""Bars after which what has come is stored: a file of the store is replaced as a whole."""
TRIES = 6
FIRST_PAUSE_S = 1.0
"""Pause after a request that failed; it doubles."""


class DownloadReport(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a download."""

    key: CandleSet
    start: int
    """UTC nanoseconds of the range that was wanted."""
    end: int
    known: int
    """Bars of the range that were stored before."""
    fetched: int
    """Bars that were fetched and stored now."""
    holes: int
    """Ranges that were missing before."""
    gaps: int
    """Ranges that are missing still, because the exchange has no bars there."""
    missing: int
    """Bars missing in them."""
    first: int | None
    """Open of the oldest bar of the range; None when it has none."""
    requests: int


class Download:
    """One download of one set. Nothing is lost when it is cancelled: what has come is stored in portions.

    Args:
        venue: Started; only its candles are asked for.
        store: Where they go.
        key: What is wanted.
        clock: Time of pauses and of now.
        progress: Told the share done (0 to 1) and a sentence.
        store_bars: Bars after which what has come is stored.
    """

    def __init__(
        self,
        venue: Venue,
        store: CandleStore,
        key: CandleSet,
        clock: Clock,
        progress: Callable[[float, str], None] = lambda share, words: None,
        *,
        store_bars: int = STORE_BARS,
    ) -> None:
        self._venue = venue
        self._store = store
        self._key = key
        self._clock = clock
        self._progress = progress
        self._store_bars = store_bars
        self._waiting: list[Candle] = []
        self._fetched = 0
        self._requests = 0
        self._wanted = 0
        self._passed = 0

    async def run(self, start: int | None, end: int | None) -> DownloadReport:
        """Fetch what is missing.

        Args:
            start: UTC nanoseconds; None for the first bar that is stored.
            end: UTC nanoseconds, exclusive; None for now.

        Raises:
            ValidationError: The range is empty, or nothing is stored and no beginning is given.
            ExchangeError: The exchange cannot be reached; what has come until then is stored.
            DataValidationError: A bar that the exchange gave is broken.
            NotFoundError: The exchange has no such instrument.
        """
        stored = await self._stored()
        start, end = self._range(start, end, stored)
        holes = missing_ranges(stored, self._key.timeframe, start, end)
        length = self._key.length
        total = sum(b - a for a, b in holes) // length
        self._wanted = max(total, 1)
        known = max((end - start) // length - total, 0)
        try:
            # The newest first: where an exchange has nothing older, it has nothing for the holes before either.
            for first, last in reversed(holes):
                if not await self._fill(first, last):
                    break
        finally:
            await self._keep()
        now = await self._stored()
        left = missing_ranges(now, self._key.timeframe, start, end)
        inside = now[(now >= start) & (now < end)]
        return DownloadReport(
            key=self._key,
            start=start,
            end=end,
            known=known,
            fetched=self._fetched,
            holes=len(holes),
            gaps=len(left),
            missing=sum(b - a for a, b in left) // length,
            first=int(inside[0]) if len(inside) else None,
            requests=self._requests,
        )

    def _range(self, start: int | None, end: int | None, stored: IntArray) -> tuple[int, int]:
        import numpy as np

        if start is None and not len(stored):
            raise ValidationError(f"No candles of {self._key.words} are stored yet; say from when on they are wanted.")
        begin = int(stored[0]) if start is None else start
        until = min(self._clock.now() if end is None else end, self._clock.now())
        offsets = on_grid(np.array([begin, until], np.int64), self._key.timeframe).tolist()
        # Only whole bars: the first one that opens in the range, the last one that has closed.
        begin += (self._key.length - offsets[0]) % self._key.length
        until -= offsets[1]
        if begin >= until:
            raise ValidationError("The range has no whole bar that has closed; begin earlier or end later.")
        return begin, until

    async def _stored(self) -> IntArray:
        def read() -> IntArray:
            import numpy as np

            try:
                return self._store.read(self._key).ts
            except NotFoundError:
                return np.zeros(0, np.int64)

        return await asyncio.to_thread(read)

    async def _fill(self, first: int, last: int) -> bool:
        """Fetch a hole, its newest part first; False when the exchange has nothing older at all."""
        length, cursor = self._key.length, last
        while cursor > first:
            page = await self._page(cursor, min(PAGE, (cursor - first) // length))
            if not page:
                return False
            inside = [candle for candle in page if first <= candle.ts < cursor and candle.closed]
            self._waiting += inside
            oldest = max(page[0].ts, first)
            self._passed += (cursor - oldest) // length
            cursor = oldest
            self._tell()
            if len(self._waiting) >= self._store_bars:
                await self._keep()
        return True

    def _tell(self) -> None:
        done = self._fetched + len(self._waiting)
        self._progress(min(self._passed / self._wanted, 1.0), f"{done:,} of {self._wanted:,} bars")

    async def _page(self, end: int, limit: int) -> Sequence[Candle]:
        pause = FIRST_PAUSE_S
        for left in range(TRIES - 1, -1, -1):
            self._requests += 1
            try:
                return await self._venue.candles(self._key.instrument, self._key.timeframe, end=end, limit=limit)
            except ExchangeError as error:
                if not (left and error.retryable):
                    raise
                log.warning("a page of candles is asked for again", problem=error.message)
            await self._clock.sleep(pause)
            pause *= 2
        raise AssertionError("the last try returns or raises")

    async def _keep(self) -> None:
        if not self._waiting:
            return
        candles, self._waiting = self._waiting, []
        bars = _checked(self._key, candles)
        await asyncio.to_thread(self._store.merge, self._key, bars)
        self._fetched += len(bars)


def _checked(key: CandleSet, candles: Sequence[Candle]) -> Bars:
    """Bars as the store wants them: ascending, on the grid, with prices that can be.

    Raises:
        DataValidationError: They are not; the message shows the first.
    """
    import numpy as np

    one = {candle.ts: candle for candle in candles}
    rows = [one[ts] for ts in sorted(one)]
    ts = np.array([candle.ts for candle in rows], np.int64)
    names = ("open", "high", "low", "close", "volume")
    open_, high, low, close, volume = (np.array([getattr(c, name) for c in rows], np.float64) for name in names)
    # Written so that a NaN anywhere makes it false.
    sound = (low > 0) & (low <= np.minimum(open_, close)) & (np.maximum(open_, close) <= high)
    sound &= np.isfinite(high) & (volume >= 0) & np.isfinite(volume) & (on_grid(ts, key.timeframe) == 0)
    if not sound.all():
        broken = rows[int(np.argmin(sound))]
        raise DataValidationError(
            f"{key.venue} gave a broken bar of {key.words}: {broken}. It was not stored, nor those that came with it."
        )
    return Bars(key.timeframe, ts, open_, high, low, close, volume)
