"""Moves closed history from the live file to the archive, so that the file stays small and no fact is ever lost.

Each segment goes through the same steps: it is written aside and renamed, read back and checked against the chain of
the live file, and only then do its rows leave that file, some at a time, together with the note that they are
archived. A crash between any two steps leaves every fact where a reader finds it, and the next run goes on from there.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from engine.errors import ConflictError, StateCorruptionError
from storage.journal.archive import Archive, archive_folder
from storage.journal.chain import link_at, walk
from storage.journal.damage import using
from storage.journal.recovery import snapshot_folder
from storage.journal.schema import connect, immediate, read_meta, upgrade
from storage.journal.segment import write_segment
from storage.journal.snapshots import SnapshotStore
from storage.journal.usage import measure

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Generator, Iterator
    from pathlib import Path

    from storage.journal.contract import MoveRules
    from storage.journal.segment import ArchivedRow, Segment

__all__ = ["movable", "move", "steps", "worth_moving"]

NS_PER_DAY = 86_400_000_000_000
FREE_PAGES = 500
"""Free pages (4 KiB) that the file keeps for what comes next."""
VACUUM_PAGES = 64
"""Pages given back at a time; the right to write is held for a millisecond or two."""


def worth_moving(path: Path, rules: MoveRules) -> bool:
    """Whether a run would move something; cheap. Raises QuarterdeckError."""
    with using(path), closing(connect(path, read_only=True)) as connection:
        archived = read_meta(connection).archived
        return movable(connection, path, rules) - archived >= rules.segment_facts


def movable(connection: sqlite3.Connection, path: Path, rules: MoveRules) -> int:
    """Number of the last fact that may move: below the oldest snapshot, and old, or in the way of the budget."""
    snapshots = SnapshotStore(snapshot_folder(path)).numbers()
    limit = min(snapshots, default=0)
    newest = connection.execute("SELECT ts FROM events ORDER BY seq DESC LIMIT 1").fetchone()
    if newest is None or limit <= 0:
        return 0
    if rules.budget_bytes and measure(path).total > 0.8 * rules.budget_bytes:
        return limit
    # Facts are numbered in the order of their times: the first one of a segment that is too young ends the search.
    archived = read_meta(connection).archived
    found = archived
    while found + rules.segment_facts <= limit:
        row = connection.execute("SELECT ts FROM events WHERE seq = ?", (found + rules.segment_facts,)).fetchone()
        if row is None or row[0] >= newest[0] - rules.hot_days * NS_PER_DAY:
            break
        found += rules.segment_facts
    return found


def move(path: Path, rules: MoveRules, pause: Callable[[], None] = lambda: None) -> tuple[int, int]:
    """Move what may move; another process may write the journal meanwhile.

    Args:
        path: The journal's file.
        rules: What moves.
        pause: Called between any two steps, so that the writer of the journal has its turn.

    Returns:
        The last archived fact before and after.

    Raises:
        ConflictError: Another process is moving facts.
        JournalError: The disk is full, or a file cannot be used; nothing is lost.
        StateCorruptionError: The journal or its archive is damaged; nothing was deleted.
    """
    with using(path), closing(connect(path)) as connection:
        upgrade(connection, path)
        before = read_meta(connection).archived
        for _ in steps(connection, path, rules, pause):
            pause()
        return before, read_meta(connection).archived


def steps(
    connection: sqlite3.Connection, path: Path, rules: MoveRules, pause: Callable[[], None] = lambda: None
) -> Generator[str, None, None]:
    """The same, step by step; whoever stops between two steps has done what a crash would do there."""
    # The rows are safe in a synced segment: should a loss of power undo a deletion, they are there twice, not lost.
    connection.execute("PRAGMA synchronous = NORMAL")
    archive = Archive(archive_folder(path))
    archive.folder.mkdir(mode=0o700, exist_ok=True)
    with _alone(archive.folder):
        for leftover in archive.folder.glob("*.new"):
            leftover.unlink()
        journal_id = read_meta(connection).journal_id
        until = movable(connection, path, rules)
        while True:
            archived = read_meta(connection).archived
            segment = next((s for s in archive.segments() if s.last > archived), None)
            if segment is None:
                if archived + rules.segment_facts > until:
                    break
                _write(connection, archive, journal_id, archived + 1, archived + rules.segment_facts, pause)
                yield "written"
                continue
            if not _agrees(connection, segment, journal_id, archived, pause):
                # It belongs to a history that this journal, put back from a copy, does not have.
                segment.path.rename(segment.path.with_suffix(".aside"))
                yield "set aside"
                continue
            yield "checked"
            yield from _delete(connection, segment.last, rules.delete_facts)
        yield from _give_back(connection)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise ConflictError(
            "Another process is moving facts to the archive just now; try again in a minute."
        ) from error
    finally:
        os.close(descriptor)


def _write(
    connection: sqlite3.Connection, archive: Archive, journal_id: str, first: int, last: int, pause: Callable[[], None]
) -> None:
    before = link_at(connection, journal_id, first - 1)
    assert before is not None
    # Read with the chain checked: nothing that is damaged may become the only copy.
    rows = _checked(connection, first, last, before)
    write_segment(archive.path(first, last), journal_id, before, rows, pause)


def _checked(connection: sqlite3.Connection, first: int, last: int, head: bytes) -> Iterator[ArchivedRow]:
    statement = "SELECT seq, ts, epoch, kind, subject, correlation, body FROM events WHERE seq = ?"
    for number, _, _ in walk(connection, first - 1, head, last):
        row: ArchivedRow = connection.execute(statement, (number,)).fetchone()
        yield row


def _agrees(
    connection: sqlite3.Connection, segment: Segment, journal_id: str, archived: int, pause: Callable[[], None]
) -> bool:
    """Read a segment back, all of it, and hold it against the live file's chain."""
    segment.check_digest(pause)
    if segment.index.journal_id != journal_id:
        return False
    if segment.first - 1 <= archived and link_at(connection, journal_id, segment.last) != segment.index.after:
        return False
    rows = sum(len(segment.rows(block)) for block in segment.index.blocks)
    if rows != segment.last - segment.first + 1:
        raise StateCorruptionError(f"The archive file {segment.path} lacks rows; nothing was deleted.")
    return segment.first - 1 <= archived


def _delete(connection: sqlite3.Connection, last: int, at_once: int) -> Iterator[str]:
    archived = read_meta(connection).archived
    while archived < last:
        archived = min(archived + at_once, last)
        with immediate(connection):
            digest = connection.execute("SELECT hash FROM events WHERE seq = ?", (archived,)).fetchone()[0]
            connection.execute("UPDATE meta SET archived = ?, archived_hash = ?", (archived, digest))
            connection.execute("DELETE FROM events WHERE seq <= ?", (archived,))
        yield "deleted"


def _give_back(connection: sqlite3.Connection) -> Iterator[str]:
    """Shrink the file, a few pages at a time; a file that was made by an early release reuses its pages instead."""
    connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    if connection.execute("PRAGMA auto_vacuum").fetchone()[0] != 2:
        return
    while connection.execute("PRAGMA freelist_count").fetchone()[0] > FREE_PAGES:
        # As a script: `execute` would take only its first step, which gives back a single page.
        connection.executescript(f"PRAGMA incremental_vacuum({VACUUM_PAGES})")
        yield "given back"
    connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
