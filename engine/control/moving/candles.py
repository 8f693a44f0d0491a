"""Candle files as other programs name and write them: found by name, read into bars, checked and stored like any other.

freqtrade: `BTC_USDT-5m.feather` (`.json`, `.json.gz`, `.parquet`; futures in a folder of their own as
`BTC_USDT_USDT-5m-futures.feather`), JSON being rows of [ms, open, high, low, close, volume]. hummingbot:
`candles_binance_BTC-USDT_1m.csv` and `binance_BTC-USDT_1m.csv`. jesse: files that a person exported, by the same
kind of name, or rows of (ms, open, close, high, low, volume) as JSON.
"""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.control.moving.plan import CandleSource
from engine.errors import DataValidationError, ValidationError
from engine.model.candle import timeframe_ns
from storage.candle_import import import_candles

if TYPE_CHECKING:
    from storage.candle_import import ImportReport
    from storage.candle_sets import CandleSet
    from storage.candles import CandleStore

__all__ = ["SUFFIXES", "candles_in", "store_source"]

SUFFIXES = (".feather", ".json", ".json.gz", ".parquet", ".csv", ".csv.gz")
MOST_FILES = 5_000
_FREQTRADE = re.compile(r"(?P<pair>[A-Za-z0-9.]+(?:_[A-Za-z0-9.]+){1,2})-(?P<tf>\d+[a-zA-Z]{1,2})(?:-(?P<kind>\w+))?")
_OTHERS = re.compile(
    r"(?:candles_)?(?P<venue>[A-Za-z][A-Za-z0-9_]*?)[_ -](?P<base>[A-Za-z0-9.]+)[-/](?P<quote>[A-Za-z0-9.]+)[_-]"
    r"(?P<tf>\d+[a-zA-Z]{1,2})"
)
_JESSE_ORDER = ("open", "close", "high", "low", "volume")
_USUAL_ORDER = ("open", "high", "low", "close", "volume")


def _stem(file: Path) -> str:
    for suffix in sorted(SUFFIXES, key=len, reverse=True):
        if file.name.lower().endswith(suffix):
            return file.name[: -len(suffix)]
    return ""


def candles_in(folder: Path, program: str, venue: str) -> tuple[list[CandleSource], list[Path]]:
    """Candle files below a folder, and those that look like candles and cannot be used.

    Args:
        folder: Where to look, or one file.
        program: `freqtrade`, `hummingbot` or `jesse`.
        venue: What they are from where the name of file or folder does not say; may be empty.
    """
    files = [folder] if folder.is_file() else sorted(path for path in folder.rglob("*") if path.is_file())
    found, unknown = [], []
    for file in files[:MOST_FILES]:
        stem = _stem(file)
        if not stem:
            continue
        source = _freqtrade(file, stem, venue) if program == "freqtrade" else _by_name(file, stem, venue)
        if source is not None:
            found.append(source)
        elif file.suffix not in (".json", ".csv", ".gz"):
            unknown.append(file)
    return found, unknown


def _freqtrade(file: Path, stem: str, venue: str) -> CandleSource | None:
    match = _FREQTRADE.fullmatch(stem)
    if match is None or match["kind"] not in (None, "futures"):
        return None
    parts = match["pair"].split("_")
    # …/data/binance/BTC_USDT-5m.feather, …/data/binance/futures/BTC_USDT_USDT-5m-futures.feather
    folder = file.parent.parent if file.parent.name == "futures" else file.parent
    place = folder.name if folder.parent.name == "data" else venue or folder.name
    symbol = "/".join(parts[:2]) + (f":{parts[2]}" if len(parts) == 3 else "")
    return _source(file, place, symbol, match["tf"])


def _by_name(file: Path, stem: str, venue: str) -> CandleSource | None:
    match = _OTHERS.fullmatch(stem)
    if match is None:
        return None
    return _source(file, venue or match["venue"], f"{match['base']}/{match['quote']}", match["tf"])


def _source(file: Path, venue: str, symbol: str, timeframe: str) -> CandleSource | None:
    try:
        timeframe_ns(timeframe)
    except ValidationError:
        return None
    return CandleSource(file=str(file), venue=venue.lower(), symbol=symbol.upper(), timeframe=timeframe)


def store_source(store: CandleStore, source: CandleSource, key: CandleSet, *, replace: bool) -> ImportReport:
    """Take one file into the store, checked bar by bar.

    Raises:
        DataValidationError: It cannot be read, or a bar is broken, or other values are stored; nothing was kept.
    """
    file = Path(source.file)
    if _stem(file) and file.name.lower().endswith((".csv", ".csv.gz", ".parquet")):
        return import_candles(store, file, key, replace=replace)
    import tempfile

    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = _feather(file) if file.suffix == ".feather" else _json(file)
    with tempfile.TemporaryDirectory() as folder:
        # The one road that checks candles takes a table; so what they wrote becomes one first.
        table = Path(folder) / f"{file.name}.parquet"
        pq.write_table(pa.table(columns), table)
        return import_candles(store, table, key, replace=replace)


def _feather(file: Path) -> dict[str, Any]:
    import pyarrow as pa
    from pyarrow import feather

    try:
        table = feather.read_table(file)
    except (OSError, pa.ArrowException) as error:
        raise DataValidationError(f"The file {file} is no feather file that can be read: {error}.") from error
    names = {name: name for name in table.column_names}
    if "date" not in names:
        raise DataValidationError(f"The file {file} has no column `date`; it has {', '.join(names)}.")
    missing = [name for name in _USUAL_ORDER if name not in names]
    if missing:
        raise DataValidationError(f"The file {file} has no column {', '.join(missing)}; it has {', '.join(names)}.")
    return {"timestamp": table["date"], **{name: table[name] for name in _USUAL_ORDER}}


def _json(file: Path) -> dict[str, Any]:
    try:
        data = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
        rows = json.loads(data)
    except (OSError, EOFError, ValueError) as error:
        raise DataValidationError(f"The file {file} holds no rows of candles: {error}.") from error
    if isinstance(rows, dict):
        rows = rows.get("candles", rows.get("data"))
    if not isinstance(rows, list) or not rows:
        raise DataValidationError(f"The file {file} holds no rows of candles.")
    if isinstance(rows[0], dict):
        names = {"timestamp": ("timestamp", "time", "date"), **{name: (name,) for name in _USUAL_ORDER}}
        found = {ours: next((name for name in theirs if name in rows[0]), "") for ours, theirs in names.items()}
        if not all(found.values()):
            raise DataValidationError(f"The file {file} has rows with {', '.join(rows[0])}; candles need other names.")
        return {ours: [row[theirs] for row in rows] for ours, theirs in found.items()}
    if any(not isinstance(row, list) or len(row) < 6 for row in rows):
        raise DataValidationError(f"The file {file} holds rows that are not [time, four prices, volume].")
    order = ("timestamp", *(_JESSE_ORDER if _is_jesse(rows) else _USUAL_ORDER))
    return {name: [row[index] for row in rows] for index, name in enumerate(order)}


def _is_jesse(rows: list[list[float]]) -> bool:
    """Whether the third price is the highest of each row and the second is not, as where the close comes second."""
    usual = all(row[2] >= max(row[1], row[3], row[4]) for row in rows)
    return not usual and all(row[3] >= max(row[1], row[2], row[4]) for row in rows)
