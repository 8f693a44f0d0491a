"""Executions since a cursor, each once, although Binance may show one later than others that came after it.

They are read by their numbers, symbol by symbol. Whoever asks on is also given what has since appeared among those of
the last `OVERLAP_MS`; what was given together with a cursor is remembered for as long as this process lives (what is
given again after a restart has the same natural key).
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

import msgspec

from engine.errors import DataValidationError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from engine.model.ids import AccountId, VenueId

__all__ = ["PAGE", "Cursor", "Executions", "Listed", "Row"]

PAGE = 1000
"""Most rows that one answer has."""
OVERLAP_MS = 120_000
"""How much earlier than the newest one an execution may be that is shown later."""
CURSORS = 64


class Cursor(msgspec.Struct, frozen=True, omit_defaults=True):
    """How far an account's executions are known."""

    next: dict[str, int] = {}
    """Number of the first execution not read yet, by symbol."""
    since: int = 0
    """Venue's milliseconds up to which it was looked for symbols that were traded."""
    first: dict[str, int] = {}
    """Number from which on is read again, by symbol, where that is less than `next`."""
    turn: int = 0
    """Tells cursors apart that differ only in what was given with them."""


class Row(Protocol):
    """An execution as either service shows it."""

    symbol: str
    id: int
    orderId: int
    time: int


_RowT = TypeVar("_RowT", bound=Row)
_cursor = msgspec.json.Decoder(Cursor)


@dataclass(frozen=True, slots=True)
class Listed(Generic[_RowT]):
    """What the venue lists since a cursor."""

    text: str
    """The cursor."""
    all: list[_RowT]
    fresh: list[_RowT]
    """Those that were not given with the cursor, oldest first."""


class Executions:
    """What was given, of all accounts of one venue.

    Args:
        venue: Which.
        first: Cursors are numbered from here on; never the same in two processes, such as the time.
    """

    def __init__(self, venue: VenueId, first: int) -> None:
        self._venue = venue
        self._turns = count(first)
        self._given: OrderedDict[tuple[AccountId, str], frozenset[tuple[str, int]]] = OrderedDict()

    def read(self, text: str) -> Cursor:
        """A cursor of this venue. Raises DataValidationError."""
        if not text:
            return Cursor()
        try:
            return _cursor.decode(text)
        except msgspec.MsgspecError as error:
            raise DataValidationError(f"The cursor of executions at {self._venue} cannot be read: {error}.") from error

    async def listed(
        self,
        account: AccountId,
        text: str,
        symbols: Iterable[str],
        page: Callable[[str, int], Awaitable[Sequence[_RowT]]],
    ) -> Listed[_RowT]:
        """Read on from a cursor, at most one page of news of each symbol.

        Args:
            account: Whose executions.
            text: The cursor; "" for the beginning.
            symbols: Where to look.
            page: Gives up to `PAGE` rows of a symbol from a number on, in their order.

        Raises:
            DataValidationError: The cursor cannot be read.
            QuarterdeckError: As `page` does.
        """
        known, given = self.read(text), self._given.get((account, text), frozenset())

        async def of(symbol: str) -> tuple[list[_RowT], bool]:
            news, rows = known.next.get(symbol, 0), list[_RowT]()
            first = known.first.get(symbol, news)
            while True:
                found = await page(symbol, first)
                rows += found
                full = len(found) >= PAGE
                if not full or found[-1].id >= news:
                    return rows, full
                first = found[-1].id + 1

        pages = await asyncio.gather(*map(of, symbols))
        # Cut where a full page ends, so that what comes later is later.
        ends = [rows[-1].time for rows, full in pages if full]
        rows = [row for some, _ in pages for row in some if not ends or row.time <= min(ends)]
        rows.sort(key=lambda row: (row.time, row.id))
        return Listed(text, rows, [row for row in rows if (row.symbol, row.id) not in given])

    def after(self, account: AccountId, listed: Listed[_RowT], known: Cursor) -> str:
        """The cursor behind what was listed.

        Args:
            account: Whose executions.
            listed: What was given.
            known: The cursor as it was read, with what else is known by now.
        """
        if not listed.fresh and listed.text and known == self.read(listed.text):
            return listed.text
        news, first = dict(known.next), {s: known.first.get(s, number) for s, number in known.next.items()}
        edge = max((row.time for row in listed.all), default=0) - OVERLAP_MS
        for row in listed.all:
            news[row.symbol] = max(news.get(row.symbol, 0), row.id + 1)
            again = row.id + 1 if row.time < edge else 0
            first[row.symbol] = max(first.get(row.symbol, 0), again)
        turn = next(self._turns)
        text = msgspec.json.encode(Cursor(dict(sorted(news.items())), known.since, dict(sorted(first.items())), turn))
        before = self._given.get((account, listed.text), frozenset())
        given = {*before, *((row.symbol, row.id) for row in listed.all)}
        after = account, text.decode()
        self._given[after] = frozenset((s, number) for s, number in given if number >= first.get(s, 0))
        if len(self._given) > CURSORS:
            self._given.popitem(last=False)
        return after[1]
