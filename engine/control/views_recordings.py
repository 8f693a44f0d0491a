"""Views of recordings: what was recorded when, for which bots, and what is missing."""

from __future__ import annotations

from engine.control.views import View

__all__ = ["RecordedMarket", "RecordingRow"]


class RecordedMarket(View, frozen=True, kw_only=True):
    """One market of a recording."""

    instrument: str
    gaps: int
    bytes: int


class RecordingRow(View, frozen=True, kw_only=True):
    """One recorded session."""

    id: str
    start: int
    """UTC nanoseconds of its beginning; of what is left, where its oldest parts made place."""
    end: int
    """UTC nanoseconds of its end; where it was cut off by a crash, of its last part's beginning."""
    state: str
    """running, complete, or cut off."""
    markets: tuple[RecordedMarket, ...]
    bots: tuple[str, ...]
    """Name and strategy of each, as `name: strategy@version`."""
    gaps: int
    bytes: int
    release: str
    folder: str
    """Where it is; `paper.replay_file` takes it."""
