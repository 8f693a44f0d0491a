"""Which recordings make place: the oldest first, by age and by quota. Plain and without files."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Piece", "Shelved", "surplus"]


class Piece(msgspec.Struct, frozen=True):
    """One part of a session on disk."""

    path: str
    """Relative to the session."""
    start: int
    """UTC nanoseconds at which it begins."""
    bytes: int


class Shelved(msgspec.Struct):
    """A session on disk."""

    id: str
    start: int
    """UTC nanoseconds."""
    pieces: list[Piece]
    """In order of time."""
    last: int = 0
    """UTC nanoseconds up to which it goes at least: the end, else the start of its last piece."""

    @property
    def bytes(self) -> int:
        """Size of all its pieces."""
        return sum(piece.bytes for piece in self.pieces)


def surplus(sessions: Sequence[Shelved], running: str, quota: int, oldest: int) -> tuple[list[Shelved], list[Piece]]:
    """What is to be removed: whole sessions, the oldest first, and then the oldest pieces of the running one.

    The newest piece of the running session always stays.

    Args:
        sessions: All that are there.
        running: Id of the session that is being recorded; empty for none.
        quota: Bytes that all together may take.
        oldest: UTC nanoseconds; what ended before is too old.
    """
    total = sum(session.bytes for session in sessions)
    gone: list[Shelved] = []
    ended = sorted((s for s in sessions if s.id != running), key=lambda s: (s.last, s.start, s.id))
    for session in ended:
        if session.last >= oldest and total <= quota:
            break
        gone.append(session)
        total -= session.bytes
    own = next((s.pieces for s in sessions if s.id == running), [])
    cut: list[Piece] = []
    for piece, following in pairwise(own):
        # A piece goes on until the one after it begins.
        if following.start >= oldest and total <= quota:
            break
        cut.append(piece)
        total -= piece.bytes
    return gone, cut
