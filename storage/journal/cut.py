"""The program that cuts one snapshot, in a process of its own: `python -m storage.journal.cut JOURNAL KEPT`.

It prints the number of the fact at which the snapshot stands. It ends when its standard input does: the engine holds
the other end, so that no orphan outlives it.
"""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

from engine.errors import QuarterdeckError
from storage.journal.recovery import recover, snapshot_folder
from storage.journal.schema import connect
from storage.journal.snapshots import SnapshotStore

__all__ = ["cut", "main"]

NICENESS = 19


def cut(path: Path, kept: int) -> int:
    """Fold what is stored and write a snapshot of it.

    Returns:
        Number of its last fact.

    Raises:
        QuarterdeckError: The journal cannot be read.
        OSError: The snapshot cannot be written.
    """
    connection = connect(path, read_only=True)
    try:
        found = recover(connection, path)
    finally:
        connection.close()
    if found.state.seq > found.snapshot_seq:
        SnapshotStore(snapshot_folder(path), kept).write(found.state, found.meta.journal_id, found.head)
    return found.state.seq


def main(arguments: list[str]) -> int:
    """Run as a program; the exit code is 1 when no snapshot was cut, and standard error says why."""
    os.nice(NICENESS)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        seq = cut(Path(arguments[0]), int(arguments[1]))
    except (QuarterdeckError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"{seq}\n")
    return 0


def _end_with_parent() -> None:
    os.read(0, 1)
    os._exit(2)


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    # The thread that watches the parent waits for ever; nothing is left to be cleaned up.
    os._exit(code)
