"""Programs that work on a journal beside the engine: how it starts and ends them, and what they do first.

Processes of their own, because work in a thread would stall the loop: not by computing, which can rest, but by the
garbage collector, which halts every thread for a walk over all objects of both.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

from engine.errors import QuarterdeckError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["NICENESS", "Beside", "leave", "program"]

NICENESS = 19
TIMEOUT_S = 600


class Beside:
    """Runs one program at a time and waits for it; `end` gives up the one under way."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self.ending = False

    def end(self) -> None:
        """Kill what runs and run nothing more."""
        with self._lock:
            self.ending = True
            if self._process is not None:
                self._process.kill()

    def run(self, module: str, *arguments: str) -> str:
        """Run a module as a program; blocks.

        Returns:
            What it printed; empty when the end came in between.

        Raises:
            ValueError: It failed; the message is its last words.
            OSError: It could not be started.
        """
        with self._lock:
            if self.ending:
                return ""
            process = self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", module, *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
                start_new_session=True,
                text=True,
            )
        output, complaint = _wait(process)
        with self._lock:
            self._process = None
        if process.returncode == 0:
            return output
        if self.ending:
            return ""
        raise ValueError(complaint.strip().splitlines()[-1] if complaint.strip() else f"exit code {process.returncode}")


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


def program(work: Callable[[], str]) -> int:
    """The other half: yield the processor, end when the parent does, do the work and print what it returns.

    Returns:
        The exit code: 1 when the work was refused; standard error then says why.
    """
    os.nice(NICENESS)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        sys.stdout.write(f"{work()}\n")
    except (QuarterdeckError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def leave(code: int) -> None:
    """End the program at once: the thread that watches the parent waits for ever, nothing is left to be cleaned up."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _end_with_parent() -> None:
    # The engine holds the other end, so that no orphan outlives it.
    os.read(0, 1)
    os._exit(2)
