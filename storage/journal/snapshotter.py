"""The snapshot thread: starts the program that cuts a snapshot whenever one is due.

A process of its own, because a second state folded in a thread would stall the loop: not by the fold, which can rest,
but by the garbage collector, which halts every thread for a walk over all objects of both.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

from engine.crash_points import crash_point

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from storage.journal.contract import JournalOptions

__all__ = ["Snapshotter"]

TIMEOUT_S = 600


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
        self._wake = threading.Event()
        self._lock = threading.Lock()
        self._ending = False
        self._process: subprocess.Popen[str] | None = None
        self._thread = threading.Thread(target=self._run, name="journal-snapshots", daemon=True)

    def start(self) -> None:
        """Begin to watch for snapshots that are due."""
        if self._options.snapshot_every > 0:
            self._thread.start()

    def committed(self, seq: int) -> None:
        """Take note of a commit; called in the writer's thread, returns at once."""
        self._durable = seq
        if seq - self._tried >= self._options.snapshot_every and not self._wake.is_set():
            self._wake.set()

    def join(self) -> None:
        """End, giving up a snapshot under way; blocks for a moment."""
        with self._lock:
            self._ending = True
            if self._process is not None:
                self._process.kill()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._ending:
            self._wake.wait(self._options.snapshot_seconds)
            self._wake.clear()
            if self._durable == self._tried or self._ending:
                continue
            # After a failure the next attempt comes after as many facts again.
            self._tried = self._durable
            crash_point("snapshot.due")
            try:
                self._cut()
            except (OSError, ValueError, subprocess.SubprocessError) as error:
                self._failed(f"No snapshot was cut at fact {self._tried}: {error}.")

    def _cut(self) -> None:
        with self._lock:
            if self._ending:
                return
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "storage.journal.cut", str(self._path), str(self._options.snapshots_kept)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
                start_new_session=True,
                text=True,
            )
        output, complaint = self._wait(self._process)
        with self._lock:
            code, self._process = self._process.returncode, None
        if code == 0:
            crash_point("snapshot.cut")
            self.cut_seq = self._tried = int(output)
        elif not self._ending:
            reason = complaint.strip().splitlines()[-1] if complaint.strip() else f"exit code {code}"
            self._failed(f"No snapshot was cut at fact {self._tried}: {reason}")

    @staticmethod
    def _wait(process: subprocess.Popen[str]) -> tuple[str, str]:
        # Standard input stays open meanwhile: its end would tell the program that its parent is gone.
        guard = threading.Timer(TIMEOUT_S, process.kill)
        guard.daemon = True
        guard.start()
        try:
            with process:
                assert process.stdout is not None
                assert process.stderr is not None
                return process.stdout.read(), process.stderr.read()
        finally:
            guard.cancel()
