"""Views of what an order would cost, how it would be traded and where it would go."""

from __future__ import annotations

from decimal import Decimal

from engine.control.views import View
from engine.model.ids import AccountId, Currency, InstrumentId
from engine.model.impact import ImpactEstimate
from engine.model.order import OrderSide

__all__ = ["EstimateView", "OrderRouteView", "PassedRow", "RouteLeg", "RouteShare"]


class RouteShare(View, frozen=True, kw_only=True):
    """What of an order would go to one account."""

    account: AccountId
    share: float
    """0 to 1."""


class EstimateView(View, frozen=True, kw_only=True):
    """What an order would cost at once, and what by the algorithm that fits it."""

    instrument: InstrumentId
    side: OrderSide
    quantity: Decimal
    estimate: ImpactEstimate | None
    """Sent at once; None while the market says too little."""
    cost: float | None
    """The same in quote currency."""
    currency: Currency
    permanent: float
    """Price shift by the whole order in units of its scale, as own executions have shown so far."""
    temporary: float
    """Concession at once in the same units."""
    seen: int
    """Own executions behind these two."""
    parts: int
    """Equal parts that would each keep within the limit of impact; 1 for no split."""
    algorithm: str
    reason: str
    """Why this algorithm."""
    duration_s: float
    """Window of the schedule; 0 for what is not scheduled."""
    slices: int
    expected: float | None
    """Cost of the schedule that fits, as a fraction; None where nothing is scheduled or too little is known."""
    deviation: float | None
    """Its standard deviation."""
    route: tuple[RouteShare, ...] = ()
    """How it would be shared among the accounts whose book is followed, by price after fees; one for all of it."""


class RouteLeg(View, frozen=True, kw_only=True):
    """One part of a route."""

    account: AccountId
    instrument: InstrumentId
    quantity: Decimal
    price: Decimal
    """Expected average price."""
    worst: Decimal
    """Price of the last level that is needed."""
    fee: Decimal
    """In quote currency."""


class PassedRow(View, frozen=True, kw_only=True):
    """An account that gets nothing, and why."""

    account: AccountId
    reason: str


class OrderRouteView(View, frozen=True, kw_only=True):
    """How an order would be split over venues."""

    symbol: str
    side: OrderSide
    quantity: Decimal
    legs: tuple[RouteLeg, ...]
    unrouted: Decimal
    """Quantity for which there is no depth or no money."""
    price: Decimal | None
    """Average price with fees; None where nothing is routed."""
    currency: Currency
    passed_over: tuple[PassedRow, ...]
