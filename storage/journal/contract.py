"""What the engine asks of a journal, durable or in memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from engine.errors import JournalError, StaleEpochError
    from engine.events import Record

__all__ = ["DurableCallback", "FactJournal", "FailureCallback", "JournalOptions", "MoveRules"]

DurableCallback = Callable[[int], None]
"""Called with the durable sequence after it has grown."""
FailureCallback = Callable[["JournalError | StaleEpochError"], None]
"""Called once, when the journal can write no more."""


class FactJournal(Protocol):
    """Where numbered facts become durable, in order and without a gap."""

    @property
    def durable_seq(self) -> int:
        """Number of the last fact that would survive a power loss; never falls."""

    @property
    def failure(self) -> JournalError | StaleEpochError | None:
        """Why nothing becomes durable any more; None while all is well."""

    def append(self, record: Record) -> None:
        """Queue the next fact; never blocks. Raises JournalError once the journal has failed."""

    async def wait_durable(self, seq: int) -> None:
        """Return when the fact of that number is durable. Raises JournalError when it never will be."""

    def on_durable(self, callback: DurableCallback) -> None:
        """Call a function whenever the durable sequence has grown; several commits may share one call."""

    def on_failure(self, callback: FailureCallback) -> None:
        """Call a function when the journal fails; at once when it has failed already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveRules:
    """What moves, and in which portions."""

    hot_days: float = 90.0
    """Facts that are older than this, counted from the newest one, move."""
    budget_bytes: int = 0
    """When the journal's files take more than 80 % of this, facts move whatever their age; 0 means no limit."""
    segment_facts: int = 50_000
    """Facts in a segment; fewer do not move."""
    delete_facts: int = 200
    """Rows deleted at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalOptions:
    """How the durable journal works; the defaults are what production uses."""

    queue_limit: int = 100_000
    """Facts that may wait for the writer; one more means that the disk does not follow, and the journal fails."""
    group_limit: int = 4_096
    """Most facts in one commit."""
    mark_interval_s: float = 0.02
    """Shortest time between two syncs of the high-water mark."""
    checkpoint_pages: int = 2_000
    """Pages (4 KiB) of write-ahead log after which they are copied into the database, beside the writer."""
    busy_timeout_s: float = 5.0
    """How long to wait for another process that is writing to the same file."""
    snapshot_every: int = 10_000
    """Facts between two snapshots; 0 cuts none."""
    snapshot_seconds: float = 900.0
    """Time after which even fewer facts are worth a snapshot."""
    snapshots_kept: int = 3
    full_check_below: int = 100_000
    """Journals with no more facts than this are verified from the first fact at every start."""
    moves: MoveRules = field(default_factory=MoveRules)
    """Which facts move to the archive, and the disk budget."""
