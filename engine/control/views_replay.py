"""Views of the time machine: where a replay stands, and what sessions there are."""

from __future__ import annotations

from engine.control.views import View

__all__ = ["ReplayView", "SessionRow"]


class ReplayView(View, frozen=True, kw_only=True):
    """Where a replay stands; times are UTC nanoseconds."""

    seq: int
    """Number of the last fact that has happened."""
    ts: int
    last_seq: int
    first_ts: int
    last_ts: int
    playing: bool
    speed: float
    """How many times as fast as it was."""
    busy: str = ""
    """What is being read; empty when it stands ready."""
    note: str = ""
    """A sentence for the person, such as that the end is reached."""


class SessionRow(View, frozen=True, kw_only=True):
    """What one engine process booked; times are UTC nanoseconds."""

    number: int
    """Counted from 1, the oldest."""
    first: int
    """Number of its first fact."""
    last: int
    begin: int
    end: int
    release: str
    pid: int
    orderly: bool
    """Whether its end is booked; else it was killed, handed over, or still runs."""
