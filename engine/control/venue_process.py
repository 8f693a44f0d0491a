"""The paper venue as a process of its own, which outlives every engine: `python -m engine.control.venue_process`.

Its lock is that of the venue's file, so a venue is in one place at a time: in an engine or here. SIGTERM ends it in
order, working orders stay in the file. How its start went it says in one line on standard output.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from engine.clock import SystemClock
from engine.config import load_settings
from engine.control.paper_venue import make_venue, paper_file
from engine.errors import EngineError, ExchangeConnectionError, QuarterdeckError, StorageError
from engine.logs import configure_logs, get_logger
from engine.venues.paper.owner import Owner, find_owner

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["PROGRAM", "ensure_running", "find_venue", "main", "run", "send_stop", "socket_path", "wait_until_gone"]

log = get_logger(__name__)

PROGRAM = "the venue's own process"
START_S = 30.0
"""Seconds that a venue has to start."""
FAILED = 1
_PAUSE_S = 0.02
_children: list[subprocess.Popen[str]] = []
"""Venues started by this process, looked at now and then so that none stays behind as a zombie."""


def socket_path(home: Path) -> Path:
    """Where the venue of a home folder answers."""
    return home / "run" / "venue.sock"


# --- inside the process ----------------------------------------------------------------------------------------------


async def run(home: Path, ready: Callable[[], None] = lambda: None) -> int:
    """Serve the paper venue of a home folder until a signal ends it.

    Args:
        home: The home folder; it exists.
        ready: Called when clients can connect.

    Returns:
        The exit status: 0 after an orderly end, 1 when the venue failed.

    Raises:
        QuarterdeckError: It cannot be started; the sentence says why.
    """
    from engine.venues.remote.server import VenueServer

    clock = SystemClock()
    settings = await asyncio.to_thread(load_settings, home)
    configure_logs(home / "logs", settings.logging, clock, name="venue")
    venue = await asyncio.to_thread(make_venue, home, settings.paper, clock, program=PROGRAM)
    server = VenueServer(venue, socket_path(home), clock, release=version("quarterdeck"))
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked.set)
    # A terminal that is closed is none of its business.
    loop.add_signal_handler(signal.SIGHUP, lambda: None)
    try:
        await server.start()
    except BaseException:
        await venue.close()
        raise
    log.info("paper venue serves", pid=os.getpid(), socket=str(server.path))
    ready()
    waits = [
        loop.create_task(asked.wait(), name="stop asked"),
        loop.create_task(server.wait_failed(), name="venue failed"),
    ]
    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    for wait in waits:
        wait.cancel()
    await server.close()
    log.info("paper venue ends", asked=asked.is_set())
    return 0 if asked.is_set() else FAILED


def main(arguments: list[str] | None = None) -> int:
    """Run as a program of its own, in a session of its own."""
    parser = argparse.ArgumentParser(prog="quarterdeck-venue", description=__doc__)
    parser.add_argument("--home", type=Path, required=True)
    options = parser.parse_args(arguments)
    try:
        return asyncio.run(run(options.home, lambda: _say("ready")))
    except (QuarterdeckError, OSError) as error:
        log.error("the paper venue cannot be started", problem=str(error))
        _say("error " + " ".join(str(error).split()))
        return FAILED


def _say(line: str) -> None:
    """Tell whoever started this, once, and let go of the pipe."""
    with suppress(OSError):
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
    os.dup2(2, 1)


# --- from outside ----------------------------------------------------------------------------------------------------


def find_venue(home: Path) -> Owner | None:
    """The venue's process of a home folder, or None when there is none.

    Raises:
        StorageError: Nobody can tell.
    """
    owner = find_owner(paper_file(home))
    return owner if owner is not None and owner.program in ("", PROGRAM) else None


def ensure_running(home: Path) -> int:
    """Start the venue's process unless it runs; blocks until clients can connect.

    Returns:
        Its process number.

    Raises:
        StorageError: An engine has the venue built in.
        ExchangeConnectionError: It cannot be started.
    """
    _bury()
    owner = find_owner(paper_file(home))
    if owner is not None and owner.program not in ("", PROGRAM):
        raise StorageError(
            f"The paper venue of {home} is built into a running engine (process {owner.pid}), so it cannot run as a "
            "process of its own as well. Stop that engine first; working orders stay.",
            error_code="in_use",
            details={"pid": owner.pid},
        )
    if owner is not None:
        return owner.pid
    child = _start(home)
    said = _first_line(child)
    if said == "ready":
        return child.pid
    # Two engines may have had the same thought: one of the two venues then leaves again.
    other = find_venue(home)
    if other is not None:
        return other.pid
    reason = said.removeprefix("error ") or f"It ended without a word (exit code {child.poll()})."
    raise ExchangeConnectionError(f"The paper venue's process cannot be started: {reason}")


def _start(home: Path) -> subprocess.Popen[str]:
    logs = home / "logs"
    logs.mkdir(mode=0o700, parents=True, exist_ok=True)
    with os.fdopen(os.open(logs / "venue-process.log", os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600), "a") as file:
        child = subprocess.Popen(
            [sys.executable, "-P", "-m", "engine.control.venue_process", "--home", str(home)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=file,
            cwd=home,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            start_new_session=True,
            text=True,
        )
    _children.append(child)
    return child


def _first_line(child: subprocess.Popen[str]) -> str:
    """How a start went; a process that says nothing for too long is ended."""
    assert child.stdout is not None
    guard = threading.Timer(START_S, child.kill)
    guard.daemon = True
    guard.start()
    try:
        with child.stdout as pipe:
            return pipe.readline().strip()
    finally:
        guard.cancel()


def _bury() -> None:
    for child in tuple(_children):
        if child.poll() is not None:
            _children.remove(child)


def send_stop(home: Path) -> Owner | None:
    """Ask the venue's process to end; None when there is none.

    Raises:
        EngineError: It has not said yet which process it is.
    """
    owner = find_venue(home)
    if owner is not None:
        if not owner.pid:
            raise EngineError(f"The paper venue of {home} is just starting or ending; try again in a moment.")
        with suppress(ProcessLookupError):
            os.kill(owner.pid, signal.SIGTERM)
    return owner


def wait_until_gone(home: Path, seconds: float) -> bool:
    """Wait until the venue's process has ended; False when it has not within that time."""
    clock, pause = SystemClock(), threading.Event()
    end = clock.monotonic() + int(seconds * 1e9)
    while find_venue(home) is not None:
        if clock.monotonic() >= end:
            return False
        pause.wait(_PAUSE_S)
    _bury()
    return True


if __name__ == "__main__":
    sys.exit(main())
