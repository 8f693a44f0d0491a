"""What may be asked about leverage and margin."""

from __future__ import annotations

from typing import Any

from pydantic import Field, field_validator

from engine.control.requests import LIVE_WORDS, Amount, Request, exact_amount
from engine.model.margin import MarginMode

__all__ = ["MarginQuery", "SetMargin"]


class MarginQuery(Request):
    """One instrument of one account."""

    instrument: str = Field(description="Perpetual, such as BINANCEUSDM:BTC/USDT:USDT.")
    account: str = Field("", description="Account; none for the first one of the instrument's venue.")


class SetMargin(MarginQuery):
    """Leverage and margin mode that shall hold."""

    leverage: Amount = Field(ge=1, le=200, description="Value of a position over its margin; 1 borrows nothing.")
    mode: MarginMode = Field(
        MarginMode.ISOLATED, description="isolated: its own margin stands for a position; cross: the whole account."
    )
    live: str = Field("", max_length=64, description=LIVE_WORDS)

    @field_validator("leverage", mode="before")
    @classmethod
    def _exact(cls, value: Any) -> Any:
        return exact_amount(value)
