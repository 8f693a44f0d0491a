"""The candle store: bars of many markets as Parquet files under one folder, one file a year.

    <folder>/<venue>/<BASE-QUOTE>/<timeframe>/<year>.parquet

A file is replaced as a whole, so a reader sees the old bars or the new ones. What is stored was checked when it came
in: times ascend on the timeframe's grid, prices are positive and finite.
"""

from __future__ import annotations

import difflib
import itertools
from contextlib import contextmanager
from typing import TYPE_CHECKING

import msgspec

from engine.errors import ConflictError, DataValidationError, NotFoundError, ValidationError
from engine.model.candle import Bars
from storage.candle_files import COLUMNS, read_file, read_summary, replace_files, write_part
from storage.candle_sets import CandleSet, Gap, StoredSet, find_gaps

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from engine.model.candle import IntArray

__all__ = ["CandleStore", "Merged"]

_YEAR_EPOCH = 1970


class Merged(msgspec.Struct, frozen=True, kw_only=True):
    """What became of bars that were put into the store."""

    added: int
    identical: int
    """Were stored already, with the same values."""
    replaced: int
    """Took the place of stored bars with other values."""


class CandleStore:
    """All stored candles of a home folder. Methods read and write files; call them off the event loop.

    Args:
        folder: Where the files are; need not exist.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    # --- what there is -----------------------------------------------------------------------------------------------

    def sets(self) -> list[CandleSet]:
        """The names of everything stored, by venue, symbol and length of the bar."""
        found = set()
        for folder in {file.parent for file in self.folder.glob("*/*/*/*.parquet")}:
            try:
                found.add(CandleSet.of(*folder.relative_to(self.folder).parts))
            except ValidationError:
                # Something of somebody else's lies here; it is not ours to read or to remove.
                continue
        return sorted(found, key=lambda key: (key.venue, key.symbol, key.length))

    def all(self) -> list[StoredSet]:
        """Everything stored, in the order of `sets`.

        Raises:
            DataError: A file is damaged; the message names it.
        """
        return [self.get(key) for key in self.sets()]

    def get(self, key: CandleSet) -> StoredSet:
        """What is stored of a set.

        Raises:
            NotFoundError: Nothing; the message names what comes near.
            DataError: A file is damaged.
        """
        files = self._files(key)
        parts = [read_summary(file) for file in files]
        between = [(b.first - a.last) // key.length - 1 for a, b in itertools.pairwise(parts)]
        return StoredSet(
            key=key,
            rows=sum(part.rows for part in parts),
            start=parts[0].first,
            end=parts[-1].last + key.length,
            gaps=sum(part.gaps for part in parts) + sum(1 for missing in between if missing),
            missing=sum(part.missing for part in parts) + sum(between),
            bytes=sum(file.stat().st_size for file in files),
        )

    def gaps(self, key: CandleSet, most: int = 20) -> tuple[Gap, ...]:
        """The longest holes of a set, in order of time; raises as `get`."""
        return find_gaps(self.read(key).ts, key.length, most)

    # --- reading -----------------------------------------------------------------------------------------------------

    def read(self, key: CandleSet, start: int | None = None, end: int | None = None) -> Bars:
        """The bars whose open lies in a range; none when the range holds none.

        Args:
            key: Which set.
            start: UTC nanoseconds, inclusive; None for the first bar.
            end: UTC nanoseconds, exclusive; None for the last bar.

        Raises:
            NotFoundError: Nothing of the set is stored; the message names what comes near.
            DataError: A file is damaged.
        """
        files = self._files(key)
        low, high = _year_of(start), _year_of(None if end is None else end - 1)
        chosen = [
            file
            for file in files
            if (low is None or int(file.stem) >= low) and (high is None or int(file.stem) <= high)
        ]
        parts = [read_file(file, key.timeframe) for file in chosen] or [read_file(files[0], key.timeframe).slice(0, 0)]
        bars = _joined(parts)
        first = 0 if start is None else int(bars.ts.searchsorted(start))
        last = len(bars) if end is None else int(bars.ts.searchsorted(end))
        return bars.slice(first, max(last, first))

    # --- writing -----------------------------------------------------------------------------------------------------

    def merge(self, key: CandleSet, bars: Bars, *, replace: bool = False) -> Merged:
        """Add bars to what is stored; nothing is written unless all of them can be.

        Args:
            key: Which set.
            bars: Checked bars, ascending, at least one.
            replace: Let new values take the place of different stored ones.

        Raises:
            DataValidationError: Stored bars have other values (and `replace` is off); the message shows the first.
            ConflictError: Another process is writing this set.
            DataError: A stored file is damaged.
        """
        parts: list[Path] = []
        added = identical = replaced = 0
        with self._writing(key):
            try:
                for year, fresh in _by_year(bars):
                    path = key.folder(self.folder) / f"{year}.parquet"
                    stored = read_file(path, key.timeframe) if path.exists() else fresh.slice(0, 0)
                    merged, same, other = _overlay(key, stored, fresh, replace=replace)
                    added += len(merged) - len(stored)
                    identical += same
                    replaced += other
                    if len(merged) > len(stored) or other:
                        parts.append(write_part(path, merged, key.length))
            except BaseException:
                for part in parts:
                    part.unlink()
                raise
            replace_files(parts)
        return Merged(added=added, identical=identical, replaced=replaced)

    def delete(self, key: CandleSet) -> None:
        """Remove a set.

        Raises:
            NotFoundError: Nothing of it is stored.
            ConflictError: Another process is writing it.
        """
        files = self._files(key)
        with self._writing(key):
            for file in files:
                file.unlink()

    @contextmanager
    def _writing(self, key: CandleSet) -> Iterator[None]:
        """Let one process at a time write a set."""
        import fcntl

        folder = key.folder(self.folder)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (folder / ".lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise ConflictError(
                    f"Another process is writing the candles of {key.words} right now; try again when it is done."
                ) from error
            yield

    # --- parts -------------------------------------------------------------------------------------------------------

    def _files(self, key: CandleSet) -> list[Path]:
        files = [file for file in key.folder(self.folder).glob("*.parquet") if file.stem.isdecimal()]
        if not files:
            raise self._missing(key)
        return sorted(files, key=lambda file: int(file.stem))

    def _missing(self, key: CandleSet) -> NotFoundError:
        known = [other.words for other in self.sets()]
        if not known:
            return NotFoundError(
                f"There are no candles of {key.words}, nor any others: `quarterdeck data import` brings some in."
            )
        near = difflib.get_close_matches(key.words, known, 3, 0.5) or known[:3]
        return NotFoundError(
            f"There are no candles of {key.words}; there are some of {', '.join(near)}"
            f"{' and others' if len(known) > len(near) else ''}. `quarterdeck data list` shows all."
        )


def _year_of(ts: int | None) -> int | None:
    import numpy as np

    return None if ts is None else int(np.datetime64(ts, "ns").astype("datetime64[Y]").astype(int)) + _YEAR_EPOCH


def _by_year(bars: Bars) -> Iterator[tuple[int, Bars]]:
    import numpy as np

    years = bars.ts.astype("datetime64[ns]").astype("datetime64[Y]").astype(np.int64) + _YEAR_EPOCH
    for year in np.unique(years).tolist():
        first, last = np.searchsorted(years, [year, year + 1])
        yield year, bars.slice(int(first), int(last))


def _joined(parts: list[Bars]) -> Bars:
    import numpy as np

    if len(parts) == 1:
        return parts[0]
    return Bars(parts[0].timeframe, *(np.concatenate([getattr(part, name) for part in parts]) for name in COLUMNS))


def _overlay(key: CandleSet, stored: Bars, fresh: Bars, *, replace: bool) -> tuple[Bars, int, int]:
    """Stored bars with fresh ones added; how many were the same, and how many took another's place."""
    import numpy as np

    _, in_stored, in_fresh = np.intersect1d(stored.ts, fresh.ts, assume_unique=True, return_indices=True)
    differ = np.zeros(len(in_stored), dtype=bool)
    for name in COLUMNS[1:]:
        differ |= getattr(stored, name)[in_stored] != getattr(fresh, name)[in_fresh]
    other = int(differ.sum())
    if other and not replace:
        raise _conflict(key, _rows(stored, in_stored[differ]), _rows(fresh, in_fresh[differ]))
    kept = np.ones(len(stored), dtype=bool)
    kept[in_stored] = False
    order = np.argsort(np.concatenate((stored.ts[kept], fresh.ts)), kind="stable")
    columns = (np.concatenate((getattr(stored, name)[kept], getattr(fresh, name)))[order] for name in COLUMNS)
    return Bars(key.timeframe, *columns), len(in_stored) - other, other


def _rows(bars: Bars, rows: IntArray) -> Bars:
    return Bars(bars.timeframe, *(getattr(bars, name)[rows] for name in COLUMNS))


def _conflict(key: CandleSet, stored: Bars, fresh: Bars) -> DataValidationError:
    import numpy as np

    at = str(np.datetime64(int(fresh.ts[0]), "ns").astype("datetime64[s]")).replace("T", " ")
    values = [(name, float(getattr(stored, name)[0]), float(getattr(fresh, name)[0])) for name in COLUMNS[1:]]
    told = "; ".join(f"{name} {old!r} is stored, {new!r} is new" for name, old, new in values if old != new)
    return DataValidationError(
        f"{len(fresh):,} bar{'s' if len(fresh) > 1 else ''} of {key.words} differ from what is stored, the first at "
        f"{at} UTC: {told}. Nothing was changed; if the new ones are right, let them replace the stored ones "
        "(--replace).",
        details={"conflicts": len(fresh), "first": int(fresh.ts[0])},
    )
