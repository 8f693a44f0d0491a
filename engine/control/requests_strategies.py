"""Requests about strategies of one's own: begun from a template, and checked."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from engine.control.requests import Request

__all__ = ["CheckStrategy", "NewStrategy"]


class NewStrategy(Request):
    """A strategy file to begin with."""

    name: str = Field(description="Its name: lower-case letters, digits and _, such as my_trend.")
    template: Literal["trend", "reversion", "breakout", "quoting", "blank"] = Field(
        "trend", description="What it begins as."
    )


class CheckStrategy(Request):
    """A strategy to be checked."""

    strategy: str = Field(description="Strategy's name, or the path of a file that ends in .py.")
    params: dict[str, bool | int | float | str] = Field(
        default_factory=dict, description="Parameters that differ from the defaults."
    )
    venue: str | None = Field(None, description="Venue of stored candles to check it on; none chooses by itself.")
    symbol: str | None = Field(None, description="Symbol of those candles, such as BTC/USDT.")
    timeframe: str | None = Field(None, description="Length of a bar; none takes the strategy's own.")
    bars: int = Field(1500, ge=300, le=20_000, description="Bars of each history, the newest ones.")
