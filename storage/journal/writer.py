"""The writer thread: takes everything that is queued and commits it at once."""

from __future__ import annotations

import sqlite3
import threading
from functools import cache
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from engine.crash_points import crash_point
from engine.errors import JournalError, StaleEpochError
from storage.journal.codec import COLUMNS, row
from storage.journal.schema import STALE_EPOCH, immediate

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from engine.events import Record

__all__ = ["Writer"]

STATEMENT_ROWS = 64
"""Most rows in one INSERT. SQLite gives the interpreter lock away once per statement, so few statements mean few
waits for a busy event loop."""
LOG_LIMIT = 64 * 1024 * 1024
"""Bytes of write-ahead log at which the writer itself copies the log back, should the keeper not keep up."""
CHECK_LOG_EVERY = 256
"""Commits between two looks at the log's size."""


class Writer:
    """One thread, one connection, one commit for everything that has been queued meanwhile.

    Args:
        path: The journal's file.
        connection: Handed over: from `start` on only the writer's thread uses it.
        head: Hash of the chain at the last stored fact.
        group_limit: Most facts in one commit.
        committed: Called in the writer's thread after each commit with the last number and hash and the rows written.
        failed: Called in the writer's thread when a commit failed; nothing is written after that.
    """

    def __init__(
        self,
        path: Path,
        connection: sqlite3.Connection,
        head: bytes,
        *,
        group_limit: int,
        committed: Callable[[int, bytes, int], None],
        failed: Callable[[JournalError | StaleEpochError], None],
    ) -> None:
        self._path = path
        self._log = path.with_name(path.name + "-wal")
        self._connection = connection
        self._head = head
        self._group_limit = group_limit
        self._committed = committed
        self._failed = failed
        self._commits = 0
        # SimpleQueue is a C object whose put costs well under a microsecond and wakes the writer at once.
        self._queue: SimpleQueue[Record | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="journal-writer", daemon=True)
        self.put = self._queue.put
        self.waiting = self._queue.qsize

    def start(self) -> None:
        """Begin to write."""
        connection = self._connection
        connection.execute(f"PRAGMA journal_size_limit = {LOG_LIMIT}")
        self._thread.start()

    def join(self) -> None:
        """Write what is queued, then end; blocks."""
        if self._thread.is_alive():
            self._queue.put(None)
            self._thread.join()

    def _run(self) -> None:
        try:
            while self._step():
                pass
        except sqlite3.IntegrityError as error:
            self._failed(self._integrity(error))
        except Exception as error:  # whatever it was, nothing may be released any more
            self._failed(
                JournalError(
                    f"The journal {self._path} could not be written: {error}. The engine has halted; nothing was sent "
                    "that is not on the disk. Free space or repair the disk (`quarterdeck doctor` shows what is "
                    "wrong), then start again.",
                    error_code=getattr(error, "sqlite_errorname", type(error).__name__),
                )
            )

    def _step(self) -> bool:
        first = self._queue.get()
        if first is None:
            return False
        batch, more = [first], True
        for _ in range(min(self._queue.qsize(), self._group_limit - 1)):
            item = self._queue.get_nowait()
            if item is None:
                more = False
                break
            batch.append(item)
        self._commit(batch)
        return more

    def _commit(self, batch: list[Record]) -> None:
        head = self._head
        values: list[Any] = []
        for record in batch:
            found = row(record, head)
            head = found[-1]
            values += found
        self._make_room()
        crash_point("journal.commit")
        if len(batch) <= STATEMENT_ROWS:
            # A single statement is its own transaction, the trigger's epoch check included.
            self._connection.execute(_insert(len(batch)), values)
        else:
            step = STATEMENT_ROWS * len(COLUMNS)
            with immediate(self._connection):
                for start in range(0, len(values), step):
                    part = values[start : start + step]
                    self._connection.execute(_insert(len(part) // len(COLUMNS)), part)
        crash_point("journal.committed")
        self._head = head
        self._committed(batch[-1].seq, head, len(batch))

    def _make_room(self) -> None:
        self._commits += 1
        if self._commits % CHECK_LOG_EVERY == 0 and self._log.stat().st_size > LOG_LIMIT:
            self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)")

    def _integrity(self, error: sqlite3.IntegrityError) -> JournalError | StaleEpochError:
        if STALE_EPOCH in str(error):
            return StaleEpochError(
                f"Another engine has taken over the journal {self._path}: the epoch of this one is over. It has "
                "stopped writing and must exit."
            )
        return JournalError(
            f"The journal {self._path} refused a fact: {error}. Another program wrote to it; stop that program and "
            "start again.",
            error_code=error.sqlite_errorname,
        )


@cache
def _insert(rows: int) -> str:
    places = "(" + ", ".join("?" * len(COLUMNS)) + ")"
    return f"INSERT INTO events ({', '.join(COLUMNS)}) VALUES {', '.join([places] * rows)}"  # noqa: S608 - only places
