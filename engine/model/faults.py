"""How bad an error is, and how a technical breaker stands."""

from __future__ import annotations

import enum

__all__ = ["BreakerState", "Severity"]


class Severity(enum.StrEnum):
    """How bad an event is."""

    CRITICAL = "critical"
    """The system fails, data is damaged, or security is at stake."""
    HIGH = "high"
    """Trading has stopped somewhere, or a limit is breached."""
    MEDIUM = "medium"
    """Slower, or with doubtful data."""
    LOW = "low"
    """Worth a line in the log."""

    @property
    def rank(self) -> int:
        """0 for the least, 3 for the worst."""
        return _RANKS[self]

    @property
    def next(self) -> Severity:
        """One step worse; critical stays critical."""
        return _ORDER[min(self.rank + 1, len(_ORDER) - 1)]


_ORDER = (Severity.LOW, Severity.MEDIUM, Severity.HIGH, Severity.CRITICAL)
_RANKS = {severity: rank for rank, severity in enumerate(_ORDER)}


class BreakerState(enum.StrEnum):
    """Position of a breaker."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"
