"""Views of venues: how the way to each is, and what is known of its accounts."""

from __future__ import annotations

from decimal import Decimal

from engine.control.views import View
from engine.model.account import TradingMode
from engine.model.ids import AccountId, Currency, InstrumentId, VenueId
from engine.model.instrument import InstrumentKind

__all__ = ["AccountRow", "FoundInstrument", "StreamRow", "VenueRow"]


class StreamRow(View, frozen=True, kw_only=True):
    """One connection of a venue."""

    name: str
    up: bool
    since: int
    """UTC nanoseconds at which it came up or went down."""
    heard: int
    """UTC nanoseconds of the last message; 0 before the first."""
    messages: int
    reconnects: int
    reason: str
    """Why it is down; empty while it is up."""


class AccountRow(View, frozen=True, kw_only=True):
    """One account."""

    id: AccountId
    venue: VenueId
    mode: TradingMode
    currency: Currency
    """In which it is valued."""
    known: bool
    """Whether what is booked of it is known to be what its venue says."""
    equity: Decimal | None
    """None while it is not known."""


class VenueRow(View, frozen=True, kw_only=True):
    """One venue of the engine."""

    id: VenueId
    mode: TradingMode
    state: str
    """online, offline, syncing, maintenance, locked or safe mode."""
    reason: str
    """Why it is not online; empty while it is."""
    since: int
    """UTC nanoseconds of the last change of state."""
    attempts: int
    """Attempts to come back since it was lost the last time."""
    losses: int
    breaker: str
    """closed, half-open or open."""
    accounts: tuple[AccountRow, ...]
    streams: tuple[StreamRow, ...]
    latency_ms: float | None
    """Median of the last requests."""
    clock_offset_ms: float | None
    """The venue's clock minus ours."""
    limits: dict[str, float]
    """Used share of each rate limit, 0 to 1."""
    paused_until: int
    """UTC nanoseconds until which the venue has forbidden requests; 0 for not at all."""
    heard_ms: float | None
    """Age of the market heard of longest ago, milliseconds; None when none was heard of."""
    markets: int
    live_markets: int
    open_orders: int
    unknown_orders: int
    """Orders whose fate is being asked for."""
    instruments: int
    """Everything that it has, as far as that is known."""


class FoundInstrument(View, frozen=True, kw_only=True):
    """An instrument that a venue has."""

    id: InstrumentId
    symbol: str
    venue: VenueId
    kind: InstrumentKind
    price_tick: Decimal
    lot: Decimal
    min_notional: Decimal
    maker_fee: Decimal
    taker_fee: Decimal
    watched: bool
    """Whether its market is kept."""
