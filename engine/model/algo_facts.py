"""Facts about parent orders: opened, paused, resumed, accelerated, asked to end, ended.

What is executed of a parent is not among them: it follows from the executions of its orders.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from engine.model.algos import ParentStatus, Plan
from engine.model.ids import AccountId, InstrumentId, Owner, ParentId
from engine.model.order import Decision, OrderSide

__all__ = [
    "ParentAccelerated",
    "ParentCancelRequested",
    "ParentEnded",
    "ParentOpened",
    "ParentPaused",
    "ParentResumed",
]


class _Fact(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag=True, tag_field="t"):
    """Base of the facts; the tag is the class name."""


class ParentOpened(_Fact, frozen=True, kw_only=True):
    """A parent order begins; its whole quantity has passed the risk gate. Reserves nothing: its orders do."""

    parent: ParentId
    account: AccountId
    instrument: InstrumentId
    owner: Owner
    side: OrderSide
    quantity: Decimal
    plan: Plan
    decision: Decision
    """Why, and the market when it was decided."""
    arrival: Decimal | None = None
    """Mark at which it begins."""
    max_slippage: Decimal | None = None
    reduce_only: bool = False


class ParentPaused(_Fact, frozen=True, kw_only=True):
    """It places nothing that enters until it is resumed, and its clock stands."""

    parent: ParentId
    reason: str


class ParentResumed(_Fact, frozen=True, kw_only=True):
    """It goes on after a pause."""

    parent: ParentId


class ParentAccelerated(_Fact, frozen=True, kw_only=True):
    """Its clock runs at another pace from now on."""

    parent: ParentId
    pace: int
    """Percent of time's own pace."""


class ParentCancelRequested(_Fact, frozen=True, kw_only=True):
    """It shall end; it places nothing more, and its orders are cancelled."""

    parent: ParentId
    reason: str
    stopped: bool = False
    """Whether it ends by itself, because of a limit of its own, and nobody asked for it."""


class ParentEnded(_Fact, frozen=True, kw_only=True):
    """It has ended; none of its orders works any more."""

    parent: ParentId
    status: ParentStatus
    """One of the ended ones."""
    reason: str
