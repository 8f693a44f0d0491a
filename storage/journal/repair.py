"""Repair: a verified copy of everything that can be vouched for takes the place of a damaged journal.

The damaged files are kept in a folder beside it. The copy has a new instance id, so that no client order id can come
again, and its next start asks every venue what became of its orders.
"""

from __future__ import annotations

import os
import shutil
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.errors import JournalError
from engine.events import OperatorActed, Record
from storage.journal.archive import Archive, LostFacts, archive_folder
from storage.journal.codec import COLUMNS, row
from storage.journal.damage import using
from storage.journal.mark import HighWaterMark, Mark
from storage.journal.recovery import mark_path, recover, snapshot_folder
from storage.journal.schema import connect, create, immediate, new_instance, sync_folder
from storage.journal.segment import write_segment
from storage.journal.snapshots import SnapshotStore
from storage.journal.survey import Survey, Surveyor, open_damaged, rebuilt

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator
    from pathlib import Path

    from storage.journal.survey import Found

__all__ = ["Repaired", "repair"]

ACTOR = "repair"
_PLACES = ", ".join("?" * len(COLUMNS))


@dataclass(frozen=True, slots=True)
class Repaired:
    """What a repair did."""

    seq: int
    """Number of the last fact of the repaired journal, the one that tells of the repair."""
    instance: str
    aside: Path
    """Folder that holds the damaged files."""


def repair(path: Path, found: Survey, stamp: str, ts: int) -> Repaired:
    """Put a copy of what was found in the place of the journal. Nobody else may have it open.

    A crash on the way leaves the damaged journal or the repaired one, never less; run it again then.

    Args:
        path: The journal's file.
        found: What a survey of it has just found.
        stamp: Names the folder for the damaged files.
        ts: Time at which the repair is booked, UTC nanoseconds.

    Raises:
        JournalError: Nothing can be vouched for, or a file cannot be written; the damaged journal stays as it was.
    """
    if not found.state.seq:
        raise JournalError(
            f"Nothing of the journal {path} can be vouched for: no fact from its beginning on and no snapshot. Restore "
            "a backup (`quarterdeck backup restore`), or move the journal away to start afresh."
        )
    with using(path):
        fresh = path.with_name(path.name + ".repaired")
        seq, head, instance = _build(path, fresh, found, ts)
        aside = path.with_name(f"damaged-{stamp}")
        _exchange(path, fresh, aside, found, Mark(seq, head))
    return Repaired(seq, instance, aside)


def _build(path: Path, fresh: Path, found: Survey, ts: int) -> tuple[int, bytes, str]:
    """Make the copy and check it; returns its last number, its hash and its instance."""
    for leftover in (fresh, *(fresh.with_name(fresh.name + suffix) for suffix in ("-wal", "-shm"))):
        leftover.unlink(missing_ok=True)
    create(fresh)
    instance, epoch = new_instance(), max(found.state.meta.epoch, found.meta.epoch if found.meta is not None else 0, 1)
    old = open_damaged(path)
    with closing(connect(fresh)) as connection:
        surveyor = Surveyor(path, old, lambda _done, _of: None)
        archived, archived_hash = (found.meta.archived, found.meta.archived_hash) if found.meta else (0, b"")
        if found.bad or found.meta is None:
            # What lies before the state's beginning has holes: it goes to the archive, where holes have a name.
            _archive_runs(path, surveyor, found, archived)
            archived, archived_hash = found.begin, found.begin_hash
        with immediate(connection):
            connection.execute(
                "UPDATE meta SET journal_id = ?, instance = ?, archived = ?, archived_hash = ?",
                (found.journal_id, instance, archived, archived_hash),
            )
            for one in surveyor.rows(archived, found.state.seq):
                _put(connection, (*rebuilt(one.row), one.after))
            note = _note(found, epoch, ts)
            last = row(note, found.head)
            _put(connection, last)
            connection.execute("UPDATE meta SET epoch = ?", (epoch,))
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    if old is not None:
        old.close()
    return note.seq, last[-1], instance


def _put(connection: sqlite3.Connection, values: tuple[object, ...]) -> None:
    # The rows are of many epochs; the trigger lets those of the present one pass.
    connection.execute("UPDATE meta SET epoch = ?", (values[2],))
    connection.execute(f"INSERT INTO events ({', '.join(COLUMNS)}) VALUES ({_PLACES})", values)  # noqa: S608 - only places


def _note(found: Survey, epoch: int, ts: int) -> Record:
    """The fact that tells of the repair."""
    lost = [*found.bad, *([found.lost_end] if found.lost_end else [])]
    words = ", ".join(f"{first} to {last}" if first != last else str(first) for first, last in lost)
    summary = f"Facts {words} were damaged and could not be kept." if lost else "Nothing was lost."
    event = OperatorActed(actor=ACTOR, operation="journal.repair", summary=summary[:500])
    return Record(found.state.seq + 1, max(ts, found.state.meta.ts), epoch, event, "")


def _archive_runs(path: Path, surveyor: Surveyor, found: Survey, archived: int) -> None:
    """Write the rows before the state's beginning into segments, one for each run without a hole."""
    archive = Archive(archive_folder(path))
    archive.folder.mkdir(mode=0o700, exist_ok=True)
    for run in _runs(surveyor, archived, found.begin):
        rows = [rebuilt(one.row) for one in run]
        write_segment(archive.path(rows[0][0], rows[-1][0]), found.journal_id, run[0].before, rows)
    archive.note_lost([LostFacts(first, last) for first, last in found.bad])


def _runs(surveyor: Surveyor, after: int, until: int) -> Iterator[list[Found]]:
    run: list[Found] = []
    for one in surveyor.rows(after, until):
        if run and (one.row[0] != run[-1].row[0] + 1 or one.before != run[-1].after):
            yield run
            run = []
        run.append(one)
    if run:
        yield run


def _exchange(path: Path, fresh: Path, aside: Path, found: Survey, mark: Mark) -> None:
    """Keep the damaged files, then put the copy in their place; the old log must never meet the new file."""
    aside.mkdir(mode=0o700, exist_ok=True)
    companions = [path.with_name(path.name + suffix) for suffix in ("-wal", "-shm")]
    for file in (*companions, mark_path(path)):
        if file.exists():
            _keep(file, aside / file.name)
    store = SnapshotStore(snapshot_folder(path))
    for seq in store.numbers():
        if seq > found.state.seq:
            store.path(seq).rename(aside / store.path(seq).name)
    if path.exists():
        path.rename(aside / path.name)
    sync_folder(aside)
    sync_folder(path.parent)
    # From here to the new mark a start is refused: the journal is gone, or does not fit its mark.
    for file in companions:
        file.unlink(missing_ok=True)
    fresh.rename(path)
    HighWaterMark.create(mark_path(path), mark)
    with closing(connect(path, read_only=True)) as connection:
        recover(connection, path)


def _keep(source: Path, target: Path) -> None:
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
