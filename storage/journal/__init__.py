"""The journal: the one truth on disk, written before anything leaves the engine."""

from __future__ import annotations

from storage.journal.contract import FactJournal, JournalOptions, MoveRules
from storage.journal.follower import JOURNAL_FORMAT, Follower, Successor, stored_epoch
from storage.journal.journal import Journal
from storage.journal.memory import MemoryJournal
from storage.journal.reader import AsyncReader, Page, Query, Reader
from storage.journal.recovery import Recovered, replay

__all__ = [
    "JOURNAL_FORMAT",
    "AsyncReader",
    "FactJournal",
    "Follower",
    "Journal",
    "JournalOptions",
    "MemoryJournal",
    "MoveRules",
    "Page",
    "Query",
    "Reader",
    "Recovered",
    "Successor",
    "replay",
    "stored_epoch",
]
