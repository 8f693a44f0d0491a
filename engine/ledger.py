"""The ledger: one synchronous step numbers a fact, applies it to the state and hands it to the journal."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from engine.errors import JournalError
from engine.events import Event, Record

if TYPE_CHECKING:
    from engine.clock import Clock
    from engine.state import EngineState

__all__ = ["JournalWriter", "Ledger", "Subscriber"]

Subscriber = Callable[[Record], None]


class JournalWriter(Protocol):
    """Where numbered facts are made durable."""

    @property
    def durable_seq(self) -> int:
        """Number of the last fact that would survive a power loss."""

    def append(self, record: Record) -> None:
        """Queue a fact; never blocks. Raises JournalError once the journal has failed."""

    async def wait_durable(self, seq: int) -> None:
        """Return when the fact of that number is durable. Raises JournalError when it never will be."""


class Ledger:
    """Books facts. Everything that changes the state goes through `record`.

    Subscribers hear each fact after it is applied, in order; what a subscriber records itself is told after the fact
    that it is hearing. They must return at once and may not raise.
    """

    def __init__(self, state: EngineState, journal: JournalWriter, clock: Clock, epoch: int) -> None:
        self.state = state
        self.journal = journal
        self.clock = clock
        self.epoch = epoch
        self.failed: str | None = None
        """Why nothing can be booked any more; None while all is well."""
        self._subscribers: list[Subscriber] = []
        self._untold: deque[Record] = deque()
        self._telling = False

    @property
    def seq(self) -> int:
        """Number of the last booked fact."""
        return self.state.seq

    def subscribe(self, subscriber: Subscriber) -> None:
        """Tell a function about every fact booked from now on."""
        self._subscribers.append(subscriber)

    def unsubscribe(self, subscriber: Subscriber) -> None:
        """Stop telling a function."""
        self._subscribers.remove(subscriber)

    def record(self, event: Event, correlation: str = "") -> int:
        """Book one fact.

        Returns:
            Its number; effects outside wait until `journal.durable_seq` has reached it.

        Raises:
            JournalError: The journal has failed; nothing is booked any more.
            StateConsistencyError: The fact contradicts the state; nothing was booked.
        """
        if self.failed is not None:
            raise JournalError(f"Nothing can be booked: {self.failed}")
        record = Record(self.state.seq + 1, self.clock.now(), self.epoch, event, correlation)
        self.state.apply(record)
        try:
            self.journal.append(record)
        except JournalError as error:
            self.failed = error.message
            raise
        self._untold.append(record)
        if not self._telling:
            self._tell()
        return record.seq

    def _tell(self) -> None:
        self._telling = True
        try:
            while self._untold:
                record = self._untold.popleft()
                for subscriber in tuple(self._subscribers):
                    subscriber(record)
        finally:
            self._telling = False
