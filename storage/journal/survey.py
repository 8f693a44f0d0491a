"""What is left of a damaged journal: which rows can be read and belong to the chain, and how far a state goes."""

from __future__ import annotations

import sqlite3
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from engine.errors import JournalError, QuarterdeckError, StateCorruptionError
from engine.state import EngineState
from storage.journal.archive import Archive, archive_folder
from storage.journal.chain import fold
from storage.journal.codec import decode, genesis, link, subject_of
from storage.journal.mark import HighWaterMark
from storage.journal.recovery import mark_path, snapshot_folder
from storage.journal.schema import connect, read_meta, refuse_newer
from storage.journal.snapshots import SnapshotStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from engine.events import Record
    from storage.journal.schema import Meta
    from storage.journal.segment import ArchivedRow

__all__ = ["Found", "Survey", "Surveyor", "open_damaged", "rebuilt", "survey"]

PAGE = 500
_ROWS = (
    "SELECT seq, ts, epoch, kind, subject, correlation, body, hash FROM events WHERE seq > ? AND seq <= ? ORDER BY seq"
)


@dataclass(frozen=True, slots=True)
class Found:
    """A row that can be read and follows on the stored hash before it."""

    row: ArchivedRow
    before: bytes
    after: bytes


@dataclass(slots=True)
class Survey:
    """What was found."""

    meta: Meta | None
    """None when not even that can be read."""
    state: EngineState
    """The newest state that can be vouched for."""
    head: bytes = b""
    """Hash of the chain at `state.seq`."""
    journal_id: str = ""
    begin: int = 0
    """Fact from which the state was folded: a snapshot's, the last archived one, or 0."""
    begin_hash: bytes = b""
    """Hash of the chain there."""
    last: int = 0
    """Number of the newest fact that is known to have existed, from rows, mark or snapshot."""
    bad: list[tuple[int, int]] = field(default_factory=list)
    """Numbers of facts, first and last, that are missing or damaged, up to `state.seq`."""
    problems: list[str] = field(default_factory=list)

    @property
    def lost_end(self) -> tuple[int, int] | None:
        """Facts after the state that cannot be kept; None when nothing is lost there."""
        return (self.state.seq + 1, self.last) if self.last > self.state.seq else None

    @property
    def whole(self) -> bool:
        """Whether nothing is missing at all."""
        return not self.bad and self.lost_end is None and not self.problems


def survey(path: Path, progress: Callable[[int, int], None] = lambda _done, _of: None) -> Survey:
    """Look at everything of a journal that can still be read; changes nothing.

    Args:
        path: The journal's file.
        progress: Called now and then with the number reached and the last one.

    Raises:
        StateCorruptionError: A newer release wrote it, or a fact is not known to this one: that is no damage.
        JournalError: The file cannot be opened.
    """
    connection = open_damaged(path)
    try:
        return Surveyor(path, connection, progress).run()
    finally:
        if connection is not None:
            connection.close()


def open_damaged(path: Path) -> sqlite3.Connection | None:
    """The file, if SQLite recognises it at all."""
    try:
        connection = connect(path, read_only=True)
    except StateCorruptionError:
        return None
    try:
        if connection.execute("PRAGMA user_version").fetchone()[0] == 0:
            connection.close()
            return None
        refuse_newer(connection, path)
    except sqlite3.DatabaseError:
        connection.close()
        return None
    except BaseException:
        connection.close()
        raise
    return connection


class Surveyor:
    """Reads what can be read of one journal.

    Args:
        path: The journal's file.
        connection: None when SQLite does not recognise it.
        progress: Called now and then with the number reached and the last one.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection | None, progress: Callable[[int, int], None]) -> None:
        self._path = path
        self._connection = connection
        self._progress = progress
        self._reached = b""

    def run(self) -> Survey:
        """Everything that can be vouched for."""
        found = Survey(self._meta(), EngineState())
        if found.meta is not None:
            found.journal_id = found.meta.journal_id
            found.head = found.begin_hash = genesis(found.journal_id)
        self._know_last(found)
        for begin, head, state in self._starts(found):
            self._fold(state, head, found)
            if state.seq > found.state.seq:
                found.state, found.begin, found.begin_hash, found.head = state, begin, head, self._reached
            if state.seq >= found.last:
                break
        found.bad = self._bad(found)
        found.last = max(found.last, found.state.seq)
        return found

    def _meta(self) -> Meta | None:
        if self._connection is None:
            return None
        try:
            return read_meta(self._connection)
        except (sqlite3.DatabaseError, StateCorruptionError, TypeError):
            return None

    def _know_last(self, found: Survey) -> None:
        try:
            mark = HighWaterMark.read(mark_path(self._path))
        except (StateCorruptionError, OSError) as error:
            found.problems.append(str(error))
        else:
            found.last = mark.seq if mark is not None else 0
        if self._connection is None:
            found.problems.append(f"The file {self._path.name} is no database any more.")
            return
        try:
            row = self._connection.execute("SELECT max(seq) FROM events").fetchone()
        except sqlite3.DatabaseError as error:
            found.problems.append(f"The file {self._path.name} is damaged: {error}.")
        else:
            found.last = max(found.last, row[0] or 0)

    def _starts(self, found: Survey) -> Iterator[tuple[int, bytes, EngineState]]:
        """Where a state can begin, the newest first: snapshots of this journal, then nothing at all."""
        store = SnapshotStore(snapshot_folder(self._path))
        for seq in store.numbers():
            try:
                header, state = store.load(seq)
            except StateCorruptionError as error:
                found.problems.append(error.message)
                continue
            found.journal_id = found.journal_id or header.journal_id
            if header.journal_id != found.journal_id:
                found.problems.append(f"The snapshot at fact {seq} belongs to another journal.")
                continue
            stored = next((one.after for one in self.rows(seq - 1, seq)), None)
            if stored is None or stored == header.hash:
                found.last = max(found.last, seq)
                yield seq, header.hash, state
        state, head = EngineState(), genesis(found.journal_id)
        if found.meta is not None and found.meta.archived:
            assert self._connection is not None
            try:
                head = fold(self._connection, state, head, found.meta.archived)
            except QuarterdeckError as error:
                found.problems.append(error.message)
                return
        if found.journal_id:
            yield state.seq, head, state

    def _fold(self, state: EngineState, head: bytes, found: Survey) -> None:
        """Apply what follows, as far as it can be vouched for."""
        self._reached = head
        for one in self.rows(state.seq, found.last):
            if one.row[0] != state.seq + 1 or one.before != self._reached:
                return
            record = _decoded(one.row)
            try:
                state.apply(record)
            except QuarterdeckError as error:
                found.problems.append(f"Fact {record.seq} contradicts those before it: {error.message}")
                return
            self._reached = one.after
            if record.seq % PAGE == 0:
                self._progress(record.seq, found.last)

    def _bad(self, found: Survey) -> list[tuple[int, int]]:
        """Rows of the live file, up to the state, that are missing or not what was written."""
        bad: list[tuple[int, int]] = []
        reached = self._archived(found)
        for one in self.rows(reached, found.state.seq):
            if one.row[0] != reached + 1:
                bad.append((reached + 1, one.row[0] - 1))
            reached = one.row[0]
        if reached < found.state.seq:
            bad.append((reached + 1, found.state.seq))
        return bad

    def _archived(self, found: Survey) -> int:
        """Number of the last fact that is in the archive, by what the file says, or else by what is there."""
        if found.meta is not None:
            return found.meta.archived
        return max((segment.last for segment in Archive(archive_folder(self._path)).segments()), default=0)

    # --- rows --------------------------------------------------------------------------------------------------------

    def rows(self, after: int, until: int) -> Iterator[Found]:
        """Rows that can be read and follow on the hash before them, stored or computed."""
        previous = self._hash_of(after)
        doubtful: Found | None = None
        for row in self._readable(after, until):
            if row[0] != after + 1:
                previous, doubtful = self._hash_of(row[0] - 1), None
            after, computed = row[0], _link(row, previous)
            if doubtful is not None and _link(row, doubtful.after) == row[7]:
                # Only the hash that was stored with the row before is damaged: what follows vouches for the row.
                yield doubtful
                previous, computed = doubtful.after, row[7]
            doubtful = None
            if previous is None or computed is None:
                previous = row[7]
                continue
            if computed == row[7]:
                yield Found(row[:7], previous, computed)
            else:
                doubtful = Found(row[:7], previous, computed)
            previous = row[7]

    def _hash_of(self, seq: int) -> bytes | None:
        meta = self._meta()
        if meta is not None and seq == meta.archived:
            return meta.archived_hash if seq else genesis(meta.journal_id)
        found = list(self._readable(seq - 1, seq))
        return found[0][7] if found else None

    def _readable(self, after: int, until: int) -> Iterator[tuple[int, int, int, str, str, str, bytes, bytes]]:
        """All rows that SQLite can read; around a damaged page they are asked for in ever smaller ranges."""
        if self._connection is None:
            return
        while after < until:
            end = min(after + PAGE, until)
            yield from self._range(after, end)
            after = end

    def _range(self, after: int, until: int) -> list[tuple[int, int, int, str, str, str, bytes, bytes]]:
        assert self._connection is not None
        try:
            return self._connection.execute(_ROWS, (after, until)).fetchall()
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError) and "locked" in str(error):
                raise JournalError(f"The journal {self._path} is held by another program; stop that first.") from error
            if until - after == 1:
                return []
            middle = (after + until) // 2
            return self._range(after, middle) + self._range(middle, until)


def _link(row: tuple[int, int, int, str, str, str, bytes, bytes], previous: bytes | None) -> bytes | None:
    try:
        return None if previous is None else link(previous, row[0], row[1], row[2], row[6])
    except (struct.error, TypeError):
        # A damaged page may give a text where a number was.
        return None


def _decoded(row: ArchivedRow) -> Record:
    try:
        return decode(row[6])
    except StateCorruptionError as error:
        raise StateCorruptionError(
            f"Fact {row[0]} is whole but cannot be read. {error.message} Install the release that wrote it; nothing is "
            "damaged there."
        ) from error


def rebuilt(row: ArchivedRow) -> ArchivedRow:
    """A row whose search columns are made anew from its body: the chain does not cover them."""
    record = _decoded(row)
    return (*row[:3], type(record.event).__name__, subject_of(record.event), record.correlation, row[6])
