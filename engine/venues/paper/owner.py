"""The one owner of a paper venue's file: a kernel lock beside it that names its holder and dies with it."""

from __future__ import annotations

import fcntl
import os
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from engine.errors import StorageError

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Self

__all__ = ["Owner", "OwnerLock", "find_owner", "lock_path"]

PATIENCE_S = 1.0
"""How long to wait for an owner that is just leaving."""
_PAUSE_S = 0.02


class Owner(msgspec.Struct, frozen=True):
    """Who has a paper venue's file open for writing."""

    pid: int
    """Process number; 0 when it has not said so yet."""
    program: str
    """What that process is, in a few words."""


def lock_path(path: Path) -> Path:
    """The lock of a paper venue's file."""
    return path.with_suffix(".lock")


class OwnerLock:
    """The lock of a paper venue's file, held from `acquire` to `release` or to the end of the process."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @classmethod
    def acquire(cls, path: Path, program: str) -> Self:
        """Take the lock of a paper venue's file; blocks for a second at most.

        Args:
            path: The venue's file.
            program: What this process is, for whoever finds the lock taken.

        Raises:
            StorageError: Somebody else has it; details name the process.
            OSError: The lock cannot be opened.
        """
        descriptor = os.open(lock_path(path), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if not _lock(descriptor, PATIENCE_S):
                raise _in_use(path, _read(descriptor))
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, msgspec.json.encode(Owner(os.getpid(), program)), 0)
        except BaseException:
            os.close(descriptor)
            raise
        return cls(descriptor)

    def release(self) -> None:
        """Give the lock back."""
        with suppress(OSError):
            os.ftruncate(self._descriptor, 0)
        os.close(self._descriptor)


def find_owner(path: Path) -> Owner | None:
    """Who owns a paper venue's file now, or None when nobody does.

    Raises:
        StorageError: The lock cannot be opened, so nobody can tell.
    """
    try:
        descriptor = os.open(lock_path(path), os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StorageError(f"The lock {lock_path(path)} cannot be opened ({error.strerror}).") from error
    try:
        return None if _lock(descriptor, 0) else _read(descriptor)
    finally:
        os.close(descriptor)


def _lock(descriptor: int, patience: float) -> bool:
    pause = threading.Event()
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if patience <= 0:
                return False
            patience -= _PAUSE_S
            pause.wait(_PAUSE_S)
        else:
            return True


def _read(descriptor: int) -> Owner:
    try:
        return msgspec.json.decode(os.pread(descriptor, 4096, 0), type=Owner)
    except msgspec.MsgspecError:
        return Owner(0, "")


def _in_use(path: Path, owner: Owner) -> StorageError:
    who = f"process {owner.pid}, {owner.program}" if owner.pid else "a process that has not said who it is"
    return StorageError(
        f"The paper venue's file {path} is in use ({who}). If that is the venue's own process, set paper.process to "
        "true or end it with `quarterdeck venue sim stop`; if it is an engine, stop that engine first.",
        error_code="in_use",
        details={"pid": owner.pid},
    )
