"""Topics of facts as this process has told them: the newest ones here, whoever is further behind asks the journal.

A log is shared by all who hear it. Each holds a cursor, the journal's number up to which it has heard everything; who
is slow costs nothing but that number.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from itertools import islice
from typing import Any

__all__ = ["KEPT", "Fact", "FactLog"]

KEPT = 5_000
"""Facts of a topic that are kept here; more than a client may be behind before it is cut off."""


class Fact:
    """One fact of a topic, with its place for what it looks like on the wire."""

    __slots__ = ("body", "data", "seq")

    def __init__(self, seq: int, data: Any) -> None:
        self.seq = seq
        """The journal's number."""
        self.data = data
        """The view of it."""
        self.body = b""
        """As JSON, once somebody has needed it."""


class FactLog:
    """The newest facts of one topic, all of them durable.

    Args:
        floor: The journal's number where this log begins; what is older is in the journal alone.
        kept: Most facts kept.
    """

    def __init__(self, floor: int, kept: int = KEPT) -> None:
        self.floor = floor
        """Facts up to this number are not, or no longer, here."""
        self.newest = floor
        """Up to this number every fact of the topic has been told."""
        self.life = 0
        """Changes when the log begins anew, and cursors of before mean nothing any more."""
        self._facts: deque[Fact] = deque()
        self._kept = kept

    def add(self, fact: Fact) -> None:
        """Append a fact; numbers rise."""
        self._facts.append(fact)
        self.newest = fact.seq
        if len(self._facts) > self._kept:
            self.floor = self._facts.popleft().seq

    def begin_anew(self, floor: int) -> None:
        """Forget everything, and go on with another journal or another moment of it."""
        self._facts.clear()
        self.life += 1
        self.floor = self.newest = floor

    def reach(self, seq: int) -> None:
        """Everything up to this number has been told, whether or not it was of this topic."""
        self.newest = max(self.newest, seq)

    def holds(self, cursor: int) -> bool:
        """Whether everything after a cursor is here."""
        return cursor >= self.floor

    def behind(self, cursor: int) -> int:
        """How many of the facts here are after a cursor."""
        facts = self._facts
        if not facts or facts[-1].seq <= cursor:
            return 0
        return len(facts) - bisect_right(facts, cursor, key=_seq)

    def after(self, cursor: int, most: int) -> list[Fact]:
        """The next facts after a cursor, oldest first."""
        begin = len(self._facts) - self.behind(cursor)
        return list(islice(self._facts, begin, begin + most))

    def last(self, most: int) -> list[Fact]:
        """The newest facts, oldest first."""
        return list(islice(self._facts, max(0, len(self._facts) - most), None))


def _seq(fact: Fact) -> int:
    return fact.seq
