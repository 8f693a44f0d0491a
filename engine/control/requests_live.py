"""What may be asked about trading real money."""

from __future__ import annotations

from typing import Any

from pydantic import Field, field_validator

from engine.control.requests import Amount, Request, exact_amount

__all__ = ["ArmLive", "Consenting", "LiveAccount"]


class LiveAccount(Request):
    """One account that trades real money."""

    account: str = Field(description="Account, such as test-binance.")


class ArmLive(LiveAccount):
    """Arm this console."""

    typed: str = Field(description="VENUE/account, typed by the person.")
    minutes: float | None = Field(None, gt=0, le=480, description="For how long; none for the settings' time.")
    max_order: Amount | None = Field(None, gt=0, description="Most one order may be worth, in the base currency.")
    max_total: Amount | None = Field(None, gt=0, description="Most all orders together may be worth.")

    @field_validator("max_order", "max_total", mode="before")
    @classmethod
    def _exact(cls, value: Any) -> Any:
        return exact_amount(value)


class Consenting(LiveAccount):
    """Let an account trade real money from this home folder."""

    typed: str = Field(description="VENUE/account, typed by the person.")
