"""The money-flow ledger of a home folder: the journal's facts as entries, page by page, in a thread.

A first question folds the journal from its beginning, which takes as long as a start without a snapshot; later ones go
on from there. Entries are kept encoded, a few hundred bytes each.
"""

from __future__ import annotations

import asyncio
import threading
from contextlib import closing
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from engine.capital.books import Books, Entry
from storage.journal.pacing import Pacer
from storage.journal.reader import Reader

if TYPE_CHECKING:
    from collections.abc import Iterator
    from decimal import Decimal
    from pathlib import Path

    from engine.model.ids import Currency

__all__ = ["EntryFilter", "EntryPage", "KeptBook", "MoneyBook"]

_encode = msgspec.msgpack.Encoder(decimal_format="string").encode
_decode = msgspec.msgpack.Decoder(Entry).decode


class EntryFilter(NamedTuple):
    """Which entries; what is empty or 0 lets everything through."""

    account: str = ""
    pool: str = ""
    kind: str = ""
    currency: str = ""
    since: int = 0
    until: int = 0
    """UTC nanoseconds, exclusive."""

    def fits(self, entry: Entry) -> bool:
        """Whether an entry is meant."""
        if self.kind and entry.kind != self.kind:
            return False
        if entry.ts < self.since or (self.until and entry.ts >= self.until):
            return False
        if self.currency and all(posting.currency != self.currency for posting in entry.postings):
            return False
        ends = [posting.place.partition("/") for posting in entry.postings]
        if self.account and all(account != self.account for account, _, _ in ends):
            return False
        return not self.pool or any(pool == self.pool for _, _, pool in ends)


class EntryPage(NamedTuple):
    """Some entries, the newest first."""

    entries: list[Entry]
    total: int
    until: int
    """Number of the last fact that was looked at."""


class MoneyBook:
    """Entries of one journal.

    Args:
        journal: The journal's file, which must exist.
    """

    def __init__(self, journal: Path) -> None:
        self._journal = journal
        self._books = Books()
        self._entries: list[bytes] = []
        self._lock = threading.Lock()
        self._pacer = Pacer()

    async def page(self, wanted: EntryFilter, number: int, size: int, until: int) -> EntryPage:
        """A page of entries, the newest first.

        Args:
            wanted: Which.
            number: Page, from 1.
            size: Entries a page.
            until: Number of the last fact that is looked at.

        Raises:
            StateCorruptionError: The journal is damaged, or a fact is not known to this release.
        """
        return await asyncio.to_thread(self._page, wanted, number, size, until)

    async def totals(self, until: int) -> dict[tuple[str, Currency], Decimal]:
        """What every place holds, as of a fact. Raises as `page`."""
        return await asyncio.to_thread(self._totals, until)

    def entries(self, wanted: EntryFilter, until: int) -> Iterator[Entry]:
        """All entries, the oldest first; in the caller's thread. Raises as `page`."""
        with self._lock:
            self._follow(until)
            kept = list(self._entries)
        for body in kept:
            entry = _decode(body)
            if entry.seq > until:
                return
            if wanted.fits(entry):
                yield entry

    def _page(self, wanted: EntryFilter, number: int, size: int, until: int) -> EntryPage:
        self._pacer.begin()
        found: list[bytes] = []
        for entry in self.entries(wanted, until):
            self._pacer.pause()
            found.append(_encode(entry))
        end = len(found) - (number - 1) * size
        rows = found[max(0, end - size) : max(0, end)]
        return EntryPage([_decode(body) for body in reversed(rows)], len(found), until)

    def _totals(self, until: int) -> dict[tuple[str, Currency], Decimal]:
        self._pacer.begin()
        with self._lock:
            self._follow(until)
            return {key: amount for key, amount in self._books.totals.items() if amount}

    def _follow(self, until: int) -> None:
        if self._books.state.seq >= until:
            return
        with closing(Reader(self._journal, self._pacer.pause)) as reader:
            for record in reader.records(self._books.state.seq, until):
                entry = self._books.take(record)
                if entry is not None:
                    self._entries.append(_encode(entry))


class KeptBook:
    """Holds the ledger of a context and all its copies: it is made when it is first asked for."""

    def __init__(self) -> None:
        self.book: MoneyBook | None = None
