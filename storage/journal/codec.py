"""Facts as rows: what is stored of a record, and the chain that binds each row to all rows before it."""

from __future__ import annotations

import hashlib
import struct
from typing import TYPE_CHECKING

import msgspec

from engine.errors import StateCorruptionError
from engine.events import Event, Record, decode_event, decode_record, encode_record

if TYPE_CHECKING:
    from engine.model.ids import Owner

__all__ = ["HASH_SIZE", "COLUMNS", "Row", "decode", "genesis", "link", "owner_of", "row", "subject_of"]

HASH_SIZE = 16
COLUMNS = ("seq", "ts", "epoch", "kind", "subject", "correlation", "body", "hash")
Row = tuple[int, int, int, str, str, str, bytes, bytes]
"""One row of the table `events`, in the order of COLUMNS."""

_numbers = struct.Struct(">QQQ").pack
_envelope = msgspec.msgpack.Decoder(tuple[int, int, int, msgspec.Raw, str])


def genesis(journal_id: str) -> bytes:
    """The hash before the first fact; it differs from journal to journal, so that no row fits into another one."""
    return hashlib.blake2b(journal_id.encode(), digest_size=HASH_SIZE, person=b"qd-journal").digest()


def link(previous: bytes, seq: int, ts: int, epoch: int, body: bytes) -> bytes:
    """The hash of a row: over the hash before it, its numbers and its body."""
    return hashlib.blake2b(b"".join((previous, _numbers(seq, ts, epoch), body)), digest_size=HASH_SIZE).digest()


def row(record: Record, previous: bytes) -> Row:
    """Everything that is stored of a record."""
    seq, ts, epoch = record.seq, record.ts, record.epoch
    body = encode_record(record)
    event = record.event
    head = link(previous, seq, ts, epoch, body)
    return seq, ts, epoch, type(event).__name__, subject_of(event), record.correlation, body, head


def decode(body: bytes) -> Record:
    """Read a stored record, lifting facts of older versions.

    Raises:
        StateCorruptionError: The bytes are no record, or hold a fact that this release does not know.
    """
    try:
        return decode_record(body)
    except StateCorruptionError:
        pass
    try:
        seq, ts, epoch, event, correlation = _envelope.decode(body)
    except msgspec.MsgspecError as error:
        raise StateCorruptionError(f"A row of the journal holds no record: {error}.") from error
    return Record(seq, ts, epoch, decode_event(bytes(event)), correlation)


def subject_of(event: Event) -> str:
    """What a fact is about, for looking it up: a client order id or a bot; empty for anything else."""
    found = getattr(event, "client_id", None)
    if found is None:
        found = getattr(event, "bot", None)
        if found is None:
            fill = getattr(event, "fill", None)
            return "" if fill is None else str(fill.client_id)
    return str(found)


def owner_of(event: Event) -> Owner | None:
    """The owner that a fact names itself; None when only its order tells, or when it belongs to nobody."""
    found: Owner | None = getattr(event, "owner", None)
    return found if found is not None else getattr(event, "bot", None)
