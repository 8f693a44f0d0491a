"""One Parquet file of candles: written whole and in place of the old one, read as arrays.

Columns: `ts` (int64, UTC nanoseconds of the bar's open), `open`, `high`, `low`, `close`, `volume` (float64). The file's
own metadata carry the timeframe and the number of gaps, so that a listing reads no rows.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import msgspec

from engine.errors import DataError
from engine.model.candle import Bars
from storage.candle_sets import count_gaps

if TYPE_CHECKING:
    from pathlib import Path

    from engine.model.candle import FloatArray

__all__ = ["COLUMNS", "FileSummary", "read_file", "read_summary", "replace_files", "write_part"]

COLUMNS = ("ts", "open", "high", "low", "close", "volume")
_KEY = b"quarterdeck.candles"
_PART = ".part"


class FileSummary(msgspec.Struct, frozen=True):
    """What a file says of itself."""

    timeframe: str
    rows: int
    first: int
    """Open of the first bar."""
    last: int
    """Open of the last bar."""
    gaps: int
    missing: int


def write_part(path: Path, bars: Bars, length: int) -> Path:
    """Write a file beside its place, synced to disk; `replace_files` puts it there.

    Args:
        path: Where it belongs.
        bars: At least one bar.
        length: Nanoseconds of a bar.

    Returns:
        The unfinished file.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    gaps, missing = count_gaps(bars.ts, length)
    summary = FileSummary(bars.timeframe, len(bars), int(bars.ts[0]), int(bars.ts[-1]), gaps, missing)
    table = pa.table({name: getattr(bars, name) for name in COLUMNS}, metadata={_KEY: msgspec.json.encode(summary)})
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + _PART)
    with part.open("wb") as sink:
        pq.write_table(
            table,
            sink,
            compression="zstd",
            # Times differ by the same step nearly everywhere; prices repeat, and a dictionary holds each once.
            use_dictionary=list(COLUMNS[1:]),
            column_encoding={"ts": "DELTA_BINARY_PACKED"},
        )
        sink.flush()
        os.fsync(sink.fileno())
    return part


def replace_files(parts: list[Path]) -> None:
    """Put finished files in their places, one rename after the other."""
    for part in parts:
        part.replace(part.with_name(part.name.removesuffix(_PART)))
    for folder in {part.parent for part in parts}:
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def read_file(path: Path, timeframe: str) -> Bars:
    """The bars of a file.

    Raises:
        DataError: It cannot be read; the message names it.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path, columns=list(COLUMNS), partitioning=None)
        columns: dict[str, FloatArray] = {name: table[name].to_numpy() for name in COLUMNS}
    except (OSError, pa.ArrowException, KeyError) as error:
        raise _damaged(path, error) from error
    return Bars(timeframe, *(columns[name] for name in COLUMNS))  # type: ignore[arg-type]


def read_summary(path: Path) -> FileSummary:
    """What a file says of itself, without reading its rows.

    Raises:
        DataError: It cannot be read, or it is no file of this store.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        metadata: dict[bytes, Any] = pq.read_metadata(path).metadata or {}
        return msgspec.json.decode(metadata[_KEY], type=FileSummary)
    except (OSError, pa.ArrowException, KeyError, msgspec.MsgspecError) as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> DataError:
    return DataError(
        f"The candle file {path} cannot be read ({type(error).__name__}: {error}). Move it away and import its data "
        "again.",
        details={"path": str(path)},
    )
