"""What may be asked about how an order is best executed."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator

from engine.control.requests import LIVE_ORDER, Amount, Request, exact_amount
from engine.model.order import OrderSide

__all__ = ["EstimateOrder", "PlaceRoute", "RouteOrder"]


class EstimateOrder(Request):
    """An order whose impact is to be estimated."""

    instrument: str = Field(description="Instrument, such as SIM:BTC/USDT.")
    side: OrderSide = Field(description="buy or sell.")
    quantity: Amount = Field(gt=0, description="Base units; contracts of a derivative.")
    urgency: float = Field(0.5, ge=0, le=1, description="0 is patient, 1 is now.")
    algorithm: Literal["auto", "twap", "vwap", "implementation_shortfall"] = Field(
        "auto", description="Schedule whose cost is wanted; auto for the one that fits."
    )
    duration_s: float = Field(1800, gt=0, le=604_800, description="Its window; auto has its own.")
    slices: int = Field(10, ge=1, le=1000, description="Its slices; auto has its own.")

    @field_validator("quantity", mode="before")
    @classmethod
    def _exact(cls, value: Any) -> Any:
        return exact_amount(value)


class RouteOrder(Request):
    """An order that may be split over the venues that trade the same."""

    symbol: str = Field(description="What is traded, such as BTC/USDT; a venue before it is left aside.")
    side: OrderSide = Field(description="buy or sell.")
    quantity: Amount = Field(gt=0, description="Base units of all parts together.")
    accounts: list[str] = Field(default=[], description="Only these accounts; none named means all.")

    @field_validator("quantity", mode="before")
    @classmethod
    def _exact(cls, value: Any) -> Any:
        return exact_amount(value)


class PlaceRoute(RouteOrder):
    """The same, to be sent."""

    slippage: Amount = Field(
        "0.001", ge=0, le=1, description="By which fraction a part may be worse than its last needed level.",
        validate_default=True,
    )  # fmt: skip
    reason: str = Field("routed order", max_length=200, description="Why, for the record.")
    live: str = Field("", max_length=64, description=LIVE_ORDER)

    @field_validator("slippage", mode="before")
    @classmethod
    def _exact_slippage(cls, value: Any) -> Any:
        return exact_amount(value)
