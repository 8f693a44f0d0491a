"""Stored candles: one Parquet file a market and timeframe under the home folder, replaced as a whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from engine.errors import DataError, NotFoundError, ValidationError
from engine.model.candle import Bars, timeframe_ns

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["CandleKey", "CandleStore", "Dataset"]

NS_PER_MS = 1_000_000
COLUMNS = ("open", "high", "low", "close", "volume")


class CandleKey(msgspec.Struct, frozen=True):
    """Which candles: venue in lower case, symbol `BASE/QUOTE`, timeframe."""

    venue: str
    symbol: str
    timeframe: str

    @classmethod
    def of(cls, venue: str, symbol: str, timeframe: str) -> CandleKey:
        """Normalise what a person wrote.

        Raises:
            ValidationError: A part is empty, holds a path separator where none belongs, or is no timeframe.
        """
        timeframe_ns(timeframe)
        venue, symbol = venue.strip().lower(), symbol.strip().upper()
        base, slash, quote = symbol.partition("/")
        parts = (venue, base, quote)
        if not slash or not all(part.replace("-", "").replace("_", "").replace(".", "").isalnum() for part in parts):
            raise ValidationError(f"Name a venue and a symbol such as BTC/USDT; {venue!r} and {symbol!r} will not do.")
        if any(part.startswith(".") for part in parts):
            raise ValidationError(f"A venue or currency may not begin with a dot: {venue!r}, {symbol!r}.")
        return cls(venue, symbol, timeframe)

    def __str__(self) -> str:
        return f"{self.venue} {self.symbol} {self.timeframe}"


class Dataset(msgspec.Struct, frozen=True, kw_only=True):
    """What is stored of one market; times are UTC nanoseconds of bar opens."""

    key: CandleKey
    rows: int
    start: int
    end: int
    """Open of the last bar."""
    gaps: int
    """Holes between bars."""
    missing: int
    """Bars that are missing in them."""
    bytes: int


class CandleStore:
    """Candles below one folder. Reads and writes block; call them from a worker or a thread."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, key: CandleKey) -> Path:
        """The file of a market and timeframe."""
        return self.folder / key.venue / key.symbol.replace("/", "-") / f"{key.timeframe}.parquet"

    def read(self, key: CandleKey, start: int | None = None, end: int | None = None) -> Bars:
        """Bars from `start` (inclusive) to `end` (exclusive), UTC nanoseconds; None is open.

        Raises:
            NotFoundError: Nothing is stored of it; the message says what is.
            DataError: The file cannot be read.
        """
        import numpy as np

        table = self._table(key)
        ts = table.column("timestamp").to_numpy() * NS_PER_MS
        first = 0 if start is None else int(np.searchsorted(ts, start, side="left"))
        last = len(ts) if end is None else int(np.searchsorted(ts, end, side="left"))
        columns = [np.ascontiguousarray(table.column(name).to_numpy()[first:last]) for name in COLUMNS]
        return Bars(key.timeframe, np.ascontiguousarray(ts[first:last]), *columns)

    def write(self, key: CandleKey, bars: Bars) -> Path:
        """Store bars in place of whatever was there; a crash leaves the old file or the new one.

        Raises:
            DataError: The file cannot be written; the old one is untouched.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        path = self.path(key)
        columns = {name: getattr(bars, name) for name in COLUMNS}
        table = pa.table({"timestamp": bars.ts // NS_PER_MS, **columns})
        beside = path.with_suffix(f".{os.getpid()}.tmp")
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            pq.write_table(table, beside, compression="zstd")
            with beside.open("rb") as written:
                os.fsync(written.fileno())
            beside.replace(path)
        except OSError as error:
            beside.unlink(missing_ok=True)
            raise DataError(f"The candles of {key} could not be stored: {error}. Check disk space and mode.") from error
        return path

    def delete(self, key: CandleKey) -> None:
        """Remove what is stored of a market.

        Raises:
            NotFoundError: Nothing is.
        """
        path = self.path(key)
        if not path.exists():
            raise self._nothing(key)
        path.unlink()

    def datasets(self) -> list[Dataset]:
        """Everything that is stored, sorted by venue, symbol and length of the bars."""
        found = [self.describe(key) for key in self._keys()]
        return sorted(found, key=lambda d: (d.key.venue, d.key.symbol, timeframe_ns(d.key.timeframe)))

    def describe(self, key: CandleKey) -> Dataset:
        """What is stored of one market.

        Raises:
            NotFoundError: Nothing is.
            DataError: The file cannot be read.
        """
        import numpy as np

        ts = self._table(key, ["timestamp"]).column("timestamp").to_numpy() * NS_PER_MS
        length = timeframe_ns(key.timeframe)
        steps = np.diff(ts)
        holes = steps[steps > length]
        return Dataset(
            key=key,
            rows=len(ts),
            start=int(ts[0]) if len(ts) else 0,
            end=int(ts[-1]) if len(ts) else 0,
            gaps=len(holes),
            missing=int((holes // length - 1).sum()) if len(holes) else 0,
            bytes=self.path(key).stat().st_size,
        )

    def _keys(self) -> list[CandleKey]:
        keys = []
        for path in sorted(self.folder.glob("*/*/*.parquet")):
            base, _, quote = path.parent.name.rpartition("-")
            keys.append(CandleKey(path.parent.parent.name, f"{base}/{quote}", path.stem))
        return keys

    def _table(self, key: CandleKey, columns: list[str] | None = None) -> pa.Table:
        import pyarrow as pa
        import pyarrow.parquet as pq

        path = self.path(key)
        if not path.exists():
            raise self._nothing(key)
        try:
            return pq.read_table(path, columns=columns)
        except (OSError, pa.ArrowException) as error:
            raise DataError(f"The candles in {path} cannot be read: {error}. Import them again.") from error

    def _nothing(self, key: CandleKey) -> NotFoundError:
        known = ", ".join(str(known) for known in self._keys()) or "nothing yet"
        return NotFoundError(
            f"There are no candles of {key}; stored are: {known}. "
            "Bring some in with `quarterdeck data import FILE --venue --symbol --timeframe`."
        )
