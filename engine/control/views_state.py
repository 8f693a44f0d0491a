"""What the doors show of the state's own soundness: findings, rounds of checks and their trail, reports of starts."""

from __future__ import annotations

from decimal import Decimal

from engine.control.views import View
from engine.model.ids import AccountId

__all__ = ["FindingRow", "RecoveryView", "StateAuditEntry", "StateAuditPage", "StateCheckView"]


class FindingRow(View, frozen=True, kw_only=True):
    """One difference that was found, and what was done about it."""

    check: str
    subject: str
    grade: str
    """logged, reconciled, forced, corrupt or failed."""
    text: str
    discrepancy: Decimal | None
    """Size as a fraction; None when it has none."""
    correction: str
    before: str
    after: str
    standing: bool
    """It was found the round before, too."""


class StateCheckView(View, frozen=True, kw_only=True):
    """One round of checks."""

    ts: int
    account: AccountId
    checks: tuple[str, ...]
    """Those that were made."""
    findings: tuple[FindingRow, ...]
    notes: tuple[str, ...]
    """What could not be compared this time, and why."""
    duration_ms: float


class RecoveryView(View, frozen=True, kw_only=True):
    """What one start found and did before trading was allowed."""

    ts: int
    account: AccountId
    verdict: str
    """verified, or halted when somebody has to look first."""
    snapshot: int
    """Fact at which the snapshot used was cut; 0 when all facts were replayed."""
    replayed: int
    asked: int
    adopted: int
    canceled: int
    ended: int
    fills: int
    strangers: int
    duration_ms: float
    findings: tuple[FindingRow, ...]
    notes: tuple[str, ...]


class StateAuditEntry(View, frozen=True, kw_only=True):
    """One line of the trail: a check that passed, or one of its findings."""

    ts: int
    check: str
    account: str
    subject: str
    passed: bool
    discrepancy: Decimal | None
    finding: str
    correction: str


class StateAuditPage(View, frozen=True, kw_only=True):
    """One page of the trail, the newest first."""

    rows: tuple[StateAuditEntry, ...]
    page: int
    """From 1."""
    pages: int
    total: int
    """Rows on all pages."""
