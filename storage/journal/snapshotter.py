"""The housekeeping thread: has snapshots cut when they are due, moves closed history, watches the disk budget."""

from __future__ import annotations

import subprocess
import threading
from typing import TYPE_CHECKING

from engine.crash_points import crash_point
from engine.errors import QuarterdeckError
from storage.journal.beside import Beside
from storage.journal.mover import worth_moving
from storage.journal.usage import Usage, measure

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from storage.journal.contract import JournalOptions

__all__ = ["Snapshotter"]

MEASURE_S = 30.0
"""How often the disk is looked at."""


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
        self.cut_seq = seq
        """Fact at which the newest snapshot stands."""
        self._tried = seq
        self._durable = seq
        self.usage: Usage | None = None
        """Room that the files take, as of the last look."""
        self._level = 0
        self._wake = threading.Event()
        self._beside = Beside()
        self._thread = threading.Thread(target=self._run, name="journal-snapshots", daemon=True)

    def start(self) -> None:
        """Begin to watch for snapshots that are due."""
        self._look()
        if self._options.snapshot_every > 0:
            self._thread.start()

    def committed(self, seq: int) -> None:
        """Take note of a commit; called in the writer's thread, returns at once."""
        self._durable = seq
        if seq - self._tried >= self._options.snapshot_every and not self._wake.is_set():
            self._wake.set()

    def join(self) -> None:
        """End, giving up what is under way; blocks for a moment."""
        self._beside.end()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        waited = 0.0
        while not self._beside.ending:
            wait = min(self._options.snapshot_seconds - waited, MEASURE_S)
            woken = self._wake.wait(wait)
            waited += wait
            self._wake.clear()
            self._look()
            if not woken and waited < self._options.snapshot_seconds:
                continue
            waited = 0.0
            if self._durable == self._tried or self._beside.ending:
                continue
            # After a failure the next attempt comes after as many facts again.
            self._tried = self._durable
            crash_point("snapshot.due")
            self._guarded(f"No snapshot was cut at fact {self._tried}", self._cut)
            self._guarded("Closed history was not moved to the archive", self._move)

    def _guarded(self, what: str, work: Callable[[], None]) -> None:
        try:
            work()
        except (OSError, ValueError, subprocess.SubprocessError, QuarterdeckError) as error:
            self._failed(f"{what}: {error}" + ("" if str(error).endswith(".") else "."))

    def _cut(self) -> None:
        output = self._beside.run("storage.journal.cut", str(self._path), str(self._options.snapshots_kept))
        if output:
            crash_point("snapshot.cut")
            self.cut_seq = self._tried = int(output)

    def _move(self) -> None:
        rules = self._options.moves
        if worth_moving(self._path, rules):
            wanted = (rules.hot_days, rules.budget_bytes, rules.segment_facts)
            self._beside.run("storage.journal.moving", str(self._path), *map(str, wanted))
            self._look()

    def _look(self) -> None:
        """Measure, and say once when a limit is crossed."""
        try:
            usage = self.usage = measure(self._path, self._options.moves.budget_bytes)
        except OSError:
            # The folder cannot be listed: the writer meets the same and says it better.
            return
        level = bool(usage.words) + usage.alarming
        if level > self._level:
            self._failed(usage.words)
        self._level = level
