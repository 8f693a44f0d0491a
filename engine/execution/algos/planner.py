"""Makes the plan of an order that is traded by a schedule, or by what fits it best, from what is known of its market.

What a plan is made from (the volume profile, the calibrated impact) may change or be lost; the plan itself is booked
with its slices, so that a parent order never depends on it again.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from engine.errors import ConflictError
from engine.execution.algos.plans import even_slices
from engine.execution.schedules.almgren_chriss import risk_aversion
from engine.execution.schedules.curves import vwap
from engine.execution.selection import Algorithm, SelectionSettings, choose
from engine.model.algos import LimitPlan, MarketPlan, Plan, SchedulePlan
from engine.model.decimals import ZERO

if TYPE_CHECKING:
    from engine.clock import Clock
    from engine.execution.impact import Conditions
    from engine.execution.impact_desk import ImpactDesk
    from engine.execution.selection import Choice
    from engine.model.ids import InstrumentId
    from engine.model.order import OrderRequest
    from engine.model.schedule import Slice

__all__ = ["SCHEDULES", "Chosen", "Planner", "Wish"]

SCHEDULES = (Algorithm.TWAP, Algorithm.VWAP, Algorithm.SHORTFALL)
"""Algorithms whose slices are laid out before the first one is traded."""


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """How somebody wants a schedule; its slices follow from the market."""

    algorithm: Algorithm
    """One of `SCHEDULES`."""
    duration_ns: int
    """Length of the window in nanoseconds."""
    slices: int
    urgency: float = 0.5
    """0 is patient, 1 is now; what an implementation shortfall hangs on."""
    jitter: Decimal = ZERO
    participation: Decimal | None = None
    """Largest share of the volume traded meanwhile; None for no cap."""
    passive: bool = False
    price: Decimal | None = None
    """Worst price; None for no bound."""


class Chosen(NamedTuple):
    """The plan that was chosen by itself, and why."""

    plan: Plan
    reason: str


class Planner:
    """See the module.

    Args:
        impact: Knows conditions, estimates and coefficients.
        clock: The engine's.
        rules: What the choice of an algorithm hangs on.
    """

    def __init__(self, impact: ImpactDesk, clock: Clock, rules: SelectionSettings | None = None) -> None:
        self._impact = impact
        self._clock = clock
        self.rules = rules or SelectionSettings()

    def look_soon(self, instrument: InstrumentId) -> None:
        """Have volume and volatility of an instrument fetched in the background where they are not fresh."""
        self._impact.look_soon(instrument)

    def schedule(self, wish: Wish, request: OrderRequest) -> SchedulePlan:
        """Lay a schedule out for an order that begins now.

        Raises:
            ConflictError: A VWAP or an implementation shortfall is wanted, and the market's volume, volatility or book
                is not known.
            ValidationError: The window, the number of slices or the urgency is not possible.
        """
        return SchedulePlan(
            name=str(wish.algorithm),
            slices=self._slices(wish, request),
            jitter=wish.jitter,
            participation=wish.participation,
            passive=wish.passive,
            price=wish.price,
            urgency=wish.urgency,
        )

    def fallback(self, wish: Wish, request: OrderRequest) -> SchedulePlan:
        """The same, but equal slices over the window while too little is known of the market."""
        try:
            return self.schedule(wish, request)
        except ConflictError:
            return self.schedule(msgspec.structs.replace(wish, algorithm=Algorithm.TWAP), request)

    def automatic(self, request: OrderRequest, urgency: float, price: Decimal | None = None) -> Chosen:
        """The plan that fits an order by its size against depth and volume, and by its urgency.

        What can be traded within the limit of impact goes as one order; the rest is split.

        Raises:
            ValidationError: The urgency is not 0 to 1.
        """
        choice = self.choice(request, urgency)
        if choice.algorithm is Algorithm.MARKET:
            return Chosen(
                MarketPlan() if price is None else LimitPlan(price=price, steps=1, every_ns=10**9), choice.reason
            )
        if choice.algorithm is Algorithm.LIMIT:
            return Chosen(LimitPlan(price=price), choice.reason)
        wish = Wish(
            algorithm=choice.algorithm,
            duration_ns=choice.duration_ns,
            slices=choice.slices,
            urgency=urgency,
            price=price,
        )
        return Chosen(self.fallback(wish, request), choice.reason)

    def choice(self, request: OrderRequest, urgency: float) -> Choice:
        """Which algorithm fits an order, and why."""
        estimate = self._impact.estimate(request.instrument, request.side, request.quantity)
        return choose(estimate, urgency, self.rules)

    def _slices(self, wish: Wish, request: OrderRequest) -> tuple[Slice, ...]:
        if wish.algorithm is Algorithm.VWAP:
            profile = self._conditions(wish, request).profile
            return vwap(profile, self._clock.now(), wish.duration_ns, wish.slices)
        if wish.algorithm is Algorithm.SHORTFALL:
            conditions = self._conditions(wish, request)
            estimate = self._impact.estimate(request.instrument, request.side, request.quantity)
            if estimate is None:
                raise ConflictError(
                    f"There is no book of {request.instrument} to plan with; wait for one, or use twap."
                )
            shortfall = self._impact.coefficients(request.instrument, request.quantity).shortfall(
                conditions, float(request.quantity), estimate.half_spread, wish.duration_ns / 1e9, wish.slices
            )
            return shortfall.schedule(wish.duration_ns, wish.slices, risk_aversion(wish.urgency))
        return even_slices(wish.duration_ns, wish.slices)

    def _conditions(self, wish: Wish, request: OrderRequest) -> Conditions:
        found = self._impact.conditions(request.instrument)
        if found is None:
            raise ConflictError(
                f"Volume and volatility of {request.instrument} are not known, and {wish.algorithm} is made from them; "
                "try again when its candles can be had, or use twap."
            )
        return found
