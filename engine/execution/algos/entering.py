"""Step machines of the algorithms that trade one quantity: market, limit, schedule, participation, iceberg.

Each is a pure function of its view and plan. None of them keeps anything: after a restart it decides from the state
alone, as it would have without one.
"""

from __future__ import annotations

import hashlib
from decimal import Decimal
from itertools import pairwise
from typing import TYPE_CHECKING

from engine.execution.algos.contract import Action, Amend, Cancel, Place, Wait, worst_price
from engine.execution.selection import RESTLESS, affordable_part, should_wait
from engine.model.algos import NORMAL_PACE, LimitMode
from engine.model.decimals import ONE, ZERO
from engine.model.order import OrderSide, OrderType
from engine.model.schedule import Slice, quantity_due

if TYPE_CHECKING:
    from engine.execution.algos.contract import View
    from engine.model.algos import IcebergPlan, LimitPlan, MarketPlan, ParticipationPlan, SchedulePlan

__all__ = ["at_once", "iceberg", "left_behind", "limit", "market", "participation", "schedule", "spread_of_seed"]

_SEEDS = 1 << 32
CAPPED_EVERY_NS = 5_000_000_000
"""Nanoseconds between two orders that a cap on participation keeps small."""
STEP_NS = 250_000_000
"""Nanoseconds between two steps of a parent order in an engine."""
NEUTRAL = 0.5
"""Urgency at which volatility changes nothing."""


def spread_of_seed(seed: str) -> Decimal:
    """A number from -1 to 1 that looks like chance and is the same for the same seed."""
    drawn = int.from_bytes(hashlib.blake2b(seed.encode(), digest_size=4).digest(), "big")
    return Decimal(2 * drawn) / Decimal(_SEEDS - 1) - ONE


def market(view: View, _plan: MarketPlan) -> list[Action]:
    """Everything that is left, at once, at no worse than its slippage limit."""
    if view.entries:
        return left_behind(view)
    return at_once(view, view.sized(view.room), "market")


# --- limit -----------------------------------------------------------------------------------------------------------


def limit(view: View, plan: LimitPlan) -> list[Action]:
    """One resting order at the price of the moment; priced anew every so often."""
    price = _limit_price(view, plan)
    if price is None:
        return []
    working = view.entries[0] if view.entries else None
    if working is None:
        quantity = view.sized(view.room)
        if not quantity:
            return []
        why = str(plan.mode)
        return [Place(type=OrderType.LIMIT, quantity=quantity, price=price, post_only=plan.post_only, why=why)]
    if working.price == price or view.now - working.updated < plan.every_ns:
        return []
    return [Amend(client_id=working.client_id, price=price)]


def _limit_price(view: View, plan: LimitPlan) -> Decimal | None:
    side, instrument = view.parent.side, view.instrument
    own, other = view.best(side), view.best(side.opposite)
    if own is None or other is None:
        return None
    price = own
    if plan.mode is LimitMode.CHASE:
        step = min(view.parent.elapsed_ns(view.now) // plan.every_ns, plan.steps)
        price = own + (other - own) * step / plan.steps
    price = bounded(side, price, worst_price(view.parent))
    if plan.post_only:
        tick = instrument.current_rules.price_tick
        price = bounded(side, price, other - side.sign * tick)
    # Towards the own side: rounding never makes it worse than it may be.
    return instrument.round_price(price, up=side is OrderSide.SELL)


def bounded(side: OrderSide, price: Decimal, worst: Decimal | None) -> Decimal:
    if worst is None:
        return price
    return min(price, worst) if side is OrderSide.BUY else max(price, worst)


# --- schedule --------------------------------------------------------------------------------------------------------


def schedule(view: View, plan: SchedulePlan) -> list[Action]:
    """What is due and not executed; a slice that rested and was not executed is taken when the next one is due.

    The slice that is due last may wait for a better market until the next one is due, and one that is not due yet may
    be brought forward: never by more than one slice. One that is more than a slice behind, as after a halt, catches up
    slice by slice.
    """
    parent, elapsed = view.parent, view.parent.elapsed_ns(view.now)
    begun = [step for step in plan.slices if step.offset_ns <= elapsed]
    due = quantity_due(plan.slices, elapsed, parent.quantity)
    late = _late(view, plan, elapsed, begun, due)
    cap = None if plan.participation is None else max(view.allowance(plan.participation), ZERO)
    if plan.passive:
        return _passively(view, plan, len(begun), due, late, cap)
    if view.entries:
        return left_behind(view)
    if cap is not None and cap < due - parent.executed and _just_placed(view, CAPPED_EVERY_NS):
        return []
    if late > ZERO and late > _at_a_time(view, plan)[0]:
        return _catch_up(view, plan, late, cap)
    if _hurries(view, plan) and begun and len(begun) < len(plan.slices):
        due = quantity_due(plan.slices, plan.slices[len(begun)].offset_ns, parent.quantity)
    elif due > parent.executed and late < view.least and (why := _waits(view, plan)):
        return [Wait(why=why)]
    return _take(view, due - parent.executed, cap)


def _late(view: View, plan: SchedulePlan, elapsed: int, begun: list[Slice], due: Decimal) -> Decimal:
    """What was due before the slice that is due last, and once that one is over, everything that is due."""
    executed = view.parent.executed
    if not begun:
        return ZERO
    over = len(begun) == len(plan.slices) and elapsed - begun[-1].offset_ns >= _length(plan)
    return (
        due - executed if over else quantity_due(plan.slices, begun[-1].offset_ns - 1, view.parent.quantity) - executed
    )


def _at_a_time(view: View, plan: SchedulePlan) -> tuple[Decimal, Decimal]:
    """The most that is taken at a time to catch up, and the nanoseconds that must lie between two such orders.

    Twice the schedule's own speed, by its largest slice; where more of them fall due in a step, as much as in a step.
    """
    shares = [ZERO, *(step.share for step in plan.slices)]
    largest = max(after - before for before, after in pairwise(shares)) * view.parent.quantity
    if len(plan.slices) == 1:
        return largest, ZERO
    window = Decimal(plan.slices[-1].offset_ns - plan.slices[0].offset_ns) * NORMAL_PACE / view.parent.pace
    pause = window / (len(plan.slices) - 1) / 2
    return (largest, pause) if pause >= STEP_NS else (largest * STEP_NS / max(pause, ONE), Decimal(STEP_NS))


def _catch_up(view: View, plan: SchedulePlan, late: Decimal, cap: Decimal | None) -> list[Action]:
    """Take what is late; of more than a slice no more than one at a time, and two in the time between two slices.

    An order waits for its own part of that time, so that parts for which the book has room are not held up.
    """
    most, pause = _at_a_time(view, plan)
    if late <= most or (cap is not None and cap < most):
        # A cap that is used up holds it back enough.
        return _take(view, late, cap)
    actions = _take(view, most, cap)
    for action in actions:
        if isinstance(action, Place) and _just_placed(view, int(pause * action.quantity / most)):
            return [Wait(why=f"it is {late.normalize():f} behind and catches up slice by slice")]
    return actions


def _waits(view: View, plan: SchedulePlan) -> str:
    """Why a slice that is not late had better wait; empty when it had not."""
    if view.spread is not None and view.usual_spread is not None and should_wait(view.spread, view.usual_spread):
        return f"its slice waits: the spread of {view.spread:.3%} is wide"
    restless = view.restlessness
    if restless is not None and restless > RESTLESS and plan.urgency < NEUTRAL:
        return f"its slice waits: the market moves {restless:.1f} times as much as usual"
    return ""


def _hurries(view: View, plan: SchedulePlan) -> bool:
    """Whether waiting has become so risky that the next slice is brought forward."""
    restless = view.restlessness
    return restless is not None and restless > RESTLESS and plan.urgency > NEUTRAL


def _passively(
    view: View, plan: SchedulePlan, number: int, due: Decimal, late: Decimal, cap: Decimal | None
) -> list[Action]:
    side, executed = view.parent.side, view.parent.executed
    # What is late by less than an order can be waits for the next one; the very end takes all that is left.
    over = late >= view.least or (late > ZERO and late >= view.parent.remaining)
    if view.entries:
        return [Cancel(client_id=order.client_id, why="its slice is over") for order in view.entries if over]
    if over:
        return _catch_up(view, plan, late, cap)
    price, quantity = _resting(view), view.sized(due - executed, cap) if due > executed else ZERO
    if price is None or not quantity:
        return []
    price = view.instrument.round_price(bounded(side, price, worst_price(view.parent)), up=side is OrderSide.SELL)
    return [Place(type=OrderType.LIMIT, quantity=quantity, price=price, why=f"{plan.name} slice {number}")]


def _resting(view: View) -> Decimal | None:
    """Where a slice rests: as far from the own side's best price as lets enough of them be executed in time."""
    side = view.parent.side
    own, other = view.best(side), view.best(side.opposite)
    if own is None or other is None or not view.offset:
        return own
    return own - view.offset * (other - own)


def _length(plan: SchedulePlan) -> int:
    """How long the last slice may rest: as long as the one before it."""
    offsets = [step.offset_ns for step in plan.slices]
    return offsets[-1] - offsets[-2] if len(offsets) > 1 else 0


def _take(view: View, wanted: Decimal, cap: Decimal | None) -> list[Action]:
    """Take a quantity from the book, at no worse than the worst price, and not all of what is visible there."""
    if wanted <= ZERO:
        return []
    if view.visible is not None:
        shown = affordable_part(view.visible, view.least)
        cap = shown if cap is None else min(cap, shown)
    return at_once(view, view.sized(wanted, cap), "slice")


def at_once(view: View, quantity: Decimal, why: str) -> list[Action]:
    """An order that takes now: at the market, or as a limit order at the worst price."""
    if not quantity:
        return []
    worst = worst_price(view.parent)
    if worst is None:
        return [Place(type=OrderType.MARKET, quantity=quantity, why=why)]
    side, other = view.parent.side, view.best(view.parent.side.opposite)
    if other is None or side.sign * (other - worst) > ZERO:
        return []
    price = view.instrument.round_price(worst, up=side is OrderSide.SELL)
    return [Place(type=OrderType.LIMIT, quantity=quantity, price=price, why=why)]


def left_behind(view: View) -> list[Action]:
    """A limit order that was to be executed at once and still works has lost the book it was meant for."""
    if worst_price(view.parent) is None:
        return []
    return [Cancel(client_id=order.client_id, why="its price is gone") for order in view.entries]


def _just_placed(view: View, every_ns: int) -> bool:
    return bool(view.parent.placed) and view.now - view.parent.last_placed < every_ns


def participation(view: View, plan: ParticipationPlan) -> list[Action]:
    """A share of what was traded while it might trade as well, and of which it has not traded its share yet."""
    if view.entries:
        return left_behind(view)
    if _just_placed(view, plan.every_ns):
        return []
    allowance = view.allowance(plan.rate)
    return _take(view, allowance, max(allowance, ZERO))


def iceberg(view: View, plan: IcebergPlan) -> list[Action]:
    """The next part, once the one before it is over."""
    if view.entries:
        return []
    shown = plan.display
    if plan.jitter:
        shown *= ONE + plan.jitter * spread_of_seed(f"{view.parent.id} {view.parent.placed}")
    quantity, side = view.sized(shown), view.parent.side
    if not quantity:
        return []
    price = bounded(side, plan.price, worst_price(view.parent))
    return [
        Place(
            type=OrderType.LIMIT,
            quantity=quantity,
            price=view.instrument.round_price(price, up=side is OrderSide.SELL),
            post_only=plan.post_only,
            why="part of an iceberg",
        )
    ]
