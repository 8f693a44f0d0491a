"""What the state keeps besides orders and positions: running sums, bots, halts, breakers, marks."""

from __future__ import annotations

import enum
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from engine.model.decimals import ZERO
from engine.model.ids import AccountId, Currency, InstrumentId, Owner

if TYPE_CHECKING:
    from engine.model.fill import Fill

__all__ = [
    "BREAKER_ACTOR",
    "BotEntry",
    "BotState",
    "BreakerEntry",
    "EquityEntry",
    "ExitEntry",
    "Forgotten",
    "HaltEntry",
    "LockEntry",
    "MarkEntry",
    "Moved",
    "Opening",
    "PeakEntry",
    "PeriodEntry",
    "Sums",
    "TradingState",
]

BREAKER_ACTOR = "breaker:"
"""Begins the actor of every halt that a breaker ordered."""


class TradingState(enum.StrEnum):
    """What orders may do."""

    ACTIVE = "active"
    REDUCING = "reducing"
    """Only orders that reduce a position, and cancels."""
    HALTED = "halted"
    """The same until an operator releases it after checks; set by an emergency stop and by a breaker that failed."""


class BotState(enum.StrEnum):
    """Where a bot is in its life."""

    STOPPED = "stopped"
    STARTING = "starting"
    RUNNING = "running"
    PAUSED = "paused"
    STOPPING = "stopping"
    RECOVERING = "recovering"
    ERROR = "error"


class Sums(msgspec.Struct):
    """Running sums of one account (or one owner) in one currency; costs are positive."""

    realised: Decimal = Decimal(0)
    """Profit of closed pieces before fees."""
    fees: Decimal = Decimal(0)
    funding: Decimal = Decimal(0)
    interest: Decimal = Decimal(0)
    deposits: Decimal = Decimal(0)
    """Deposits and incoming transfers minus withdrawals and outgoing transfers."""
    adjustments: Decimal = Decimal(0)
    """Corrections to what the venue reports."""
    volume: Decimal = Decimal(0)
    """Sum of the notionals of all fills."""
    fills: int = 0


class BotEntry(msgspec.Struct, kw_only=True):
    """A bot as the engine remembers it."""

    id: Owner
    name: str
    config: bytes
    """Validated JSON of the bot's configuration."""
    capital: Decimal
    currency: Currency
    created: int
    state: BotState = BotState.STOPPED
    reason: str = ""
    since: int = 0
    """UTC nanoseconds of the last change of state."""
    memory: bytes = b""
    """The strategy's saved memory; empty before the first bar."""
    memory_schema: int = 0
    memory_bar: int = 0
    """UTC nanoseconds of the open of the bar the memory belongs to."""
    signals: int = 0
    refusals: int = 0


class HaltEntry(msgspec.Struct):
    """Trading state of one scope."""

    state: TradingState
    reason: str
    actor: str
    since: int
    beneath: HaltEntry | None = None
    """Somebody's hold that a breaker's stricter halt covers; it is in force again when the breakers are reset."""


class BreakerEntry(msgspec.Struct, omit_defaults=True):
    """A breaker that is not closed."""

    breaker: str
    scope: str
    value: str
    threshold: str
    reason: str
    since: int
    """UTC nanoseconds at which it opened."""
    reduces: bool = False
    """True when it lets smaller entries pass: half-open, or a loss of the week."""
    until: int = 0
    """UTC nanoseconds at which that ends; 0 where it has no end by itself."""
    held: str = ""
    """Who keeps it open until somebody resets it by hand; empty for nobody."""


class PeriodEntry(msgspec.Struct):
    """What the loss of a day, week or month is measured from."""

    start: int
    """UTC nanoseconds, inclusive."""
    end: int
    """UTC nanoseconds, exclusive."""
    equity: Decimal
    """The account's value at its start, corrected by deposits and withdrawals; in its base currency."""


class PeakEntry(msgspec.Struct):
    """The highest equity of about an hour."""

    equity: Decimal
    ts: int


class ExitEntry(msgspec.Struct):
    """A trade that has ended."""

    owner: Owner
    account: AccountId
    instrument: InstrumentId
    profit: Decimal
    """After fees and funding, in the settle currency."""
    stopped: bool
    ts: int
    cost: Decimal = ZERO
    """Largest cost of the position while it was open, in the quote currency; 0 where it is not known."""


class LockEntry(msgspec.Struct):
    """What bots may not enter, or only in smaller size, until a time."""

    lock: str
    kind: str
    scope: str
    until: int
    """UTC nanoseconds."""
    reason: str
    since: int
    instrument: str = ""
    reduces: bool = False
    actor: str = ""
    """Who asked for it; empty when a protection placed it."""


class Forgotten(msgspec.Struct):
    """Natural keys of executions whose orders are not remembered any more.

    A venue tells of an execution until its cursor has passed it, which it has once executions were asked for to the end
    twice: keys are `fresh` until the first time, `older` until the second.
    """

    fresh: set[str] = set()
    older: set[str] = set()

    def caught_up(self) -> None:
        """Executions were asked for to the end."""
        self.older, self.fresh = self.fresh, set()


class Opening(msgspec.Struct, frozen=True):
    """When what was in an account was taken for its opening balance: what was executed before is part of that."""

    ts: int
    """UTC nanoseconds by the venue's clock, just before it was asked for the balances."""
    keys: tuple[str, ...] = ()
    """Natural keys of executions that were listed before the balances were and are dated later: clocks differ."""

    def holds(self, fill: Fill) -> bool:
        """Whether an execution is part of the opening balance, and so is never booked."""
        return fill.ts < self.ts or fill.key in self.keys


class Moved(msgspec.Struct, frozen=True):
    """A change of an owner's position in a derivative, kept until funding up to its time is paid."""

    ts: int
    """UTC nanoseconds at the venue."""
    owner: Owner
    quantity: Decimal
    """Signed contracts."""


class MarkEntry(msgspec.Struct):
    """The last journalled mark of an instrument."""

    price: Decimal
    ts: int


class EquityEntry(msgspec.Struct):
    """What the breakers compare equity with; amounts in the account's base currency.

    Peak and day start are corrected by deposits and withdrawals, so that moving money is no profit and no loss.
    """

    equity: Decimal
    ts: int
    peak: Decimal
    day: int
    """UTC day number (days since 1970) of `day_start`."""
    day_start: Decimal
    """First equity recorded on that day."""
