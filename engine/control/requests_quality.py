"""What may be asked about execution quality."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator

from engine.control.requests import Request
from engine.control.requests_research import moment

__all__ = ["QualityOf", "QualitySummary", "QualityTrades"]

By = Literal["venue", "symbol", "bot", "strategy", "algorithm", "type", "parent", "all"]


class QualitySummary(Request):
    """Which orders to put together, and by what."""

    by: By = Field("venue", description="venue, symbol, bot, strategy, algorithm, type, parent or all.")
    since: int | None = Field(
        None, description="Only orders from then on: a day, an ISO time or UTC nanoseconds; none for all."
    )
    instrument: str | None = Field(None, description="Only this instrument's.")
    owner: str | None = Field(None, description="Only this owner's: a bot's name or id, or `manual`.")

    @field_validator("since", mode="before")
    @classmethod
    def _moment(cls, value: Any) -> Any:
        return moment(value)


class QualityTrades(Request):
    """Which trades to list."""

    instrument: str | None = Field(None, description="Only this instrument's.")
    owner: str | None = Field(None, description="Only this owner's: a bot's name or id, or `manual`.")
    open: bool | None = Field(None, description="Only those that hold something (true) or that are over (false).")
    page: int = Field(1, ge=1, description="Page, from 1.")
    size: int = Field(50, ge=1, le=200, description="Trades a page.")


class QualityOf(Request):
    """One trade, by any name that leads to it."""

    id: str = Field(
        min_length=1,
        max_length=128,
        description="Of the trade, an order (ours or the venue's), an execution or a parent order; a bot or an "
        "instrument for its last trade.",
    )
