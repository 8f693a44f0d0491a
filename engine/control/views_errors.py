"""Views of what went wrong: errors counted, notices, patterns, reports, and recoveries. Times are UTC nanoseconds."""

from __future__ import annotations

from typing import Any

from engine.control.views import View

__all__ = ["ErrorPage", "ErrorReport", "ErrorRow", "NoticeRow", "PatternRow", "RecoveryRow"]


class ErrorRow(View, frozen=True, kw_only=True):
    """Identical errors of about five minutes."""

    id: str
    """Key of its row; empty for one that is only in memory."""
    severity: str
    """critical, high, medium or low."""
    component: str
    operation: str
    kind: str
    message: str
    count: int
    first: int
    last: int
    correlation: str
    """Operation or signal that led to it; empty where none did."""
    context: dict[str, Any]
    """Inputs without secrets, related order, position or bot, and the stack."""


class ErrorPage(View, frozen=True, kw_only=True):
    """One page of errors, the last seen first."""

    rows: tuple[ErrorRow, ...]
    page: int
    pages: int
    total: int
    stored: bool
    """False while the report database is away: the rows are those that the engine remembers."""


class NoticeRow(View, frozen=True, kw_only=True):
    """Something that a person should know now."""

    number: int
    """Counts up by one from 1 within a process."""
    ts: int
    severity: str
    component: str
    text: str


class PatternRow(View, frozen=True, kw_only=True):
    """A pattern recognised in errors."""

    pattern: str
    component: str
    words: str
    rising: bool
    occurrences: int
    first: int
    last: int


class ErrorReport(View, frozen=True, kw_only=True):
    """A report of the error analytics."""

    kind: str
    """daily, weekly or trend."""
    start: int
    end: int
    content: dict[str, Any]


class RecoveryRow(View, frozen=True, kw_only=True):
    """A failure outside, and what was done about it."""

    scenario: str
    subject: str
    cause: str
    began: int
    steps: tuple[str, ...]
    outcome: str
    """Empty while it is under way."""
    succeeded: bool
    duration_ms: int
