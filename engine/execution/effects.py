"""Effects outside: what is asked of a venue once the facts behind it are durable."""

from __future__ import annotations

from decimal import Decimal
from typing import Protocol

import msgspec

from engine.model.ids import AccountId, ClientOrderId, InstrumentId
from engine.model.venue import OrderCommand

__all__ = ["AmendEffect", "CancelEffect", "Effect", "Outbox", "PlaceEffect"]


class PlaceEffect(msgspec.Struct, frozen=True, kw_only=True):
    """Send an order."""

    seq: int
    """The fact that must be durable first."""
    command: OrderCommand
    opens: bool = False
    """Whether it may open or enlarge a position in a derivative."""
    correlation: str = ""
    """Operation or signal that led to it."""


class CancelEffect(msgspec.Struct, frozen=True, kw_only=True):
    """Ask the venue to cancel an order."""

    seq: int
    account: AccountId
    instrument: InstrumentId
    client_id: ClientOrderId
    correlation: str = ""


class AmendEffect(msgspec.Struct, frozen=True, kw_only=True):
    """Ask the venue to change a working order; None keeps the value."""

    seq: int
    account: AccountId
    instrument: InstrumentId
    client_id: ClientOrderId
    quantity: Decimal | None = None
    price: Decimal | None = None
    stop_price: Decimal | None = None
    opens: bool = False
    """As in `PlaceEffect`."""
    correlation: str = ""


Effect = PlaceEffect | CancelEffect | AmendEffect


class Outbox(Protocol):
    """Takes effects from the synchronous order path and carries them out later, in order."""

    def put(self, effect: Effect) -> None:
        """Queue an effect; returns at once."""
