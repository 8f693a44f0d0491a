"""Plans as they are asked for, checked against the instrument and made exact: prices on the grid, jitter drawn."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal
from typing import TYPE_CHECKING

import msgspec

from engine.errors import ValidationError
from engine.execution.algos.entering import spread_of_seed
from engine.model.algos import (
    BracketPlan,
    IcebergPlan,
    LimitPlan,
    MarketPlan,
    ParticipationPlan,
    Plan,
    SchedulePlan,
    Trail,
    TrailingPlan,
)
from engine.model.decimals import ONE, ZERO
from engine.model.order import OrderSide, OrderType
from engine.model.schedule import Slice, check_schedule

if TYPE_CHECKING:
    from engine.model.instrument import Instrument
    from engine.model.order import OrderRequest
    from engine.model.risk import Quote

__all__ = ["MOST_JITTER", "even_slices", "fitted_plan", "jittered", "whole_request"]

MOST_JITTER = Decimal("0.4")
"""Beyond it slices could change places."""
SHARE_UNIT = Decimal("1e-9")
LEAST_EVERY_NS = 100_000_000


def whole_request(request: OrderRequest, plan: Plan) -> OrderRequest:
    """The whole quantity as one order at the plan's worst price, as the risk gate judges it at the opening."""
    price = None if isinstance(plan, MarketPlan | TrailingPlan) else plan.price
    kind = OrderType.MARKET if price is None else OrderType.LIMIT
    return msgspec.structs.replace(request, type=kind, price=price, stop_price=None)


def fitted_plan(plan: Plan, request: OrderRequest, instrument: Instrument, quote: Quote | None, seed: str) -> Plan:
    """A plan that can be followed exactly.

    Args:
        plan: As it was asked for.
        request: The whole order.
        instrument: What it trades.
        quote: The present market.
        seed: Draws the jitter; the same seed draws the same.

    Raises:
        ValidationError: Something of it is not possible.
    """
    match plan:
        case LimitPlan():
            _need(plan.every_ns >= LEAST_EVERY_NS, "a price is kept for at least 0.1 s")
            _need(plan.steps >= 1, "at least one step is needed")
        case SchedulePlan():
            slices = check_schedule(plan.slices)
            _need(ZERO <= plan.jitter <= MOST_JITTER, f"the jitter is a fraction from 0 to {MOST_JITTER}")
            _need_share(plan.participation, "the cap on participation")
            return msgspec.structs.replace(plan, slices=jittered(slices, plan.jitter, seed))
        case ParticipationPlan():
            _need_share(plan.rate, "the rate")
            _need(plan.every_ns >= LEAST_EVERY_NS, "orders are at least 0.1 s apart")
        case IcebergPlan():
            least = max(instrument.current_rules.min_quantity, instrument.current_rules.lot)
            _need(plan.display >= least, f"the part that is shown is at least {least:f}")
            _need(ZERO <= plan.jitter < ONE, "the jitter is a fraction from 0 to below 1")
        case TrailingPlan():
            return msgspec.structs.replace(plan, trail=_fitted_trail(plan.trail, instrument))
        case BracketPlan():
            return _fitted_bracket(plan, request, instrument, quote)
    return plan


def even_slices(duration_ns: int, slices: int) -> tuple[Slice, ...]:
    """Equal slices at equal distances over a window; each is due when its part of the window begins."""
    shares = [(Decimal(number) / slices).quantize(SHARE_UNIT) for number in range(1, slices + 1)]
    return tuple(Slice(duration_ns * number // slices, share) for number, share in enumerate(shares))


def jittered(slices: tuple[Slice, ...], jitter: Decimal, seed: str) -> tuple[Slice, ...]:
    """Slices whose sizes and times differ by up to a fraction; start and end stay within the schedule's own."""
    if not jitter:
        return slices
    sizes, before = [], ZERO
    for number, step in enumerate(slices):
        sizes.append((step.share - before) * (ONE + jitter * spread_of_seed(f"{seed} size {number}")))
        before = step.share
    whole, found, share = sum(sizes, ZERO), [], ZERO
    for number, (step, size) in enumerate(zip(slices, sizes, strict=True)):
        share += size / whole
        last = number == len(slices) - 1
        rounded = ONE if last else share.quantize(SHARE_UNIT, ROUND_HALF_EVEN)
        found.append(Slice(step.offset_ns + _shift(slices, number, jitter, seed), rounded))
    return check_schedule(found)


def _shift(slices: tuple[Slice, ...], number: int, jitter: Decimal, seed: str) -> int:
    offset = slices[number].offset_ns
    gaps = [abs(slices[beside].offset_ns - offset) for beside in (number - 1, number + 1) if 0 <= beside < len(slices)]
    if not gaps:
        return 0
    drawn = jitter * spread_of_seed(f"{seed} time {number}")
    if number == 0:
        drawn = abs(drawn)
    elif number == len(slices) - 1:
        drawn = -abs(drawn)
    return int(min(gaps) * drawn)


def _fitted_trail(trail: Trail, instrument: Instrument) -> Trail:
    _need((trail.fraction is None) != (trail.amount is None), "a trailing stop needs a distance: a share or an amount")
    if trail.fraction is not None:
        _need(ZERO < trail.fraction < ONE, "the distance is a fraction above 0 and below 1")
    if trail.amount is not None:
        _need(trail.amount > ZERO, "the distance is above 0")
    _need(trail.every_ns >= LEAST_EVERY_NS, "a stop is moved at most every 0.1 s")
    if trail.activation is None:
        return trail
    return msgspec.structs.replace(trail, activation=instrument.round_price(trail.activation))


def _fitted_bracket(
    plan: BracketPlan, request: OrderRequest, instrument: Instrument, quote: Quote | None
) -> BracketPlan:
    stop = None if plan.stop is None else instrument.round_price(plan.stop)
    target = None if plan.target is None else instrument.round_price(plan.target)
    _need(stop is not None or target is not None or plan.trail is not None, "a bracket needs a stop or a target")
    entry = plan.price if plan.price is not None else quote.mark if quote is not None else None
    _need(entry is not None, "the market is not known yet")
    long = request.side is OrderSide.BUY
    below, above = (stop, target) if long else (target, stop)
    names = ("stop", "target") if long else ("target", "stop")
    _need(below is None or entry is None or below < entry, f"the {names[0]} must be below the entry at {entry}")
    _need(above is None or entry is None or above > entry, f"the {names[1]} must be above the entry at {entry}")
    trail = None if plan.trail is None else _fitted_trail(plan.trail, instrument)
    return msgspec.structs.replace(plan, stop=stop, target=target, trail=trail)


def _need_share(value: Decimal | None, what: str) -> None:
    _need(value is None or ZERO < value <= ONE, f"{what} is a fraction above 0 and up to 1")


def _need(true: bool, what: str) -> None:
    if not true:
        raise ValidationError(f"This cannot be followed: {what}.")
