"""Reading stored facts: pages after a cursor, filters, the history of one order, the whole chain."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from engine.events import OrderAdopted, OrderIntended
from storage.journal.chain import PAGE, reading, verify
from storage.journal.codec import decode, genesis, owner_of
from storage.journal.pacing import Pacer
from storage.journal.rows import ALL, Query, Rows
from storage.journal.schema import read_meta

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from engine.events import Event, Record

__all__ = ["AsyncReader", "Page", "Query", "Reader"]

_T = TypeVar("_T")
_END = 2**63 - 1
OWNERS_KEPT = 10_000


@dataclass(frozen=True, slots=True)
class Page:
    """Some facts, and where to go on."""

    records: list[Record]
    cursor: int
    """Every wanted fact up to this number has been seen; the next page is asked for with it."""
    last: int
    """Number of the newest stored fact at that moment; the end is reached when the cursor is there."""


class Reader:
    """Its own read-only connection: it sees what is durable, and neither waits for the writer nor holds it up.

    Args:
        path: The journal's file, which must exist.
        pause: Called after each decoded fact; a thread beside a loop rests in it.
    """

    def __init__(self, path: Path, pause: Callable[[], None] = lambda: None) -> None:
        self._rows = Rows(path)
        self._connection = self._rows.connection
        self._pause = pause
        self._owners: dict[str, str] = {}

    def close(self) -> None:
        """Close the connection."""
        self._rows.close()

    def last_seq(self) -> int:
        """Number of the newest stored fact; 0 when there is none."""
        return self._rows.last_seq()

    def count(self, query: Query = ALL) -> int:
        """Number of stored facts that match."""
        if query.owner:
            return sum(1 for _ in self.records(query=query))
        return self._rows.count(query)

    def records(self, after: int = 0, until: int = _END, query: Query = ALL) -> Iterator[Record]:
        """All matching facts after one number, up to another (inclusive), oldest first.

        Raises:
            StateCorruptionError: The file is damaged, or a fact is not known to this release.
        """
        while True:
            rows = self._rows.after(after, until, query, PAGE)
            for seq, body in rows:
                record = decode(body)
                self._pause()
                after = seq
                if self._wanted(record.event, query):
                    yield record
            if len(rows) < PAGE:
                return

    def since(self, cursor: int, limit: int = 500, query: Query = ALL) -> Page:
        """The next matching facts after a cursor, oldest first; looks at no more than ten times `limit` rows.

        Raises:
            StateCorruptionError: The file is damaged, or a fact is not known to this release.
        """
        last = self.last_seq()
        rows = self._rows.after(cursor, last, query, limit * 10 if query.owner else limit)
        found: list[Record] = []
        for seq, body in rows:
            if len(found) == limit:
                return Page(found, cursor, last)
            record = decode(body)
            self._pause()
            cursor = seq
            if self._wanted(record.event, query):
                found.append(record)
        complete = len(rows) < (limit * 10 if query.owner else limit)
        return Page(found, max(cursor, last) if complete else cursor, last)

    def latest(self, limit: int, query: Query = ALL, *, before: int = _END) -> list[Record]:
        """The last matching facts before a number, newest first."""
        found: list[Record] = []
        while len(found) < limit:
            rows = self._rows.before(before, query, PAGE)
            for seq, body in rows:
                before = seq
                record = decode(body)
                self._pause()
                if self._wanted(record.event, query):
                    found.append(record)
                    if len(found) == limit:
                        break
            if len(rows) < PAGE:
                break
        return found

    def thinned(self, kind: str, since: int, until: int, most: int) -> list[Record]:
        """Facts of one kind spread evenly over a time, oldest first: the last one of each of `most` equal parts of it.

        Args:
            kind: Name of an event type.
            since: Where the time begins, in UTC nanoseconds; it is cut to the first such fact.
            until: Where it ends, inclusive.
            most: Parts, and so the most facts that are returned.
        """
        found = []
        for body in self._rows.thinned(kind, since, until, most):
            found.append(decode(body))
            self._pause()
        return found

    def number_at(self, ts: int) -> int:
        """Number of the first fact that is not older than a time (UTC nanoseconds); one past the last when all are."""
        return self._rows.number_at(ts)

    def order_history(self, client_id: str) -> list[Record]:
        """Everything that was booked about one order, oldest first."""
        return [decode(body) for body in self._rows.life(client_id)]

    def verify(self) -> tuple[int, str]:
        """Check every row of the chain.

        Returns:
            Number of facts and the chain's last hash in hex.

        Raises:
            StateCorruptionError: A row is missing or was changed.
        """
        with reading():
            start = genesis(read_meta(self._connection).journal_id)
        seq, head = verify(self._connection, 0, start, pause=self._pause)
        return seq, head.hex()

    def _wanted(self, event: Event, query: Query) -> bool:
        return not query.owner or self._owner(event) == query.owner

    def _owner(self, event: Event) -> str | None:
        owner = owner_of(event)
        if owner is not None:
            return owner
        fill = getattr(event, "fill", None)
        client_id = getattr(event, "client_id", None) if fill is None else fill.client_id
        return None if client_id is None else self._owner_of_order(client_id)

    def _owner_of_order(self, client_id: str) -> str:
        known = self._owners.get(client_id)
        if known is None:
            intended = self._rows.before(_END, Query(subject=client_id, kinds=("OrderIntended", "OrderAdopted")), 1)
            event = decode(intended[0][1]).event if intended else None
            known = event.owner if isinstance(event, OrderIntended | OrderAdopted) else "external"
            if len(self._owners) >= OWNERS_KEPT:
                del self._owners[next(iter(self._owners))]
            self._owners[client_id] = known
        return known


class AsyncReader:
    """A `Reader` in a thread of its own, for use on the event loop.

    Args:
        path: The journal's file, which must exist.
    """

    def __init__(self, path: Path) -> None:
        self._pacer = Pacer()
        self._path = path
        self._reader: Reader | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="journal-reader")

    async def since(self, cursor: int, limit: int = 500, query: Query = ALL) -> Page:
        """As `Reader.since`."""
        return await self._run(lambda reader: reader.since(cursor, limit, query))

    async def latest(self, limit: int, query: Query = ALL, *, before: int = _END) -> list[Record]:
        """As `Reader.latest`."""
        return await self._run(lambda reader: reader.latest(limit, query, before=before))

    async def thinned(self, kind: str, since: int, until: int, most: int) -> list[Record]:
        """As `Reader.thinned`."""
        return await self._run(lambda reader: reader.thinned(kind, since, until, most))

    async def order_history(self, client_id: str) -> list[Record]:
        """As `Reader.order_history`."""
        return await self._run(lambda reader: reader.order_history(client_id))

    async def count(self, query: Query = ALL) -> int:
        """As `Reader.count`."""
        return await self._run(lambda reader: reader.count(query))

    async def verify(self) -> tuple[int, str]:
        """As `Reader.verify`."""
        return await self._run(lambda reader: reader.verify())

    async def close(self) -> None:
        """End the thread and close the connection."""
        if self._reader is not None:
            await self._run(lambda reader: reader.close())
        self._thread.shutdown()

    async def _run(self, work: Callable[[Reader], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._do, work)

    def _do(self, work: Callable[[Reader], _T]) -> _T:
        if self._reader is None:
            self._reader = Reader(self._path, self._pacer.pause)
        self._pacer.begin()
        return work(self._reader)
