"""The journal as a tape: the state at any fact or time, the sessions it tells of, the facts from there on."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from engine.errors import NotFoundError, StateCorruptionError
from engine.events import EngineStarted, EngineStopped
from engine.state import EngineState
from storage.journal.chain import fold, link_at, reading
from storage.journal.codec import genesis
from storage.journal.reader import Query, Reader
from storage.journal.recovery import snapshot_folder
from storage.journal.schema import connect, read_meta
from storage.journal.snapshots import SnapshotStore

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from engine.events import Record

__all__ = ["CHECKPOINT_EVERY", "Session", "Tape"]

CHECKPOINT_EVERY = 50_000
"""Facts between two checkpoints that are kept in memory while folding a long way."""
CHECKPOINTS = 24
BACK = 500
"""Facts before a place that was asked for, at which a checkpoint lets one go back step by step."""
_SESSION_KINDS = Query(kinds=("EngineStarted", "EngineStopped"))


@dataclass(frozen=True, slots=True)
class Session:
    """What one engine process booked, from its start to the next one's."""

    first: int
    """Number of its first fact."""
    last: int
    begin: int
    """UTC nanoseconds."""
    end: int
    release: str
    pid: int
    orderly: bool
    """Whether its end is booked; else it was killed, handed over, or still runs."""


@dataclass(frozen=True, slots=True)
class _Checkpoint:
    seq: int
    head: bytes
    packed: bytes

    def state(self) -> EngineState:
        return EngineState.from_sections(
            msgspec.msgpack.decode(zlib.decompress(self.packed), type=list[tuple[str, bytes]])
        )


class Tape:
    """Reads one journal for a replay; every method blocks, and one thread at a time may use it.

    The file may be written meanwhile: what is durable is on the tape.

    Args:
        path: The journal's file.

    Raises:
        NotFoundError: There is no journal, or it holds no fact.
    """

    def __init__(self, path: Path) -> None:
        if not path.exists():
            raise NotFoundError(f"There is no journal {path}; nothing was recorded in this home folder yet.")
        self._path = path
        self._reader = Reader(path)
        self._connection = connect(path, read_only=True)
        with reading():
            self._journal_id = read_meta(self._connection).journal_id
        self._checkpoints: list[_Checkpoint] = []
        if not self.last_seq():
            self.close()
            raise NotFoundError(f"The journal {path} holds no fact yet; there is nothing to replay.")

    def close(self) -> None:
        """Give the file back."""
        self._reader.close()
        self._connection.close()

    # --- places ------------------------------------------------------------------------------------------------------

    def last_seq(self) -> int:
        """Number of the newest fact."""
        return self._reader.last_seq()

    def seq_at(self, ts: int) -> int:
        """Number of the last fact that was booked at or before a time (UTC nanoseconds); 0 when all are later."""
        return self._reader.number_at(ts + 1) - 1

    def ts_of(self, seq: int) -> int:
        """When a fact was booked, UTC nanoseconds.

        Raises:
            NotFoundError: There is no such fact.
        """
        found = self._reader.since(seq - 1, 1).records
        if not found or found[0].seq != seq:
            raise NotFoundError(f"The journal has no fact {seq}; its last one is {self.last_seq()}.")
        return found[0].ts

    def sessions(self) -> tuple[Session, ...]:
        """Every engine process that wrote, oldest first."""
        found: list[Session] = []
        last, marks = self.last_seq(), list(self._reader.records(query=_SESSION_KINDS))
        starts = [place for place, record in enumerate(marks) if isinstance(record.event, EngineStarted)]
        for number, place in enumerate(starts):
            begun, until = marks[place], len(marks)
            if number + 1 < len(starts):
                until = starts[number + 1]
            end = marks[until].seq - 1 if until < len(marks) else last
            event = begun.event
            assert isinstance(event, EngineStarted)
            found.append(
                Session(
                    first=begun.seq,
                    last=end,
                    begin=begun.ts,
                    end=self.ts_of(end),
                    release=event.release,
                    pid=event.pid,
                    orderly=any(isinstance(record.event, EngineStopped) for record in marks[place:until]),
                )
            )
        return tuple(found)

    # --- facts -------------------------------------------------------------------------------------------------------

    def after(self, seq: int, limit: int, kinds: tuple[str, ...] = ()) -> list[Record]:
        """The next facts after a number, oldest first, at most `limit`."""
        return self._reader.since(seq, limit, Query(kinds=kinds)).records

    def before(self, seq: int, limit: int, kinds: tuple[str, ...] = ()) -> list[Record]:
        """The last facts before a number, newest first, at most `limit`."""
        return self._reader.latest(limit, Query(kinds=kinds), before=seq)

    # --- the state ---------------------------------------------------------------------------------------------------

    def state_at(self, seq: int, progress: Callable[[int], None] = lambda _: None) -> EngineState:
        """The state after a fact; a fresh object, the caller's to go on with.

        It begins at the nearest snapshot or checkpoint before, and keeps checkpoints on the way, so that going back
        and forth within what was folded once is quick.

        Args:
            seq: Number of the last fact to apply.
            progress: Called now and then with the number reached.

        Raises:
            StateCorruptionError: The chain is broken on the way, or a fact is not known to this release.
        """
        state, head = self._nearest(seq)
        while state.seq < seq:
            ends = [end for end in (state.seq + CHECKPOINT_EVERY, seq - BACK, seq) if end > state.seq]
            head = fold(self._connection, state, head, min(ends))
            progress(state.seq)
            if state.seq < seq:
                self._keep(state, head)
        return state

    def _nearest(self, seq: int) -> tuple[EngineState, bytes]:
        kept = max((point for point in self._checkpoints if point.seq <= seq), key=lambda p: p.seq, default=None)
        store = SnapshotStore(snapshot_folder(self._path))
        for number in store.numbers():
            if number > seq or (kept is not None and number <= kept.seq):
                continue
            try:
                header, state = store.load(number)
            except StateCorruptionError:
                # An older one, or the facts themselves, tell the same.
                continue
            if header.journal_id == self._journal_id and self._is_on_chain(number, header.hash):
                return state, header.hash
        if kept is not None:
            return kept.state(), kept.head
        return EngineState(), genesis(self._journal_id)

    def _is_on_chain(self, seq: int, digest: bytes) -> bool:
        with reading():
            return link_at(self._connection, self._journal_id, seq) == digest

    def _keep(self, state: EngineState, head: bytes) -> None:
        if any(point.seq == state.seq for point in self._checkpoints):
            return
        packed = zlib.compress(msgspec.msgpack.encode(list(state.sections())), 1)
        self._checkpoints.append(_Checkpoint(state.seq, head, packed))
        if len(self._checkpoints) > CHECKPOINTS:
            # Every second one goes: what is left still covers the whole way.
            self._checkpoints = sorted(self._checkpoints, key=lambda point: point.seq)[1::2]
