"""What may be asked about the exits of a position: a stop, a target, or both."""

from __future__ import annotations

from typing import Any

from pydantic import Field, field_validator

from engine.control.requests import LIVE_ORDER, Amount, Request, exact_amount
from engine.model.order import OrderSide

__all__ = ["PlaceExits", "PreviewExits"]


class PreviewExits(Request):
    """Exits as somebody thinks of them; what is left out is proposed."""

    instrument: str = Field(description="Instrument id, such as SIM:BTC/USDT.")
    side: OrderSide = Field(description="sell to leave a long position, buy to leave a short one.")
    quantity: Amount | None = Field(
        None, gt=0, description="Base units, or contracts of a derivative; none for all of the position."
    )
    stop_price: Amount | None = Field(None, gt=0, description="Trigger of the stop.")
    target_price: Amount | None = Field(None, gt=0, description="Trigger of the take-profit order.")
    account: str = Field("", max_length=64, description="Account; none for the first one of the instrument's venue.")

    @field_validator("quantity", "stop_price", "target_price", mode="before")
    @classmethod
    def _exact(cls, value: Any) -> Any:
        return exact_amount(value)


class PlaceExits(PreviewExits):
    """A stop and a target of which the end of one is the end of the other; or one of them alone."""

    quantity: Amount = Field(gt=0, description="Base units; contracts of a derivative.")
    reduce_only: bool = Field(default=True, description="Never open anything with them.")
    reason: str = Field("manual exits", max_length=200, description="Why, for the record.")
    live: str = Field("", max_length=64, description=LIVE_ORDER)
