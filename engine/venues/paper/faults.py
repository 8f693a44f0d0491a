"""Faults injected into the paper venue: refused connections, lost requests, replies, reports, delays, being away."""

from __future__ import annotations

import enum
from collections import deque

__all__ = ["Fault", "Faults", "Operation"]


class Operation(enum.StrEnum):
    """Which requests a fault is meant for."""

    PLACE = "place"
    CANCEL = "cancel"
    AMEND = "amend"
    QUERY = "query"


class Fault(enum.StrEnum):
    """What goes wrong with a request."""

    REFUSE = "refuse"
    """The connection cannot be made: the request certainly did not leave."""
    LOSE_REQUEST = "lose_request"
    """It never arrives, and nobody can know."""
    LOSE_REPLY = "lose_reply"
    """It takes effect, the reply is lost; reports arrive."""
    RATE_LIMIT = "rate_limit"
    """The venue answers that there were too many requests; it did nothing."""


class Faults:
    """What is to go wrong next; empty in normal use."""

    def __init__(self) -> None:
        self.away = False
        """True while the connection is lost: nothing arrives on either side, and what happens is not told."""
        self.maintained = False
        """True while the venue says that it is being maintained and takes no requests."""
        self.retry_after_ms: int | None = None
        """What a RATE_LIMIT answer says about how long to wait."""
        self.lost_reports = 0
        """How many of the next private events never reach the engine."""
        self._planned: dict[Operation, deque[Fault]] = {}
        self._delays: dict[Operation, deque[float]] = {}

    def plan(self, operation: Operation, *faults: Fault) -> None:
        """Let the next requests of a kind fail, one fault each."""
        self._planned.setdefault(operation, deque()).extend(faults)

    def delay(self, operation: Operation, *seconds: float) -> None:
        """Let the next requests of a kind take longer on their way to the venue."""
        self._delays.setdefault(operation, deque()).extend(seconds)

    def take(self, operation: Operation) -> tuple[Fault | None, float]:
        """The fault and the extra delay in seconds of the request that is made now."""
        planned, delays = self._planned.get(operation), self._delays.get(operation)
        return planned.popleft() if planned else None, delays.popleft() if delays else 0.0

    def loses_report(self) -> bool:
        """Whether the private event that would be delivered now is lost."""
        if self.away:
            return True
        if self.lost_reports <= 0:
            return False
        self.lost_reports -= 1
        return True
