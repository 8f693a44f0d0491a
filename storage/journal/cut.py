"""The program that cuts one snapshot, in a process of its own: `python -m storage.journal.cut JOURNAL KEPT`.

It prints the number of the fact at which the snapshot stands. It ends when its standard input does: the engine holds
the other end, so that no orphan outlives it.
"""

from __future__ import annotations

import sys
from pathlib import Path

from storage.journal.beside import leave, program
from storage.journal.recovery import recover, snapshot_folder
from storage.journal.schema import connect
from storage.journal.snapshots import SnapshotStore

__all__ = ["cut", "main"]


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
    return program(lambda: str(cut(Path(arguments[0]), int(arguments[1]))))


if __name__ == "__main__":
    leave(main(sys.argv[1:]))
