"""Reads candles out of files that others wrote: which column is which, and in which unit the times are.

Parquet and CSV (also gzipped; commas, semicolons or tabs; a line or two before the header; no header at all). Every
value keeps the number of the line or row that it came from, so that a fault can be shown where it is.
"""

from __future__ import annotations

import gzip
import re
from typing import TYPE_CHECKING, Any

import msgspec

from engine.errors import DataValidationError

if TYPE_CHECKING:
    from pathlib import Path

    from engine.model.candle import FloatArray, IntArray

__all__ = ["Foreign", "read_foreign"]

_TIME = ("timestamp", "unixtimestamp", "unix", "unixtime", "opentime", "ts", "time", "starttime", "start", "datetime")
_TIME_LATE = ("date", "dateutc", "opendate", "index", "indexlevel0")
_PRICES = {
    "open": ("open", "o", "openprice", "priceopen"),
    "high": ("high", "h", "highprice", "pricehigh", "max"),
    "low": ("low", "l", "lowprice", "pricelow", "min"),
    "close": ("close", "c", "closeprice", "priceclose", "closelast"),
    "volume": ("volume", "vol", "v", "basevolume", "volumebase", "amount", "vol24"),
}
_PREAMBLE = 5
"""Lines within which a header is looked for."""


class Foreign(msgspec.Struct, kw_only=True):
    """The columns of a foreign file, unchecked."""

    format: str
    """In words, such as `CSV, gzipped`."""
    ts: Any
    """UTC nanoseconds, int64."""
    open: Any
    high: Any
    low: Any
    close: Any
    volume: Any
    first_line: int
    """Number of the line (CSV) or row (Parquet) of the first value, from 1; all others follow without a gap."""
    unit: str
    """How the times were written, in words."""
    columns: dict[str, str]
    """Ours -> the file's own names."""
    place: str
    """`line` or `row`."""

    def where(self, index: int) -> str:
        """Where a value stands in the file."""
        return f"{self.place} {self.first_line + index:,}"


def read_foreign(path: Path, base: str = "") -> Foreign:
    """Read a file.

    Args:
        path: A `.parquet`, `.csv` or `.csv.gz` file (or one that holds what these hold).
        base: Base currency, to tell `Volume BTC` from `Volume USD`.

    Raises:
        DataValidationError: It cannot be read, a column is missing, or a value is no number or no time; the message
            names line and value.
    """
    try:
        with path.open("rb") as file:
            magic = file.read(4)
    except OSError as error:
        raise DataValidationError(f"The file {path} cannot be read: {error.strerror}. Check the path.") from error
    if not magic:
        raise DataValidationError(f"The file {path} is empty.")
    return _read_parquet(path, base) if magic == b"PAR1" else _read_csv(path, base, zipped=magic[:2] == b"\x1f\x8b")


# --- parquet ---------------------------------------------------------------------------------------------------------


def _read_parquet(path: Path, base: str) -> Foreign:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path, partitioning=None)
    except (OSError, pa.ArrowException) as error:
        raise DataValidationError(f"The Parquet file {path} cannot be read: {error}.") from error
    names = _find_columns(table.column_names, path, base)
    numbers = {ours: _numbers(table[names[ours]], path, names[ours], "row", 1) for ours in _PRICES}
    ts, unit = _times(table[names["time"]], path, names["time"], "row", 1)
    return Foreign(format="Parquet", ts=ts, unit=unit, first_line=1, columns=names, place="row", **numbers)


# --- csv -------------------------------------------------------------------------------------------------------------


def _read_csv(path: Path, base: str, *, zipped: bool) -> Foreign:
    import pyarrow as pa
    import pyarrow.compute as pac
    import pyarrow.csv as pc

    head, delimiter, header = _look_at_head(path, zipped)
    names = _find_columns(header, path, base) if header else _bare_columns(head[0].split(delimiter), path)
    skipped = len(head)
    faults: list[Any] = []

    def on_fault(row: Any) -> str:
        faults.append(row)
        return "skip"

    width = len(header or head[0].split(delimiter))
    plain = [f"f{index}" for index in range(width)]
    own = header or plain
    wanted = {ours: plain[own.index(name)] for ours, name in names.items()}
    try:
        table = pc.read_csv(
            path,
            read_options=pc.ReadOptions(column_names=plain, skip_rows=skipped if header else 0, use_threads=False),
            parse_options=pc.ParseOptions(
                delimiter=delimiter, ignore_empty_lines=False, invalid_row_handler=on_fault, newlines_in_values=False
            ),
            convert_options=pc.ConvertOptions(
                include_columns=list(dict.fromkeys(wanted.values())),
                column_types=dict.fromkeys(plain, pa.string()),
                strings_can_be_null=False,
            ),
        )
    except (OSError, pa.ArrowException) as error:
        raise DataValidationError(f"The CSV file {path} cannot be read: {error}.") from error
    first = skipped + 1 if header else 1
    _refuse_broken_rows(faults, path)
    columns = {ours: pac.utf8_trim_whitespace(table[plain_name]) for ours, plain_name in wanted.items()}
    rows = _rows_before_blank_end(list(columns.values()))
    if not rows:
        raise DataValidationError(f"The CSV file {path} has no rows.")
    columns = {ours: column.slice(0, rows) for ours, column in columns.items()}
    numbers = {ours: _numbers(columns[ours], path, names[ours], "line", first) for ours in _PRICES}
    ts, unit = _times(columns["time"], path, names["time"], "line", first)
    kind = "CSV, gzipped" if zipped else "CSV"
    if not header:
        kind += ", without a header (taken as time, open, high, low, close, volume)"
    return Foreign(format=kind, ts=ts, unit=unit, first_line=first, columns=names, place="line", **numbers)


def _rows_before_blank_end(columns: list[Any]) -> int:
    """Number of rows without the blank lines at the end of a file; blank lines anywhere else are rows, and faults."""
    rows = len(columns[0])
    while rows and not any(column[rows - 1].as_py() for column in columns):
        rows -= 1
    return rows


def _refuse_broken_rows(faults: list[Any], path: Path) -> None:
    """Refuse lines with too many or too few values."""
    if faults:
        row = faults[0]
        raise DataValidationError(
            f"Line {row.number:,} of {path.name} has {row.actual_columns} values, {row.expected_columns} are "
            f"expected: {row.text[:80]!r}. Nothing was imported.",
            details={"line": row.number},
        )


def _look_at_head(path: Path, zipped: bool) -> tuple[list[str], str, list[str]]:
    """The lines up to the header (all to be skipped), the delimiter, and the header; empty when there is none."""
    lines: list[str] = []
    try:
        with gzip.open(path, "rt", encoding="utf-8-sig") if zipped else path.open(encoding="utf-8-sig") as file:
            for _ in range(_PREAMBLE + 1):
                line = file.readline(100_000)
                if not line:
                    break
                lines.append(line.rstrip("\r\n"))
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise DataValidationError(f"The file {path} is neither Parquet nor readable text: {error}.") from error
    for number, line in enumerate(lines[:_PREAMBLE]):
        delimiter = max(",;\t", key=line.count)
        cells = [cell.strip().strip('"') for cell in line.split(delimiter)]
        if len({_plain(cell) for cell in cells} & {"open", "high", "low", "close", "o", "h", "l", "c"}) >= 4:
            if not any(lines[number + 1 :]):
                raise DataValidationError(f"The CSV file {path} has no rows.")
            return lines[: number + 1], delimiter, cells
    delimiter = max(",;\t", key=lines[0].count) if lines else ","
    return lines[:1] or [""], delimiter, []


# --- columns ---------------------------------------------------------------------------------------------------------


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _find_columns(names: list[str], path: Path, base: str) -> dict[str, str]:
    """Ours -> the file's name, for the time, the prices and the volume."""
    by_plain = {_plain(name): name for name in reversed(names)}
    found: dict[str, str] = {}
    for ours, words in {"time": (*_TIME, *_TIME_LATE), **_PRICES}.items():
        for word in (*words, f"volume{_plain(base)}") if ours == "volume" and base else words:
            if word in by_plain:
                found[ours] = by_plain[word]
                break
    missing = [ours for ours in ("time", *_PRICES) if ours not in found]
    if missing:
        raise DataValidationError(
            f"The file {path.name} has no column for {', '.join(missing)}; its columns are {', '.join(names)}. Name "
            "them timestamp, open, high, low, close and volume."
        )
    return found


def _bare_columns(cells: list[str], path: Path) -> dict[str, str]:
    """The columns of a file without a header, in the order in which exchanges deliver them."""
    if len(cells) < 6 or not all(re.fullmatch(r'"?[-+0-9.eE]+"?', cell.strip()) for cell in cells[1:6]):
        raise DataValidationError(
            f"The file {path.name} has no header with time, open, high, low, close and volume, and its first line is "
            f"no candle: {','.join(cells)[:80]!r}."
        )
    return {ours: f"f{index}" for index, ours in enumerate(("time", *_PRICES))}


# --- values ----------------------------------------------------------------------------------------------------------


def _numbers(column: Any, path: Path, name: str, place: str, first: int) -> FloatArray:
    """A column as float64; empty values are faults."""
    import pyarrow as pa
    import pyarrow.compute as pac

    if column.null_count:
        index = pac.index(pac.is_null(column), pa.scalar(True)).as_py()
        raise _bad_value(path, name, place, first + index, "", "is empty")
    try:
        values: FloatArray = pac.cast(column, pa.float64()).to_numpy()
    except (pa.ArrowException, NotImplementedError):
        pass
    else:
        return values
    for index, value in enumerate(column.to_pylist()):
        try:
            float(value)
        except (TypeError, ValueError):
            raise _bad_value(path, name, place, first + index, value, "is no number" if value else "is empty") from None
    raise DataValidationError(f"The column {name} of {path.name} holds {column.type}, which are no numbers.")


def _times(column: Any, path: Path, name: str, place: str, first: int) -> tuple[IntArray, str]:
    """A column as UTC nanoseconds, and how it was written."""
    import pyarrow as pa
    import pyarrow.compute as pac

    if column.null_count:
        index = pac.index(pac.is_null(column), pa.scalar(True)).as_py()
        raise _bad_value(path, name, place, first + index, "", "is empty")
    kind = column.type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        zone = getattr(kind, "tz", None)
        ts: IntArray = pac.cast(pac.cast(column, pa.timestamp("ns", zone)), pa.int64()).to_numpy()
        return ts, f"times with zone {zone}" if zone else "times without a zone, taken as UTC"
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return _from_numbers(column.to_numpy(), path, name, place, first)
    for wanted in (pa.int64(), pa.float64()):
        try:
            return _from_numbers(pac.cast(column, wanted).to_numpy(), path, name, place, first)
        except pa.ArrowException:
            continue
    texts = column.to_pylist()
    if _is_number(texts[0]):
        index = next(index for index, text in enumerate(texts) if not _is_number(text))
        raise _bad_value(path, name, place, first + index, texts[index], "is no number, as the first one is")
    return _from_texts(texts, path, name, place, first)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


_UNITS = (
    (10**8, 10**11, 10**9, "seconds"),
    (10**11, 10**14, 10**6, "milliseconds"),
    (10**14, 10**17, 10**3, "microseconds"),
    (10**17, 10**19, 1, "nanoseconds"),
)
"""Least and first too large value (1973 to 5138), nanoseconds of one, and its name."""


def _from_numbers(values: Any, path: Path, name: str, place: str, first: int) -> tuple[IntArray, str]:
    """Times counted from 1970; each value's size tells its unit, since some exchanges changed theirs in mid-file."""
    import numpy as np

    ts = np.zeros(len(values), dtype=np.int64)
    done = np.zeros(len(values), dtype=bool)
    told = []
    for least, beyond, factor, word in _UNITS:
        mine = (values >= least) & (values < beyond)
        if not mine.any():
            continue
        whole = np.floor(values[mine])
        ts[mine] = whole.astype(np.int64) * factor + np.rint((values[mine] - whole) * factor).astype(np.int64)
        done |= mine
        told.append((int(mine.sum()), word))
    if not done.all():
        index = int(np.argmin(done))
        raise _bad_value(path, name, place, first + index, values[index], "is no time since 1970 in s, ms, µs or ns")
    if len(told) == 1:
        return ts, f"{told[0][1]} since 1970"
    return ts, ", ".join(f"{word} ({count:,})" for count, word in told) + " since 1970, mixed"


def _from_texts(texts: list[str], path: Path, name: str, place: str, first: int) -> tuple[IntArray, str]:
    """Times in words: ISO 8601, with or without a zone, and `2019-10-17 09-AM`."""
    from datetime import UTC, datetime

    import numpy as np

    ts = np.zeros(len(texts), dtype=np.int64)
    epoch, naive = datetime(1970, 1, 1, tzinfo=UTC), 0
    for index, text in enumerate(texts):
        try:
            when = datetime.fromisoformat(text.removesuffix(" UTC"))
        except (TypeError, ValueError):
            try:
                when = datetime.strptime(str(text), "%Y-%m-%d %I-%p")  # noqa: DTZ007 - the zone is set below
            except ValueError:
                raise _bad_value(path, name, place, first + index, text, "is no ISO 8601 time") from None
        if when.tzinfo is None:
            naive += 1
            when = when.replace(tzinfo=UTC)
        passed = when - epoch
        ts[index] = ((passed.days * 86_400 + passed.seconds) * 1_000_000 + passed.microseconds) * 1_000
    return ts, "texts without a zone, taken as UTC" if naive else "texts with a zone"


def _bad_value(path: Path, name: str, place: str, number: int, value: object, what: str) -> DataValidationError:
    shown = "the value" if value == "" else repr(value if not hasattr(value, "item") else value.item())[:60]
    return DataValidationError(
        f"{place.capitalize()} {number:,} of {path.name}: {shown} in the column {name} {what}. Nothing was imported.",
        details={place: number, "column": name},
    )
