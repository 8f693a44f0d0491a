"""Candles: one closed or growing bar, arrays of bars, and timeframes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec

from engine.errors import ValidationError
from engine.model.ids import InstrumentId

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    FloatArray = npt.NDArray[np.float64]
    IntArray = npt.NDArray[np.int64]

__all__ = ["Bars", "Candle", "timeframe_ns", "timeframe_text"]

_UNITS_NS = {
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
    "d": 86_400_000_000_000,
    "w": 604_800_000_000_000,
}


def timeframe_ns(timeframe: str) -> int:
    """Length of a timeframe such as `1m`, `15m`, `1h`, `1d` in nanoseconds.

    Raises:
        ValidationError: It is not a count and one of s, m, h, d, w.
    """
    match = re.fullmatch(r"([1-9]\d{0,3})([smhdw])", timeframe)
    if match is None:
        raise ValidationError(
            f"The timeframe {timeframe!r} is not known; write a count and s, m, h, d or w, as in 15m."
        )
    return int(match[1]) * _UNITS_NS[match[2]]


def timeframe_text(length_ns: int) -> str:
    """Shortest name of a timeframe of that many nanoseconds."""
    for unit in ("w", "d", "h", "m", "s"):
        if length_ns % _UNITS_NS[unit] == 0:
            return f"{length_ns // _UNITS_NS[unit]}{unit}"
    raise ValidationError(f"A timeframe of {length_ns} ns is not a whole number of seconds.")


class Candle(msgspec.Struct, frozen=True, gc=False):
    """One bar; prices in quote currency, volume in base units."""

    instrument: InstrumentId
    timeframe: str
    ts: int
    """UTC nanoseconds of the bar's OPEN."""
    open: float
    high: float
    low: float
    close: float
    volume: float
    closed: bool = True
    """False while the bar still grows."""


class Bars:
    """Equally long float64 columns of consecutive bars, oldest first.

    Attributes:
        ts: int64 UTC nanoseconds of each bar's open, strictly increasing, shape (n,).
        open, high, low, close: float64 prices in quote currency, shape (n,).
        volume: float64 base units, shape (n,).
        timeframe: Name of the bars' timeframe.
    """

    __slots__ = ("close", "high", "low", "open", "others", "timeframe", "ts", "volume")

    def __init__(
        self,
        timeframe: str,
        ts: IntArray,
        open: FloatArray,
        high: FloatArray,
        low: FloatArray,
        close: FloatArray,
        volume: FloatArray,
    ) -> None:
        self.timeframe = timeframe
        self.ts = ts
        self.open = open
        self.high = high
        self.low = low
        self.close = close
        self.volume = volume
        self.others: dict[str, Bars] = {}
        """Bars of other markets by symbol, as long as these; see `engine.model.watched`."""

    def __len__(self) -> int:
        return len(self.ts)

    def slice(self, start: int, stop: int) -> Bars:
        """Bars start (inclusive) to stop (exclusive) as views on the same memory."""
        s = slice(start, stop)
        part = Bars(self.timeframe, self.ts[s], self.open[s], self.high[s], self.low[s], self.close[s], self.volume[s])
        if self.others:
            part.others = {symbol: other.slice(start, stop) for symbol, other in self.others.items()}
        return part

    def rows(self, chosen: Any) -> Bars:
        """Copies of the chosen rows: row numbers, or a mask of shape (n,)."""
        columns = (self.open, self.high, self.low, self.close, self.volume)
        part = Bars(self.timeframe, self.ts[chosen], *(column[chosen] for column in columns))
        part.others = {symbol: other.rows(chosen) for symbol, other in self.others.items()}
        return part

    def other(self, symbol: str) -> Bars:
        """Bars of another market at these rows, NaN where nobody knows them.

        At each row it is the bar before: that one had surely closed.
        """
        found = self.others.get(symbol)
        if found is None:
            import numpy as np

            found = Bars(self.timeframe, self.ts, *(np.full(len(self.ts), np.nan) for _ in range(5)))
        return found

    @classmethod
    def from_candles(cls, timeframe: str, candles: list[Candle]) -> Bars:
        """Columns of a list of candles, oldest first."""
        import numpy as np

        return cls(
            timeframe,
            np.array([c.ts for c in candles], dtype=np.int64),
            np.array([c.open for c in candles], dtype=np.float64),
            np.array([c.high for c in candles], dtype=np.float64),
            np.array([c.low for c in candles], dtype=np.float64),
            np.array([c.close for c in candles], dtype=np.float64),
            np.array([c.volume for c in candles], dtype=np.float64),
        )
