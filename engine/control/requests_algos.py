"""What may be asked about algorithms: parent orders that are traded in parts, and stops that follow the market."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Literal, get_args

from pydantic import Field, field_validator

from engine.control.requests import LIVE_ORDER, Amount, Request, exact_amount
from engine.model.order import OrderSide

__all__ = [
    "ALGORITHMS",
    "AccelerateAlgo",
    "AlgoName",
    "CancelAlgo",
    "ListAlgos",
    "PauseAlgo",
    "ResumeAlgo",
    "StartAlgo",
]

Algorithm = Literal[
    "auto",
    "market",
    "chase",
    "peg",
    "twap",
    "vwap",
    "implementation_shortfall",
    "pov",
    "iceberg",
    "bracket",
    "trailing",
]
LIVE_ALGO = "VENUE/account, typed to let it send real money again, or faster, without an armed console."
ALGORITHMS: tuple[str, ...] = get_args(Algorithm)


class StartAlgo(Request):
    """A parent order; fields that its algorithm does not know are not used."""

    instrument: str = Field(description="Instrument, such as SIM:BTC/USDT.")
    side: OrderSide = Field(description="buy or sell; of a trailing stop the side that leaves the position.")
    quantity: Amount = Field(gt=0, description="Base units of the whole; contracts of a derivative.")
    algorithm: Algorithm = Field("twap", description=f"One of {', '.join(ALGORITHMS)}.")
    account: str = Field("", max_length=64, description="Account; none for the first one of the instrument's venue.")
    price: Amount | None = Field(
        None, gt=0, description="Worst price; the price of an iceberg; of a bracket the entry's limit, none for market."
    )
    post_only: bool = Field(default=False, description="Never take liquidity (chase, peg, iceberg).")
    reduce_only: bool = Field(default=False, description="Only shrink a position.")
    every_s: float | None = Field(
        None, ge=0.1, le=86_400, description="Seconds between two prices or orders; none for 5, trailing stops 1."
    )
    steps: int = Field(5, ge=1, le=100, description="Steps of a chase from the own side's best price to the other's.")
    duration_s: float = Field(1800, gt=0, le=604_800, description="Seconds over which a schedule trades.")
    slices: int = Field(10, ge=1, le=1000, description="Slices of a schedule.")
    jitter: Amount = Field(
        Decimal("0.1"), ge=0, le=Decimal("0.4"), description="Fraction by which sizes and times are varied."
    )
    participation: Amount | None = Field(
        None, gt=0, le=1, description="Share of the market's volume: most for schedules; vwap and pov: 0.1."
    )
    urgency: float = Field(0.5, ge=0, le=1, description="0 is patient, 1 is now (auto, implementation_shortfall).")
    passive: bool = Field(default=False, description="Let each slice rest until the next one is due, then take it.")
    display: Amount | None = Field(None, gt=0, description="Quantity an iceberg shows; none for a tenth of it.")
    stop_price: Amount | None = Field(None, gt=0, description="Trigger of a bracket's stop.")
    target_price: Amount | None = Field(None, gt=0, description="Trigger of a bracket's target.")
    trail: Amount | None = Field(None, gt=0, lt=1, description="Distance of a trailing stop as a fraction.")
    trail_amount: Amount | None = Field(None, gt=0, description="The distance in quote currency instead.")
    trail_atr: Amount | None = Field(None, gt=0, description="The distance in average true ranges (14 x 1h) instead.")
    activation: Amount | None = Field(None, gt=0, description="Price from which on a stop trails; none for at once.")
    max_slippage: Amount | None = Field(
        None,
        gt=0,
        lt=1,
        description="Fraction worse than at the start at which it stops itself; none for no limit. Not for trailing.",
    )
    reason: str = Field("manual order", max_length=200, description="Why, for the record.")
    live: str = Field("", max_length=64, description=LIVE_ORDER)

    @field_validator(
        "quantity", "price", "jitter", "participation", "display", "stop_price", "target_price", "trail",
        "trail_amount", "trail_atr", "activation", "max_slippage",
        mode="before",
    )  # fmt: skip
    @classmethod
    def _exact(cls, value: Any) -> Any:
        return exact_amount(value)


class AlgoName(Request):
    """One parent order."""

    id: str = Field(min_length=1, max_length=64, description="Its name, such as twap-1042.")


class PauseAlgo(AlgoName):
    """Which parent order shall wait."""

    reason: str = Field("asked by the operator", max_length=200, description="Why, for the record.")


class ResumeAlgo(AlgoName):
    """Which parent order shall go on."""

    live: str = Field("", max_length=64, description=LIVE_ALGO)


class AccelerateAlgo(AlgoName):
    """Which parent order shall be faster."""

    factor: Amount = Field(
        Decimal(2), ge=Decimal("0.1"), le=100, description="How many times faster; below 1 is slower."
    )
    live: str = Field("", max_length=64, description=LIVE_ALGO)

    @field_validator("factor", mode="before")
    @classmethod
    def _exact(cls, value: Any) -> Any:
        return exact_amount(value)


class CancelAlgo(AlgoName):
    """Which parent order shall end."""

    reason: str = Field("asked by the operator", max_length=200, description="Why, for the record.")


class ListAlgos(Request):
    """Which parent orders to list."""

    ended: bool = Field(default=False, description="The last ended ones; else those that run.")
    instrument: str | None = Field(None, description="Only this instrument's.")
    owner: str | None = Field(None, description="Only this owner's: a bot's name or id, or `manual`.")
    limit: int = Field(100, ge=1, le=500, description="Most entries, newest first.")
