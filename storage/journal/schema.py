"""The journal's SQLite file: its tables, its versions, and how a connection to it is set up."""

from __future__ import annotations

import os
import secrets
import sqlite3
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.errors import JournalError, StateCorruptionError
from storage.journal.damage import REMEDY, reading

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = [
    "SCHEMA_VERSION",
    "STALE_EPOCH",
    "Meta",
    "connect",
    "create",
    "immediate",
    "new_instance",
    "read_meta",
    "refuse_newer",
    "sync_folder",
    "upgrade",
]

SCHEMA_VERSION = 2
STALE_EPOCH = "stale epoch"
"""What the trigger below says when a writer of an older epoch commits."""

# The trigger puts the epoch check into every commit of every writer, whatever its code says.
_TABLES = """
CREATE TABLE meta (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    journal_id TEXT NOT NULL,
    instance TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    archived INTEGER NOT NULL DEFAULT 0,
    archived_hash BLOB NOT NULL DEFAULT x''
) STRICT;
CREATE TABLE events (
    seq INTEGER PRIMARY KEY,
    ts INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    correlation TEXT NOT NULL,
    body BLOB NOT NULL,
    hash BLOB NOT NULL
) STRICT;
CREATE INDEX events_subject ON events (subject) WHERE subject <> '';
CREATE TRIGGER events_epoch BEFORE INSERT ON events
WHEN NEW.epoch <> (SELECT epoch FROM meta)
BEGIN
    SELECT RAISE(ABORT, 'stale epoch');
END;
"""

_UPGRADES: dict[int, str] = {
    1: (
        "ALTER TABLE meta ADD COLUMN archived INTEGER NOT NULL DEFAULT 0;"
        "ALTER TABLE meta ADD COLUMN archived_hash BLOB NOT NULL DEFAULT x'';"
    ),
}
"""Schema version -> statements that lead to the next one."""


@dataclass(frozen=True, slots=True)
class Meta:
    """What the file says about itself."""

    journal_id: str
    """Random, never changes; the chain starts from it."""
    instance: str
    """Random part of client order ids; new after a restore."""
    epoch: int
    """The right to write; 0 before the first `open_epoch`."""
    archived: int = 0
    """Number of the last fact that has moved to the archive; 0 when all are in the file."""
    archived_hash: bytes = b""
    """Hash of the chain at that fact."""


def connect(path: Path, *, read_only: bool = False, busy_timeout_s: float = 5.0) -> sqlite3.Connection:
    """Open an existing journal; statements commit by themselves unless inside `immediate`.

    The connection may be handed from thread to thread, but only one may use it at a time.

    Raises:
        JournalError: The file is missing or cannot be opened.
        StateCorruptionError: The file is damaged.
    """
    mode = "ro" if read_only else "rw"
    try:
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode={mode}",
            uri=True,
            timeout=busy_timeout_s,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=256,
        )
    except sqlite3.Error as error:
        raise JournalError(f"The journal {path} cannot be opened: {error}.") from error
    try:
        with reading():
            connection.execute("PRAGMA synchronous = FULL")
            # The log is copied back by the keeper thread, so that no commit ever waits for it.
            connection.execute("PRAGMA wal_autocheckpoint = 0")
    except BaseException:
        connection.close()
        raise
    return connection


@contextmanager
def immediate(connection: sqlite3.Connection) -> Iterator[None]:
    """Run a block as one transaction that holds the right to write from its start."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def create(path: Path) -> None:
    """Make an empty journal, readable by its owner only; all or nothing."""
    # Built aside and renamed, so that a crash leaves no half-made journal behind.
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    os.close(os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    connection = sqlite3.connect(fresh, isolation_level=None)
    try:
        # Pages of facts that have moved to the archive can be given back piece by piece.
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
        if mode != "wal":
            raise JournalError(
                f"The journal {path} cannot be kept on this file system: it allows no write-ahead log. Choose a home "
                "folder on a local disk."
            )
        connection.execute("PRAGMA synchronous = FULL")
        connection.executescript(f"BEGIN; {_TABLES} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;")
        connection.execute(
            "INSERT INTO meta (id, journal_id, instance, epoch) VALUES (1, ?, ?, 0)",
            (secrets.token_hex(16), new_instance()),
        )
    except sqlite3.Error as error:
        raise JournalError(f"The journal {path} cannot be created: {error}.") from error
    finally:
        connection.close()
    fresh.rename(path)
    sync_folder(path.parent)


def new_instance() -> str:
    """A random instance id: 8 letters and digits, a letter first."""
    alphabet = "abcdefghijklmnopqrstuvwxyz0123456789"
    return secrets.choice(alphabet[:26]) + "".join(secrets.choice(alphabet) for _ in range(7))


def sync_folder(folder: Path) -> None:
    """Make a rename or a new name in a folder survive a power loss."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def refuse_newer(connection: sqlite3.Connection, path: Path) -> int:
    """The format of a journal that this release can read.

    Raises:
        StateCorruptionError: A newer release wrote the file, or it is no journal.
    """
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > SCHEMA_VERSION:
        raise StateCorruptionError(
            f"The journal {path} was written by a newer release (format {version}, this one knows {SCHEMA_VERSION}). "
            "Install that release again, or restore a backup of this one (`quarterdeck backup list`)."
        )
    if version == 0:
        raise StateCorruptionError(f"The file {path} is no journal. {REMEDY}")
    return version


def upgrade(connection: sqlite3.Connection, path: Path) -> None:
    """Bring an older schema up to date.

    Raises:
        StateCorruptionError: A newer release wrote the file, or it is no journal.
    """
    version = refuse_newer(connection, path)
    while version < SCHEMA_VERSION:
        connection.executescript(f"BEGIN IMMEDIATE; {_UPGRADES[version]} PRAGMA user_version = {version + 1}; COMMIT;")
        version += 1


def read_meta(connection: sqlite3.Connection) -> Meta:
    """Read what the file says about itself; the first version of the schema had no archive."""
    row = connection.execute("SELECT * FROM meta").fetchone()
    if row is None:
        raise StateCorruptionError("The journal does not say which one it is: its table `meta` is empty.")
    return Meta(*row[1:])
