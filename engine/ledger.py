"""The ledger: one synchronous step numbers a fact, applies it to the state and hands it to the journal."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from engine.crash_points import crash_point
from engine.errors import HandoverError, JournalError, QuarterdeckError, StateConsistencyError
from engine.events import Event, OrderIntended, Record
from engine.logs import current_operation, get_logger

if TYPE_CHECKING:
    from engine.clock import Clock
    from engine.state import EngineState

__all__ = ["FaultHandler", "JournalWriter", "Ledger", "Subscriber"]

Subscriber = Callable[[Record], None]
FaultHandler = Callable[[Record, Exception], None]
"""Hears which fact a subscriber could not take, and what it raised."""

log = get_logger(__name__)


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
    that it is hearing. They must return at once. One that raises keeps nobody else from hearing: `on_fault` is told,
    and without one the first error is raised to whoever booked, once everybody has heard everything.
    """

    def __init__(
        self,
        state: EngineState,
        journal: JournalWriter,
        clock: Clock,
        epoch: int,
        on_fault: FaultHandler | None = None,
    ) -> None:
        self.state = state
        self.journal = journal
        self.clock = clock
        self.epoch = epoch
        self.on_fault = on_fault
        self.failed: str | None = None
        """Why nothing can be booked any more; None while all is well."""
        self.sealed = ""
        """Why nothing may be booked for the moment, as a sentence; empty while all is well."""
        self._subscribers: list[Subscriber] = []
        """Replaced as a whole: whoever is being told goes on with those that were there."""
        self.following = False
        """True while facts of another writer are told: what follows from them is in its journal too."""
        self._untold: deque[Record] = deque()
        self._telling = False

    @property
    def seq(self) -> int:
        """Number of the last booked fact."""
        return self.state.seq

    def subscribe(self, subscriber: Subscriber) -> None:
        """Tell a function about every fact booked from now on."""
        self._subscribers = [*self._subscribers, subscriber]

    def unsubscribe(self, subscriber: Subscriber) -> None:
        """Stop telling a function."""
        rest = list(self._subscribers)
        rest.remove(subscriber)
        self._subscribers = rest

    def record(self, event: Event, correlation: str = "") -> int:
        """Book one fact.

        Args:
            event: What happened.
            correlation: Operation or signal that led to it; empty takes that of the operation under way.

        Returns:
            Its number; effects outside wait until `journal.durable_seq` has reached it.

        Raises:
            JournalError: The journal has failed; nothing is booked any more.
            HandoverError: Another process is taking over; nothing is booked at present.
            StateConsistencyError: The fact contradicts the state; nothing was booked.
        """
        if self.failed is not None:
            raise JournalError(f"Nothing can be booked: {self.failed}")
        if self.sealed:
            raise HandoverError(self.sealed)
        seq = self.state.meta.seq + 1
        record = Record(seq, self.clock.now(), self.epoch, event, correlation or current_operation())
        self._apply(record)
        if type(event) is OrderIntended:
            crash_point("intent.applied")
        try:
            self.journal.append(record)
        except Exception as error:
            # The state is ahead of the journal from here on, so nothing may be booked or sent any more.
            raise self._fail(error.message if isinstance(error, QuarterdeckError) else str(error)) from error
        self._untold.append(record)
        if not self._telling:
            self._tell()
        return seq

    def follow(self, record: Record) -> None:
        """Take in a fact that another writer has stored: it is applied and told, and not booked again.

        Raises:
            StateConsistencyError: It does not follow on what is known; nothing changed.
            JournalError: The fold failed; the state is in doubt.
        """
        self._apply(record)
        self._untold.append(record)
        self.following = True
        try:
            if not self._telling:
                self._tell()
        finally:
            self.following = False

    def _apply(self, record: Record) -> None:
        try:
            self.state.apply(record)
        except StateConsistencyError:
            raise
        except Exception as error:
            # The fold promises that a refused fact changed nothing; whatever else it raises, it may be half applied.
            log.exception("the fold failed", fact=type(record.event).__name__)
            raise self._fail(
                f"the state is in doubt ({type(error).__name__} in {type(record.event).__name__})"
            ) from error

    def _fail(self, reason: str) -> JournalError:
        self.failed = self.failed or reason
        return JournalError(f"Nothing can be booked any more: {reason}")

    def _tell(self) -> None:
        first: Exception | None = None
        self._telling = True
        try:
            while self._untold:
                record = self._untold.popleft()
                for subscriber in self._subscribers:
                    try:
                        subscriber(record)
                    except Exception as error:
                        if self.on_fault is not None:
                            self.on_fault(record, error)
                        first = first or error
        finally:
            self._telling = False
        if first is not None and self.on_fault is None:
            raise first
