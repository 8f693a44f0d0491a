"""Step machines that protect: a trailing stop, and the stop and target of a bracket."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.execution.algos.contract import Action, Amend, Cancel, Place, Wait, worst_price
from engine.execution.algos.entering import at_once, left_behind
from engine.model.algos import ParentStatus
from engine.model.decimals import ZERO
from engine.model.order import OrderSide, OrderType

if TYPE_CHECKING:
    from decimal import Decimal

    from engine.execution.algos.contract import View
    from engine.model.algos import BracketPlan, Trail, TrailingPlan
    from engine.model.order import Order

__all__ = ["MOST_FUTILE", "bracket", "stop_level", "trailing"]

MOST_FUTILE = 3
"""Protective orders in a row of which nothing came, after which what is held is closed at the market."""


def stop_level(view: View, trail: Trail, side: OrderSide, first: Decimal | None = None) -> Decimal | None:
    """Where a stop that follows the market belongs now, never looser than it was asked to be last.

    Args:
        view: The moment.
        trail: How it follows.
        side: Side of the stop order.
        first: Where it begins; None begins at its distance from the market.

    Returns:
        A price on the tick grid; None while it is not active, or the market not known.
    """
    # A stop that sells follows the best bid upwards, one that buys the best ask downwards.
    price, sign = view.best(side.opposite), side.sign
    level = view.parent.level if view.parent.level is not None else first
    if price is None:
        return level
    waits = trail.activation is not None and sign * (price - trail.activation) > ZERO
    if waits and view.parent.level in (None, first):
        return first
    away = trail.amount if trail.amount is not None else price * (trail.fraction or ZERO)
    wanted = view.instrument.round_price(price + sign * away, up=side is OrderSide.BUY)
    if level is None or sign * (wanted - level) < ZERO:
        return wanted
    return level


def trailing(view: View, plan: TrailingPlan) -> list[Action]:
    """A stop for the whole quantity, moved as the market moves in its favour."""
    side = view.parent.side
    if view.in_doubt or view.parent.status is ParentStatus.PAUSED:
        return []
    stop = view.entries[0] if view.entries else None
    level = stop_level(view, plan.trail, side)
    if level is None:
        return []
    if stop is None:
        quantity = view.sized(view.room)
        return [_place(OrderType.STOP_LOSS, quantity, level, "trailing stop")] if quantity else []
    return _move(view, stop, None, level, plan.trail.every_ns)


def bracket(view: View, plan: BracketPlan) -> list[Action]:
    """Protect what is held; enter what is not."""
    held, exits = view.held, view.exits
    reached = any(order.triggered or order.type is OrderType.MARKET or order.filled for order in exits)
    working = [order for order in view.entries if not order.cancel_requested]
    if (reached or view.parent.exited or view.parent.status is ParentStatus.PAUSED) and working:
        # What still works of the entry must not build the position up again.
        return [Cancel(client_id=order.client_id, why="nothing more is entered") for order in working]
    if reached or view.doubts(exits):
        return []
    return _protect(view, plan, held, exits) or _enter(view, plan)


def _enter(view: View, plan: BracketPlan) -> list[Action]:
    parent = view.parent
    if parent.exited or view.blocked or parent.status is not ParentStatus.RUNNING:
        return []
    if view.entries:
        return left_behind(view) if plan.price is None and not view.doubts(view.entries) else []
    if parent.futile and view.held >= view.least:
        # Nothing came of the last try, and further ones would count as protection that came to nothing.
        return [Wait(why=f"the rest is not entered: {parent.trouble}")]
    quantity = view.sized(view.room)
    if not quantity:
        return []
    price, why = worst_price(parent), "entry of a bracket"
    if plan.price is None or price is None:
        return at_once(view, quantity, why)
    price = view.instrument.round_price(price, up=parent.side is OrderSide.SELL)
    return [Place(type=OrderType.LIMIT, quantity=quantity, price=price, why=why)]


def _protect(view: View, plan: BracketPlan, held: Decimal, exits: list[Order]) -> list[Action]:
    if held < view.least:
        return [Cancel(client_id=order.client_id, why="nothing is held any more") for order in exits]
    if view.parent.futile + view.exit_refusals >= MOST_FUTILE:
        if exits:
            return [Cancel(client_id=order.client_id, why="it is closed at the market") for order in exits]
        return [Place(type=OrderType.MARKET, quantity=held, exits=True, why=f"not protected: {view.parent.trouble}")]
    side = view.parent.side.opposite
    stop, every_ns = plan.stop, 0
    if plan.trail is not None:
        stop, every_ns = stop_level(view, plan.trail, side, plan.stop), plan.trail.every_ns
    actions: list[Action] = []
    group = next((order.oco_group for order in exits if order.oco_group), f"{view.parent.id}-{view.parent.placed + 1}")
    for kind, level in ((OrderType.STOP_LOSS, stop), (OrderType.TAKE_PROFIT, plan.target)):
        if level is None:
            continue
        mine = next((order for order in exits if order.type is kind), None)
        if mine is None:
            why = "stop of a bracket" if kind is OrderType.STOP_LOSS else "target of a bracket"
            actions.append(_place(kind, held, level, why, exits=True, oco_group=group))
        else:
            actions += _move(view, mine, held, level, every_ns)
    return actions


def _place(
    kind: OrderType, quantity: Decimal, level: Decimal, why: str, *, exits: bool = False, oco_group: str | None = None
) -> Place:
    return Place(type=kind, quantity=quantity, stop_price=level, why=why, exits=exits, oco_group=oco_group)


def _move(view: View, order: Order, held: Decimal | None, level: Decimal, every_ns: int) -> list[Action]:
    """Bring an exit to a quantity and a level; one that is being executed stays as it is."""
    if order.triggered:
        return []
    quantity = None if held is None or held + order.filled == order.quantity else held + order.filled
    moved = level if order.stop_price != level else None
    if quantity is None and (moved is None or view.now - order.updated < every_ns):
        return []
    return [Amend(client_id=order.client_id, quantity=quantity, stop_price=moved)]
