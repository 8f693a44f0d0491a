"""Following a journal that another process writes, up to the moment at which this one may take it over.

A follower reads and never writes: the writer does not notice it. Its state is as good as the writer's own, because it
is folded from what is on the disk, every row checked against the chain.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from engine.errors import StaleEpochError, StateConsistencyError, StateCorruptionError
from storage.journal.chain import last_link, walk
from storage.journal.codec import decode
from storage.journal.contract import JournalOptions
from storage.journal.damage import reading
from storage.journal.journal import Journal
from storage.journal.recovery import recover
from storage.journal.schema import SCHEMA_VERSION, connect, immediate, read_meta, refuse_newer, upgrade

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable
    from pathlib import Path

    from engine.events import Record
    from engine.state import EngineState
    from storage.journal.recovery import Recovered

__all__ = ["JOURNAL_FORMAT", "Follower", "Successor", "stored_epoch"]

JOURNAL_FORMAT = SCHEMA_VERSION
"""Format that this release writes; it refuses to follow a newer one."""
_END = 2**63 - 1


def stored_epoch(path: Path) -> int:
    """The epoch that may write a journal now; blocks.

    Raises:
        JournalError: The file cannot be opened.
    """
    connection = connect(path, read_only=True)
    try:
        return read_meta(connection).epoch
    finally:
        connection.close()


class Follower:
    """Reads a journal behind its writer. All methods block; one thread at a time.

    Args:
        path: The journal's file.
        connection: Read only.
        recovered: What opening found; its state follows.
        options: For the journal that may be taken over.
    """

    def __init__(
        self, path: Path, connection: sqlite3.Connection, recovered: Recovered, options: JournalOptions
    ) -> None:
        self.path = path
        self.recovered = recovered
        self.options = options
        self.heard: Callable[[Record], None] = lambda record: None
        """Called with every fact after it is folded."""
        self._connection = connection

    @classmethod
    def open(cls, path: Path, options: JournalOptions | None = None) -> Self:
        """Open an existing journal and recover its state.

        Raises:
            StateCorruptionError: A newer release wrote it, its chain is broken, or it holds a fact not known here.
            JournalError: It cannot be opened.
        """
        connection = connect(path, read_only=True)
        try:
            with reading():
                refuse_newer(connection, path)
            return cls(path, connection, recover(connection, path), options or JournalOptions())
        except BaseException:
            connection.close()
            raise

    @property
    def state(self) -> EngineState:
        """Everything folded so far."""
        return self.recovered.state

    @property
    def head(self) -> bytes:
        """Hash of the chain at the state's last fact."""
        return self.recovered.head

    def catch_up(self, until: int = _END) -> int:
        """Fold what has been stored meanwhile, up to a number; returns the number reached.

        Raises:
            StateCorruptionError: The chain is broken, or holds a fact that this release does not know.
            StateConsistencyError: The facts contradict each other.
        """
        state = self.state
        for number, body, digest in walk(self._connection, state.seq, self.recovered.head, until):
            record = decode(body)
            if record.seq != number:
                raise StateCorruptionError(f"Row {number} of the journal holds fact {record.seq}.")
            state.apply(record)
            self.recovered.head = digest
            self.heard(record)
        return state.seq

    def prepare(self, epoch: int) -> Successor:
        """The journal as this process will write it once the writer of an epoch lets go; nothing is written yet.

        The follower is of no use afterwards; close it.

        Raises:
            JournalError: The file cannot be opened for writing.
        """
        connection = connect(self.path, busy_timeout_s=self.options.busy_timeout_s)
        return Successor(self.path, connection, self.recovered, self.options, predecessor=epoch)

    def close(self) -> None:
        """Give the file back; idempotent."""
        self._connection.close()


class Successor(Journal):
    """A journal whose right to write is taken from one certain predecessor, or not at all.

    Args:
        path: The journal's file.
        connection: For writing.
        recovered: What a follower has folded.
        options: How it works.
        predecessor: Epoch of the writer that lets go.
    """

    def __init__(
        self,
        path: Path,
        connection: sqlite3.Connection,
        recovered: Recovered,
        options: JournalOptions,
        *,
        predecessor: int,
    ) -> None:
        super().__init__(path, connection, recovered, options)
        self._predecessor = predecessor
        # Named ahead, so that an engine can be built around it; until `open_epoch` nothing can be written under it.
        self._epoch = predecessor + 1

    def open_epoch(self) -> int:
        """Take the right to write, if it is still the predecessor's and nothing was written since its last fact.

        This one transaction is the switch: before it the predecessor may go on, after it never again.

        Raises:
            StaleEpochError: The epoch is not the predecessor's any more.
            StateConsistencyError: The predecessor has written since.
        """
        connection = self._connection
        with immediate(connection):
            if read_meta(connection).epoch != self._predecessor:
                raise StaleEpochError(
                    f"The right to write the journal {self.path} has moved on meanwhile; this process must not take it."
                )
            if last_link(connection, self.meta.journal_id) != (self.recovered.state.seq, self.recovered.head):
                raise StateConsistencyError(
                    f"The journal {self.path} was written to after its writer had handed it over; it is not taken over."
                )
            connection.execute("UPDATE meta SET epoch = epoch + 1")
        # Only now: a predecessor that goes on needs the file as it knows it.
        with reading():
            upgrade(connection, self.path)
        self.recovered.meta = read_meta(connection)
        self._appended = self._durable = self._told = self.recovered.state.seq
        return self.epoch

    def abandon(self) -> None:
        """Close a journal that was not taken over; blocks."""
        self._join()
