"""Walking the stored chain: every row follows the one before it in number and in hash."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import StateCorruptionError
from storage.journal.archive import Archive, archive_folder, file_of
from storage.journal.codec import decode, genesis, link
from storage.journal.damage import REMEDY, reading
from storage.journal.schema import read_meta

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator

    from engine.state import EngineState

__all__ = ["PAGE", "fold", "last_link", "link_at", "reading", "verify", "walk"]

PAGE = 500
"""Rows fetched at once; no read transaction stays open longer, so the log can always be copied back."""

_WALK = "SELECT seq, ts, epoch, body, hash FROM events WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?"
_END = 2**63 - 1
_UNKNOWN = b""
"""In the place of a hash that the archive does not store."""


def last_link(connection: sqlite3.Connection, journal_id: str) -> tuple[int, bytes]:
    """Number and hash of the last row; 0 and the first hash of an empty journal."""
    found = connection.execute("SELECT seq, hash FROM events ORDER BY seq DESC LIMIT 1").fetchone()
    if found is not None:
        return found[0], found[1]
    meta = read_meta(connection)
    return (meta.archived, meta.archived_hash) if meta.archived else (0, genesis(journal_id))


def link_at(connection: sqlite3.Connection, journal_id: str, seq: int) -> bytes | None:
    """Hash of the chain at a number, which may be archived; None when that row is missing."""
    if seq == 0:
        return genesis(journal_id)
    found = connection.execute("SELECT hash FROM events WHERE seq = ?", (seq,)).fetchone()
    if found is not None:
        stored: bytes = found[0]
        return stored
    meta = read_meta(connection)
    if seq == meta.archived:
        return meta.archived_hash
    return _archive(connection).link_at(journal_id, seq) if seq < meta.archived else None


def _archive(connection: sqlite3.Connection) -> Archive:
    return Archive(archive_folder(Path(file_of(connection))))


def walk(
    connection: sqlite3.Connection, seq: int, head: bytes, until: int = _END
) -> Iterator[tuple[int, bytes, bytes]]:
    """Read the facts after number `seq`, whose hash is `head`, up to number `until`, archived ones as well.

    Facts may be appended, and may move to the archive, meanwhile.

    Yields:
        (number, body, hash), each checked against the one before.

    Raises:
        StateCorruptionError: A row is missing or was changed, or the archive is incomplete.
    """
    while seq < until:
        with reading():
            rows = connection.execute(_WALK, (seq, until, PAGE)).fetchall()
            archived = 0 if rows and rows[0][0] == seq + 1 else read_meta(connection).archived
        live = archived <= seq
        for number, ts, epoch, body, stored in rows if live else _archived_rows(connection, seq, min(archived, until)):
            if number != seq + 1:
                raise _lacks(connection, seq + 1, number - 1)
            head = _linked(head, number, ts, epoch, body)
            if stored != _UNKNOWN and head != stored:
                raise StateCorruptionError(
                    f"Fact {number} of the journal is not what was written: its hash does not match. {REMEDY}",
                    details={"seq": number},
                )
            seq = number
            yield number, body, head
        if live and len(rows) < PAGE:
            return
        if not live and seq < min(archived, until):
            raise _lacks(connection, seq + 1, min(archived, until))


def _linked(head: bytes, number: int, ts: int, epoch: int, body: bytes) -> bytes:
    try:
        return link(head, number, ts, epoch, body)
    except (struct.error, TypeError) as error:
        # A damaged page may give a text where a number was.
        raise StateCorruptionError(
            f"Fact {number} of the journal is not what was written: {error}. {REMEDY}", details={"seq": number}
        ) from error


def _lacks(connection: sqlite3.Connection, first: int, last: int) -> StateCorruptionError:
    what = f"The journal lacks the facts {first} to {last}"
    if any(span.first <= first <= span.last for span in _archive(connection).lost()):
        return StateCorruptionError(
            f"{what}: they were damaged, and a repair could not keep them. What came later stands on a snapshot; a "
            "replay from the first fact is not possible any more."
        )
    return StateCorruptionError(f"{what}. {REMEDY}")


def _archived_rows(
    connection: sqlite3.Connection, after: int, until: int
) -> Iterator[tuple[int, int, int, bytes, bytes]]:
    """Archived rows as the live file would give them, hashes only where the archive knows them."""
    archive = _archive(connection)
    for segment, block in archive.blocks(after, until):
        rows = archive.unpacked(segment, block)
        last = block == segment.index.blocks[-1]
        for number, ts, epoch, _, _, _, body in rows:
            if after < number <= until:
                yield number, ts, epoch, body, segment.index.after if last and number == block.last else _UNKNOWN


def verify(
    connection: sqlite3.Connection,
    seq: int,
    head: bytes,
    until: int = _END,
    pause: Callable[[], None] = lambda: None,
) -> tuple[int, bytes]:
    """Check the chain without reading the facts; returns number and hash of the last row. Raises as `walk`."""
    for number, _, digest in walk(connection, seq, head, until):
        seq, head = number, digest
        pause()
    return seq, head


def fold(
    connection: sqlite3.Connection,
    state: EngineState,
    head: bytes,
    until: int = _END,
) -> bytes:
    """Apply the rows after the state's last fact to it, checking the chain.

    Args:
        connection: Any connection to the journal.
        state: Changed in place.
        head: Hash of the chain at `state.seq`.
        until: Number of the last fact to apply.

    Returns:
        Hash of the chain at the new `state.seq`.

    Raises:
        StateCorruptionError: A row is missing, was changed, or holds a fact that this release does not know.
    """
    for number, body, digest in walk(connection, state.seq, head, until):
        try:
            record = decode(body)
        except StateCorruptionError as error:
            raise StateCorruptionError(
                f"Fact {number} cannot be read. {error.message} Install the release that wrote it, or restore a backup."
            ) from error
        if record.seq != number:
            raise StateCorruptionError(f"Row {number} of the journal holds fact {record.seq}. {REMEDY}")
        state.apply(record)
        head = digest
    return head
