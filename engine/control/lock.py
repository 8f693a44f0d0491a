"""One engine per home folder: a lock file that names its holder and dies with it.

The kernel's lock decides whether an engine runs; the text in the file only says who it is. A file left behind by a
crash is therefore harmless, and a process number that the system has given to someone else is never trusted.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from engine.clock import SystemClock
from engine.errors import EngineAlreadyRunningError, EngineError, EngineNotRunningError

if TYPE_CHECKING:
    from types import TracebackType

    from engine.clock import Clock

__all__ = ["EngineLock", "LockHolder", "find_holder", "send_stop", "wait_until_free"]

FILE_NAME = "engine.lock"
# A look from `status` holds the lock for microseconds; an engine that starts just then tries again for this long.
PATIENCE_S = 0.3
PAUSE_S = 0.02


@dataclass(frozen=True, slots=True)
class LockHolder:
    """Who holds a home folder's lock."""

    pid: int
    """Process number; 0 when the holder has not written it yet."""
    release: str
    """Version of the program that runs."""
    started: int
    """When the lock was taken, UTC nanoseconds."""


class EngineLock:
    """The lock of a home folder, held from `acquire` to `release` or to the end of the process.

    The descriptor is not inheritable; a worker that is forked rather than spawned would hold the lock as well.
    """

    def __init__(self, path: Path, descriptor: int, holder: LockHolder) -> None:
        self.path = path
        self.holder = holder
        self._descriptor: int | None = descriptor

    @classmethod
    def acquire(cls, home: Path, *, release: str, clock: Clock | None = None, file: str = FILE_NAME) -> EngineLock:
        """Take the lock of a home folder and write into it who holds it.

        Args:
            home: The home folder; it exists.
            release: Version of the program.
            clock: Source of the start time; the machine's when None.
            file: Name of the lock's file; another one than the engine's lets one more process be the only one of its
                kind.

        Raises:
            EngineAlreadyRunningError: Another engine holds it; `details["pid"]` names that one.
            EngineError: The lock cannot be opened.
        """
        path = home / file
        while True:
            try:
                descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            except OSError as error:
                raise _unusable(path, error) from error
            try:
                if not _try_lock(descriptor, PATIENCE_S):
                    raise _already_running(home, _read(descriptor))
                there = _is_at(path, descriptor)
            except BaseException:
                os.close(descriptor)
                raise
            if there:
                break
            # The file was removed or replaced before it was locked: whoever comes next would lock another one.
            os.close(descriptor)
        try:
            holder = _sign(descriptor, release, clock)
        except BaseException:
            os.close(descriptor)
            raise
        return cls(path, descriptor, holder)

    @classmethod
    def adopt(cls, home: Path, descriptor: int, *, release: str, clock: Clock | None = None) -> EngineLock:
        """Go on holding a lock whose descriptor another process has passed over; it was never free in between.

        Args:
            home: The home folder.
            descriptor: Ours from now on.
            release: Version of the program.
            clock: Source of the start time; the machine's when None.

        Raises:
            EngineError: The descriptor is not that of this home folder's lock; it is closed then.
        """
        path = home / FILE_NAME
        try:
            os.set_inheritable(descriptor, False)
            if not os.path.samestat(os.fstat(descriptor), path.stat()):
                raise EngineError(f"What was passed over is not the lock {path}; nothing is taken over.")
            holder = _sign(descriptor, release, clock)
        except OSError as error:
            os.close(descriptor)
            raise _unusable(path, error) from error
        except BaseException:
            os.close(descriptor)
            raise
        return cls(path, descriptor, holder)

    def is_open_in(self, pid: int) -> bool:
        """Whether a process certainly has the lock file open, and so could keep it from ever being free."""
        return Path("/proc/self/fd").is_dir() and _has_open(pid, self.fileno())

    def forget(self) -> None:
        """Let go of a lock that another process has adopted: it stays held, and says what that one wrote."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def release(self) -> None:
        """Empty the file and give the lock back; a second call does nothing.

        What a process that has adopted the lock has written stays.
        """
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            with suppress(OSError):
                if _read(descriptor) == self.holder:
                    os.ftruncate(descriptor, 0)
            os.close(descriptor)

    def fileno(self) -> int:
        """The descriptor that holds the lock.

        Raises:
            EngineNotRunningError: The lock has been released.
        """
        if self._descriptor is None:
            raise EngineNotRunningError(f"The lock {self.path} has been released.")
        return self._descriptor

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def find_holder(home: Path, file: str = FILE_NAME) -> LockHolder | None:
    """Who runs an engine in this home folder, or None when nobody does.

    A holder with `pid` 0 holds the lock but has not said who it is (it is starting or ending).

    Raises:
        EngineError: The lock cannot be opened, so nobody can tell.
    """
    path = home / file
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unusable(path, error) from error
    try:
        if _try_lock(descriptor, 0):
            return None
        holder = _read(descriptor)
        if holder is None or not _has_open(holder.pid, descriptor):
            return LockHolder(0, "", 0)
        return holder
    finally:
        os.close(descriptor)


def send_stop(home: Path, *, now: bool = False) -> LockHolder:
    """Ask the engine of a home folder to stop, by SIGTERM to the process that holds the lock.

    Args:
        home: The home folder.
        now: Send the signal twice: the engine leaves at once and recovers from its journal at the next start.

    Returns:
        Who was asked.

    Raises:
        EngineNotRunningError: No engine holds the lock, or it does not say who it is.
    """
    holder = find_holder(home)
    if holder is None:
        raise EngineNotRunningError(f"No engine is running in {home}.")
    if not holder.pid:
        raise EngineNotRunningError(f"The engine in {home} is just starting or ending; try again in a moment.")
    with suppress(ProcessLookupError):
        os.kill(holder.pid, signal.SIGTERM)
        if now:
            # Two signals that are pending together are one to the kernel; the pause lets the first be taken.
            time.sleep(0.1)
            os.kill(holder.pid, signal.SIGTERM)
    return holder


def wait_until_free(home: Path, timeout: float) -> bool:
    """Wait until no engine holds this home folder.

    Args:
        home: The home folder.
        timeout: Seconds to wait at most.

    Returns:
        Whether the folder is free.
    """
    clock = SystemClock()
    end = clock.monotonic() + int(timeout * 1e9)
    while find_holder(home) is not None:
        if clock.monotonic() >= end:
            return False
        time.sleep(PAUSE_S)
    return True


def _is_at(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _sign(descriptor: int, release: str, clock: Clock | None) -> LockHolder:
    """Write into the file who holds it."""
    holder = LockHolder(os.getpid(), release, (clock or SystemClock()).now())
    # Written over and then cut, so that nobody ever finds it empty.
    text = json.dumps(asdict(holder)).encode() + b"\n"
    os.pwrite(descriptor, text, 0)
    os.ftruncate(descriptor, len(text))
    return holder


def _try_lock(descriptor: int, patience: float) -> bool:
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if patience <= 0:
                return False
            patience -= PAUSE_S
            time.sleep(PAUSE_S)
        else:
            return True


def _read(descriptor: int) -> LockHolder | None:
    try:
        found = json.loads(os.pread(descriptor, 4096, 0))
        return LockHolder(int(found["pid"]), str(found["release"]), int(found["started"]))
    except (ValueError, KeyError, TypeError):
        return None


def _has_open(pid: int, descriptor: int) -> bool:
    """Whether that process has the lock file open: text left behind by a crash may name a stranger."""
    folder = Path(f"/proc/{pid}/fd")
    if not Path("/proc/self/fd").is_dir():
        # Without /proc (macOS) the text is all there is, and the lock is known to be held.
        return True
    wanted = os.fstat(descriptor)
    with suppress(OSError):
        for entry in folder.iterdir():
            with suppress(OSError):
                if os.path.samestat(entry.stat(), wanted):
                    return True
    return False


def _unusable(path: Path, error: OSError) -> EngineError:
    return EngineError(
        f"The lock {path} cannot be opened ({error.strerror}). Run the command as the owner of the home folder."
    )


def _already_running(home: Path, holder: LockHolder | None) -> EngineAlreadyRunningError:
    pid = holder.pid if holder else 0
    who = f"process {pid}" if pid else "a process that has not said who it is"
    return EngineAlreadyRunningError(
        f"An engine is already running in {home} ({who}). `quarterdeck status` shows it; `quarterdeck stop` ends it.",
        details={"pid": pid},
    )
