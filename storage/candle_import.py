"""Takes a foreign file of candles into the store: checked bar by bar, all or nothing, with a report."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from engine.errors import DataValidationError
from engine.model.candle import Bars, timeframe_text
from storage.candle_reading import Foreign, read_foreign
from storage.candle_sets import CandleSet, Gap, count_gaps, find_gaps, on_grid

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt

    from engine.model.candle import IntArray
    from storage.candles import CandleStore

    Flags = npt.NDArray[np.bool_]

__all__ = ["ImportReport", "import_candles"]

_SHOWN = 5
"""Faults that a refusal shows; all are counted."""
_COLUMNS = ("open", "high", "low", "close", "volume")


class ImportReport(msgspec.Struct, frozen=True, kw_only=True):
    """What was found in a file and what became of it."""

    file: str
    format: str
    times: str
    """How the file's times were written, in words."""
    columns: dict[str, str]
    """Ours -> the file's own column names."""
    key: CandleSet
    rows: int
    """Rows in the file."""
    duplicates: int
    """Rows that repeat another one exactly; dropped."""
    bars: int
    """Rows without the duplicates."""
    added: int
    identical: int
    """Bars that were stored already."""
    replaced: int
    start: int
    """Open of the first bar, UTC nanoseconds."""
    end: int
    """End of the last bar."""
    gaps: int
    missing: int
    """Bars missing in those gaps."""
    longest_gaps: tuple[Gap, ...]
    """At most 20, in order of time."""
    zero_volume: int
    """Bars in which nothing was traded."""
    stored_rows: int
    """Bars of the set after the import."""


def import_candles(store: CandleStore, path: Path, key: CandleSet, *, replace: bool = False) -> ImportReport:
    """Read a Parquet or CSV file, check every bar, and add them to the store.

    Args:
        store: Where they go.
        path: The file.
        key: What they are.
        replace: Let them take the place of stored bars with other values.

    Returns:
        The report.

    Raises:
        DataValidationError: The file cannot be read, or a bar is broken: high below low, open or close outside them,
            a price that is not positive, a value that is not finite, a time off the timeframe's grid, out of order or
            given twice with different values; or stored bars differ. Nothing was imported then.
        ConflictError: Another process is writing the set.
    """
    foreign = read_foreign(path, key.symbol.partition("/")[0])
    rows = len(foreign.ts)
    if not rows:
        raise DataValidationError(f"The file {path.name} has no rows.")
    _refuse_faults(foreign, path, key)
    kept = _without_duplicates(foreign, path)
    bars = Bars(key.timeframe, foreign.ts[kept], *(getattr(foreign, name)[kept] for name in _COLUMNS))
    _refuse_other_timeframe(bars, path, key)
    merged = store.merge(key, bars, replace=replace)
    gaps, missing = count_gaps(bars.ts, key.length)
    return ImportReport(
        file=str(path),
        format=foreign.format,
        times=foreign.unit,
        columns=foreign.columns,
        key=key,
        rows=rows,
        duplicates=rows - len(bars),
        bars=len(bars),
        added=merged.added,
        identical=merged.identical,
        replaced=merged.replaced,
        start=int(bars.ts[0]),
        end=int(bars.ts[-1]) + key.length,
        gaps=gaps,
        missing=missing,
        longest_gaps=find_gaps(bars.ts, key.length),
        zero_volume=int((bars.volume == 0).sum()),
        stored_rows=store.get(key).rows,
    )


def _checks(foreign: Foreign, key: CandleSet) -> Iterator[tuple[Flags, str, str]]:
    """Rows that are broken, which columns show it, and in which words; a row counts for its first fault."""
    import numpy as np

    columns = {name: getattr(foreign, name) for name in _COLUMNS}
    with np.errstate(invalid="ignore"):
        for name, values in columns.items():
            yield ~np.isfinite(values), name, f"{name} {{{name}!r}} is not finite"
        for name in _COLUMNS[:4]:
            yield columns[name] <= 0, name, f"{name} {{{name}!r}} is not positive"
        yield columns["volume"] < 0, "volume", "volume {volume!r} is negative"
        yield columns["high"] < columns["low"], "high", "high {high!r} is below low {low!r}"
        for name in ("open", "close"):
            outside = (columns[name] > columns["high"]) | (columns[name] < columns["low"])
            yield outside, name, f"{name} {{{name}!r}} is outside low {{low!r}} to high {{high!r}}"
    yield on_grid(foreign.ts, key.timeframe) != 0, "time", f"the time {{time}} is no open of a {key.timeframe} bar"


def _refuse_faults(foreign: Foreign, path: Path, key: CandleSet) -> None:
    import numpy as np

    words: dict[int, str] = {}
    broken = np.zeros(len(foreign.ts), dtype=bool)
    for flags, _, text in _checks(foreign, key):
        for index in np.flatnonzero(flags & ~broken)[:_SHOWN].tolist():
            words[index] = text
        broken |= flags
    if broken.any():
        shown = [_sentence(foreign, index, words[index]) for index in sorted(words)[:_SHOWN]]
        raise _refusal(path, int(broken.sum()), shown)


def _sentence(foreign: Foreign, index: int, text: str) -> str:
    values = {name: float(getattr(foreign, name)[index]) for name in _COLUMNS}
    return f"{foreign.where(index)}: {text.format(time=_utc(int(foreign.ts[index])), **values)}"


def _refusal(path: Path, count: int, shown: list[str]) -> DataValidationError:
    more = f"; and {count - len(shown):,} more" if count > len(shown) else ""
    return DataValidationError(
        f"{path.name} was not imported: {count:,} broken bar{'s' if count > 1 else ''}. {'; '.join(shown)}{more}.",
        details={"broken": count, "faults": shown},
    )


def _without_duplicates(foreign: Foreign, path: Path) -> IntArray:
    """Rows to keep, in the file's order, which must then be that of time."""
    import numpy as np

    ts = foreign.ts
    if (ts[1:] > ts[:-1]).all():
        return np.arange(len(ts))
    order = np.argsort(ts, kind="stable")
    repeats = np.flatnonzero(ts[order][1:] == ts[order][:-1]) + 1
    # Of equal times the stable sort keeps the file's order, so each repeat follows what it repeats.
    later, earlier = order[repeats], order[repeats - 1]
    differ = np.zeros(len(repeats), dtype=bool)
    for name in _COLUMNS:
        values = getattr(foreign, name)
        differ |= values[later] != values[earlier]
    if differ.any():
        pairs = sorted(zip(later[differ].tolist(), earlier[differ].tolist(), strict=True))[:_SHOWN]
        shown = [
            f"{foreign.where(late)}: the time {_utc(int(ts[late]))} has other values in {foreign.where(early)}"
            for late, early in pairs
        ]
        raise _refusal(path, int(differ.sum()), shown)
    kept = np.sort(np.delete(order, repeats))
    rest = ts[kept]
    wrong = np.flatnonzero(rest[1:] <= rest[:-1]) + 1
    if len(wrong):
        shown = [
            f"{foreign.where(int(kept[at]))}: the time {_utc(int(rest[at]))} is out of order, it comes after "
            f"{_utc(int(rest[at - 1]))}"
            for at in wrong[:_SHOWN].tolist()
        ]
        if len(wrong) == len(rest) - 1:
            shown.append("the file is sorted newest first, turn it round")
        raise _refusal(path, len(wrong), shown)
    return kept


def _refuse_other_timeframe(bars: Bars, path: Path, key: CandleSet) -> None:
    """Bars that are mostly further apart than the timeframe are bars of another one."""
    import numpy as np

    if len(bars) < 3:
        return
    steps, counts = np.unique(np.diff(bars.ts), return_counts=True)
    usual = int(steps[np.argmax(counts)])
    if usual != key.length and int(counts.max()) * 2 > len(bars):
        raise DataValidationError(
            f"{path.name} was not imported: its bars are {timeframe_text(usual)} apart, not {key.timeframe}; name that "
            "timeframe instead."
        )


def _utc(ts: int) -> str:
    import numpy as np

    return str(np.datetime64(ts, "ns").astype("datetime64[s]")).replace("T", " ") + " UTC"
