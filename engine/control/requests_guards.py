"""Requests about breakers and locks that an operator opens, places or lifts."""

from __future__ import annotations

from pydantic import Field

from engine.control.requests import LIVE_WORDS, Reason

__all__ = ["PlaceLock", "TripBreaker", "Unlock"]


class TripBreaker(Reason):
    """Open a breaker by hand, or keep an open one open."""

    breaker: str = Field(max_length=64, description="Its name.")
    scope: str = Field(
        "", max_length=128, description="Account, instrument or `engine`; none where it is judged for one thing only."
    )


class PlaceLock(Reason):
    """Keep bots from opening anything for some time."""

    scope: str = Field(
        "engine", max_length=128, description="`engine`, `venue:NAME`, `instrument:NAME` or a bot's name or id."
    )
    seconds: float = Field(3600.0, gt=0, le=2_592_000, description="For how long.")


class Unlock(Reason):
    """End a lock before its time."""

    lock: str = Field(max_length=192, description="Its id.")
    live: str = Field("", max_length=64, description=LIVE_WORDS)
