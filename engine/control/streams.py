"""What one client watches: the newest of each topic of state, and a cursor into each topic of facts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.control.protocol import encode_facts
from engine.control.topic_table import fits
from engine.control.wire import encode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from engine.control.facts import Fact, FactLog
    from engine.control.link import Subscription

__all__ = ["MOST_BEHIND", "Encoded", "FactStream", "StateStream"]

MOST_BEHIND = 4_096
"""Facts that a client that had heard everything may fall behind before it is cut off."""
BATCH = 200
"""Facts in one message."""
GREETING = 500
"""Facts told at once to a client that begins without a cursor."""

Key = tuple[str, tuple[tuple[str, Any], ...]]


class Encoded:
    """The newest data of every watched topic as JSON: written once, whoever gets it."""

    def __init__(self) -> None:
        self._kept: dict[Key, tuple[Any, bytes]] = {}
        self._users: dict[Key, int] = {}

    def use(self, key: Key) -> None:
        """One more client watches a topic with these filters."""
        self._users[key] = self._users.get(key, 0) + 1

    def leave(self, key: Key) -> None:
        """One client less watches it."""
        self._users[key] -= 1
        if not self._users[key]:
            del self._users[key]
            self._kept.pop(key, None)

    def body(self, key: Key, data: Any) -> bytes:
        """The data as JSON."""
        known = self._kept.get(key)
        if known is None or known[0] is not data:
            known = self._kept[key] = (data, encode(data))
        return known[1]


class StateStream:
    """A topic of state: what was not sent yet is replaced by what is newer."""

    def __init__(self, sub: int, key: Key) -> None:
        self.sub = sub
        self.key = key
        self.seq = 0
        self.data: Any = None
        self.dirty = False
        self.handle: Subscription | None = None

    def put(self, data: Any) -> bool:
        """Take newer data; True when it replaced some that was never sent."""
        replaced = self.dirty
        self.data, self.dirty = data, True
        return replaced

    def take(self) -> tuple[int, int, Any]:
        """Subscription, number and data of the message that is sent now."""
        self.seq += 1
        self.dirty = False
        return self.sub, self.seq, self.data


class FactStream:
    """A topic of facts: a cursor that is moved by what is sent, first through the journal, then through the log.

    Args:
        sub: The client's number for it.
        topic: Its name.
        log: The newest facts of the topic.
        since: Cursor to begin behind; None begins with what was told lately.
        filters: Which facts are told; the others are passed over, and the cursor moves on all the same.
    """

    def __init__(
        self, sub: int, topic: str, log: FactLog, since: int | None, filters: Mapping[str, Any] | None = None
    ) -> None:
        self.sub = sub
        self.topic = topic
        self.log = log
        self.cursor = 0
        """Everything up to here was sent, or was of another topic."""
        self.live = False
        """Whether the client has heard everything at some moment; before, it is catching up."""
        self.page: list[Fact] | None = None
        """Facts from the journal that wait to be sent; `cursor` is already behind them."""
        self._told = 0
        self._greets = False
        self._life = log.life
        self._filters = {name: value for name, value in (filters or {}).items() if value}
        self.begin(since)

    def begin(self, since: int | None) -> None:
        """Begin anew behind a cursor, or with what was told lately; no journal of this engine has a later cursor."""
        if since is not None and since > self.log.newest:
            since = None
        self._greets = since is None
        self.cursor = self._told = since or 0
        self.live = False
        self.page = None
        self._life = self.log.life

    @property
    def wants_page(self) -> bool:
        """Whether the journal has to be asked for what comes next."""
        if self._life != self.log.life:
            self.begin(None)
        return not self._greets and self.page is None and not self.log.holds(self.cursor)

    @property
    def too_slow(self) -> bool:
        """Whether the client has fallen further behind than it may."""
        return (
            self.live
            and self._life == self.log.life
            and (not self.log.holds(self.cursor) or self.log.behind(self.cursor) > MOST_BEHIND)
        )

    def next_frame(self) -> bytes | None:
        """The next message, or None while there is nothing to tell."""
        if self._greets:
            self._greets, self.live, self.cursor = False, True, self.log.newest
            return self._frame(self.fitting(self.log.last(GREETING)), snapshot=True)
        if self.page is not None:
            facts, self.page = self.page, None
            if facts:
                return self._frame(facts)
        while self.log.holds(self.cursor) and self.cursor < self.log.newest:
            facts = self.log.after(self.cursor, BATCH)
            if len(facts) == BATCH:
                self.cursor = facts[-1].seq
            else:
                self.cursor, self.live = self.log.newest, True
            told = self.fitting(facts)
            if told:
                return self._frame(told)
        self.live = self.live or self.cursor >= self.log.newest
        return None

    def fitting(self, facts: list[Fact]) -> list[Fact]:
        """Those of some facts that the client wants to hear."""
        return [fact for fact in facts if fits(self._filters, fact.data)] if self._filters else facts

    def _frame(self, facts: list[Fact], *, snapshot: bool = False) -> bytes:
        after, self._told = self._told, self.cursor
        return encode_facts(self.sub, after, self.cursor, facts, snapshot=snapshot)
