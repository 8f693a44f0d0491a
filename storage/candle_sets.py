"""Which candles are meant: one venue's bars of one symbol and timeframe, and what is known of a stored set."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING

import msgspec

from engine.errors import ValidationError
from engine.model.candle import timeframe_ns
from engine.model.ids import InstrumentId, VenueId, instrument_id

if TYPE_CHECKING:
    from pathlib import Path

    from engine.model.candle import IntArray

__all__ = ["CandleSet", "Gap", "StoredSet", "count_gaps", "find_gaps", "missing_ranges", "on_grid"]

_MONDAY_NS = 4 * 86_400_000_000_000
"""1970-01-01 was a Thursday; weeks open on Mondays."""
_VENUE = re.compile(r"[A-Z][A-Z0-9_]{0,31}")
_SYMBOL = re.compile(r"([A-Z0-9][A-Z0-9.]{0,19})[/-]([A-Z0-9][A-Z0-9.]{0,19})(?:[:_]([A-Z0-9][A-Z0-9.]{0,19}))?")


class CandleSet(msgspec.Struct, frozen=True, order=True):
    """Names one set of candles; build it with `of`, which checks the names."""

    venue: VenueId
    """Upper case."""
    symbol: str
    """`BASE/QUOTE`, upper case; perpetuals with `:` and the currency that profit is paid in."""
    timeframe: str

    @classmethod
    def of(cls, venue: str, symbol: str, timeframe: str) -> CandleSet:
        """Read names as a person writes them: any case, `/` or `-` between base and quote.

        Raises:
            ValidationError: One of them cannot be used; the message says how it is written.
        """
        wanted, pair = venue.strip().upper(), _SYMBOL.fullmatch(symbol.strip().upper())
        if not _VENUE.fullmatch(wanted):
            raise ValidationError(f"The venue {venue!r} cannot be used; write letters and digits, such as binance.")
        if pair is None:
            raise ValidationError(
                f"The symbol {symbol!r} cannot be used; write base and quote with / between them, such as BTC/USDT."
            )
        timeframe_ns(timeframe)
        settle = f":{pair[3]}" if pair[3] else ""
        return cls(VenueId(wanted), f"{pair[1]}/{pair[2]}{settle}", timeframe)

    @property
    def instrument(self) -> InstrumentId:
        """`VENUE:BASE/QUOTE`."""
        return instrument_id(self.venue, self.symbol)

    @property
    def length(self) -> int:
        """Nanoseconds of one bar."""
        return timeframe_ns(self.timeframe)

    @property
    def words(self) -> str:
        """As a sentence names it."""
        return f"{self.venue.lower()} {self.symbol} {self.timeframe}"

    def folder(self, root: Path) -> Path:
        """Where it is stored under the store's folder."""
        return root / self.venue.lower() / self.symbol.replace("/", "-").replace(":", "_") / self.timeframe


class Gap(msgspec.Struct, frozen=True):
    """Bars that are not there."""

    start: int
    """Open of the first missing bar, UTC nanoseconds."""
    bars: int


class StoredSet(msgspec.Struct, frozen=True, kw_only=True):
    """What is stored of a set."""

    key: CandleSet
    rows: int
    start: int
    """Open of the first bar, UTC nanoseconds."""
    end: int
    """End of the last bar, UTC nanoseconds."""
    gaps: int
    missing: int
    """Bars missing in those gaps."""
    bytes: int
    """Size on disk."""


def on_grid(ts: IntArray, timeframe: str) -> IntArray:
    """Distance of each time from the open of the bar it lies in; 0 where it is an open."""
    anchor = _MONDAY_NS if timeframe.endswith("w") else 0
    offset: IntArray = (ts - anchor) % timeframe_ns(timeframe)
    return offset


def count_gaps(ts: IntArray, length: int) -> tuple[int, int]:
    """Number of holes in ascending opens, and of bars missing in them."""
    steps = (ts[1:] - ts[:-1]) // length
    return int((steps > 1).sum()), int((steps - 1).sum())


def missing_ranges(ts: IntArray, timeframe: str, start: int, end: int) -> list[tuple[int, int]]:
    """What of a range is not there, as [from, to) in UTC nanoseconds, in order of time.

    Args:
        ts: Opens that are there, ascending.
        timeframe: Of the bars.
        start: UTC nanoseconds, an open.
        end: UTC nanoseconds, an open, exclusive.
    """
    length = timeframe_ns(timeframe)
    inside = ts[(ts >= start) & (ts < end)].tolist()
    edges = [start - length, *inside, end]
    return [(before + length, after) for before, after in pairwise(edges) if before + length < after]


def find_gaps(ts: IntArray, length: int, most: int = 20) -> tuple[Gap, ...]:
    """The longest holes, in order of time."""
    missing = (ts[1:] - ts[:-1]) // length - 1
    where = missing.nonzero()[0]
    longest = where[missing[where].argsort(kind="stable")[::-1][:most]]
    return tuple(Gap(int(ts[at]) + length, int(missing[at])) for at in sorted(longest.tolist()))
