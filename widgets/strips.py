"""Lines that cost what they hold: a strip whose caches are made when something is first put into them.

Each of Textual's strips carries seven caches, most of them for life unused. A console makes thousands of lines a
minute; their caches were two thirds of all that the collector of garbage had to look through.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.segment import Segment
from textual.cache import FIFOCache
from textual.strip import Strip

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["LeanStrip"]

_ROOMS = {
    "_divide_cache": 4,
    "_crop_cache": 16,
    "_style_cache": 16,
    "_filter_cache": 4,
    "_line_length_cache": 4,
    "_crop_extend_cache": 4,
    "_offsets_cache": 4,
}


class LeanStrip(Strip):
    """A strip without caches until one is used.

    Args:
        segments: The parts of the line.
        cell_length: Its cells; None has them counted when they are asked for.
    """

    __slots__ = ()

    def __init__(self, segments: Iterable[Segment], cell_length: int | None = None) -> None:
        # Not the base's constructor, which makes the caches.
        self._segments = list(segments)
        self._cell_length = cell_length
        self._render_cache = None
        self._link_ids = None
        self._cell_count = None

    def __getattr__(self, name: str) -> Any:
        room = _ROOMS.get(name)
        if room is None:
            raise AttributeError(name)
        cache: FIFOCache[Any, Any] = FIFOCache(room)
        setattr(self, name, cache)
        return cache

    def divide(self, cuts: Iterable[int]) -> Sequence[Strip]:
        """Return the parts of the line between the cuts, which are cells counted from its beginning."""
        ends = tuple(cut for cut in cuts if cut <= self.cell_length)
        if ends == (self.cell_length,):
            return [self]
        known: Sequence[Strip] | None = self._divide_cache.get(ends)
        if known is None:
            widths = [end - start for start, end in zip((0, *ends), ends, strict=False)]
            parts = Segment.divide(self._segments, ends)
            known = [LeanStrip(part, width) for part, width in zip(parts, widths, strict=False)]
            self._divide_cache[ends] = known
        return known
