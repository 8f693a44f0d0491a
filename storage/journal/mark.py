"""The high-water mark: a small file beside the journal that remembers how far it reached, so that a lost tail shows."""

from __future__ import annotations

import os
import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.errors import StateCorruptionError
from storage.journal.codec import HASH_SIZE
from storage.journal.schema import sync_folder

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["HighWaterMark", "Mark"]

_MAGIC = b"QDMARK1\0"
_record = struct.Struct(f">8sQ{HASH_SIZE}s")
_crc = struct.Struct(">I")
SLOT = 512
"""Bytes from one slot to the other: they share no disk sector, so a torn write hurts only one."""


@dataclass(frozen=True, slots=True)
class Mark:
    """The journal held the fact of this number, with this hash of the chain."""

    seq: int
    hash: bytes


class HighWaterMark:
    """Two slots, written in turn and synced; the valid one with the higher number counts.

    Args:
        path: The file; it must exist, see `create` and `read`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        slots = _slots(path)
        best = _best(slots)
        # The slot that does not hold the newest mark is written next.
        self._next = 1 if slots[0] is not None and slots[0] == best else 0
        self._descriptor = os.open(path, os.O_WRONLY)

    def write(self, mark: Mark) -> None:
        """Store a mark and wait until it is on the disk. Raises OSError."""
        body = _record.pack(_MAGIC, mark.seq, mark.hash)
        os.pwrite(self._descriptor, body + _crc.pack(zlib.crc32(body)), self._next * SLOT)
        os.fdatasync(self._descriptor)
        self._next = 1 - self._next

    def close(self) -> None:
        """Give the file back."""
        os.close(self._descriptor)

    @staticmethod
    def create(path: Path, mark: Mark) -> None:
        """Begin a mark file that holds one mark in both slots."""
        body = _record.pack(_MAGIC, mark.seq, mark.hash)
        slot = (body + _crc.pack(zlib.crc32(body))).ljust(SLOT, b"\0")
        fresh = path.with_name(path.name + ".new")
        descriptor = os.open(fresh, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
        try:
            os.write(descriptor, slot * 2)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        fresh.rename(path)
        sync_folder(path.parent)

    @staticmethod
    def read(path: Path) -> Mark | None:
        """The newest valid mark; None when there is no file.

        Raises:
            StateCorruptionError: Neither slot can be read.
        """
        if not path.exists():
            return None
        best = _best(_slots(path))
        if best is None:
            raise StateCorruptionError(
                f"The journal's high-water mark {path} is damaged in both places, so it cannot be told whether the "
                f"journal is complete. `quarterdeck journal repair` goes on with what the journal holds, under a "
                "new instance id; `quarterdeck backup restore` brings a backup back."
            )
        return best


def _slots(path: Path) -> tuple[Mark | None, Mark | None]:
    content = path.read_bytes()
    return _slot(content[:SLOT]), _slot(content[SLOT : 2 * SLOT])


def _slot(content: bytes) -> Mark | None:
    body, crc = content[: _record.size], content[_record.size : _record.size + _crc.size]
    if len(crc) < _crc.size or _crc.unpack(crc)[0] != zlib.crc32(body):
        return None
    magic, seq, digest = _record.unpack(body)
    return Mark(seq, digest) if magic == _MAGIC else None


def _best(slots: tuple[Mark | None, Mark | None]) -> Mark | None:
    return max((slot for slot in slots if slot is not None), key=lambda mark: mark.seq, default=None)
