"""Views of capital: pools, accounts, plans, flows, locks, the ledger, venues and currencies."""

from __future__ import annotations

from decimal import Decimal

from engine.control.views import View
from engine.model.entries import BotState
from engine.model.ids import AccountId, Currency, InstrumentId, Owner, VenueId
from engine.model.order import OrderSide

__all__ = [
    "AccountRow",
    "CapitalPlanView",
    "CapitalView",
    "DistributionView",
    "ExposureRow",
    "ExposureView",
    "FlowPage",
    "FlowRow",
    "HedgeRow",
    "LedgerPage",
    "LedgerRow",
    "LegRow",
    "LockedProfitRow",
    "MoneyView",
    "PlaceRow",
    "PoolRow",
    "RouteView",
    "RulingRow",
    "TargetRow",
    "TransferRow",
    "VenueShareRow",
]


class PoolRow(View, frozen=True, kw_only=True):
    """The capital of one bot; amounts in its account's base currency."""

    owner: Owner
    name: str
    account: AccountId
    currency: Currency
    strategy: str
    state: BotState
    capital: Decimal
    """Given to it, settled profit included."""
    worth: Decimal
    """With what it made since: what it may spend in all."""
    value: Decimal
    """With its open profit."""
    used: Decimal
    """At work in positions and orders."""
    free: Decimal
    share: float | None
    """Of all capital."""
    minimum: Decimal
    """Least capital of its kind; 0 for none."""
    days: int
    """Days of which its record consists."""
    sharpe: float | None
    volatility: float | None
    notes: tuple[str, ...] = ()


class AccountRow(View, frozen=True, kw_only=True):
    """One account's capital in its base currency."""

    account: AccountId
    currency: Currency
    equity: Decimal
    reserve: Decimal
    locked: Decimal
    allocated: Decimal
    used: Decimal
    available: Decimal
    preserved: str
    """Why capital is preserved; empty while it is not."""
    next_settlement: int | None
    """UTC nanoseconds; None where nothing is settled by itself."""


class LockedProfitRow(View, frozen=True, kw_only=True):
    """Locked profit."""

    lock: str
    account: AccountId
    currency: Currency
    amount: Decimal
    locked_at: int
    unlocks_at: int
    remaining_s: float
    """Seconds until it opens."""
    asked_at: int | None
    """When an emergency unlock was asked for."""


class TransferRow(View, frozen=True, kw_only=True):
    """A transfer that is planned and has not arrived."""

    transfer: str
    kind: str
    source: str
    """Empty where it comes from outside."""
    target: str
    """Empty where it leaves."""
    currency: Currency
    amount: Decimal
    since: int
    reason: str


class CapitalView(View, frozen=True, kw_only=True):
    """All capital; amounts in the base currency."""

    currency: Currency
    total: Decimal
    reserve: Decimal
    locked: Decimal
    allocated: Decimal
    utilised: Decimal
    available: Decimal
    by_hand: Decimal = Decimal(0)
    """What orders by hand have bought or hold."""
    utilisation: float | None
    """Part of the allocated capital that is at work."""
    efficiency: float | None
    """Part of what may be allocated that is."""
    method: str
    automatic: bool
    """Whether it is rebalanced by itself."""
    next_rebalancing: int | None
    """UTC nanoseconds; None where there is nothing to rebalance."""
    obstacles: tuple[str, ...]
    """What keeps capital from being rebalanced now."""
    purpose: str
    needed: Decimal
    """Least capital for that purpose."""
    accounts: tuple[AccountRow, ...]
    pools: tuple[PoolRow, ...]
    locks: tuple[LockedProfitRow, ...]
    transfers: tuple[TransferRow, ...]
    missing: tuple[str, ...]
    """What could not be valued."""


class TargetRow(View, frozen=True, kw_only=True):
    """What one pool has, shall have, and gets or gives now."""

    owner: Owner
    name: str
    account: AccountId
    currency: Currency
    share: float
    """Planned share of all capital."""
    value: Decimal
    target: Decimal
    change: Decimal
    notes: tuple[str, ...] = ()


class FlowRow(View, frozen=True, kw_only=True):
    """One movement of capital."""

    ts: int
    account: AccountId
    kind: str
    source: str
    target: str
    amount: Decimal
    currency: Currency
    reason: str
    actor: str
    seq: int = 0
    """Number of its fact; 0 for one that is planned."""


class CapitalPlanView(View, frozen=True, kw_only=True):
    """What rebalancing would do, or has done."""

    method: str
    currency: Currency
    total: Decimal
    moved: Decimal
    cap: Decimal
    """What may still be moved on this UTC day."""
    targets: tuple[TargetRow, ...]
    flows: tuple[FlowRow, ...]
    obstacles: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class FlowPage(View, frozen=True, kw_only=True):
    """A page of flows, the newest first."""

    rows: tuple[FlowRow, ...]
    cursor: int
    """Number to ask the next page with; 0 at the end."""


class LedgerRow(View, frozen=True, kw_only=True):
    """One posting of an entry; all postings of a number add up to nothing in every currency."""

    seq: int
    ts: int
    kind: str
    place: str
    """`account/pool`, or outside: external, market, fees, funding, interest, adjustment."""
    currency: Currency
    amount: Decimal
    """What came to the place; negative where it left."""
    words: str


class LedgerPage(View, frozen=True, kw_only=True):
    """A page of the ledger by entries, the newest first."""

    rows: tuple[LedgerRow, ...]
    page: int
    pages: int
    total: int
    """Entries that match."""
    until: int
    """Number of the last fact that is part of it."""


class PlaceRow(View, frozen=True, kw_only=True):
    """What a place of the ledger holds of a currency."""

    place: str
    currency: Currency
    amount: Decimal


class RulingRow(View, frozen=True, kw_only=True):
    """What one rule says."""

    rule: str
    passed: bool
    words: str


class MoneyView(View, frozen=True, kw_only=True):
    """What became of a deposit, a withdrawal or a transfer."""

    transfer: str
    """Its id; empty for a mere check."""
    done: bool
    """Whether the money has moved and is booked; else it is planned or was only checked."""
    value: Decimal
    """In the account's base currency."""
    rules: tuple[RulingRow, ...]
    flows: tuple[FlowRow, ...]
    words: str


class VenueShareRow(View, frozen=True, kw_only=True):
    """What a venue has and shall have."""

    venue: VenueId
    account: AccountId
    value: Decimal
    share: float
    target_share: float
    deviation: float
    score: float
    liquidity: float
    fees: float
    slippage: float
    reliability: float
    notes: tuple[str, ...]


class DistributionView(View, frozen=True, kw_only=True):
    """How money is spread over venues, and what would move."""

    mode: str
    currency: Currency
    venues: tuple[VenueShareRow, ...]
    transfers: tuple[FlowRow, ...]
    notes: tuple[str, ...]


class ExposureRow(View, frozen=True, kw_only=True):
    """What would be gained if a currency rose."""

    account: AccountId
    currency: Currency
    held: Decimal
    derivatives: Decimal
    bots: Decimal
    value: Decimal | None
    share: float | None
    limit: float | None
    over: bool
    """Whether it is above its limit."""
    supported: bool


class HedgeRow(View, frozen=True, kw_only=True):
    """An order that would hedge an exposure."""

    account: AccountId
    currency: Currency
    instrument: InstrumentId
    side: OrderSide
    quantity: Decimal
    covers: Decimal
    value: Decimal
    exposure: float
    after: float
    reason: str


class ExposureView(View, frozen=True, kw_only=True):
    """Exposure to currencies and planned hedges."""

    currency: Currency
    rows: tuple[ExposureRow, ...]
    hedges: tuple[HedgeRow, ...]


class LegRow(View, frozen=True, kw_only=True):
    """One market order of a conversion."""

    instrument: InstrumentId
    side: OrderSide
    quantity: Decimal
    pays: Decimal
    gets: Decimal
    cost_pct: float


class RouteView(View, frozen=True, kw_only=True):
    """The cheapest way from one currency into another."""

    account: AccountId
    source: Currency
    target: Currency
    pays: Decimal
    gets: Decimal
    cost_pct: float
    legs: tuple[LegRow, ...]
