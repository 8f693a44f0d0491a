"""The durable journal as the event loop sees it: append now, hear later what has become durable."""

from __future__ import annotations

import asyncio
import heapq
from typing import TYPE_CHECKING, Self, TypeVar

from engine.errors import ConflictError, JournalError, StaleEpochError, StateConsistencyError
from storage.journal.chain import fold, last_link
from storage.journal.contract import DurableCallback, FailureCallback, JournalOptions
from storage.journal.damage import using
from storage.journal.keeper import Keeper
from storage.journal.mark import HighWaterMark, Mark
from storage.journal.recovery import Recovered, establish, mark_path, recover, snapshot_folder
from storage.journal.schema import Meta, connect, immediate, new_instance, read_meta, upgrade
from storage.journal.snapshots import SnapshotStore
from storage.journal.snapshotter import Snapshotter
from storage.journal.writer import Writer

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable
    from pathlib import Path

    from engine.events import Record
    from storage.journal.usage import Usage

__all__ = ["Journal"]

_T = TypeVar("_T")


class Journal:
    """One SQLite file, written by one thread in group commits.

    The order of a start: `open` (blocks, recovers), `open_epoch` (takes the right to write), `start` (in the running
    loop), then `append`. Everything but `open`, `catch_up` and `open_epoch` is called on the loop's thread.
    """

    def __init__(
        self, path: Path, connection: sqlite3.Connection, recovered: Recovered, options: JournalOptions
    ) -> None:
        self.path = path
        self.recovered = recovered
        """What start-up found; its `state` is the caller's to go on with."""
        self.options = options
        self._connection = connection
        self._epoch = 0
        self.nonce = new_instance()[:5]
        """Random, of this writer alone: a part of client order ids."""
        self._appended = recovered.state.seq
        self._durable = recovered.state.seq
        self._failure: JournalError | StaleEpochError | None = None
        self._closing = False
        self._on_durable: list[DurableCallback] = []
        self._on_failure: list[FailureCallback] = []
        self._on_note: list[Callable[[str], None]] = []
        self._waiters: list[tuple[int, int, asyncio.Future[None]]] = []
        self._waiter_count = 0
        self._told = recovered.state.seq
        self._telling = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._writer: Writer | None = None
        self._keeper: Keeper | None = None
        self._snapshotter: Snapshotter | None = None

    # --- start -------------------------------------------------------------------------------------------------------

    @classmethod
    def open(cls, path: Path, options: JournalOptions | None = None) -> Self:
        """Open a journal, making it if there is none, and recover its state; blocks.

        Raises:
            StateCorruptionError: Its end is lost, its chain is broken, or this release does not know its format or one
                of its facts.
            JournalError: The file cannot be opened or created.
        """
        options = options or JournalOptions()
        with using(path):
            recovered, connection = cls._recovered(path, options)
            store = SnapshotStore(snapshot_folder(path))
            for seq in recovered.rejected:
                store.path(seq).unlink(missing_ok=True)
        return cls(path, connection, recovered, options)

    @staticmethod
    def _recovered(path: Path, options: JournalOptions) -> tuple[Recovered, sqlite3.Connection]:
        restored = establish(path)
        connection = connect(path, busy_timeout_s=options.busy_timeout_s)
        try:
            upgrade(connection, path)
            recovered = recover(connection, path, full_check_below=options.full_check_below)
            if restored:
                # Client order ids are made of instance, epoch and number: after a lost tail they would come again.
                with immediate(connection):
                    connection.execute("UPDATE meta SET instance = ?", (new_instance(),))
                recovered.meta = read_meta(connection)
                recovered.restored = True
                HighWaterMark.create(mark_path(path), Mark(recovered.state.seq, recovered.head))
        except BaseException:
            connection.close()
            raise
        return recovered, connection

    def catch_up(self) -> int:
        """Fold what another writer has stored since `open` into the recovered state; blocks.

        Returns:
            Number of facts folded.
        """
        if self._writer is not None:
            raise ConflictError("The journal is being written by this engine; it is up to date by itself.")
        before = self.recovered.state.seq
        self.recovered.head = fold(self._connection, self.recovered.state, self.recovered.head)
        self._appended = self._durable = self._told = self.recovered.state.seq
        return self._durable - before

    def open_epoch(self) -> int:
        """Take the right to write: from now on every commit of an older epoch fails.

        Returns:
            The new epoch; the caller books it as an `EpochOpened` fact.

        Raises:
            StateConsistencyError: Another writer goes on adding facts.
        """
        for _ in range(10):
            self.catch_up()
            with using(self.path), immediate(self._connection):
                if last_link(self._connection, self.meta.journal_id)[0] == self._appended:
                    # An epoch is never used twice, whatever became of the number in the file.
                    known = self.recovered.state.meta.epoch
                    self._connection.execute("UPDATE meta SET epoch = max(epoch, ?) + 1", (known,))
                    self.recovered.meta = read_meta(self._connection)
                    self._epoch = self.meta.epoch
                    break
        else:
            raise StateConsistencyError(
                f"Another engine is writing to the journal {self.path}; stop it before this one takes over."
            )
        return self._epoch

    def start(self) -> None:
        """Begin to write; call it in the running event loop, whose turns the callbacks are called on."""
        if not self._epoch:
            raise ConflictError("The journal has no epoch yet; call open_epoch before start.")
        if self._writer is not None:
            raise ConflictError("The journal is started already.")
        self._loop = asyncio.get_running_loop()
        with using(self.path):
            mark = HighWaterMark(mark_path(self.path))
        self._keeper = Keeper(self.path, mark, self.options, self._fail)
        self._snapshotter = Snapshotter(self.path, self.recovered.snapshot_seq, self.options, self._note)
        self._writer = Writer(
            self.path,
            self._connection,
            self.recovered.head,
            group_limit=self.options.group_limit,
            committed=self._committed,
            failed=self._fail,
        )
        self._keeper.start()
        self._snapshotter.start()
        self._writer.start()

    async def close(self) -> None:
        """Write what is queued, store the mark, end the threads and close the file; nothing is taken from now on."""
        self._closing = True
        await asyncio.to_thread(self._join)
        self._tell()
        self._refuse_waiters(self._ended())

    def _join(self) -> None:
        for thread in (self._writer, self._snapshotter, self._keeper):
            if thread is not None:
                thread.join()
        self._connection.close()

    # --- the loop's side ---------------------------------------------------------------------------------------------

    @property
    def meta(self) -> Meta:
        """Journal id, instance and epoch."""
        return self.recovered.meta

    @property
    def epoch(self) -> int:
        """The epoch this journal writes under; 0 before `open_epoch`."""
        return self._epoch

    @property
    def durable_seq(self) -> int:
        """Number of the last fact that would survive a power loss."""
        return self._durable

    @property
    def snapshot_seq(self) -> int:
        """Fact at which the newest snapshot stands; 0 when there is none."""
        return self._snapshotter.cut_seq if self._snapshotter is not None else self.recovered.snapshot_seq

    @property
    def usage(self) -> Usage | None:
        """Room that the journal's files take, as of the last look; None before `start`."""
        return self._snapshotter.usage if self._snapshotter is not None else None

    @property
    def backlog(self) -> int:
        """Facts appended and not durable yet."""
        return self._appended - self._durable

    @property
    def marked(self) -> bool:
        """Whether the high-water mark reaches the durable sequence; it follows within some ms of each commit."""
        keeper = self._keeper
        return keeper is None or keeper.marked >= self._durable

    @property
    def failure(self) -> JournalError | StaleEpochError | None:
        """Why nothing becomes durable any more; None while all is well."""
        return self._failure

    def append(self, record: Record) -> None:
        """Queue the next fact; never blocks.

        Raises:
            JournalError: The journal has failed, fails now because too much is queued, is not started or is closed.
            StateConsistencyError: The number or epoch is not the next one.
        """
        writer = self._writer
        if self._failure is not None:
            raise self._halted()
        if self._closing:
            raise self._ended()
        if writer is None:
            raise JournalError("The journal is not started; nothing can be booked.")
        if record.seq != self._appended + 1 or record.epoch != self._epoch:
            raise StateConsistencyError(
                f"Fact {record.seq} of epoch {record.epoch} cannot follow fact {self._appended} in epoch {self._epoch}."
            )
        if writer.waiting() >= self.options.queue_limit:
            self._fail(
                JournalError(
                    f"{self.options.queue_limit} facts wait for the journal {self.path}: the disk does not follow. The "
                    "engine has halted; find out what slows the disk, then start again.",
                    error_code="queue_full",
                )
            )
            raise self._halted()
        self._appended = record.seq
        writer.put(record)

    async def wait_durable(self, seq: int) -> None:
        """Return when the fact of that number is durable. Raises JournalError when it never will be."""
        if seq <= self._durable:
            return
        if self._failure is not None:
            raise self._halted()
        if self._closing and seq > self._appended:
            raise self._ended()
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiter_count += 1
        heapq.heappush(self._waiters, (seq, self._waiter_count, future))
        await future

    def on_durable(self, callback: DurableCallback) -> None:
        """Call a function, on a later turn of the loop, whenever the durable sequence has grown."""
        self._on_durable.append(callback)

    def on_failure(self, callback: FailureCallback) -> None:
        """Call a function on the loop when the journal fails; at once when it has failed already."""
        self._on_failure.append(callback)
        if self._failure is not None:
            callback(self._failure)

    def on_note(self, callback: Callable[[str], None]) -> None:
        """Call a function on the loop with sentences for the log, such as a snapshot that could not be cut."""
        self._on_note.append(callback)

    def _halted(self) -> JournalError:
        failure = self._failure
        assert failure is not None
        return JournalError(failure.message, error_code=failure.error_code or failure.kind)

    @staticmethod
    def _ended() -> JournalError:
        return JournalError(
            "The journal is closed: the engine has stopped, and this was not kept. Start the engine, look at what "
            "became of it, then ask again.",
            error_code="closed",
        )

    def _refuse_waiters(self, error: JournalError) -> None:
        for _, _, future in self._waiters:
            if not future.done():
                future.set_exception(error)
        self._waiters.clear()

    def _tell(self) -> None:
        # Cleared first: a commit from here on asks for another turn.
        self._telling = False
        durable = self._durable
        if durable > self._told and self._failure is None:
            self._told = durable
            while self._waiters and self._waiters[0][0] <= durable:
                future = heapq.heappop(self._waiters)[2]
                if not future.done():
                    future.set_result(None)
            for callback in tuple(self._on_durable):
                self._call(callback, durable)

    def _tell_failure(self) -> None:
        failure = self._failure
        assert failure is not None
        self._refuse_waiters(self._halted())
        for callback in tuple(self._on_failure):
            self._call(callback, failure)

    def _call(self, callback: Callable[[_T], None], argument: _T) -> None:
        try:
            callback(argument)
        except Exception as error:
            # One listener's fault may not keep the others from hearing.
            assert self._loop is not None
            self._loop.call_exception_handler({"message": "A listener of the journal failed", "exception": error})

    # --- called in the threads ---------------------------------------------------------------------------------------

    def _committed(self, seq: int, head: bytes, rows: int) -> None:
        if self._failure is not None:
            return
        self._durable = seq
        if not self._telling:
            self._telling = True
            self._on_loop(self._tell)
        assert self._keeper is not None
        assert self._snapshotter is not None
        self._keeper.committed(seq, head, rows)
        self._snapshotter.committed(seq)

    def _fail(self, failure: JournalError | StaleEpochError) -> None:
        if self._failure is None:
            self._failure = failure
            self._on_loop(self._tell_failure)

    def _note(self, sentence: str) -> None:
        for callback in tuple(self._on_note):
            self._on_loop(lambda callback=callback: self._call(callback, sentence))  # type: ignore[misc]

    def _on_loop(self, callback: Callable[[], None]) -> None:
        assert self._loop is not None
        try:
            self._loop.call_soon_threadsafe(callback)
        except RuntimeError:
            # The loop is closed: nobody is left to be told.
            return
