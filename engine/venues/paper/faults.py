"""Faults that tests inject into the paper venue: refused connections, lost requests, replies and reports, delays."""

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


class Faults:
    """What is to go wrong next; empty in normal use."""

    def __init__(self) -> None:
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
        if self.lost_reports <= 0:
            return False
        self.lost_reports -= 1
        return True
