"""Daily closes of markets and what follows from them: aligned returns, and correlations of pairs.

A day is a UTC day; its close is what the venue's daily candle says. A day or a market that is not known is a state of
its own (NaN, None, or a name in a list), never a return of zero.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from engine.model.candle import Candle, FloatArray, IntArray
    from engine.model.ids import InstrumentId

__all__ = ["CORRELATION_DAYS", "DAY", "LEAST_CORRELATED", "DailyReturns"]

NS_PER_DAY = 86_400_000_000_000
DAY = "1d"
"""Timeframe of the candles that are asked for."""
CORRELATION_DAYS = 30
"""Days that a correlation looks at."""
LEAST_CORRELATED = 20
"""Days of those that both markets must have."""
_FLAT = 1e-15


class DailyReturns:
    """Daily closes by instrument. Implements `engine.model.risk.Correlations` and `Volatilities`.

    Correlations are kept until the closes change, so that whoever asks again and again is answered at once. Reading is
    safe from another thread than that which takes candles in.

    Args:
        days: Days kept of each market.
    """

    def __init__(self, days: int = 500) -> None:
        self.days = days
        self._closes: dict[InstrumentId, tuple[IntArray, FloatArray]] = {}
        self._pairs: dict[tuple[InstrumentId, InstrumentId], float | None] = {}
        self._lock = threading.Lock()
        self.version = 0
        """Counts every change of the closes."""

    # --- taking in ---------------------------------------------------------------------------------------------------

    def take(self, instrument: InstrumentId, candles: Iterable[Candle]) -> None:
        """Take closed daily candles in, in any order; known days are put to what is told now, others stay."""
        told = {c.ts // NS_PER_DAY: c.close for c in candles if c.closed and c.timeframe == DAY and c.close > 0.0}
        if not told:
            return
        days, closes = self._closes.get(instrument, (np.empty(0, np.int64), np.empty(0)))
        merged = dict(zip(days.tolist(), closes.tolist(), strict=True))
        if all(merged.get(day) == close for day, close in told.items()):
            return
        merged.update(told)
        kept = sorted(merged)[-(self.days + 1) :]
        with self._lock:
            self._closes[instrument] = (
                np.array(kept, dtype=np.int64),
                np.array([merged[day] for day in kept], dtype=np.float64),
            )
            self._drop(instrument)

    def forget(self, instrument: InstrumentId) -> None:
        """Drop a market of which nothing is wanted any more."""
        with self._lock:
            if self._closes.pop(instrument, None) is not None:
                self._drop(instrument)

    def _drop(self, instrument: InstrumentId) -> None:
        for pair in [pair for pair in self._pairs if instrument in pair]:
            del self._pairs[pair]
        self.version += 1

    def warm(self) -> None:
        """Compute every correlation that is not known, so that nobody who asks for one has to wait for it."""
        with self._lock:
            version, closes, known = self.version, dict(self._closes), set(self._pairs)
        if not closes:
            return
        newest = max(int(days[-1]) for days, _ in closes.values())
        names = sorted(closes)
        matrix = self.matrix(names, newest + 1, CORRELATION_DAYS)
        steady = np.zeros(len(names), dtype=bool)
        steady[~np.isnan(matrix).any(axis=0)] = True
        steady[steady] = matrix[:, steady].std(axis=0) >= _FLAT
        columns = [names[place] for place in np.flatnonzero(steady).tolist()]
        table = np.atleast_2d(np.corrcoef(matrix[:, steady], rowvar=False)) if columns else np.empty((0, 0))
        found: dict[tuple[InstrumentId, InstrumentId], float | None] = {
            (one, columns[place]): float(table[row, place])
            for row, one in enumerate(columns)
            for place in range(row + 1, len(columns))
        }
        for place, one in enumerate(names):
            for other in names[place + 1 :]:
                # Those with a gap, or another last day, have days of their own in common.
                if (one, other) not in found and (one, other) not in known:
                    found[one, other] = self._correlate(one, other)
        with self._lock:
            if version == self.version:
                self._pairs.update(found)

    # --- looking -----------------------------------------------------------------------------------------------------

    @property
    def instruments(self) -> tuple[InstrumentId, ...]:
        """The markets of which any day is known."""
        return tuple(self._closes)

    def last_day(self, instrument: InstrumentId) -> int | None:
        """The newest UTC day (days since 1970) whose close is known; None for no day at all."""
        found = self._closes.get(instrument)
        return None if found is None else int(found[0][-1])

    def count(self, instrument: InstrumentId) -> int:
        """Days whose close is known."""
        found = self._closes.get(instrument)
        return 0 if found is None else len(found[0])

    def matrix(self, instruments: Sequence[InstrumentId], until: int, days: int | None = None) -> FloatArray:
        """Returns of the last days, shape (days, len(instruments)), oldest first; NaN where a close is missing.

        Args:
            instruments: One column each; one of which nothing is known is all NaN.
            until: UTC day (days since 1970) after the last one, which is today: it has not closed.
            days: Rows; None for as many as are kept.
        """
        rows = self.days if days is None else days
        first = until - rows - 1
        prices = np.full((rows + 1, len(instruments)), np.nan)
        with self._lock:
            found = [self._closes.get(instrument) for instrument in instruments]
        for column, entry in enumerate(found):
            if entry is not None:
                known, closes = entry
                begin, end = np.searchsorted(known, [first, until])
                prices[known[begin:end] - first, column] = closes[begin:end]
        result: FloatArray = prices[1:] / prices[:-1] - 1.0
        return result

    def between(self, one: InstrumentId, other: InstrumentId) -> float | None:
        """Pearson correlation of two markets' daily returns over the last 30 days that both could have.

        None when they have fewer than 20 of these days in common, or when one of them did not move.
        """
        key = (one, other) if one <= other else (other, one)
        try:
            return self._pairs[key]
        except KeyError:
            version, value = self.version, self._correlate(*key)
            with self._lock:
                if version == self.version:
                    self._pairs[key] = value
            return value

    def _correlate(self, one: InstrumentId, other: InstrumentId) -> float | None:
        last = [self.last_day(instrument) for instrument in (one, other)]
        ends = [day for day in last if day is not None]
        if len(ends) < 2:
            return None
        both = self.matrix((one, other), max(ends) + 1, CORRELATION_DAYS)
        both = both[~np.isnan(both).any(axis=1)]
        if len(both) < LEAST_CORRELATED or float(both.std(axis=0).min()) < _FLAT:
            return None
        return 1.0 if one == other else float(np.corrcoef(both[:, 0], both[:, 1])[0, 1])

    def volatility(self, instrument: InstrumentId) -> float | None:
        """Standard deviation of a market's daily returns over the last 30 days; None with fewer than 20 of them."""
        last = self.last_day(instrument)
        if last is None:
            return None
        column = self.matrix((instrument,), last + 1, CORRELATION_DAYS)[:, 0]
        column = column[~np.isnan(column)]
        return float(column.std(ddof=1)) if len(column) >= LEAST_CORRELATED else None

    def mean_correlation(self, instruments: Sequence[InstrumentId]) -> float | None:
        """Mean correlation of all pairs of different markets; None while no pair is known."""
        wanted = sorted(set(instruments))
        found = [
            value
            for place, one in enumerate(wanted)
            for other in wanted[place + 1 :]
            if (value := self.between(one, other)) is not None
        ]
        return float(np.mean(found)) if found else None
