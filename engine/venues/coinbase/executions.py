"""Executions since a cursor, each once, although Coinbase may list one late and between older ones.

A cursor is the newest execution's time in its sequence. Whoever asks on from it is also given what has since appeared
within `OVERLAP_NS` before it; what was given together with a cursor is remembered for as long as this process lives
(what is given again after a restart has the same natural key).
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from engine.venues.coinbase.values import iso_ns

if TYPE_CHECKING:
    from collections.abc import Iterable

    from engine.venues.coinbase.wire import FillRow

__all__ = ["FillCursor", "placed_at"]

OVERLAP_NS = 120_000_000_000
"""How much earlier than the newest one an execution may be that is listed later."""
CURSORS = 256


def placed_at(row: FillRow) -> int:
    """Where an execution stands in the sequence of all, UTC nanoseconds."""
    return iso_ns(row.sequence_timestamp) or iso_ns(row.trade_time)


def _name(row: FillRow) -> tuple[str, str]:
    # A self-trade has one trade id on both sides.
    return row.entry_id or row.trade_id, row.order_id


class FillCursor:
    """Tells, for one account, what is new since a cursor.

    Args:
        first: Cursors are numbered from here on; never the same in two processes, such as the time.
    """

    def __init__(self, first: int) -> None:
        self._given: OrderedDict[str, frozenset[tuple[str, str]]] = OrderedDict()
        self._count = first

    @staticmethod
    def start(cursor: str) -> int | None:
        """From when on to list, UTC nanoseconds; None for all."""
        return max(0, _time(cursor) - OVERLAP_NS) if cursor else None

    def news(self, cursor: str, rows: Iterable[FillRow]) -> tuple[list[FillRow], str]:
        """Of all executions since `start(cursor)`, those that were not given yet, oldest first; and the next cursor.

        Args:
            cursor: What was given the last time; "" for none.
            rows: All executions listed, in whatever order.
        """
        given = self._given.get(cursor, frozenset())
        listed = sorted({_name(row): row for row in rows}.values(), key=lambda row: (placed_at(row), row.trade_id))
        fresh = [row for row in listed if _name(row) not in given]
        if not fresh:
            return [], cursor
        newest = max(placed_at(listed[-1]), _time(cursor))
        self._count += 1
        # The number tells cursors of one time apart: an execution listed late does not move the time.
        after = f"{newest}.{self._count}"
        edge = newest - OVERLAP_NS
        self._given[after] = frozenset(_name(row) for row in listed if placed_at(row) >= edge)
        if len(self._given) > CURSORS:
            self._given.popitem(last=False)
        return fresh, after


def _time(cursor: str) -> int:
    text = cursor.partition(".")[0]
    return int(text) if text.isdigit() else 0
