"""What may be asked of a replay."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from engine.control.requests import Request

__all__ = ["ReplayPlay", "ReplaySeek", "ReplayStep"]


class ReplaySeek(Request):
    """A place in the journal; the first of these that is given."""

    seq: int | None = Field(None, ge=1, description="Number of a fact.")
    ts: int | None = Field(None, ge=0, description="UTC nanoseconds.")
    session: int | None = Field(None, ge=1, description="Number of a session: its beginning.")


class ReplayStep(Request):
    """Some facts on or back."""

    count: int = Field(1, ge=-500, le=500, description="How many; negative goes back.")
    kind: Literal["any", "orders", "fills", "bots", "risk", "operators", "sessions"] = Field(
        "any", description="Which facts count."
    )


class ReplayPlay(Request):
    """Let time pass."""

    speed: float = Field(1.0, gt=0, le=100_000, description="How many times as fast as it was.")
