"""What is on the disk after the power fails: files rebuilt from the log of everything a process did to them.

What was written before a sync began is kept once that sync has ended. What was written later may be there or not, in
any part of 512 bytes; names that were made, moved and removed after their folder's last sync may be there up to any one
of them. `strict` keeps nothing of either.
"""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random

__all__ = ["Disk", "build_recorder", "compiler"]

_HEAD = struct.Struct("=IIQQQ")
OPENED, WRITTEN, CUT, SYNC_BEGUN, SYNC_ENDED, RENAMED, REMOVED = range(1, 8)
_WITH_BODY = (OPENED, WRITTEN, RENAMED, REMOVED)
SECTOR = 512
SOURCE = Path(__file__).with_name("disk_log.c")


def compiler() -> str | None:
    """A C compiler of this machine; None when there is none."""
    return next((found for name in ("cc", "gcc", "clang") if (found := shutil.which(name))), None)


def build_recorder(folder: Path) -> Path:
    """Compile the library that writes the log, for LD_PRELOAD."""
    library = folder / "disk_log.so"
    command = [str(compiler()), "-O1", "-shared", "-fPIC", "-o", str(library), str(SOURCE), "-lpthread"]
    subprocess.run(command, check=True)
    return library


@dataclass
class _File:
    """One file as far as its contents go, whatever its name."""

    folder: bool = False
    changes: list[tuple[int, int, bytes | None]] = field(default_factory=list)
    """(place in the log, offset or new size, what was written or None for a truncation)."""
    syncs: list[tuple[int, int]] = field(default_factory=list)
    """(place at which a sync began, place at which it had ended)."""

    def kept(self, at: int) -> int:
        """Changes before this place in the log are on the disk at a moment."""
        return max((begun for begun, ended in self.syncs if ended <= at), default=-1)

    def content(self, at: int, chance: random.Random | None) -> bytes:
        """What is found after the power fails at a moment."""
        kept, image = self.kept(at), bytearray()
        for place, offset, data in self.changes:
            if place > at:
                break
            if place < kept:
                _put(image, offset, data)
            elif chance is not None:
                self._maybe(image, offset, data, chance)
        return bytes(image)

    @staticmethod
    def _maybe(image: bytearray, offset: int, data: bytes | None, chance: random.Random) -> None:
        if data is None:
            if chance.random() < 0.5:
                _put(image, offset, None)
            return
        start = 0
        while start < len(data):
            end = min(start + SECTOR - (offset + start) % SECTOR, len(data))
            if chance.random() < 0.5:
                _put(image, offset + start, data[start:end])
            start = end


def _put(image: bytearray, offset: int, data: bytes | None) -> None:
    size = offset if data is None else offset + len(data)
    if len(image) < size:
        image.extend(bytes(size - len(image)))
    if data is None:
        del image[offset:]
    else:
        image[offset : offset + len(data)] = data


class Disk:
    """A folder's history.

    Args:
        log: What the recorder wrote.
        root: The folder.
        base: Contents of files that were there before, by name.
        markers: Names of files that are no part of the disk: each line written to one is a moment at which the power
            may fail.
    """

    def __init__(self, log: Path, root: Path, base: dict[str, bytes], markers: tuple[str, ...]) -> None:
        self.moments: list[tuple[int, str, bytes]] = []
        """(place in the log, marker's name, the line)."""
        self._root = str(root)
        self._markers = markers
        self._names: list[tuple[int, str, str, _File | None]] = []
        """(place, folder, path, file or None when it is gone)."""
        self._now: dict[str, _File] = {}
        self._folders: dict[str, _File] = {}
        self._open: dict[tuple[int, int], tuple[str, _File]] = {}
        self._syncs: dict[tuple[int, int], tuple[_File, int]] = {}
        for name, content in base.items():
            file = _File(changes=[(-2, 0, content)], syncs=[(-1, -1)])
            self._name(-2, f"{root}/{name}", file)
        self._folder(self._root).syncs.append((-1, -1))
        self._read(log.read_bytes())

    # --- reading -----------------------------------------------------------------------------------------------------

    def _read(self, content: bytes) -> None:
        at, place = 0, 0
        while at + _HEAD.size <= len(content):
            kind, pid, number, offset, length = _HEAD.unpack_from(content, at)
            at += _HEAD.size
            body = content[at : at + length] if kind in _WITH_BODY else b""
            at += len(body)
            if len(body) < (length if kind in _WITH_BODY else 0):
                return
            self._take(place, kind, (pid, number), offset, body)
            place += 1

    def _take(self, place: int, kind: int, file: tuple[int, int], offset: int, body: bytes) -> None:
        match kind:
            case 1:
                self._opened(place, file, offset, body.decode())
            case 2:
                path, opened = self._open[file]
                name = path.removeprefix(self._root + "/")
                if name in self._markers:
                    self.moments.append((place, name, body))
                else:
                    opened.changes.append((place, offset, body))
            case 3:
                self._open[file][1].changes.append((place, offset, None))
            case 4:
                self._syncs[file[0], offset] = (self._open[file][1], place)
            case 5:
                synced, begun = self._syncs[file]
                synced.syncs.append((begun, place))
            case 6:
                old, new = body.decode().split("\0")
                moved = self._now.get(old)
                self._name(place, old, None)
                self._name(place, new, moved)
            case _:
                self._name(place, body.decode(), None)

    def _opened(self, place: int, file: tuple[int, int], flags: int, path: str) -> None:
        if flags & os.O_DIRECTORY or Path(path).is_dir() or path == self._root:
            self._open[file] = (path, self._folder(path))
            return
        found = self._now.get(path)
        if found is None:
            found = _File()
            self._name(place, path, found)
        if flags & os.O_TRUNC:
            found.changes.append((place, 0, None))
        self._open[file] = (path, found)

    def _folder(self, path: str) -> _File:
        return self._folders.setdefault(path, _File(folder=True))

    def _name(self, place: int, path: str, file: _File | None) -> None:
        self._names.append((place, path.rpartition("/")[0], path, file))
        if file is None:
            self._now.pop(path, None)
        else:
            self._now[path] = file

    # --- rebuilding --------------------------------------------------------------------------------------------------

    def image(self, at: int, chance: random.Random | None = None) -> dict[str, bytes]:
        """What is found after the power failed at a place in the log.

        Args:
            at: The place.
            chance: Keeps some of what was not synced; None keeps nothing of it.

        Returns:
            Contents by file name.
        """
        found: dict[str, _File] = {}
        kept = {folder: file.kept(at) for folder, file in self._folders.items()}
        luck: dict[str, bool] = {}
        for place, folder, path, file in self._names:
            if place > at:
                break
            if place > kept.get(folder, -1):
                # A file system keeps the order of names within a folder: what follows one that was lost is lost, too.
                luck[folder] = luck.get(folder, chance is not None) and chance is not None and chance.random() < 0.7
                if not luck[folder]:
                    continue
            if file is None:
                found.pop(path, None)
            else:
                found[path] = file
        named = {path.removeprefix(self._root + "/"): file for path, file in found.items()}
        return {name: file.content(at, chance) for name, file in named.items() if name not in self._markers}

    def lines(self, marker: str, at: int) -> bytes:
        """All that was written to a marker up to a place in the log."""
        return b"".join(line for place, name, line in self.moments if name == marker and place <= at)
