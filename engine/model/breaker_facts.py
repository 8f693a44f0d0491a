"""Facts about halts, breakers, loss periods and locks: what opened, trials, holds, what is locked until when."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from engine.model.decimals import ZERO
from engine.model.ids import AccountId, InstrumentId, Owner

__all__ = [
    "BreakerHalfOpened",
    "BreakerHeld",
    "BreakerReset",
    "BreakerTripped",
    "LockEnded",
    "LockPlaced",
    "PeakRecorded",
    "PeriodBegan",
    "TradeEnded",
    "TradingStateChanged",
]


class _Fact(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag=True, tag_field="t"):
    """Base of the facts; the tag is the class name."""


class TradingStateChanged(_Fact, frozen=True, kw_only=True):
    """ACTIVE, REDUCING or HALTED, for the whole engine (`scope` "engine") or one bot."""

    scope: str
    state: str
    reason: str
    actor: str


class BreakerTripped(_Fact, frozen=True, kw_only=True):
    """A breaker opened."""

    breaker: str
    scope: str
    value: str
    threshold: str
    reason: str
    reduces: bool = False
    """True when smaller entries pass meanwhile, instead of none."""
    until: int = 0
    """UTC nanoseconds at which that ends by itself; 0 for not at all."""
    held: str = ""
    """Who opened it by hand, so that it stays open until it is reset by hand; empty when it opened by itself."""


class BreakerReset(_Fact, frozen=True, kw_only=True):
    """A breaker was closed again."""

    breaker: str
    scope: str
    actor: str
    reason: str
    peak: Decimal | None = None
    """Equity from which the drawdown of the account `scope` is measured from now on; None keeps the peak."""
    day_start: Decimal | None = None
    """Equity from which its loss of the day is measured from now on; None keeps the start."""
    week_start: Decimal | None = None
    month_start: Decimal | None = None


class BreakerHalfOpened(_Fact, frozen=True, kw_only=True):
    """The condition of an open breaker has cleared: smaller entries pass on trial until it closes, or opens again."""

    breaker: str
    scope: str
    until: int
    """UTC nanoseconds at which it closes unless its condition comes back."""
    reason: str


class BreakerHeld(_Fact, frozen=True, kw_only=True):
    """An open breaker stays open until somebody resets it by hand."""

    breaker: str
    scope: str
    actor: str
    reason: str


class PeriodBegan(_Fact, frozen=True, kw_only=True):
    """The loss of an account's period is measured from this equity on."""

    account: AccountId
    period: str
    """day, week or month."""
    start: int
    """UTC nanoseconds, inclusive."""
    end: int
    """UTC nanoseconds, exclusive."""
    equity: Decimal
    """In the account's base currency."""


class PeakRecorded(_Fact, frozen=True, kw_only=True):
    """The highest equity of an account, open positions included, since the last such fact."""

    account: AccountId
    equity: Decimal
    ts: int


class TradeEnded(_Fact, frozen=True, kw_only=True):
    """An owner holds nothing of an instrument any more."""

    owner: Owner
    account: AccountId
    instrument: InstrumentId
    profit: Decimal
    """After fees and funding, in the settle currency."""
    total: Decimal
    """The same over all trades of this owner there, this one included."""
    stopped: bool
    """Whether a stop order ended it."""
    ts: int
    cost: Decimal = ZERO
    """Largest cost of the position while it was open, in the quote currency; 0 where nobody saw it open."""


class LockPlaced(_Fact, frozen=True, kw_only=True):
    """Bots open nothing in a scope until a time, or only smaller positions."""

    lock: str
    """Id: one kind in one scope; another with the same id takes its place."""
    kind: str
    scope: str
    """As trading states write it: the engine, a venue, an instrument or a bot; or an account."""
    until: int
    """UTC nanoseconds."""
    reason: str
    instrument: str = ""
    """With a bot as scope: only in this instrument. Empty for all."""
    reduces: bool = False
    """True when entries pass smaller instead of not at all, those of the operator too."""
    actor: str = ""
    """Who asked for it; empty when a protection placed it."""


class LockEnded(_Fact, frozen=True, kw_only=True):
    """A lock's time is over, or somebody lifted it."""

    lock: str
    reason: str
    actor: str = ""
    """Who lifted it; empty when its time was over."""
