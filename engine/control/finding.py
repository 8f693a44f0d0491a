"""What a check of a home folder finds: how one thing is, in words, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["FAILED", "OFF", "OK", "WARNING", "Finding"]

OK, WARNING, FAILED, OFF = "ok", "warning", "failed", "off"


@dataclass(frozen=True, slots=True)
class Finding:
    """How one thing is."""

    name: str
    state: str
    words: str
    advice: str = ""
    """What to do; empty when nothing need be done."""
