"""Snapshots: the folded state at one fact, in a checksummed file that appears whole or not at all."""

from __future__ import annotations

import hashlib
import os
import re
import struct
import zlib
from typing import TYPE_CHECKING

import msgspec

from engine.crash_points import crash_point
from engine.errors import StateCorruptionError
from engine.state import EngineState
from storage.journal.schema import sync_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import BinaryIO

__all__ = ["STATE_FORMAT", "SnapshotHeader", "SnapshotStore"]

STATE_FORMAT = 8
"""Raised whenever the fold or its sections change their meaning: older snapshots are then replayed instead."""

NEWER = "newer_release"
"""Error code of a snapshot that a newer release wrote."""
_MAGIC = b"QDSNAP1\n"
_NAME = re.compile(r"state-(\d{12})\.snapshot")
_DIGEST = 16
_lengths = struct.Struct(">HI")


class SnapshotHeader(msgspec.Struct, frozen=True):
    """Which state a snapshot holds."""

    format: int
    journal_id: str
    seq: int
    hash: bytes
    """Hash of the chain at `seq`; the snapshot fits only a journal with this very history."""


class SnapshotStore:
    """The folder of snapshots.

    Args:
        folder: Where they lie; made when the first is written.
        kept: How many are kept, newest first.
    """

    def __init__(self, folder: Path, kept: int = 3) -> None:
        self.folder = folder
        self.kept = max(kept, 1)

    def numbers(self) -> list[int]:
        """Numbers of the facts at which snapshots were cut, newest first."""
        if not self.folder.is_dir():
            return []
        found = (_NAME.fullmatch(path.name) for path in self.folder.iterdir())
        return sorted((int(match[1]) for match in found if match), reverse=True)

    def path(self, seq: int) -> Path:
        """The file of a snapshot."""
        return self.folder / f"state-{seq:012d}.snapshot"

    def write(self, state: EngineState, journal_id: str, head: bytes) -> Path:
        """Cut a snapshot; it appears whole or not at all, and the oldest beyond `kept` disappear.

        Args:
            state: Must not change meanwhile.
            journal_id: The journal it belongs to.
            head: Hash of the chain at `state.seq`.
        """
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        target = self.path(state.seq)
        fresh = target.with_suffix(".new")
        header = SnapshotHeader(STATE_FORMAT, journal_id, state.seq, head)
        try:
            descriptor = os.open(fresh, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
            with open(descriptor, "wb", buffering=0) as file:
                _write_sections(file, header, state)
                os.fsync(file.fileno())
            crash_point("snapshot.written")
            fresh.rename(target)
            crash_point("snapshot.named")
        finally:
            fresh.unlink(missing_ok=True)
        sync_folder(self.folder)
        for seq in self.numbers()[self.kept :]:
            self.path(seq).unlink(missing_ok=True)
        return target

    def load(self, seq: int) -> tuple[SnapshotHeader, EngineState]:
        """Read a snapshot.

        Raises:
            StateCorruptionError: It is damaged, or another release's fold wrote it.
        """
        path = self.path(seq)
        try:
            with path.open("rb") as file:
                _check_digest(file, path)
                header = _read_header(file, path)
                state = EngineState.from_sections(_read_sections(file))
        except (OSError, EOFError, ValueError, struct.error, zlib.error, msgspec.MsgspecError) as error:
            raise StateCorruptionError(f"The snapshot {path.name} cannot be read: {error}.") from error
        if not state.seq == header.seq == seq:
            raise StateCorruptionError(f"The snapshot {path.name} holds the state at fact {state.seq}.")
        return header, state


def _write_sections(file: BinaryIO, header: SnapshotHeader, state: EngineState) -> None:
    digest = hashlib.blake2b(digest_size=_DIGEST)

    def put(content: bytes) -> None:
        digest.update(content)
        file.write(content)

    head = msgspec.msgpack.encode(header)
    put(_MAGIC + _lengths.pack(0, len(head)) + head)
    for name, body in state.sections():
        packed = zlib.compress(body, 1)
        label = name.encode()
        put(_lengths.pack(len(label), len(packed)) + label + packed)
    put(_lengths.pack(0, 0))
    file.write(digest.digest())


def _check_digest(file: BinaryIO, path: Path) -> None:
    digest = hashlib.blake2b(digest_size=_DIGEST)
    left = path.stat().st_size - _DIGEST
    while left > 0:
        block = file.read(min(left, 1 << 16))
        if not block:
            break
        left -= len(block)
        digest.update(block)
    if left or file.read(_DIGEST) != digest.digest():
        raise StateCorruptionError(f"The snapshot {path.name} is damaged: its checksum does not match.")
    file.seek(0)


def _take(file: BinaryIO, size: int) -> bytes:
    content = file.read(size)
    if len(content) != size:
        raise EOFError("it ends too early")
    return content


def _read_header(file: BinaryIO, path: Path) -> SnapshotHeader:
    if _take(file, len(_MAGIC)) != _MAGIC:
        raise StateCorruptionError(f"The file {path.name} is no snapshot.")
    _, size = _lengths.unpack(_take(file, _lengths.size))
    header = msgspec.msgpack.decode(_take(file, size), type=SnapshotHeader)
    if header.format > STATE_FORMAT:
        raise StateCorruptionError(
            f"The snapshot {path.name} was written by a newer release (format {header.format}, this one knows "
            f"{STATE_FORMAT}); the facts are replayed instead.",
            error_code=NEWER,
        )
    if header.format != STATE_FORMAT:
        raise StateCorruptionError(
            f"The snapshot {path.name} has format {header.format}, this release uses {STATE_FORMAT}."
        )
    return header


def _read_sections(file: BinaryIO) -> Iterator[tuple[str, bytes]]:
    while True:
        label, size = _lengths.unpack(_take(file, _lengths.size))
        if not label:
            return
        name = _take(file, label).decode()
        yield name, zlib.decompress(_take(file, size))
