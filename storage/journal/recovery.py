"""Start-up is recovery: last good snapshot, checked tail, and the refusal of a journal that lost something."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from engine.errors import StateCorruptionError
from engine.state import EngineState
from engine.state.soundness import flaws
from storage.journal.chain import fold, last_link, link_at, reading, verify
from storage.journal.codec import genesis
from storage.journal.mark import HighWaterMark, Mark
from storage.journal.schema import Meta, connect, create, read_meta, upgrade
from storage.journal.snapshots import NEWER, SnapshotStore

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

__all__ = ["Recovered", "establish", "mark_path", "recover", "replay", "snapshot_folder"]


@dataclass(slots=True)
class Recovered:
    """What start-up found."""

    state: EngineState
    meta: Meta
    head: bytes
    """Hash of the chain at `state.seq`."""
    snapshot_seq: int
    """Fact at which the snapshot used was cut; 0 when all facts were replayed."""
    replayed: int
    """Facts folded after the snapshot."""
    restored: bool = False
    """The mark was missing beside a journal that holds facts: it was restored or moved and has a new instance id."""
    notes: list[str] = field(default_factory=list)
    """What was passed over on the way, in sentences."""
    rejected: list[int] = field(default_factory=list)
    """Snapshots that are damaged, contradict themselves or belong to another history."""


def mark_path(path: Path) -> Path:
    """The high-water mark that belongs to a journal."""
    return path.with_suffix(".hwm")


def snapshot_folder(path: Path) -> Path:
    """The folder of snapshots that belongs to a journal."""
    return path.with_suffix(".snapshots")


def establish(path: Path) -> bool:
    """Make the journal and its mark if they do not exist yet.

    Returns:
        True when a journal that holds facts has no mark: it was restored or moved.

    Raises:
        StateCorruptionError: The journal is gone but its mark says that it held facts.
    """
    mark = HighWaterMark.read(mark_path(path))
    if not path.exists():
        if mark is not None and mark.seq:
            raise StateCorruptionError(
                f"The journal {path} is gone, but its mark says that it held {mark.seq} facts. Bring the file back "
                "or restore a backup (`quarterdeck backup restore`); `quarterdeck journal repair` goes on from the "
                f"last snapshot; to start with nothing, delete {mark_path(path).name} and {snapshot_folder(path).name}."
            )
        create(path)
        mark = None
    if mark is not None:
        return False
    connection = connect(path)
    try:
        with reading():
            upgrade(connection, path)
            seq, head = last_link(connection, read_meta(connection).journal_id)
    finally:
        connection.close()
    if seq == 0:
        HighWaterMark.create(mark_path(path), Mark(seq, head))
    return seq > 0


def check_mark(connection: sqlite3.Connection, path: Path, meta: Meta) -> None:
    """Hold the journal against its mark.

    Raises:
        StateCorruptionError: It ends before its mark, or has another history.
    """
    mark = HighWaterMark.read(mark_path(path))
    if mark is None:
        return
    seq, _ = last_link(connection, meta.journal_id)
    way_out = (
        "`quarterdeck journal repair` goes on with what the journal holds, under a new instance id, and every venue is "
        "asked what became of its orders; `quarterdeck backup restore` brings a backup back."
    )
    if seq < mark.seq:
        raise StateCorruptionError(
            f"The journal {path} ends at fact {seq}, but {mark.seq} facts were durable: its end is lost. {way_out}",
            details={"last": seq, "mark": mark.seq},
        )
    if link_at(connection, meta.journal_id, mark.seq) != mark.hash:
        raise StateCorruptionError(
            f"The journal {path} is not the one that its mark belongs to: fact {mark.seq} differs. {way_out}",
            details={"last": seq, "mark": mark.seq},
        )


def recover(
    connection: sqlite3.Connection,
    path: Path,
    *,
    full_check_below: int = 0,
) -> Recovered:
    """Build the state of a journal: the last good snapshot, then the tail, every row of it checked.

    Args:
        connection: Any connection to the journal.
        path: The journal's file.
        full_check_below: Check the rows under the snapshot as well when there are no more facts than this.

    Raises:
        StateCorruptionError: The chain is broken, or a fact is not known to this release.
        StateConsistencyError: The facts contradict each other.
    """
    with reading():
        meta = read_meta(connection)
        check_mark(connection, path, meta)
        found = Recovered(EngineState(), meta, genesis(meta.journal_id), snapshot_seq=0, replayed=0)
        _take_snapshot(connection, path, found)
        last = last_link(connection, meta.journal_id)[0]
        begin = meta.archived_hash if meta.archived else genesis(meta.journal_id)
        # Archived facts have a checksum of their own and are not needed to start.
        if meta.archived < found.snapshot_seq and last - meta.archived <= full_check_below:
            verify(connection, meta.archived, begin, found.snapshot_seq)
        found.head = fold(connection, found.state, found.head)
    found.replayed = found.state.seq - found.snapshot_seq
    return found


def _take_snapshot(connection: sqlite3.Connection, path: Path, found: Recovered) -> None:
    """Begin from the newest snapshot that is whole and fits the chain."""
    store = SnapshotStore(snapshot_folder(path))
    journal_id = found.meta.journal_id
    for seq in store.numbers():
        try:
            header, state = store.load(seq)
        except StateCorruptionError as error:
            found.notes.append(error.message)
            if error.error_code != NEWER:
                found.rejected.append(seq)
            continue
        if header.journal_id == journal_id and link_at(connection, journal_id, seq) == header.hash:
            flaw = next(iter(flaws(state, owners=False)), None)
            if flaw is not None:
                found.notes.append(f"The snapshot at fact {seq} contradicts itself and was passed over: {flaw.text}")
                found.rejected.append(seq)
                continue
            found.state, found.head, found.snapshot_seq = state, header.hash, seq
            return
        found.notes.append(f"The snapshot at fact {seq} belongs to another history and was passed over.")
        found.rejected.append(seq)


def replay(path: Path, *, until: int | None = None) -> EngineState:
    """Fold a journal from its first fact, without snapshots, up to a number (inclusive; None means all).

    Raises:
        StateCorruptionError: The chain is broken, or a fact is not known to this release.
    """
    connection = connect(path, read_only=True)
    try:
        with reading():
            state = EngineState()
            start = genesis(read_meta(connection).journal_id)
            fold(connection, state, start) if until is None else fold(connection, state, start, until)
    finally:
        connection.close()
    return state
