"""Archive segments: facts that have left the live file, compressed and chained, in files that never change.

A segment is a magic, blocks of rows, an index of the blocks, an index of what the facts are about, and a checksum over
all of it. Rows are stored without their hashes: these follow from the hash before the first one.
"""

from __future__ import annotations

import hashlib
import os
import struct
import zlib
from collections import Counter
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

import msgspec

from engine.errors import StateCorruptionError
from storage.journal.codec import link
from storage.journal.schema import sync_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path
    from typing import BinaryIO

_T = TypeVar("_T")

__all__ = ["BLOCK", "ArchivedRow", "Block", "Segment", "write_segment"]

BLOCK = 500
"""Rows that are compressed together."""
FORMAT = 1
_MAGIC = b"QDARCH1\n"
_DIGEST = 16
_trailer = struct.Struct(">QIQI")
ArchivedRow = tuple[int, int, int, str, str, str, bytes]
"""Number, time, epoch, kind, subject, correlation, body."""


class Block(msgspec.Struct, frozen=True):
    """Where some rows are, and what is known of them without unpacking."""

    first: int
    last: int
    first_ts: int
    last_ts: int
    before: bytes
    """Hash of the chain before the first row."""
    kinds: dict[str, tuple[int, int]]
    """Kind -> how many of it, and the number of the last one."""
    offset: int
    size: int


class _Index(msgspec.Struct, frozen=True):
    format: int
    journal_id: str
    after: bytes
    blocks: list[Block]


_rows = msgspec.msgpack.Decoder(list[ArchivedRow])
_index = msgspec.msgpack.Decoder(_Index)
_subjects = msgspec.msgpack.Decoder(dict[str, list[int]])


def write_segment(
    path: Path, journal_id: str, before: bytes, rows: Iterable[ArchivedRow], pause: Callable[[], None] = lambda: None
) -> bytes:
    """Write a segment; it appears whole and synced, or not at all.

    Args:
        path: The file.
        journal_id: The journal it belongs to.
        before: Hash of the chain before the first row.
        rows: In order; at least one.
        pause: Called after every block.

    Returns:
        Hash of the chain after the last row.

    Raises:
        OSError: It cannot be written.
    """
    fresh = path.with_suffix(".new")
    try:
        descriptor = os.open(fresh, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
        with open(descriptor, "wb") as file:
            after = _Writing(file).all(journal_id, before, rows, pause)
            file.flush()
            os.fsync(file.fileno())
        fresh.rename(path)
    finally:
        fresh.unlink(missing_ok=True)
    sync_folder(path.parent)
    return after


class _Writing:
    """The bytes of one segment on their way into a file."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._digest = hashlib.blake2b(digest_size=_DIGEST)
        self._at = 0

    def all(self, journal_id: str, head: bytes, rows: Iterable[ArchivedRow], pause: Callable[[], None]) -> bytes:
        self._put(_MAGIC)
        blocks: list[Block] = []
        subjects: dict[str, list[int]] = {}
        for chunk in _chunks(rows):
            for subject in {row[4] for row in chunk if row[4]}:
                subjects.setdefault(subject, []).append(len(blocks))
            block, head = self._block(chunk, head)
            blocks.append(block)
            pause()
        index = self._packed(msgspec.msgpack.encode(_Index(FORMAT, journal_id, head, blocks)))
        about = self._packed(msgspec.msgpack.encode(subjects))
        self._put(_trailer.pack(*index, *about))
        self._file.write(self._digest.digest())
        return head

    def _block(self, chunk: list[ArchivedRow], before: bytes) -> tuple[Block, bytes]:
        head, kinds, lasts = before, Counter[str](), dict[str, int]()
        for seq, ts, epoch, kind, _, _, body in chunk:
            head = link(head, seq, ts, epoch, body)
            kinds[kind] += 1
            lasts[kind] = seq
        offset, size = self._packed(msgspec.msgpack.encode(chunk))
        found = {kind: (count, lasts[kind]) for kind, count in kinds.items()}
        first, last = chunk[0], chunk[-1]
        return Block(first[0], last[0], first[1], last[1], before, found, offset, size), head

    def _packed(self, content: bytes) -> tuple[int, int]:
        offset, packed = self._at, zlib.compress(content, 6)
        self._put(packed)
        return offset, len(packed)

    def _put(self, content: bytes) -> None:
        self._digest.update(content)
        self._file.write(content)
        self._at += len(content)


def _chunks(rows: Iterable[ArchivedRow]) -> Iterator[list[ArchivedRow]]:
    chunk: list[ArchivedRow] = []
    for row in rows:
        chunk.append(row)
        if len(chunk) == BLOCK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


class Segment:
    """Reads one segment; nothing is kept open.

    Args:
        path: The file; `first` and `last` are what its name says.
        first: Number of its first fact.
        last: Number of its last fact.
    """

    def __init__(self, path: Path, first: int, last: int) -> None:
        self.path = path
        self.first = first
        self.last = last

    @cached_property
    def index(self) -> _Index:
        """What the segment holds, without its rows. Raises StateCorruptionError."""
        found = self._guarded(lambda: _index.decode(self._unpacked(*self._trailer[:2])))
        if found.format != FORMAT:
            raise StateCorruptionError(
                f"The archive file {self.path.name} has format {found.format}, this release knows {FORMAT}. Install "
                "the release that wrote it."
            )
        if found.blocks[0].first != self.first or found.blocks[-1].last != self.last:
            raise StateCorruptionError(
                f"The archive file {self.path.name} holds the facts {found.blocks[0].first} to {found.blocks[-1].last}."
                " Give it its old name again, or restore it from a backup."
            )
        return found

    @cached_property
    def subjects(self) -> dict[str, list[int]]:
        """What the facts are about -> numbers of the blocks that speak of it. Raises StateCorruptionError."""
        return self._guarded(lambda: _subjects.decode(self._unpacked(*self._trailer[2:])))

    def rows(self, block: Block) -> list[ArchivedRow]:
        """Unpack a block. Raises StateCorruptionError."""
        return self._guarded(lambda: _rows.decode(self._unpacked(block.offset, block.size)))

    def check_digest(self, pause: Callable[[], None] = lambda: None) -> None:
        """Read the whole file and hold it against its checksum. Raises StateCorruptionError."""
        self._guarded(lambda: self._check_digest(pause))

    def _check_digest(self, pause: Callable[[], None]) -> None:
        digest = hashlib.blake2b(digest_size=_DIGEST)
        with self.path.open("rb") as file:
            left = os.fstat(file.fileno()).st_size - _DIGEST
            while left > 0:
                content = file.read(min(left, 1 << 18))
                left -= len(content)
                digest.update(content)
                pause()
            if file.read(_DIGEST) != digest.digest():
                raise ValueError("its checksum does not match")

    @cached_property
    def _trailer(self) -> tuple[int, int, int, int]:
        with self.path.open("rb") as file:
            if file.read(len(_MAGIC)) != _MAGIC:
                raise ValueError("it is no archive file")
            file.seek(-(_trailer.size + _DIGEST), os.SEEK_END)
            numbers: tuple[int, int, int, int] = _trailer.unpack(file.read(_trailer.size))
        return numbers

    def _unpacked(self, offset: int, size: int) -> bytes:
        with self.path.open("rb") as file:
            file.seek(offset)
            return zlib.decompress(file.read(size))

    def _guarded(self, read: Callable[[], _T]) -> _T:
        try:
            return read()
        except (OSError, ValueError, IndexError, struct.error, zlib.error, msgspec.MsgspecError) as error:
            raise StateCorruptionError(
                f"The archive file {self.path} cannot be read: {error}. Facts {self.first} to {self.last} are in it: "
                "restore it from a backup (`quarterdeck backup list`). The engine starts without it as long as it has "
                "a snapshot."
            ) from error
