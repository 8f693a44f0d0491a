"""What an engine's process tells those who look after it: systemd, and the watchdog of its home folder.

Both hear the same few words as datagrams (`READY=1`, `WATCHDOG=1`, …): systemd on the socket that it names in the
environment, the watchdog on `run/watchdog.sock`. Saying something never waits and never fails; nobody may be there.
"""

from __future__ import annotations

import array
import os
import socket
from contextlib import suppress
from typing import TYPE_CHECKING

from engine.clock import SystemClock
from engine.control.places import run_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from engine.clock import Clock

__all__ = ["BEAT_S", "KEYS", "SILENCE_S", "Notifier", "stand_down", "watchdog_socket"]

KEYS = "quarterdeck-keys"
"""Name under which the descriptor with unlocked keys is left with systemd or the watchdog."""

SILENCE_S = 30.0
"""Seconds without a beat after which an engine counts as hung."""
BEAT_S = 5.0
"""Seconds between two beats."""


def watchdog_socket(home: Path) -> Path:
    """Where the watchdog of a home folder listens."""
    return run_folder(home) / "watchdog.sock"


def stand_down(home: Path, pid: int) -> None:
    """Tell a home folder's watchdog that the engine `pid` is being ended on purpose: it needs no restart.

    With 0 for `pid`, an engine that has gone already and that the watchdog is about to start again is meant.
    """
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as teller:
        teller.setblocking(False)
        teller.sendto(f"STOPPING=1\nMAINPID={pid}".encode(), str(watchdog_socket(home)))


class Notifier:
    """Says how the engine's process is.

    Args:
        home: The home folder that is locked.
        environ: Where systemd leaves its address; None for this process's own environment.
        clock: Measures time for systemd, and between two beats.
    """

    def __init__(self, home: Path, environ: Mapping[str, str] | None = None, clock: Clock | None = None) -> None:
        said = os.environ if environ is None else environ
        self.on_alone: Callable[[], None] = lambda: None
        """Called when a watchdog that listened before listens no more."""
        self.supervised = bool(said.get("NOTIFY_SOCKET"))
        """Whether systemd looks after this process."""
        self.watched = False
        """Whether a watchdog took the last beat."""
        self._clock = clock or SystemClock()
        self._systemd = _address(said.get("NOTIFY_SOCKET", ""))
        self._watchdog = str(watchdog_socket(home))
        self._interval = _interval(said.get("WATCHDOG_USEC", ""))
        self._ready = False
        self._kept: int | None = None
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)

    async def beat(self) -> None:
        """Beat until cancelled; runs on the engine's own loop, so that a loop that stands is noticed."""
        while True:
            if self._ready:
                self._tell_systemd("WATCHDOG=1")
            self._tell_watchdog("WATCHDOG=1")
            await self._clock.sleep(self._interval)

    def ready(self) -> None:
        """The engine trades; also said when its settings have been read again."""
        self._ready = True
        self._say("READY=1", f"STATUS=Trading (process {os.getpid()}).")

    def keep(self, descriptor: int | None) -> None:
        """Leave a descriptor with whoever starts the next process after this one: it is given on to that.

        Args:
            descriptor: What carries the unlocked keys of accounts; None leaves nothing.
        """
        self._kept = descriptor
        if descriptor is None:
            return
        if self._systemd:
            self._send(f"FDSTORE=1\nFDNAME={KEYS}", self._systemd, descriptor)
        self._leave_with_watchdog()

    def _leave_with_watchdog(self) -> None:
        if self._kept is not None:
            self._send(f"FDSTORE=1\nFDNAME={KEYS}\nMAINPID={os.getpid()}", self._watchdog, self._kept)

    def reloading(self) -> None:
        """The settings are being read again."""
        self._say("RELOADING=1", f"MONOTONIC_USEC={self._clock.monotonic() // 1000}")

    def stopping(self) -> None:
        """The engine was told to end: it needs no restart."""
        self._say("STOPPING=1", "STATUS=Ending in order.")

    def succeeded_by(self, pid: int) -> None:
        """Another process has taken over from this one; from now on it is the one to look after."""
        self._tell_systemd(f"MAINPID={pid}")
        self._tell_watchdog("WATCHDOG=1", pid=pid)

    def close(self) -> None:
        """Say nothing more; a second call does nothing."""
        self._socket.close()

    def _say(self, *words: str) -> None:
        self._tell_systemd(*words)
        self._tell_watchdog(*words)

    def _tell_systemd(self, *words: str) -> None:
        if self._systemd:
            self._send("\n".join(words), self._systemd)

    def _tell_watchdog(self, *words: str, pid: int = 0) -> None:
        heard = self._send("\n".join([*words, f"MAINPID={pid or os.getpid()}"]), self._watchdog)
        before, self.watched = self.watched, heard
        if heard and not before:
            self._leave_with_watchdog()
        if before and not heard:
            self.on_alone()

    def _send(self, text: str, address: str, descriptor: int | None = None) -> bool:
        with suppress(OSError):
            if descriptor is None:
                self._socket.sendto(text.encode(), address)
            else:
                # socket.send_fds leaves the address out in Python 3.11.
                rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [descriptor]))
                self._socket.sendmsg([text.encode()], [rights], 0, address)
            return True
        return False


def _address(said: str) -> str:
    # systemd writes an abstract socket's leading zero byte as @.
    return "\0" + said[1:] if said.startswith("@") else said


def _interval(said: str) -> float:
    """Seconds between two beats: thrice within the time that systemd waits, if it does."""
    wanted = int(said) / 1e6 / 3 if said.isdecimal() else BEAT_S
    return max(0.1, min(BEAT_S, wanted))
