"""Step machines of the algorithms that trade one quantity: market, limit, schedule, participation, iceberg.

Each is a pure function of its view and plan. None of them keeps anything: after a restart it decides from the state
alone, as it would have without one.
"""

from __future__ import annotations

import hashlib
from decimal import Decimal
from typing import TYPE_CHECKING

from engine.execution.algos.contract import Action, Amend, Cancel, Place
from engine.model.algos import LimitMode
from engine.model.decimals import ONE, ZERO
from engine.model.order import OrderSide, OrderType
from engine.model.schedule import quantity_due

if TYPE_CHECKING:
    from engine.execution.algos.contract import View
    from engine.model.algos import IcebergPlan, LimitPlan, MarketPlan, ParticipationPlan, SchedulePlan
    from engine.model.order import Order

__all__ = ["iceberg", "limit", "market", "participation", "schedule", "spread_of_seed"]

_SEEDS = 1 << 32


def spread_of_seed(seed: str) -> Decimal:
    """A number from -1 to 1 that looks like chance and is the same for the same seed."""
    drawn = int.from_bytes(hashlib.blake2b(seed.encode(), digest_size=4).digest(), "big")
    return Decimal(2 * drawn) / Decimal(_SEEDS - 1) - ONE


def market(view: View, _plan: MarketPlan) -> list[Action]:
    """Everything that is left, at once."""
    quantity = ZERO if view.entries else view.sized(view.room)
    return [Place(type=OrderType.MARKET, quantity=quantity, why="market")] if quantity else []


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
    price = _bounded(side, price, plan.price)
    if plan.post_only:
        tick = instrument.current_rules.price_tick
        price = _bounded(side, price, other - side.sign * tick)
    # Towards the own side: rounding never makes it worse than it may be.
    return instrument.round_price(price, up=side is OrderSide.SELL)


def _bounded(side: OrderSide, price: Decimal, worst: Decimal | None) -> Decimal:
    if worst is None:
        return price
    return min(price, worst) if side is OrderSide.BUY else max(price, worst)


# --- schedule --------------------------------------------------------------------------------------------------------


def schedule(view: View, plan: SchedulePlan) -> list[Action]:
    """What is due and not executed; a slice that rested and was not executed is taken when the next one is due."""
    parent, elapsed = view.parent, view.parent.elapsed_ns(view.now)
    due = quantity_due(plan.slices, elapsed, parent.quantity)
    cap = None if plan.participation is None else max(view.allowance(plan.participation), ZERO)
    if plan.passive:
        return _passively(view, plan, elapsed, due, cap)
    if view.entries:
        return _left_behind(view.entries, plan.price)
    return _take(view, due - parent.executed, plan.price, cap)


def _passively(view: View, plan: SchedulePlan, elapsed: int, due: Decimal, cap: Decimal | None) -> list[Action]:
    side, executed = view.parent.side, view.parent.executed
    # The slice that is due last may rest until the next one is; what was due before is late.
    begun = [step.offset_ns for step in plan.slices if step.offset_ns <= elapsed]
    late = ZERO if not begun else quantity_due(plan.slices, begun[-1] - 1, view.parent.quantity) - executed
    over = len(begun) == len(plan.slices) and elapsed - begun[-1] >= _length(plan)
    late = due - executed if over else late
    if view.entries:
        return [Cancel(client_id=order.client_id, why="its slice is over") for order in view.entries if late > ZERO]
    if late > ZERO:
        return _take(view, late, plan.price, cap)
    price, quantity = _resting(view), view.sized(due - executed, cap) if due > executed else ZERO
    if price is None or not quantity:
        return []
    price = view.instrument.round_price(_bounded(side, price, plan.price), up=side is OrderSide.SELL)
    return [Place(type=OrderType.LIMIT, quantity=quantity, price=price, why=f"{plan.name} slice {len(begun)}")]


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


def _take(view: View, wanted: Decimal, worst: Decimal | None, cap: Decimal | None) -> list[Action]:
    """Take a quantity from the book, at no worse than a price."""
    if wanted <= ZERO:
        return []
    quantity = view.sized(wanted, cap)
    if not quantity:
        return []
    if worst is None:
        return [Place(type=OrderType.MARKET, quantity=quantity, why="slice")]
    side, other = view.parent.side, view.best(view.parent.side.opposite)
    if other is None or side.sign * (other - worst) > ZERO:
        return []
    return [Place(type=OrderType.LIMIT, quantity=quantity, price=worst, why="slice")]


def _left_behind(entries: list[Order], worst: Decimal | None) -> list[Action]:
    """A limit order that was to be executed at once and still works has lost the book it was meant for."""
    if worst is None:
        return []
    return [Cancel(client_id=order.client_id, why="its price is gone") for order in entries]


def participation(view: View, plan: ParticipationPlan) -> list[Action]:
    """A share of what was traded since the last order."""
    if view.entries:
        return _left_behind(view.entries, plan.price)
    if view.parent.placed and view.now - view.parent.last_placed < plan.every_ns:
        return []
    allowance = view.allowance(plan.rate)
    return _take(view, allowance, plan.price, max(allowance, ZERO))


def iceberg(view: View, plan: IcebergPlan) -> list[Action]:
    """The next part, once the one before it is over."""
    if view.entries:
        return []
    shown = plan.display
    if plan.jitter:
        shown *= ONE + plan.jitter * spread_of_seed(f"{view.parent.id} {view.parent.placed}")
    quantity = view.sized(shown)
    if not quantity:
        return []
    return [
        Place(
            type=OrderType.LIMIT,
            quantity=quantity,
            price=plan.price,
            post_only=plan.post_only,
            why="part of an iceberg",
        )
    ]
