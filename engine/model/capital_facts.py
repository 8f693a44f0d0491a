"""Facts about capital: flows between pools, settled and locked profit, how pools have done, planned transfers."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from engine.model.capital import FlowCause, FundFlow, PoolMeasure, PoolResult, TransferKind
from engine.model.ids import AccountId, Currency

__all__ = [
    "CapitalPreserved",
    "FundsMoved",
    "PoolsMeasured",
    "ProfitSettled",
    "ProfitUnlockAsked",
    "ProfitUnlocked",
    "TransferEnded",
    "TransferLeft",
    "TransferPlanned",
]


class _Fact(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag=True, tag_field="t"):
    """Base of these facts; the tag is the class name."""


class FundsMoved(_Fact, frozen=True, kw_only=True):
    """Capital moved between the pools of one account; the venue holds what it held before."""

    account: AccountId
    currency: Currency
    """The account's base currency, in which all capital is given."""
    cause: FlowCause
    flows: tuple[FundFlow, ...]
    reason: str
    actor: str


class ProfitSettled(_Fact, frozen=True, kw_only=True):
    """Realised profit was taken account of: a part of it is locked, the rest went back to work."""

    account: AccountId
    currency: Currency
    profit: Decimal
    """What was made since the last settlement."""
    results: tuple[PoolResult, ...]
    """Each owner's realised result of all time, up to which profit is settled from now on."""
    flows: tuple[FundFlow, ...] = ()
    lock: str = ""
    """Id of the lock; empty where nothing was locked."""
    locked: Decimal = Decimal(0)
    unlocks_at: int = 0
    """UTC nanoseconds."""
    compounded: Decimal = Decimal(0)
    """What of it was spread over the pools."""
    actor: str = "engine"


class ProfitUnlockAsked(_Fact, frozen=True, kw_only=True):
    """Somebody asked for a lock to be opened before its time; the notice runs."""

    account: AccountId
    lock: str
    due: int
    """UTC nanoseconds at which it opens."""
    reason: str
    actor: str


class ProfitUnlocked(_Fact, frozen=True, kw_only=True):
    """A lock's profit became free."""

    account: AccountId
    lock: str
    reason: str


class CapitalPreserved(_Fact, frozen=True, kw_only=True):
    """Flows and new allocations of an account stopped, or may go on again."""

    account: AccountId
    on: bool
    reason: str
    actor: str
    currency: Currency = Currency("")
    flows: tuple[FundFlow, ...] = ()
    """What was not committed and went back to the reserve."""


class PoolsMeasured(_Fact, frozen=True, kw_only=True):
    """How the pools of an account stood at the end of a UTC day."""

    account: AccountId
    day: int
    """UTC day number (days since 1970) that ended."""
    pools: tuple[PoolMeasure, ...]


class TransferPlanned(_Fact, frozen=True, kw_only=True):
    """Money shall come in, leave, or go from one account to another; the engine itself sends nothing."""

    transfer: str
    """Its id."""
    kind: TransferKind
    currency: Currency
    amount: Decimal
    source: AccountId = AccountId("")
    """Empty where it comes from outside."""
    target: AccountId = AccountId("")
    """Empty where it leaves."""
    reason: str = ""
    actor: str = ""


class TransferLeft(_Fact, frozen=True, kw_only=True):
    """What is to go from one account to another has left the first one and is on its way."""

    transfer: str


class TransferEnded(_Fact, frozen=True, kw_only=True):
    """A planned transfer is over: the money moved and is booked, or it will not move."""

    transfer: str
    arrived: bool
    value: Decimal = Decimal(0)
    """What arrived of a withdrawal, in its account's base currency."""
    reason: str = ""
    actor: str = ""
