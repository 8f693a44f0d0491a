"""Requests about moving in from another program."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from engine.control.requests import Request

__all__ = ["MoveIn"]


class MoveIn(Request):
    """Another program's files, to be taken over."""

    program: Literal["freqtrade", "hummingbot", "jesse"] = Field(description="Whose files they are.")
    path: str = Field(min_length=1, description="Its folder, or one file of it.")
    venue: str = Field("", max_length=40, description="Venue of candles whose files do not say it.")
    replace: bool = Field(default=False, description="Let new candles take the place of different stored ones.")
    dry_run: bool = Field(default=False, description="Say what would be done, and do nothing.")
