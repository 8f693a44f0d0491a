"""One topic as a client watches it over a socket: numbers are checked, data becomes the views that every door gives."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from engine.control.link import Delta
from engine.control.replies import FACTS, topic_type
from engine.control.wire import decode

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.control.link import DeltaHandler
    from engine.control.protocol import FactsFrame
    from engine.errors import QuarterdeckError

__all__ = ["Watching"]

logger = logging.getLogger(__name__)


class Watching:
    """A subscription. Implements `engine.control.link.Subscription`.

    Args:
        sub: Its number.
        topic: What is watched.
        handler: Hears the messages.
        filters: As given by the watcher.
        leave: Told of its end.
        since: Cursor behind which a topic of facts begins; None begins with what was told lately.
    """

    def __init__(
        self,
        sub: int,
        topic: str,
        handler: DeltaHandler,
        filters: dict[str, Any],
        leave: Callable[[Watching], None],
        since: int | None = None,
    ) -> None:
        self.sub = sub
        self.topic = topic
        self.closed = False
        self.asked = 0
        """Number of the request that began it."""
        self.refusal: QuarterdeckError | None = None
        """Why the engine does not serve it; None while it does."""
        self._handler = handler
        self._filters = filters
        self._leave = leave
        self._type = topic_type(topic)
        self._seq = 0
        self._told = 0
        self._cursor = since

    def close(self) -> None:
        """Hear no more."""
        if not self.closed:
            self.closed = True
            self._leave(self)

    def request(self) -> dict[str, Any]:
        """What the engine is asked: facts go on behind the last that was heard."""
        filters = {name: value for name, value in self._filters.items() if value is not None}
        asked: dict[str, Any] = {"sub": self.sub, "topic": self.topic, "filters": filters}
        return asked if self._cursor is None else {**asked, "since": self._cursor}

    def resync(self) -> dict[str, Any]:
        """What the engine is asked when a message is missing."""
        self.renew()
        return {"sub": self.sub} if self._cursor is None else {"sub": self.sub, "since": self._cursor}

    def renew(self) -> None:
        """Expect the numbers to begin anew."""
        self._seq = 0
        self.refusal = None

    def forget(self) -> None:
        """Begin anew with facts as well: the engine has another journal."""
        self._cursor = None

    def hear_state(self, seq: int, body: bytes) -> bool:
        """Take the present whole of a topic of state; False when messages before it are missing."""
        complete = seq == self._seq + 1
        self._seq = seq
        self._told += 1
        self._tell(Delta(self.topic, self._told, True, decode(body, self._type)))
        return complete

    def hear_facts(self, frame: FactsFrame) -> bool:
        """Take facts in order; False when some before them are missing, and nothing was taken."""
        if frame.snapshot:
            data = tuple(decode(item.data, self._type) for item in frame.facts)
            self._cursor = frame.cursor
            self._tell(Delta(self.topic, frame.cursor, True, data))
            return True
        if frame.after != self._cursor:
            return False
        for item in frame.facts:
            self._cursor = item.seq
            self._tell(Delta(self.topic, item.seq, False, decode(item.data, self._type)))
        self._cursor = frame.cursor
        return True

    @property
    def of_facts(self) -> bool:
        """Whether this is a topic of facts."""
        return self.topic in FACTS

    def _tell(self, delta: Delta) -> None:
        if self.closed:
            return
        try:
            self._handler(delta)
        except Exception:
            # A watcher's fault must not keep the others from hearing.
            logger.exception("a watcher of %s failed", self.topic)
