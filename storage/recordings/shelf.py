"""All recorded sessions of a home folder: which there are, how much room they take, and their removal.

    <folder>/<session>/session.json
    <folder>/<session>/<market>/<number>-<UTC nanoseconds>/books.parquet, trades.parquet, …

A part is written under a name that nobody reads and renamed when it is whole. The session that is being recorded holds
a lock, so that nobody removes it.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

from engine.errors import ConflictError, NotFoundError
from storage.recordings.manifest import MANIFEST, Manifest, read_manifest
from storage.recordings.retention import Piece, Shelved

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["Shelf", "part_name", "parts_of"]

_PART = re.compile(r"(\d{6,})-(\d+)")
_LOCK = ".lock"


def part_name(number: int, start: int) -> str:
    """Name of a part's folder."""
    return f"{number:06d}-{start}"


def parts_of(market: Path) -> list[Path]:
    """The whole parts of a market's folder, in order of time."""
    found = [(int(match[1]), path) for path in market.glob("*-*") if (match := _PART.fullmatch(path.name))]
    return [path for _, path in sorted(found)]


class Shelf:
    """The sessions in a folder. Methods read and write files; call them off the event loop.

    Args:
        folder: Where they are; need not exist.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def ids(self) -> list[str]:
        """All sessions, the oldest first."""
        return sorted(path.parent.name for path in self.folder.glob(f"*/{MANIFEST}"))

    def manifest(self, session: str) -> Manifest:
        """A session's manifest.

        Raises:
            NotFoundError: There is no such session.
            DataError: It cannot be read.
        """
        return read_manifest(self.path(session))

    def path(self, session: str) -> Path:
        """Folder of a session.

        Raises:
            NotFoundError: There is no such session.
        """
        known = self.ids()
        if session not in known:
            told = f"the newest is {known[-1]}" if known else "there are none yet"
            raise NotFoundError(f"There is no recording {session!r}; {told}.")
        return self.folder / session

    def all(self) -> list[Shelved]:
        """Every session with its parts and their sizes."""
        return [self.measured(session) for session in self.ids()]

    def measured(self, session: str) -> Shelved:
        """One session with its parts and their sizes."""
        folder = self.folder / session
        pieces = []
        for market in (path for path in folder.iterdir() if path.is_dir()):
            for part in parts_of(market):
                size = sum(file.stat().st_size for file in part.iterdir())
                pieces.append(Piece(f"{market.name}/{part.name}", int(part.name.partition("-")[2]), size))
        pieces.sort(key=lambda piece: (piece.start, piece.path))
        written = (folder / MANIFEST).stat().st_mtime_ns
        start = pieces[0].start if pieces else written
        return Shelved(session, start, pieces, max(pieces[-1].start if pieces else 0, start))

    def remove(self, session: str) -> int:
        """Remove a session.

        Returns:
            Bytes that its parts took.

        Raises:
            NotFoundError: There is no such session.
            ConflictError: It is being recorded.
        """
        folder = self.path(session)
        size = self.measured(session).bytes
        with self._free(folder):
            # The manifest goes first: what has none is no session any more, wherever the rest is interrupted.
            (folder / MANIFEST).unlink()
            shutil.rmtree(folder, ignore_errors=True)
        return size

    def cut(self, session: str, piece: Piece) -> None:
        """Remove a part of a session."""
        shutil.rmtree(self.folder / session / piece.path, ignore_errors=True)

    def clear(self, running: str) -> None:
        """Remove what interrupted removals and unfinished parts have left; `running` is left alone."""
        if not self.folder.is_dir():
            return
        for folder in [path for path in self.folder.iterdir() if path.is_dir() and path.name != running]:
            if not (folder / MANIFEST).exists():
                if not self.recorded_now(folder.name):
                    shutil.rmtree(folder, ignore_errors=True)
                continue
            if not self.recorded_now(folder.name):
                for part in folder.glob("*/*.part"):
                    shutil.rmtree(part, ignore_errors=True)

    def recorded_now(self, session: str) -> bool:
        """Whether some process is recording it."""
        try:
            with self._free(self.folder / session):
                return False
        except ConflictError:
            return True

    @contextmanager
    def _free(self, folder: Path) -> Iterator[None]:
        handle = hold(folder)
        try:
            yield
        finally:
            os.close(handle)


def hold(folder: Path) -> int:
    """Lock a session's folder; the lock ends when the descriptor that is returned is closed, or with the process.

    Raises:
        ConflictError: Another one holds it.
    """
    handle = os.open(folder / _LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(handle)
        raise ConflictError(f"The session {folder.name} is being recorded right now.") from error
    return handle
