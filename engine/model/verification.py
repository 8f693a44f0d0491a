"""Facts about the state itself: what a recovery found and did, what a check of the state found, what was taken over."""

from __future__ import annotations

import enum
from decimal import Decimal

import msgspec

from engine.model.ids import AccountId, ClientOrderId, Currency, InstrumentId, Owner, VenueOrderId
from engine.model.order import OrderSide, OrderType

__all__ = [
    "BALANCES",
    "CHECKS",
    "LIMITS",
    "ORDERS",
    "POSITIONS",
    "Finding",
    "Grade",
    "OrderAdopted",
    "RecoveryVerified",
    "StateChecked",
]

BALANCES, POSITIONS = "portfolio_balance_sync", "position_quantity_sync"
ORDERS, LIMITS = "order_status_sync", "risk_limit_compliance"
CHECKS = (BALANCES, POSITIONS, ORDERS, LIMITS)
"""The four invariants that are checked across memory, database and venue."""


class Grade(enum.StrEnum):
    """What was done about a finding."""

    LOGGED = "logged"
    """Within the tolerance, or nothing can or may be corrected by the engine: written down."""
    RECONCILED = "reconciled"
    """Beyond the tolerance: brought in line."""
    FORCED = "forced"
    """Grave: the venue's word was taken over as a whole where there is one, and a person is told."""
    CORRUPT = "corrupt"
    """The state contradicts itself: trading halts."""
    FAILED = "failed"
    """The check could not be made; nothing is known."""


class Finding(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One difference that a check has found, and what was done about it."""

    check: str
    """One of CHECKS."""
    subject: str
    """What was checked: an order, instrument, currency or limit."""
    grade: Grade
    text: str
    """What differs, in words."""
    discrepancy: Decimal | None = None
    """Size of the difference as a fraction; None when it has no size."""
    correction: str = ""
    """What was done, in words; empty when nothing was."""
    before: str = ""
    """What was booked."""
    after: str = ""
    """What the venue, or the journal, says."""
    standing: bool = False
    """It was found the round before, too."""


class _Fact(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag=True, tag_field="t"):
    """Base of the facts; the tag is the class name."""


class OrderAdopted(_Fact, frozen=True, kw_only=True):
    """A working order under an id of this instance that was not tracked, or thought to be over, was taken over.

    The venue's word decides; nobody knows any more who wanted the order, so it belongs to the operator unless it is
    still remembered.
    """

    client_id: ClientOrderId
    account: AccountId
    instrument: InstrumentId
    owner: Owner
    venue_order_id: VenueOrderId
    side: OrderSide
    type: OrderType
    quantity: Decimal
    reserve_currency: Currency
    reserve_unit: Decimal
    ts: int
    price: Decimal | None = None
    stop_price: Decimal | None = None
    executed_before: Decimal = Decimal(0)
    """Executed before, and booked as somebody else's or as part of the opening balance."""


class RecoveryVerified(_Fact, frozen=True, kw_only=True):
    """A start was checked against itself and the venue before trading was allowed."""

    account: AccountId
    snapshot: int
    """Fact at which the snapshot used was cut; 0 when all facts were replayed."""
    replayed: int
    """Facts folded after it."""
    asked: int
    """Orders that were asked for one by one."""
    adopted: int
    canceled: int
    """Orders of this instance that nobody tracked and that were cancelled by policy."""
    ended: int
    """Orders that had ended meanwhile."""
    fills: int
    """Executions booked that happened meanwhile."""
    strangers: int
    """Working orders of others at the venue."""
    duration_ms: float
    verdict: str
    """`verified`, or `halted` when somebody has to look first."""
    findings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()
    """What was passed over on the way, in sentences."""


class StateChecked(_Fact, frozen=True, kw_only=True):
    """One round of checks of the state across memory, database and venue."""

    account: AccountId
    checks: tuple[str, ...]
    """Checks that were made."""
    duration_ms: float
    findings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()
    """What could not be compared this time, and why."""
