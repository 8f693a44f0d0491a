"""Walking the stored chain: every row follows the one before it in number and in hash."""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING

from engine.errors import StateCorruptionError
from storage.journal.codec import decode, genesis, link

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from engine.state import EngineState

__all__ = ["PAGE", "fold", "last_link", "link_at", "reading", "verify", "walk"]

PAGE = 500
"""Rows fetched at once; no read transaction stays open longer, so the log can always be copied back."""

_WALK = "SELECT seq, ts, epoch, body, hash FROM events WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?"
_END = 2**63 - 1
_REMEDY = "Restore a backup of the home folder, or move the journal away to start afresh."


@contextmanager
def reading() -> Iterator[None]:
    """Say in the house's words that SQLite found its file damaged."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        # A lock or a full disk is no damage and may pass.
        if isinstance(error, sqlite3.OperationalError) and "malformed" not in str(error):
            raise
        raise StateCorruptionError(f"The journal's file is damaged: {error}. {_REMEDY}") from error


def last_link(connection: sqlite3.Connection, journal_id: str) -> tuple[int, bytes]:
    """Number and hash of the last row; 0 and the first hash of an empty journal."""
    found = connection.execute("SELECT seq, hash FROM events ORDER BY seq DESC LIMIT 1").fetchone()
    return (found[0], found[1]) if found is not None else (0, genesis(journal_id))


def link_at(connection: sqlite3.Connection, journal_id: str, seq: int) -> bytes | None:
    """Hash of the chain at a number; None when that row is missing."""
    if seq == 0:
        return genesis(journal_id)
    found = connection.execute("SELECT hash FROM events WHERE seq = ?", (seq,)).fetchone()
    return found[0] if found is not None else None


def walk(
    connection: sqlite3.Connection, seq: int, head: bytes, until: int = _END
) -> Iterator[tuple[int, bytes, bytes]]:
    """Read the rows after number `seq`, whose hash is `head`, up to number `until`.

    Yields:
        (number, body, hash), each checked against the one before.

    Raises:
        StateCorruptionError: A row is missing or was changed.
    """
    while True:
        with reading():
            rows = connection.execute(_WALK, (seq, until, PAGE)).fetchall()
        for number, ts, epoch, body, stored in rows:
            if number != seq + 1:
                raise StateCorruptionError(f"The journal lacks the facts {seq + 1} to {number - 1}. {_REMEDY}")
            head = link(head, number, ts, epoch, body)
            if head != stored:
                raise StateCorruptionError(
                    f"Fact {number} of the journal is not what was written: its hash does not match. {_REMEDY}",
                    details={"seq": number},
                )
            seq = number
            yield number, body, head
        if len(rows) < PAGE:
            return


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
            raise StateCorruptionError(f"Row {number} of the journal holds fact {record.seq}. {_REMEDY}")
        state.apply(record)
        head = digest
    return head
