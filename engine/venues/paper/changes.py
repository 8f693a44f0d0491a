"""What of the exchange is stored: its whole image, and what changed since it was last asked."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from engine.model.fill import Fill
from engine.model.ids import InstrumentId
from engine.model.venue import FundingPayment
from engine.venues.paper.accounts import AccountImage
from engine.venues.paper.orders import PaperOrder

__all__ = ["Changes", "Counters", "ExchangeImage", "PerpetualImage", "StoredFill", "StoredPayment"]


class Counters(msgspec.Struct):
    """The last numbers given out; they only grow."""

    order: int = 0
    trade: int = 0
    fill: int = 0
    payment: int = 0


class StoredFill(msgspec.Struct, frozen=True):
    """A fill and its number in the order of execution."""

    number: int
    fill: Fill


class StoredPayment(msgspec.Struct, frozen=True):
    """A funding payment and its number in the order of settlement."""

    number: int
    payment: FundingPayment


class PerpetualImage(msgspec.Struct, frozen=True):
    """What of a perpetual's market is stored, so that funding goes on after a restart."""

    instrument: InstrumentId
    mark: Decimal | None
    rate: Decimal | None
    next_funding: int | None


class Changes(msgspec.Struct, frozen=True):
    """Everything that changed between two looks."""

    orders: tuple[PaperOrder, ...]
    fills: tuple[StoredFill, ...]
    accounts: tuple[AccountImage, ...]
    counters: Counters
    payments: tuple[StoredPayment, ...] = ()
    perpetuals: tuple[PerpetualImage, ...] = ()

    @property
    def empty(self) -> bool:
        """True when there is nothing to store."""
        return not (self.orders or self.fills or self.accounts or self.payments)


class ExchangeImage(msgspec.Struct, frozen=True):
    """What a stored exchange is restored from."""

    accounts: tuple[AccountImage, ...] = ()
    open_orders: tuple[PaperOrder, ...] = ()
    """In order of arrival."""
    ended_orders: tuple[PaperOrder, ...] = ()
    """The most recently ended, oldest first; enough of them to refuse repeated ids."""
    fills: tuple[StoredFill, ...] = ()
    """The most recent, oldest first."""
    counters: Counters = msgspec.field(default_factory=Counters)
    payments: tuple[StoredPayment, ...] = ()
    """The most recent, oldest first."""
    perpetuals: tuple[PerpetualImage, ...] = ()
    store: str = ""
    """Random name of the store; numbers of fills mean something within it only. Empty without one."""
