"""The archive beside a journal: a folder of segments that hold its oldest facts without a gap.

Up to which number facts count as archived stands in the live file, so that a fact is never seen twice and never missed
while facts are being moved: a segment is complete before the live file lets go of what is in it.
"""

from __future__ import annotations

import os
import re
from bisect import bisect_left
from collections import OrderedDict
from typing import TYPE_CHECKING

import msgspec

from engine.errors import StateCorruptionError
from storage.journal.codec import genesis, link
from storage.journal.schema import sync_folder
from storage.journal.segment import Segment

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from storage.journal.segment import ArchivedRow, Block

__all__ = ["Archive", "LostFacts", "archive_folder", "file_of"]

_NAME = re.compile(r"facts-(\d{12})-(\d{12})\.segment")
_LOST = "lost.json"
BLOCKS_KEPT = 8
"""Unpacked blocks kept, some 200 KiB each."""


def archive_folder(path: Path) -> Path:
    """The folder of archived facts that belongs to a journal."""
    return path.with_suffix(".archive")


def file_of(connection: sqlite3.Connection) -> str:
    """The file that a connection has open."""
    found: str = connection.execute("PRAGMA database_list").fetchone()[2]
    return found


class LostFacts(msgspec.Struct, frozen=True, order=True):
    """Facts that a repair could not keep."""

    first: int
    last: int


class Archive:
    """Reads archived facts; one thread at a time may use it.

    Args:
        folder: Where the segments are; it may be missing.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._segments: list[Segment] = []
        self._blocks: OrderedDict[tuple[int, int], list[ArchivedRow]] = OrderedDict()

    def path(self, first: int, last: int) -> Path:
        """The file of a segment."""
        return self.folder / f"facts-{first:012d}-{last:012d}.segment"

    def segments(self) -> list[Segment]:
        """All segments in order, as they are now in the folder."""
        known = {segment.path.name: segment for segment in self._segments}
        names = [entry.name for entry in self.folder.iterdir()] if self.folder.is_dir() else []
        found = [(int(match[1]), int(match[2])) for match in map(_NAME.fullmatch, names) if match]
        self._segments = [
            known.get(self.path(*span).name) or Segment(self.path(*span), *span) for span in sorted(found)
        ]
        return self._segments

    def covering(self, after: int, until: int) -> list[Segment]:
        """The segments that hold the facts after one number, up to another, without a gap.

        Raises:
            StateCorruptionError: A segment is missing.
        """
        found = _within(self._segments, after, until)
        if _gap(found, after, until) is not None:
            found = _within(self.segments(), after, until)
        missing = _gap(found, after, until)
        if missing is not None:
            missing = _gap([*found, *self.lost()], after, until)
        if missing is None:
            return found
        first, last = missing
        raise StateCorruptionError(
            f"The journal's archive {self.folder} lacks the facts {first} to {last}. Bring the file back from a backup "
            "(`quarterdeck backup list`). The engine starts without it as long as it has a snapshot.",
            details={"first": first, "last": last},
        )

    # --- what a repair could not keep --------------------------------------------------------------------------------

    def lost(self) -> list[LostFacts]:
        """Facts that are known to be lost; a reader passes over them, the chain cannot be checked across them."""
        try:
            return msgspec.json.decode((self.folder / _LOST).read_bytes(), type=list[LostFacts])
        except FileNotFoundError:
            return []
        except (OSError, msgspec.MsgspecError):
            # It only spares readers a refusal; without it they refuse.
            return []

    def note_lost(self, more: list[LostFacts]) -> None:
        """Note facts that are lost. Raises OSError."""
        fresh = self.folder / f"{_LOST}.new"
        descriptor = os.open(fresh, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
        with open(descriptor, "wb") as file:
            file.write(msgspec.json.encode(sorted({*self.lost(), *more})))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self.folder / _LOST)
        sync_folder(self.folder)

    # --- rows --------------------------------------------------------------------------------------------------------

    def blocks(
        self, after: int, until: int, subject: str = "", kinds: tuple[str, ...] = (), *, backwards: bool = False
    ) -> Iterator[tuple[Segment, Block]]:
        """The blocks that may hold such facts. Raises StateCorruptionError."""
        if after >= until:
            return
        step = -1 if backwards else 1
        for segment in self.covering(after, until)[::step]:
            blocks = segment.index.blocks
            chosen = (blocks[number] for number in segment.subjects.get(subject, ())) if subject else iter(blocks)
            for block in list(chosen)[::step]:
                if block.last <= after or block.first > until:
                    continue
                if not kinds or any(kind in block.kinds for kind in kinds):
                    yield segment, block

    def unpacked(self, segment: Segment, block: Block) -> list[ArchivedRow]:
        """The rows of a block, kept for a while. Raises StateCorruptionError."""
        key = (segment.first, block.offset)
        rows = self._blocks.get(key)
        if rows is None:
            rows = self._blocks[key] = segment.rows(block)
            if len(self._blocks) > BLOCKS_KEPT:
                self._blocks.popitem(last=False)
        return rows

    def rows(
        self,
        after: int,
        until: int,
        wanted: Callable[[ArchivedRow], bool] = lambda _: True,
        subject: str = "",
        kinds: tuple[str, ...] = (),
        *,
        backwards: bool = False,
    ) -> Iterator[ArchivedRow]:
        """Rows after one number, up to another; `subject` and `kinds` only say where it is worth to look.

        Raises:
            StateCorruptionError: A segment is missing or damaged.
        """
        for segment, block in self.blocks(after, until, subject, kinds, backwards=backwards):
            rows = self.unpacked(segment, block)
            for row in reversed(rows) if backwards else rows:
                if after < row[0] <= until and wanted(row):
                    yield row

    def at(self, seq: int) -> ArchivedRow:
        """The row of a number that is archived. Raises StateCorruptionError."""
        return next(self.rows(seq - 1, seq))

    # --- places ------------------------------------------------------------------------------------------------------

    def link_at(self, journal_id: str, seq: int) -> bytes:
        """Hash of the chain at an archived number. Raises StateCorruptionError."""
        if seq == 0:
            return genesis(journal_id)
        _, block = next(self.blocks(seq - 1, seq))
        head = block.before
        for number, ts, epoch, _, _, _, body in self.rows(block.first - 1, seq):
            head = link(head, number, ts, epoch, body)
        return head

    def number_at(self, ts: int, until: int) -> int:
        """Number of the first archived fact, up to `until`, that is not older than a time; `until` + 1 when all are."""
        for segment in self.covering(0, until) if until else ():
            blocks = segment.index.blocks
            place = bisect_left(blocks, ts, key=lambda block: block.last_ts)
            if place < len(blocks):
                rows = self.unpacked(segment, blocks[place])
                return min(rows[bisect_left(rows, ts, key=lambda row: row[1])][0], until + 1)
        return until + 1


def _within(segments: list[Segment], after: int, until: int) -> list[Segment]:
    return [segment for segment in segments if segment.last > after and segment.first <= until]


def _gap(found: Sequence[Segment | LostFacts], after: int, until: int) -> tuple[int, int] | None:
    """The first facts that no segment holds; None when nothing is missing."""
    reached = after
    for segment in sorted(found, key=lambda span: span.first):
        if segment.first > reached + 1:
            return reached + 1, segment.first - 1
        reached = max(reached, segment.last)
    return None if reached >= until else (reached + 1, until)
