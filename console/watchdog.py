"""A small process that looks after an engine where systemd does not: it restarts one that crashes or hangs.

    python -P -m console.watchdog --home HOME [--ready FD [--passphrase FD]]

With `--ready` it starts the engine first, which reads the passphrase of the keys itself. It hears the engine's beats,
which come from the engine's own event loop, on `run/watchdog.sock`. It owns nothing of the engine: either goes on when
the other dies, an engine that was started by someone else is watched like its own, and after a hand-over the successor
is.
"""

from __future__ import annotations

import argparse
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from console.watch import LOCK_FILE, Alarm, leave_alarm
from console.watch_policy import MOST_RESTARTS, WINDOW_S, Policy, Step, Verdict
from engine.control.lock import EngineLock, find_holder
from engine.control.notify import KEYS, watchdog_socket
from engine.control.places import run_folder
from engine.errors import EngineAlreadyRunningError, QuarterdeckError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Watchdog", "engine_command", "main", "watch"]

LOOK_S = 1.0
LONGEST_WORD = 4096
NAMELESS_LOOKS, NAMELESS_S = 100, 0.05


def engine_command(home: Path) -> list[str]:
    """How an engine without a console is started."""
    return [sys.executable, "-P", "-m", "console.headless", "--home", str(home), "--guarded"]


class Watchdog:
    """Watches the engine of one home folder until it is told to stop.

    Args:
        home: The home folder; its watchdog lock is held by the caller.
        command: Starts an engine.
        policy: Decides; None for the usual figures.
        look: Seconds between two looks.
    """

    def __init__(
        self, home: Path, command: Sequence[str], *, policy: Policy | None = None, look: float = LOOK_S
    ) -> None:
        self._home = home
        self._command = list(command)
        self._look = look
        self._policy = policy or Policy()
        self._child: subprocess.Popen[bytes] | None = None
        self._handle = -1
        self._keys = -1
        """Descriptor with what the engine has unlocked, for the next one; -1 for none. It is never looked into."""
        path = watchdog_socket(home)
        path.unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.bind(str(path))
        path.chmod(0o600)

    def run(self, ready: int | None, passphrase: int | None = None) -> int:
        """Watch until there is nothing to watch any more; returns the exit status.

        Args:
            ready: Start an engine, which says on this descriptor how that went; None watches the one that runs.
            passphrase: Descriptor from which that engine can read the passphrase of the keys.
        """
        if ready is not None:
            self._start(ready, passphrase)
        elif not self._follow_holder():
            return 0
        while True:
            self._listen()
            if not self._gone():
                self._act(self._policy.judge(self._now()))
                continue
            if self._follow_holder():
                self._log("info", "another process holds the engine now", pid=self._policy.pid)
                continue
            # Its last word may still wait to be heard.
            self._drain()
            verdict = self._policy.gone(self._now())
            if verdict is Verdict.GIVE_UP:
                self._give_up()
                return 1
            if verdict is Verdict.END or not self._restart():
                return 0

    def close(self) -> None:
        """Leave the place where beats were heard."""
        self._socket.close()
        watchdog_socket(self._home).unlink(missing_ok=True)
        if self._keys >= 0:
            os.close(self._keys)
            self._keys = -1

    # --- the engine

    def _start(self, ready: int | None = None, passphrase: int | None = None) -> None:
        command, fds = list(self._command), []
        keys = self._keys if self._keys >= 0 else None
        for option, descriptor in (("--ready", ready), ("--keys", keys), ("--passphrase", passphrase)):
            if descriptor is not None:
                command += [option, str(descriptor)]
                fds.append(descriptor)
        self._child = subprocess.Popen(command, stdin=subprocess.DEVNULL, pass_fds=fds, start_new_session=True)
        for descriptor in (ready, passphrase):
            if descriptor is not None:
                os.close(descriptor)
        self._follow(self._child.pid, ours=True)

    def _restart(self) -> bool:
        """Start an engine after a pause, unless another one has come up; False when nobody wants one any more."""
        how = "hung and was ended" if self._policy.hung else "ended unexpectedly"
        pause = self._policy.pause()
        self._log("error", f"the engine {how}; it is started again", in_seconds=pause)
        end = self._now() + pause
        while self._now() < end:
            select.select([self._socket], [], [], min(self._look, pause))
            self._drain()
            if self._follow_holder():
                return True
            if self._policy.stopping:
                self._log("info", "the engine was told to stop; it is not started again")
                return False
        self._start()
        return True

    def _give_up(self) -> None:
        text = (
            f"The engine ended {MOST_RESTARTS + 1} times within {WINDOW_S / 60:.0f} minutes and is not started again. "
            "Look at `quarterdeck engine logs` and logs/process.log, then start it with `quarterdeck engine start`."
        )
        with suppress(OSError):
            leave_alarm(self._home, Alarm(time.time_ns(), text))
        self._log("critical", text)

    def _follow(self, pid: int, *, ours: bool) -> None:
        self._forget_handle()
        self._policy.follow(pid, self._now(), ours=ours)
        if hasattr(os, "pidfd_open"):
            with suppress(OSError):
                self._handle = os.pidfd_open(pid)

    def _follow_holder(self) -> bool:
        """Watch whoever holds the home folder's lock; False when nobody does."""
        for _ in range(NAMELESS_LOOKS):
            with suppress(QuarterdeckError):
                holder = find_holder(self._home)
                if holder is None:
                    return False
                if holder.pid:
                    self._follow(holder.pid, ours=False)
                    return True
            # It holds the lock and has not said yet who it is.
            select.select([], [], [], NAMELESS_S)
        return False

    def _gone(self) -> bool:
        if self._child is not None and self._child.poll() is not None:
            ours, self._child = self._child, None
            if ours.pid == self._policy.pid:
                return True
        if self._handle >= 0:
            return bool(select.select([self._handle], [], [], 0)[0])
        with suppress(ProcessLookupError):
            os.kill(self._policy.pid, 0)
            return False
        return True

    def _forget_handle(self) -> None:
        if self._handle >= 0:
            os.close(self._handle)
        self._handle = -1

    def _act(self, step: Step) -> None:
        if step is Step.NOTHING:
            return
        pid = self._policy.pid
        if step is Step.ABORT:
            self._log("critical", "the engine hangs: no beat; it is ended, its traceback is in process.log", pid=pid)
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGABRT if step is Step.ABORT else signal.SIGKILL)

    # --- what is heard and said

    def _listen(self) -> None:
        """Wait for a word, or until the next look is due; everything that was said is heard."""
        watched = [self._socket.fileno()] + ([self._handle] if self._handle >= 0 else [])
        select.select(watched, [], [], self._look)
        self._drain()

    def _drain(self) -> None:
        with suppress(BlockingIOError):
            while True:
                said, descriptors, _, _ = socket.recv_fds(self._socket, LONGEST_WORD, 4)
                self._hear(said, descriptors)

    def _hear(self, said: bytes, descriptors: Sequence[int] = ()) -> None:
        lines = said.decode("utf-8", "replace").splitlines()
        words = {name: value for name, _, value in (line.partition("=") for line in lines)}
        speaker = words.get("MAINPID", "")
        if speaker.isdecimal() and (int(speaker) == self._policy.pid or self._succeeds(int(speaker))):
            self._policy.hear(words, self._now())
            if words.get("FDNAME") == KEYS and descriptors:
                self._hold_keys(descriptors[0])
                descriptors = descriptors[1:]
        for descriptor in descriptors:
            os.close(descriptor)

    def _hold_keys(self, descriptor: int) -> None:
        os.set_inheritable(descriptor, False)
        if self._keys >= 0:
            os.close(self._keys)
        self._keys = descriptor

    def _succeeds(self, speaker: int) -> bool:
        """Whether this process has taken over from the one that is watched; it is watched from now on."""
        with suppress(QuarterdeckError):
            holder = find_holder(self._home)
            if holder is not None and holder.pid == speaker:
                self._follow(speaker, ours=False)
                return True
        return False

    def _log(self, level: str, event: str, **fields: Any) -> None:
        """Write a record where the engine's own are, so that they read as one story."""
        now = datetime.fromtimestamp(time.time(), UTC).isoformat().replace("+00:00", "Z")
        record = {**fields, "event": event, "logger": "console.watchdog", "level": level, "timestamp": now}
        print(f"{now} {level.upper()} watchdog: {event}", file=sys.stderr, flush=True)
        with suppress(OSError), (self._home / "logs" / "engine.log").open("a", encoding="utf-8") as log:
            log.write(json.dumps(record) + "\n")

    def _now(self) -> float:
        return time.monotonic()


def main(arguments: Sequence[str] | None = None) -> int:
    """Watch, unless another one does already."""
    parser = argparse.ArgumentParser(prog="quarterdeck-watchdog", description=__doc__)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--ready", type=int, help="start an engine, which says here how that went")
    parser.add_argument("--passphrase", type=int, help="descriptor from which that engine can read the passphrase")
    options = parser.parse_args(arguments)
    return watch(options.home, engine_command(options.home), options.ready, passphrase=options.passphrase)


def watch(
    home: Path,
    command: Sequence[str],
    ready: int | None,
    *,
    passphrase: int | None = None,
    policy: Policy | None = None,
    look: float = LOOK_S,
) -> int:
    """Watch the engine of a home folder; see `Watchdog`."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        lock = EngineLock.acquire(run_folder(home), release="", file=LOCK_FILE)
    except EngineAlreadyRunningError:
        if ready is not None:
            # Somebody watches already, and will see the engine come up.
            more = ["--ready", str(ready)]
            os.set_inheritable(ready, True)
            if passphrase is not None:
                more += ["--passphrase", str(passphrase)]
                os.set_inheritable(passphrase, True)
            os.execv(command[0], [*command, *more])  # noqa: S606 a list of arguments, no shell
        return 0
    with lock:
        watchdog = Watchdog(home, command, policy=policy, look=look)
        try:
            return watchdog.run(ready, passphrase)
        finally:
            watchdog.close()


if __name__ == "__main__":
    sys.exit(main())
