"""The watchdog of a home folder as others see it: how it is started, who it is, and the alarm that it leaves behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, NamedTuple

from console.home import open_process_log
from engine.control.lock import find_holder
from engine.control.places import prepare_run_folder, run_folder

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["LOCK_FILE", "Alarm", "forget_alarm", "leave_alarm", "read_alarm", "start_watchdog", "watchdog_pid"]

LOCK_FILE = "watchdog.lock"
"""In the run folder; whoever holds it is the home folder's one watchdog."""


class Alarm(NamedTuple):
    """The last word of a watchdog that gave up."""

    at: int
    """UTC nanoseconds."""
    text: str
    """A sentence for the person."""


def start_watchdog(home: Path, *, ready: int | None = None, passphrase: int | None = None) -> None:
    """Start a watchdog in the background; one that finds another one at work ends at once.

    Args:
        home: The home folder; it exists.
        ready: Let it start an engine first, which says on this descriptor how that went; None watches the one that
            runs.
        passphrase: Descriptor from which that engine can read the passphrase of the keys; None for none.

    Raises:
        OSError: It cannot be started.
        EngineError: There can be no run folder.
    """
    command = [sys.executable, "-P", "-m", "console.watchdog", "--home", str(home)]
    fds = []
    for option, descriptor in (("--ready", ready), ("--passphrase", passphrase)):
        if descriptor is not None:
            command += [option, str(descriptor)]
            fds.append(descriptor)
    prepare_run_folder(home)
    with open_process_log(home) as log:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=fds,
            start_new_session=True,
        )
    # It goes on without us; this tells subprocess not to warn about it.
    child.returncode = 0


def watchdog_pid(home: Path) -> int:
    """The process number of the home folder's watchdog; 0 when there is none, or none that has said who it is."""
    holder = find_holder(run_folder(home), LOCK_FILE)
    return holder.pid if holder is not None else 0


def leave_alarm(home: Path, alarm: Alarm) -> None:
    """Write down for `status` that nobody restarts the engine any more."""
    file = _alarm_file(home)
    fresh = file.with_suffix(".new")
    with os.fdopen(os.open(fresh, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600), "w", encoding="utf-8") as target:
        json.dump(alarm._asdict(), target)
    fresh.replace(file)


def read_alarm(home: Path) -> Alarm | None:
    """The alarm that was left behind; None when there is none."""
    try:
        found = json.loads(_alarm_file(home).read_text(encoding="utf-8"))
        return Alarm(int(found["at"]), str(found["text"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def forget_alarm(home: Path) -> None:
    """The engine trades again: the alarm is over.

    Raises:
        OSError: It cannot be removed.
    """
    _alarm_file(home).unlink(missing_ok=True)


def _alarm_file(home: Path) -> Path:
    return run_folder(home) / "alarm.json"
