"""Steps that the journal's tests share."""

from __future__ import annotations

import asyncio
import itertools
import sqlite3
from typing import TYPE_CHECKING, Any

import msgspec

from storage.journal import Journal, JournalOptions
from storage.journal.chain import last_link
from storage.journal.codec import link
from storage.journal.schema import read_meta

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from engine.events import Record

QUIET = JournalOptions(snapshot_every=0, mark_interval_s=0.0)
"""No snapshots, and a mark as soon as possible."""


def opened(path: Path, options: JournalOptions = QUIET) -> Journal:
    """A journal with the right to write, not started yet."""
    journal = Journal.open(path, options)
    journal.open_epoch()
    return journal


async def append(journal: Journal, records: Iterable[Record]) -> None:
    """Append and wait until all of it is durable."""
    last = journal.durable_seq
    for record in records:
        journal.append(record)
        last = record.seq
    await asyncio.wait_for(journal.wait_durable(last), 20)


async def store_async(path: Path, records: Sequence[Record], options: JournalOptions = QUIET) -> None:
    """Write a history as the engine would have: one start for each epoch in it."""
    for epoch, group in itertools.groupby(records, key=lambda record: record.epoch):
        journal = opened(path, options)
        assert journal.epoch == epoch
        journal.start()
        await append(journal, group)
        await journal.close()


def store(path: Path, records: Sequence[Record], options: JournalOptions = QUIET) -> None:
    """The same outside a loop."""
    asyncio.run(store_async(path, records, options))


def append_raw(path: Path, event: dict[str, Any]) -> int:
    """Add a row whose fact this release did not write, properly chained; returns its number."""
    connection = sqlite3.connect(path)
    try:
        meta = read_meta(connection)
        seq, head = last_link(connection, meta.journal_id)
        seq += 1
        body = msgspec.msgpack.encode([seq, 1, meta.epoch, event, ""])
        values = (seq, 1, meta.epoch, event["t"], "", "", body, link(head, seq, 1, meta.epoch, body))
        with connection:
            connection.execute("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values)
    finally:
        connection.close()
    return seq


def execute(path: Path, statement: str, *values: object) -> None:
    """Tamper with a journal that nobody has open."""
    connection = sqlite3.connect(path)
    try:
        with connection:
            connection.execute(statement, values)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        connection.close()
