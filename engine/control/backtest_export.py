"""A stored backtest as a file: JSON, CSV or Parquet; everything, or its trades, equity or metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.errors import ConflictError, DataError, ValidationError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

__all__ = ["check_name", "write"]

_TRADES = (
    "number", "instrument", "entry_time", "exit_time", "side", "entry_price", "exit_price", "quantity", "fees",
    "slippage", "pnl", "entry_reason", "reason", "excursion_for", "excursion_against",
)  # fmt: skip
_EQUITY = ("time", "equity", "benchmark")
_METRICS = ("name", "value")
_COLUMNS: dict[str, tuple[str, ...]] = {"trades": _TRADES, "equity": _EQUITY, "metrics": _METRICS}


def check_name(file: Path, part: str | None) -> str:
    """The part that a file shall hold.

    Raises:
        ValidationError: The file's ending is not known, or everything shall go into a table.
    """
    ending = file.suffix.lower()
    if ending not in _WRITERS:
        raise ValidationError(f"The name {file.name!r} must end in .json, .csv or .parquet.")
    if part == "all" and ending != ".json":
        raise ValidationError(
            f"{ending} holds one table; name the part with `--part trades`, `equity` or `metrics`, or write .json."
        )
    return part or ("all" if ending == ".json" else "trades")


def write(file: Path, part: str, found: dict[str, Any], *, overwrite: bool) -> None:
    """Write a part of a run.

    Args:
        file: Where to; its ending says how.
        part: `all`, `trades`, `equity` or `metrics`.
        found: Of `export_tables`.
        overwrite: Let it take the place of a file that exists.

    Raises:
        ConflictError: The file exists.
        DataError: It cannot be written.
    """
    if file.suffix.lower() == ".json":
        data = _json(found["whole"] if part == "all" else found[part])
    else:
        rows = found[part]
        if part == "metrics":
            rows = [{"name": name, "value": value} for name, value in rows.items()]
        data = _WRITERS[file.suffix.lower()](_COLUMNS[part], rows)
    try:
        with file.open("wb" if overwrite else "xb") as out:
            out.write(data)
    except FileExistsError:
        raise ConflictError(f"The file {file} exists; choose another name, or let it be overwritten.") from None
    except OSError as error:
        raise DataError(f"The file {file} cannot be written: {error.strerror}. Check the folder.") from error


def _json(value: Any) -> bytes:
    import json

    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()


def _csv(columns: Sequence[str], rows: list[dict[str, Any]]) -> bytes:
    import csv
    import io

    sink = io.StringIO()
    table = csv.DictWriter(sink, columns, lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    return sink.getvalue().encode()


def _parquet(columns: Sequence[str], rows: list[dict[str, Any]]) -> bytes:
    import io

    import pyarrow as pa
    from pyarrow import parquet

    texts = {"instrument", "entry_time", "exit_time", "side", "entry_reason", "reason", "time", "name", "value"}
    kinds = {"number": pa.int64()}
    # Metrics hold numbers and times, so their values are text in a table of one type.
    arrays = [
        pa.array(
            [None if row[name] is None else str(row[name]) if name in texts else row[name] for row in rows],
            pa.string() if name in texts else kinds.get(name, pa.float64()),
        )
        for name in columns
    ]
    sink = io.BytesIO()
    parquet.write_table(pa.table(arrays, names=list(columns)), sink)
    return sink.getvalue()


_WRITERS: dict[str, Callable[[Sequence[str], list[dict[str, Any]]], bytes]] = {
    ".csv": _csv,
    ".json": lambda _, rows: _json(rows),
    ".parquet": _parquet,
}
