"""Writes stored candles to a file of the person's own, in a form that `import_candles` reads back unchanged."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from engine.errors import ConflictError, DataError, NotFoundError, ValidationError

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa

    from storage.candle_sets import CandleSet
    from storage.candles import CandleStore

__all__ = ["export_candles"]

_NS_PER_MS = 1_000_000
_KINDS = (".parquet", ".csv", ".csv.gz")


def export_candles(
    store: CandleStore,
    key: CandleSet,
    path: Path,
    *,
    start: int | None = None,
    end: int | None = None,
    replace: bool = False,
) -> int:
    """Write bars to a `.parquet`, `.csv` or `.csv.gz` file with columns timestamp (UTC ms), open … volume.

    Args:
        store: Where they are.
        key: Which.
        path: The file; it appears when it is complete.
        start: First open, UTC nanoseconds; None for the first stored.
        end: End, exclusive; None for the last stored.
        replace: Overwrite a file that exists.

    Returns:
        Number of bars written.

    Raises:
        ValidationError: The file's name says no known kind.
        ConflictError: The file exists.
        NotFoundError: Nothing is stored, or nothing in that range.
        DataError: It cannot be written.
    """
    kind = next((kind for kind in _KINDS[::-1] if path.name.lower().endswith(kind)), None)
    if kind is None:
        raise ValidationError(f"The name {path.name!r} must end in {', '.join(_KINDS[:-1])} or {_KINDS[-1]}.")
    if path.exists() and not replace:
        raise ConflictError(f"The file {path} exists; choose another name, or let it be replaced (--force).")
    bars = store.read(key, start, end)
    if not len(bars):
        raise NotFoundError(f"There are no candles of {key.words} in that range; `quarterdeck data list` shows it.")
    import pyarrow as pa

    values = {name: getattr(bars, name) for name in ("open", "high", "low", "close", "volume")}
    table = pa.table({"timestamp": bars.ts // _NS_PER_MS, **values})
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        _write(table, beside, kind)
        beside.replace(path)
    except (OSError, pa.ArrowException) as error:
        beside.unlink(missing_ok=True)
        raise DataError(f"The file {path} cannot be written: {error}.") from error
    return len(bars)


def _write(table: pa.Table, path: Path, kind: str) -> None:
    import pyarrow as pa
    import pyarrow.csv as pc
    import pyarrow.parquet as pq

    if kind == ".parquet":
        pq.write_table(table, path, compression="zstd")
        return
    with pa.output_stream(str(path), compression="gzip" if kind == ".csv.gz" else None) as sink:
        sink.write((",".join(table.column_names) + "\n").encode())
        pc.write_csv(table, sink, pc.WriteOptions(include_header=False))
