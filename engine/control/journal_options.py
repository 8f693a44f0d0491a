"""What the settings of the journal mean for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from storage.journal import JournalOptions, MoveRules

if TYPE_CHECKING:
    from engine.config import JournalSettings

__all__ = ["journal_options"]


def journal_options(wanted: JournalSettings) -> JournalOptions:
    """How often it keeps snapshots, and when facts move to its archive."""
    return JournalOptions(
        snapshot_every=wanted.snapshot_events,
        snapshot_seconds=wanted.snapshot_seconds,
        snapshots_kept=wanted.snapshots_kept,
        moves=MoveRules(hot_days=wanted.hot_days, budget_bytes=wanted.budget_megabytes * 1_000_000),
    )
