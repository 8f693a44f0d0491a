"""Requests about universes."""

from __future__ import annotations

from typing import Any

from pydantic import Field, field_validator

from engine.control.requests import Request
from engine.control.requests_research import Ranged

__all__ = ["PreviewUniverse"]


class PreviewUniverse(Request):
    """A universe to look at: that of a bot, or a rule that need not exist yet."""

    bot: str | None = Field(None, description="A bot on a universe; its rule and last refresh are shown.")
    venue: str | None = Field(None, description="Venue of a rule that is not a bot's, such as binance.")
    rule: dict[str, Any] = Field(default_factory=dict, description="Its values, such as quote=USDT,top=20.")
    stored: bool = Field(default=False, description="Look at stored candles, not at what the venue says now.")
    at: int | None = Field(None, description="Moment in stored candles: a day or an ISO time, UTC; none for the last.")
    all: bool = Field(default=False, description="Show those that do not fulfil the rule too.")

    @field_validator("at", mode="before")
    @classmethod
    def _a_moment(cls, value: Any) -> Any:
        return Ranged.model_validate({"start": value}).start if value is not None else None
