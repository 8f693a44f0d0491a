"""Past candles of the simulated market: the session's own minutes where there are any, the fair path elsewhere."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from engine.errors import ValidationError
from engine.model.candle import Candle, timeframe_ns
from engine.model.candle_builder import bar_open
from engine.venues.markets.sim_fair import MINUTE_NS
from engine.venues.markets.sim_path import CHUNK, HISTORY_DAYS

if TYPE_CHECKING:
    from engine.model.candle import FloatArray
    from engine.model.instrument import Instrument
    from engine.venues.markets.sim_path import FairPath
    from engine.venues.markets.sim_profile import PairProfile

__all__ = ["SavedMinutes", "SimulatedHistory"]

SavedMinutes = list[list[tuple[int, float, float, float, float, float]]]
"""Time, open, high, low, close and volume of minutes, by instrument."""

_KEPT_MINUTES = 4320
"""Minutes of the session kept per instrument: three days."""
_SAVED_MINUTES = 120
_KEPT_SHIFTS = 512


class SimulatedHistory:
    """Candles before now.

    The path knows every minute's open, close, extremes and value without any live event; so the past before the start,
    and gaps in which the engine did not run, cost nothing until somebody looks. Minutes that were lived through come
    from the market's own trades.

    `candles` may run in another thread while the market goes on.

    Args:
        path: The fair prices.
        pairs: Profiles in the order of the instruments.
        instruments: The instruments.
    """

    def __init__(self, path: FairPath, pairs: tuple[PairProfile, ...], instruments: tuple[Instrument, ...]) -> None:
        self._path = path
        self._pairs = pairs
        self._instruments = instruments
        self._session: list[dict[int, Candle]] = [{} for _ in pairs]
        self._packed: bytes | None = None
        # Minute from which on each row of log price shifts held: what the trader's own impact left for good.
        self._shift_minutes: list[int] = []
        self._shifts: list[list[float]] = []
        self._first_shift = [0.0] * path.weights.shape[1]

    def add(self, pair: int, candle: Candle) -> None:
        """Keep a closed minute of the session."""
        session = self._session[pair]
        session[candle.ts // MINUTE_NS] = candle
        self._packed = None
        if len(session) > _KEPT_MINUTES:
            del session[next(iter(session))]

    def shift(self, minute: int, shift: list[float]) -> None:
        """Remember that from a minute on all log prices are shifted by these amounts, one per asset."""
        if self._shift_minutes and self._shift_minutes[-1] == minute:
            self._shifts[-1] = list(shift)
            return
        if len(self._shift_minutes) >= _KEPT_SHIFTS:
            self._first_shift = self._shifts.pop(0)
            del self._shift_minutes[0]
        self._shifts.append(list(shift))
        self._shift_minutes.append(minute)

    def pack(self) -> bytes:
        """The session's newest two hours as msgpack of `SavedMinutes`; what is older the path draws after a restart."""
        if self._packed is None:
            recent = [list(s.values())[-_SAVED_MINUTES:] for s in self._session]
            rows = [[(c.ts, c.open, c.high, c.low, c.close, c.volume) for c in candles] for candles in recent]
            self._packed = msgspec.msgpack.encode(rows)
        return self._packed

    def unpack(self, minutes: SavedMinutes) -> None:
        """Take up what `pack` gave, decoded."""
        for pair, candles in enumerate(minutes):
            for row in candles:
                self.add(pair, Candle(self._instruments[pair].id, "1m", *row))

    def dump_shifts(self) -> tuple[list[float], list[int], list[list[float]]]:
        """All shifts, for `load_shifts`."""
        return self._first_shift, self._shift_minutes, self._shifts

    def load_shifts(self, state: tuple[list[float], list[int], list[list[float]]]) -> None:
        """Take up what `dump_shifts` gave."""
        self._first_shift, self._shift_minutes, self._shifts = list(state[0]), list(state[1]), list(state[2])

    def candles(self, pair: int, timeframe: str, end_ns: int, limit: int) -> list[Candle]:
        """The newest `limit` candles closed at or before a time, oldest first.

        Raises:
            ValidationError: The timeframe is unknown or not a whole number of minutes.
        """
        length = timeframe_ns(timeframe)
        if length % MINUTE_NS:
            raise ValidationError(f"The simulated market keeps candles of 1m and longer, not {timeframe}.")
        end = bar_open(end_ns, timeframe)
        earliest = (self._path.genesis - HISTORY_DAYS * CHUNK) * MINUTE_NS
        start = max(end - max(limit, 0) * length, bar_open(earliest - 1, timeframe) + length)
        if start >= end:
            return []
        open_, high, low, close, volume = self._minutes(pair, start // MINUTE_NS, end // MINUTE_NS)
        rows = (-1, length // MINUTE_NS)
        columns = zip(
            range(start, end, length),
            open_.reshape(rows)[:, 0].tolist(),
            high.reshape(rows).max(axis=1).tolist(),
            low.reshape(rows).min(axis=1).tolist(),
            close.reshape(rows)[:, -1].tolist(),
            volume.reshape(rows).sum(axis=1).round(self._instruments[pair].quantity_scale).tolist(),
            strict=True,
        )
        instrument = self._instruments[pair].id
        return [Candle(instrument, timeframe, *row) for row in columns]

    def _minutes(self, pair: int, start: int, end: int) -> FloatArray:
        """Open, high, low, close and volume of the minutes [start, end), shape (5, end - start)."""
        result = np.empty((5, end - start))
        path = self._path
        first, last = (start - path.genesis) // CHUNK, (end - 1 - path.genesis) // CHUNK
        # The newest day first: the path chains its levels away from the beginning and keeps only the latest days.
        for index in range(last, first - 1, -1):
            origin = path.genesis + index * CHUNK
            begin, stop = max(start, origin), min(end, origin + CHUNK)
            part = self._from_path(pair, index, begin - origin, stop - origin)
            result[:, begin - start : stop - start] = part
        for minute, c in list(self._session[pair].items()):
            if start <= minute < end:
                result[:, minute - start] = (c.open, c.high, c.low, c.close, c.volume)
        return result

    def _from_path(self, pair: int, index: int, begin: int, stop: int) -> FloatArray:
        path, profile, instrument = self._path, self._pairs[pair], self._instruments[pair]
        chunk, texture = path.chunk(index), path.texture(index, pair)
        unit = 10.0**instrument.price_scale
        log = path.weights[pair] @ chunk.levels[:, begin : stop + 1]
        log += self._shift_of(pair, path.genesis + index * CHUNK + np.arange(begin, stop + 1))
        ends = np.maximum(log[:-1], log[1:])
        bottoms = np.minimum(log[:-1], log[1:])
        fair = np.exp(log) * unit
        # The last trade of a minute was at the bid or at the ask.
        half = np.maximum(fair[1:] * profile.spread_bps * 0.5e-4, 0.5) * texture.bounce[begin:stop]
        open_ = np.rint(fair[:-1] - half)
        close = np.rint(fair[1:] + half)
        high = np.maximum(np.rint(np.exp(ends + texture.above[begin:stop]) * unit), np.maximum(open_, close))
        low = np.minimum(np.rint(np.exp(bottoms - texture.below[begin:stop]) * unit), np.minimum(open_, close))
        volume = np.round(texture.value[begin:stop] / fair[:-1] * unit, instrument.quantity_scale)
        result: FloatArray = np.stack((open_ / unit, high / unit, low / unit, close / unit, volume))
        return result

    def _shift_of(self, pair: int, minutes: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> FloatArray:
        """Log price shift of an instrument at each minute."""
        weights = self._path.weights[pair]
        rows = np.array([self._first_shift, *self._shifts]) @ weights
        where = np.searchsorted(np.array(self._shift_minutes, dtype=np.int64), minutes, side="right")
        result: FloatArray = rows[np.minimum(where, len(rows) - 1)]
        return result

    def shift_at(self, minute: int) -> list[float]:
        """The shifts in force in a minute."""
        where = bisect_right(self._shift_minutes, minute)
        return self._shifts[where - 1] if where else self._first_shift
