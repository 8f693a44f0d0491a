"""The keeper thread: what follows a commit and may lag behind it, the high-water mark and copying back the log."""

from __future__ import annotations

import sqlite3
import threading
from typing import TYPE_CHECKING

from engine.crash_points import crash_point
from engine.errors import JournalError, QuarterdeckError
from storage.journal.mark import HighWaterMark, Mark
from storage.journal.schema import connect

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from storage.journal.contract import JournalOptions

__all__ = ["Keeper"]

COMMIT_PAGES = 3
ROWS_PER_PAGE = 6
"""Estimate of the log's growth: pages that every commit touches, and rows that fill a further page."""


class Keeper:
    """Syncs the newest mark, coalesced, and copies the log back when it has grown.

    Args:
        path: The journal's file.
        mark: Opened by the caller, closed at the end.
        options: Of the journal.
        failed: Called in the keeper's thread when the mark cannot be written.
    """

    def __init__(
        self, path: Path, mark: HighWaterMark, options: JournalOptions, failed: Callable[[JournalError], None]
    ) -> None:
        self._path = path
        self._mark = mark
        self._options = options
        self._failed = failed
        self.marked = 0
        """Number up to which the mark on the disk reaches, as far as this keeper wrote it."""
        self._newest: Mark | None = None
        self._pages = 0
        self._wake = threading.Event()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="journal-keeper", daemon=True)

    def start(self) -> None:
        """Begin to keep."""
        self._thread.start()

    def committed(self, seq: int, head: bytes, rows: int) -> None:
        """Take note of a commit; called in the writer's thread, returns at once."""
        self._newest = Mark(seq, head)
        self._pages += COMMIT_PAGES + rows // ROWS_PER_PAGE
        if not self._wake.is_set():
            self._wake.set()

    def join(self) -> None:
        """Store the newest mark, then end; blocks. The writer must have ended before."""
        self._end.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        try:
            connection = connect(self._path, busy_timeout_s=self._options.busy_timeout_s)
            try:
                while self._step(connection):
                    self._end.wait(self._options.mark_interval_s)
            finally:
                connection.close()
        except (OSError, sqlite3.Error, QuarterdeckError) as error:
            self._failed(
                JournalError(
                    f"The journal's high-water mark {self._mark.path} could not be kept: {error}. The engine has "
                    "halted. Free space or repair the disk, then start again.",
                    error_code="mark",
                )
            )
        finally:
            self._mark.close()

    def _step(self, connection: sqlite3.Connection) -> bool:
        self._wake.wait()
        ending = self._end.is_set()
        self._wake.clear()
        newest, self._newest = self._newest, None
        if newest is not None:
            crash_point("mark.write")
            self._mark.write(newest)
            crash_point("mark.written")
            self.marked = newest.seq
        if self._pages >= self._options.checkpoint_pages and not ending:
            self._pages = 0
            self._copy_back(connection)
        return not ending

    @staticmethod
    def _copy_back(connection: sqlite3.Connection) -> None:
        # Whatever a failure here means, the next commit meets it too and reports it.
        try:
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        except sqlite3.OperationalError:
            return
