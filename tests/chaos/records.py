"""What outlives a killed process: what clients asked and were answered, what was sent, and a few counts."""

from __future__ import annotations

import mmap
import os
import struct
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Counts", "Notes", "read_notes"]


class Notes:
    """A file to which each line is written at once and in one piece, before whoever writes it goes on.

    What a killed process has written is kept by the system, as it would be by another process that heard it.
    """

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)

    def write(self, *values: Any) -> None:
        """Add a line."""
        os.write(self._descriptor, msgspec.json.encode(values) + b"\n")


def read_notes(path: Path) -> list[list[Any]]:
    """All whole lines, oldest first."""
    if not path.exists():
        return []
    lines = path.read_bytes().split(b"\n")[:-1]
    return [msgspec.json.decode(line) for line in lines]


_format, _one = struct.Struct("=5Q"), struct.Struct("=Q")


class Counts:
    """Counts in a mapped file, so that being killed loses none of them."""

    NAMES = ("orders", "replies", "troubled", "traded_ns", "lives")

    def __init__(self, path: Path) -> None:
        if not path.exists():
            path.write_bytes(bytes(_format.size))
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), _format.size)

    def add(self, name: str, amount: int = 1) -> None:
        """Count something."""
        place = self.NAMES.index(name) * _one.size
        # Each count is written by itself: engine and clients may be two processes.
        _one.pack_into(self._map, place, _one.unpack_from(self._map, place)[0] + amount)

    def read(self) -> dict[str, int]:
        """All counts."""
        return dict(zip(self.NAMES, _format.unpack_from(self._map), strict=True))
