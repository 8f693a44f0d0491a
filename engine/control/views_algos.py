"""The view of a parent order: what it wants, how far it is, and why it waits."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from engine.model.algos import ParentStatus
from engine.model.ids import AccountId, InstrumentId, Owner, ParentId
from engine.model.order import OrderSide

__all__ = ["ParentRow"]


class ParentRow(msgspec.Struct, frozen=True, kw_only=True):
    """A parent order."""

    id: ParentId
    algorithm: str
    account: AccountId
    instrument: InstrumentId
    owner: Owner
    owner_name: str
    side: OrderSide
    quantity: Decimal
    executed: Decimal
    """What its orders have executed on its own side."""
    working: Decimal
    """What its open orders may still execute."""
    exited: Decimal
    """What its stop and target have executed."""
    average_price: Decimal | None
    """Of what is executed; None before the first execution."""
    arrival: Decimal | None
    """Mark at its start."""
    slippage_pct: float | None
    """Mean price against `arrival`, as a fraction; positive is worse. None before the first execution."""
    progress: float
    """Share of the quantity that is executed, 0 to 1."""
    due: float | None
    """Share that is due by its schedule, 0 to 1; None where there is none."""
    status: ParentStatus
    pace: int
    """Percent of time's own pace at which it runs."""
    level: Decimal | None
    """Where its stop is; None without one."""
    orders: int
    """Orders it has placed so far."""
    opened: int
    """UTC nanoseconds."""
    updated: int
    reason: str
    """Why it is paused, waits or ended, in words; empty while it works."""
    about: str
    """Its parameters in words."""
