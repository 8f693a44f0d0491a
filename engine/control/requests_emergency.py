"""What may be asked in an emergency beside the stop itself, and about dust."""

from __future__ import annotations

from pydantic import Field

from engine.control.requests import Request, Scoped, StopPolicy

__all__ = ["CloseAll", "ListDust", "PauseAll", "StopAll"]


class PauseAll(Scoped):
    """Which bots shall enter nothing."""


class StopAll(Scoped):
    """Which bots shall stop, and what becomes of what they have."""

    positions: StopPolicy = Field("cancel_orders", description="Leave all, cancel orders, or close positions.")


class CloseAll(Scoped):
    """Which positions to close at the market."""


class ListDust(Request):
    """Whose dust."""

    account: str = Field("", max_length=64, description="Only this account's.")
