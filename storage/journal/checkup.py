"""Checking everything of a journal: chain, archive, mark, snapshots, search columns and the file itself."""

from __future__ import annotations

import sqlite3
from contextlib import closing, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from engine.errors import QuarterdeckError, StateCorruptionError
from engine.state import EngineState
from storage.journal.archive import Archive, archive_folder
from storage.journal.chain import fold, last_link, link_at
from storage.journal.codec import decode, genesis, link, subject_of
from storage.journal.damage import reading
from storage.journal.mark import HighWaterMark
from storage.journal.recovery import mark_path, snapshot_folder
from storage.journal.schema import connect, read_meta, refuse_newer
from storage.journal.snapshots import SnapshotStore

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from storage.journal.schema import Meta

__all__ = ["Checkup", "check_all", "check_ends"]

PAGE = 500
_ROWS = "SELECT seq, ts, epoch, kind, subject, correlation, body, hash FROM events WHERE seq > ? ORDER BY seq LIMIT ?"


@dataclass(slots=True)
class Checkup:
    """What was found."""

    facts: int = 0
    """Number of the last fact."""
    head: str = ""
    """Hash of the chain there, in hex."""
    archived: int = 0
    snapshots: int = 0
    """Snapshots that are whole and fit."""
    lost: list[tuple[int, int]] = field(default_factory=list)
    """Facts that an earlier repair could not keep."""
    problems: list[str] = field(default_factory=list)
    """Damage, one sentence each; empty while all is well."""
    notes: list[str] = field(default_factory=list)
    """What is worth knowing and no damage."""


def check_ends(path: Path) -> Checkup:
    """A quick look: the file opens, reaches its mark, and mark and newest snapshot fit its chain.

    Raises:
        JournalError: It cannot be opened.
        StateCorruptionError: It is damaged, or a newer release wrote it.
    """
    with closing(connect(path, read_only=True)) as connection, reading(path):
        refuse_newer(connection, path)
        meta = read_meta(connection)
        found = Checkup(archived=meta.archived)
        found.facts, head = last_link(connection, meta.journal_id)
        found.head = head.hex()
        _check_mark(connection, path, meta, found)
        _check_snapshots(connection, path, meta, found, most=1)
        archive = Archive(archive_folder(path))
        found.lost = [(span.first, span.last) for span in archive.lost()]
        if meta.archived:
            try:
                archive.covering(0, meta.archived)
            except StateCorruptionError as error:
                found.problems.append(error.message)
    return found


def check_all(
    path: Path, progress: Callable[[int, int], None] = lambda _done, _of: None, *, replayed: bool = False
) -> Checkup:
    """Check every fact and everything that stands on them; an engine may write meanwhile.

    Args:
        path: The journal's file.
        progress: Called now and then with the facts checked and their number.
        replayed: Also fold the whole history without snapshots and hold the newest snapshot against it.

    Raises:
        JournalError: It cannot be opened.
        StateCorruptionError: Not even its beginning can be read, or a newer release wrote it.
    """
    found = check_ends(path)
    found.problems.clear()
    found.notes.clear()
    found.snapshots = 0
    with closing(connect(path, read_only=True)) as connection:
        with reading(path):
            meta = read_meta(connection)
        try:
            head = _check_archive(path, meta, found, progress)
            _check_live(connection, meta, head, found, progress)
        except QuarterdeckError as error:
            found.problems.append(error.message)
        with suppress(QuarterdeckError), reading(path):
            _check_mark(connection, path, meta, found)
            _check_snapshots(connection, path, meta, found)
        _check_file(connection, found)
        if replayed and not found.problems and not found.lost:
            _check_replay(connection, path, meta, found, progress)
    return found


def _check_mark(connection: sqlite3.Connection, path: Path, meta: Meta, found: Checkup) -> None:
    try:
        mark = HighWaterMark.read(mark_path(path))
    except (StateCorruptionError, OSError) as error:
        found.problems.append(str(error))
        return
    if mark is None:
        found.notes.append("The mark is missing: the next start takes the journal for a restored one.")
    elif mark.seq > last_link(connection, meta.journal_id)[0]:
        found.problems.append(f"The journal ends at fact {found.facts}, but {mark.seq} facts were durable.")
    elif link_at(connection, meta.journal_id, mark.seq) != mark.hash:
        found.problems.append(f"The mark belongs to another history: fact {mark.seq} differs.")


def _check_snapshots(
    connection: sqlite3.Connection, path: Path, meta: Meta, found: Checkup, most: int | None = None
) -> None:
    store = SnapshotStore(snapshot_folder(path))
    for seq in store.numbers()[:most]:
        try:
            header, _ = store.load(seq)
        except StateCorruptionError as error:
            found.notes.append(f"{error.message} It is not needed: another one, or the facts, tell the same.")
            continue
        if header.journal_id == meta.journal_id and link_at(connection, meta.journal_id, seq) == header.hash:
            found.snapshots += 1
        else:
            found.notes.append(f"The snapshot at fact {seq} belongs to another history; the next start removes it.")


def _check_archive(path: Path, meta: Meta, found: Checkup, progress: Callable[[int, int], None]) -> bytes:
    """Check every segment and how they join; returns the hash with which the live file goes on."""
    archive = Archive(archive_folder(path))
    head, reached = genesis(meta.journal_id), 0
    for segment in archive.covering(0, meta.archived) if meta.archived else ():
        segment.check_digest()
        if segment.index.journal_id != meta.journal_id:
            raise StateCorruptionError(f"The archive file {segment.path.name} belongs to another journal.")
        if segment.first != reached + 1:
            # A hole that is known; what follows is anchored by what follows it.
            head = segment.index.blocks[0].before
        for block in segment.index.blocks:
            for number, ts, epoch, kind, subject, correlation, body in segment.rows(block):
                head = link(head, number, ts, epoch, body)
                _check_columns(number, body, (kind, subject, correlation), found)
            progress(block.last, found.facts)
        if head != segment.index.after:
            raise StateCorruptionError(f"The archive file {segment.path.name} does not join the chain at its end.")
        reached = segment.last
    if meta.archived and reached == meta.archived and head != meta.archived_hash:
        raise StateCorruptionError("The archive and the journal's file do not join: their hashes differ.")
    return meta.archived_hash if meta.archived else head


def _check_live(
    connection: sqlite3.Connection, meta: Meta, head: bytes, found: Checkup, progress: Callable[[int, int], None]
) -> None:
    seq = meta.archived
    while True:
        with reading():
            rows = connection.execute(_ROWS, (seq, PAGE)).fetchall()
        if rows and rows[0][0] != seq + 1 and read_meta(connection).archived > seq:
            # Facts have moved to the archive since: they were read there or here, and the rest goes on behind them.
            seq, head = rows[0][0] - 1, read_meta(connection).archived_hash
        for number, ts, epoch, kind, subject, correlation, body, stored in rows:
            if number != seq + 1:
                raise StateCorruptionError(f"The journal lacks the facts {seq + 1} to {number - 1}.")
            if not isinstance(body, bytes) or (head := link(head, number, ts, epoch, body)) != stored:
                raise StateCorruptionError(f"Fact {number} is not what was written: its hash does not match.")
            _check_columns(number, body, (kind, subject, correlation), found)
            seq = number
        found.facts, found.head = max(found.facts, seq), head.hex()
        progress(seq, found.facts)
        if len(rows) < PAGE:
            return


def _check_columns(number: int, body: bytes, stored: tuple[str, str, str], found: Checkup) -> None:
    record = decode(body)
    if record.seq != number:
        raise StateCorruptionError(f"Row {number} of the journal holds fact {record.seq}.")
    event = record.event
    # A fact of an older version is stored under the name it had then.
    if (subject_of(event), record.correlation) != stored[1:]:
        found.problems.append(f"Fact {number} is whole, but stored under a wrong name: searching does not find it.")


def _check_file(connection: sqlite3.Connection, found: Checkup) -> None:
    try:
        verdict = [row[0] for row in connection.execute("PRAGMA quick_check(5)")]
    except sqlite3.DatabaseError as error:
        verdict = [str(error)]
    if verdict != ["ok"]:
        found.problems.append(f"SQLite finds the journal's file damaged: {'; '.join(verdict)}.")


def _check_replay(
    connection: sqlite3.Connection, path: Path, meta: Meta, found: Checkup, progress: Callable[[int, int], None]
) -> None:
    store = SnapshotStore(snapshot_folder(path))
    state, head = EngineState(), genesis(meta.journal_id)
    newest = max(store.numbers(), default=found.facts)
    while state.seq < newest:
        head = fold(connection, state, head, min(newest, state.seq + 20 * PAGE))
        progress(state.seq, newest)
    if newest in store.numbers() and store.load(newest)[1].state_hash() != state.state_hash():
        found.problems.append(
            f"The snapshot at fact {newest} is not what a replay of all facts gives: delete {store.path(newest).name}."
        )
