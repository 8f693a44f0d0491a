"""How much room a journal takes, part by part, and how much the disk has left."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from storage.journal.archive import archive_folder

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["ALERT_SHARE", "LEAST_FREE", "Usage", "WARNING_SHARE", "measure"]

WARNING_SHARE = 0.8
ALERT_SHARE = 1.0
LEAST_FREE = 256 * 1024 * 1024
"""Bytes free on the disk below which it counts as nearly full."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Bytes of one journal's files."""

    live: int
    """The file and its write-ahead log."""
    snapshots: int
    archive: int
    free: int
    """Free on the disk."""
    budget: int = 0
    """0 when there is none."""

    @property
    def total(self) -> int:
        """All of the journal's files."""
        return self.live + self.snapshots + self.archive

    @property
    def share(self) -> float:
        """Part of the budget in use; 0 without one."""
        return self.total / self.budget if self.budget else 0.0

    @property
    def nearly_full(self) -> bool:
        """Whether the disk is about to take nothing more."""
        return self.free < LEAST_FREE

    @property
    def alarming(self) -> bool:
        """Whether the budget is used up or the disk is nearly full."""
        return self.share >= ALERT_SHARE or self.nearly_full

    @property
    def words(self) -> str:
        """What a person should know when the budget or the disk runs out; empty while all is well."""
        if self.nearly_full:
            return (
                f"Only {self.free / 1e6:.0f} MB are free on the journal's disk; at 0 the engine halts. Free space now; "
                "`quarterdeck doctor` shows what takes how much."
            )
        if self.share < WARNING_SHARE:
            return ""
        return (
            f"The journal takes {self.total / 1e6:.0f} MB, {self.share:.0%} of its budget of {self.budget / 1e6:.0f} "
            "MB (journal.budget_megabytes). Facts go on being written; make room for them on the disk, then raise the "
            "budget."
        )


def measure(path: Path, budget: int = 0) -> Usage:
    """Look at the files of a journal. Raises OSError when its folder cannot be read."""
    live = sum(_size(path.with_name(path.name + suffix)) for suffix in ("", "-wal", "-shm"))
    free = shutil.disk_usage(path.parent).free
    return Usage(live, _size_of(path.with_suffix(".snapshots")), _size_of(archive_folder(path)), free, budget)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        # It may have been renamed or removed since it was listed.
        return 0


def _size_of(folder: Path) -> int:
    return sum(_size(entry) for entry in folder.iterdir()) if folder.is_dir() else 0
