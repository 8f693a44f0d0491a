"""What went wrong with a journal's files, in the house's words: what happened, to what, and which command helps."""

from __future__ import annotations

import errno
import os
import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING

from engine.errors import JournalError, StateCorruptionError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["REMEDY", "explained", "reading", "using"]

REMEDY = (
    "`quarterdeck journal repair` keeps everything before the damage and sets the damaged file aside; "
    "`quarterdeck backup restore` brings a backup back."
)
_FULL = ("SQLITE_FULL", "SQLITE_IOERR_WRITE", "SQLITE_IOERR_SHMSIZE")
_FORBIDDEN = ("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM", "SQLITE_AUTH")
_BUSY = ("SQLITE_BUSY", "SQLITE_LOCKED")
_FULL_NUMBERS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_FORBIDDEN_NUMBERS = (errno.EACCES, errno.EPERM, errno.EROFS)


@contextmanager
def reading(path: Path | None = None) -> Iterator[None]:
    """Say what SQLite found: a damaged file, or one that cannot be used now.

    Raises:
        StateCorruptionError: The file is damaged.
        JournalError: It cannot be read at the moment: a full disk, missing rights, a lock.
    """
    try:
        yield
    except sqlite3.DatabaseError as error:
        if not isinstance(error, sqlite3.OperationalError) or "malformed" in str(error):
            raise StateCorruptionError(f"The journal's file is damaged: {error}. {REMEDY}") from error
        raise explained(error, path) from error


@contextmanager
def using(path: Path) -> Iterator[None]:
    """As `reading`, for whatever is done with a journal's files."""
    try:
        with reading(path):
            yield
    except OSError as error:
        raise explained(error, path) from error


def explained(error: sqlite3.Error | OSError, path: Path | None = None) -> JournalError:
    """A typed error for what the system refused, with the way out."""
    code = getattr(error, "sqlite_errorname", "") or errno.errorcode.get(getattr(error, "errno", 0) or 0, "")
    number = error.errno if isinstance(error, OSError) else None
    what = f"The journal {path}" if path is not None else "The journal"
    if code.startswith(_FULL) or number in _FULL_NUMBERS:
        text = (
            f"{what} cannot be written: the disk is full ({error}). Nothing that was promised is lost. Free space, "
            "then start again; `quarterdeck doctor` shows how much each part of the home folder takes."
        )
    elif code.startswith(_FORBIDDEN) or number in _FORBIDDEN_NUMBERS:
        text = f"{what} cannot be opened or written by you ({error}). {_rights(path)}"
    elif code.startswith(_BUSY):
        text = (
            f"{what} is held by another program ({error}). `quarterdeck status` shows whether an engine runs; try "
            "again in a moment."
        )
    else:
        text = (
            f"{what} cannot be used: {error}. If the disk reports faults, copy the home folder to another disk, then "
            "run `quarterdeck doctor --deep`."
        )
    return JournalError(text, error_code=code or None)


def _rights(path: Path | None) -> str:
    """Who owns what, and how that is put right."""
    for place in () if path is None else (path, path.parent):
        try:
            owner = place.stat().st_uid
        except OSError:
            continue
        if owner != os.geteuid():
            return (
                f"{place} belongs to user {owner}, you are user {os.geteuid()}: run the command as its owner, or give "
                f"it to you (`chown -R {os.geteuid()} {path.parent if path else place}`). `quarterdeck doctor` checks "
                "every file."
            )
    folder = path.parent if path is not None else "the home folder"
    return (
        f"Make {folder} writable for you (`chmod -R u+rwX {folder}`; a disk mounted read-only must be mounted anew), "
        "then start again. `quarterdeck doctor` checks every file."
    )
