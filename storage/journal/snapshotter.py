"""The snapshot thread: a shadow state that folds what is stored and is cut while the engine goes on."""

from __future__ import annotations

import sqlite3
import threading
from typing import TYPE_CHECKING

from engine.errors import QuarterdeckError
from storage.journal.chain import fold
from storage.journal.pacing import Pacer, StoppedError
from storage.journal.recovery import Recovered, recover, snapshot_folder
from storage.journal.schema import connect
from storage.journal.snapshots import SnapshotStore

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from storage.journal.contract import JournalOptions

__all__ = ["Snapshotter"]


class Snapshotter:
    """Cuts a snapshot every so many facts or seconds, from the file and not from the engine's own state.

    What is in a snapshot has therefore been read back from the disk and folded a second time; nothing is handed over
    from the loop, and nothing on the loop waits.

    Args:
        path: The journal's file.
        seq: Fact at which the newest snapshot stands.
        options: Of the journal.
        failed: Called in this thread with a sentence when a snapshot could not be cut; the journal goes on without.
    """

    def __init__(self, path: Path, seq: int, options: JournalOptions, failed: Callable[[str], None]) -> None:
        self._path = path
        self._options = options
        self._failed = failed
        self._store = SnapshotStore(snapshot_folder(path), options.snapshots_kept)
        self._shadow: Recovered | None = None
        self.cut_seq = seq
        """Fact at which the newest snapshot stands."""
        self._durable = seq
        self._wake = threading.Event()
        self._end = threading.Event()
        self._pacer = Pacer(self._end)
        self._thread = threading.Thread(target=self._run, name="journal-snapshots", daemon=True)

    def start(self) -> None:
        """Begin to watch for snapshots that are due."""
        if self._options.snapshot_every > 0:
            self._thread.start()

    def committed(self, seq: int) -> None:
        """Take note of a commit; called in the writer's thread, returns at once."""
        self._durable = seq
        if seq - self.cut_seq >= self._options.snapshot_every and not self._wake.is_set():
            self._wake.set()

    def join(self) -> None:
        """End, giving up a snapshot under way; blocks for a slice of its work."""
        self._end.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._end.is_set():
            self._wake.wait(self._options.snapshot_seconds)
            self._wake.clear()
            if self._durable == self.cut_seq or self._end.is_set():
                continue
            try:
                self._cut()
            except StoppedError:
                return
            except (QuarterdeckError, OSError, sqlite3.Error) as error:
                # A snapshot only shortens the next start; the next one is tried after as many facts again.
                self._shadow = None
                self.cut_seq = self._durable
                self._failed(f"No snapshot was cut at fact {self._durable}: {error}")

    def _cut(self) -> None:
        connection = connect(self._path, read_only=True)
        try:
            shadow = self._shadow
            if shadow is None:
                shadow = recover(connection, self._path, pause=self._pacer.pause)
            else:
                shadow.head = fold(connection, shadow.state, shadow.head, pause=self._pacer.pause)
            self._shadow = shadow
            self._store.write(shadow.state, shadow.meta.journal_id, shadow.head, self._pacer.pause)
            self.cut_seq = shadow.state.seq
        finally:
            connection.close()
