"""Pools of capital and what the state keeps of them."""

from __future__ import annotations

import enum
from decimal import Decimal

import msgspec

from engine.model.ids import AccountId, Currency, Owner

__all__ = [
    "FREE",
    "LOCKED",
    "NS_PER_DAY",
    "RESERVE",
    "CapitalEntry",
    "DayMark",
    "FlowCause",
    "FundFlow",
    "LockEntry",
    "PoolMeasure",
    "PoolResult",
    "TransferEntry",
    "TransferKind",
]

NS_PER_DAY = 86_400_000_000_000

FREE, RESERVE, LOCKED = "free", "reserve", "locked"
"""Pools that are no bot's: what nobody has been given, the emergency reserve, profit that is locked."""


class FlowCause(enum.StrEnum):
    """Why capital moved between pools."""

    REBALANCE = "rebalance"
    """Towards the planned shares."""
    COMPOUNDING = "compounding"
    DEPOSIT = "deposit"
    """A deposit was spread over the pools."""
    WITHDRAWAL = "withdrawal"
    """Room was made for a withdrawal."""
    RESERVE = "reserve"
    """The reserve was brought to its share."""


class TransferKind(enum.StrEnum):
    """Where planned money comes from and goes to."""

    DEPOSIT = "deposit"
    WITHDRAWAL = "withdrawal"
    TRANSFER = "transfer"


class FundFlow(msgspec.Struct, frozen=True):
    """One movement of capital; a pool is a bot's id, `free`, `reserve` or `locked`."""

    source: str
    target: str
    amount: Decimal
    """Above zero."""


class PoolResult(msgspec.Struct, frozen=True):
    """What an owner has realised in all time, after fees and funding, in its account's base currency."""

    owner: Owner
    net: Decimal


class PoolMeasure(msgspec.Struct, frozen=True):
    """How one pool stood."""

    owner: Owner
    capital: Decimal
    result: Decimal
    """Realised and open profit of all time after costs, in the account's base currency."""


class DayMark(msgspec.Struct, frozen=True):
    """How a pool stood at the end of a UTC day."""

    day: int
    capital: Decimal
    result: Decimal


class LockEntry(msgspec.Struct):
    """Profit that may be neither allocated nor compounded nor withdrawn yet."""

    amount: Decimal
    locked_at: int
    unlocks_at: int
    """UTC nanoseconds; after an emergency unlock was asked for, when its notice ends."""
    asked_at: int = 0
    """When an emergency unlock was asked for; 0 where it was not."""


class CapitalEntry(msgspec.Struct):
    """What is kept of one account's capital, in its base currency."""

    reserve: Decimal = Decimal(0)
    """Booked as the emergency reserve."""
    locks: dict[str, LockEntry] = {}
    settled: dict[Owner, Decimal] = {}
    """Realised result of each owner up to which profit is settled."""
    settled_at: int = 0
    """UTC nanoseconds of the last settlement; 0 before the first."""
    rebalanced_at: int = 0
    flowed_at: int = 0
    """Last flow after which the cool-down runs."""
    moved_day: int = 0
    """UTC day number of `moved`."""
    moved: Decimal = Decimal(0)
    """What rebalancing has moved on that day."""
    withdrawn_at: int = 0
    """UTC nanoseconds of the last withdrawal."""
    withdrawn: Decimal = Decimal(0)
    """What has left in all, in the base currency as it was worth then."""
    preserved: str = ""
    """Why capital is preserved; empty while it is not."""
    preserved_at: int = 0
    days: dict[Owner, list[DayMark]] = {}
    """How each pool stood at the ends of the last days, oldest first."""


class TransferEntry(msgspec.Struct):
    """A transfer that is planned and has not arrived."""

    kind: TransferKind
    currency: Currency
    amount: Decimal
    source: AccountId
    target: AccountId
    reason: str
    since: int
    left: bool = False
    """Whether it has left its source and is on its way."""
