"""How parent orders and what becomes of their children move the state."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine import events as ev
from engine.errors import StateConsistencyError
from engine.model.algos import ENDED, Parent, ParentStatus
from engine.model.decimals import ZERO
from engine.model.order import OrderStatus, OrderType

if TYPE_CHECKING:
    from decimal import Decimal

    from engine.model.fill import Fill
    from engine.model.ids import ParentId
    from engine.model.order import Order
    from engine.state.core import EngineState
    from engine.state.money import Handlers

__all__ = ["HANDLERS", "RECENT_PARENTS", "book_execution", "child_ended", "child_intended", "child_moved", "join"]

RECENT_PARENTS = 500
"""Ended parents that are kept for late executions of their orders; older ones live in the journal."""


def _opened(state: EngineState, event: ev.ParentOpened, ts: int) -> None:
    if event.parent in state.parents or event.parent in state.ended_parents:
        raise StateConsistencyError(f"The parent order {event.parent} exists already.")
    if event.instrument not in state.instruments:
        raise StateConsistencyError(f"The instrument {event.instrument} is not known.")
    state.parents[event.parent] = Parent(
        id=event.parent,
        owner=event.owner,
        account=event.account,
        instrument=event.instrument,
        side=event.side,
        quantity=event.quantity,
        plan=event.plan,
        decision=event.decision,
        opened=ts,
        updated=ts,
        since=ts,
        arrival=event.arrival,
        max_slippage=event.max_slippage,
        reduce_only=event.reduce_only,
    )


def _find(state: EngineState, parent: ParentId) -> Parent:
    found = state.parents.get(parent)
    if found is None:
        raise StateConsistencyError(f"The parent order {parent} is not known, or has ended.")
    return found


def _wind(parent: Parent, ts: int) -> None:
    """Bring its clock up to a time."""
    if parent.status is ParentStatus.RUNNING:
        parent.run += (ts - parent.since) * parent.pace
    parent.since = parent.updated = ts


def _paused(state: EngineState, event: ev.ParentPaused, ts: int) -> None:
    parent = _find(state, event.parent)
    if parent.status is not ParentStatus.RUNNING:
        raise StateConsistencyError(f"The parent order {parent.id} is {parent.status} and cannot be paused.")
    _wind(parent, ts)
    parent.status, parent.reason = ParentStatus.PAUSED, event.reason


def _resumed(state: EngineState, event: ev.ParentResumed, ts: int) -> None:
    parent = _find(state, event.parent)
    if parent.status is not ParentStatus.PAUSED:
        raise StateConsistencyError(f"The parent order {parent.id} is {parent.status} and cannot be resumed.")
    _wind(parent, ts)
    parent.status, parent.reason = ParentStatus.RUNNING, ""


def _accelerated(state: EngineState, event: ev.ParentAccelerated, ts: int) -> None:
    parent = _find(state, event.parent)
    _wind(parent, ts)
    parent.pace = event.pace


def _cancel_requested(state: EngineState, event: ev.ParentCancelRequested, ts: int) -> None:
    parent = _find(state, event.parent)
    _wind(parent, ts)
    parent.status, parent.reason, parent.stopping = ParentStatus.ENDING, event.reason, event.stopped


def _ended(state: EngineState, event: ev.ParentEnded, ts: int) -> None:
    parent = _find(state, event.parent)
    if event.status not in ENDED:
        raise StateConsistencyError(f"The parent order {parent.id} cannot end as {event.status}.")
    if state.families.get(parent.id):
        raise StateConsistencyError(f"The parent order {parent.id} cannot end while an order of it works.")
    _wind(parent, ts)
    parent.status, parent.reason = event.status, event.reason
    del state.parents[parent.id]
    state.ended_parents[parent.id] = parent
    if len(state.ended_parents) > RECENT_PARENTS:
        del state.ended_parents[next(iter(state.ended_parents))]


# --- what becomes of children ----------------------------------------------------------------------------------------


def join(state: EngineState, order: Order) -> None:
    """An order of a parent works, or works again."""
    if order.parent is not None:
        state.families.setdefault(order.parent, []).append(order.client_id)


def child_intended(state: EngineState, order: Order, ts: int) -> None:
    """An order of a parent was booked."""
    parent = state.parent(order.parent)
    if parent is not None:
        parent.placed += 1
        parent.last_placed = parent.updated = ts
        _note_level(parent, order.type, order.stop_price)


def child_moved(state: EngineState, order: Order, stop_price: Decimal | None) -> None:
    """Another trigger was asked for an order of a parent."""
    parent = state.parent(order.parent)
    if parent is not None:
        _note_level(parent, order.type, stop_price)


def _note_level(parent: Parent, kind: OrderType, stop_price: Decimal | None) -> None:
    if kind is OrderType.STOP_LOSS and stop_price is not None:
        parent.level = stop_price


def child_ended(state: EngineState, order: Order) -> None:
    """An order of a parent does not work any more."""
    if order.parent is None:
        return
    family = state.families.get(order.parent, [])
    if order.client_id in family:
        family.remove(order.client_id)
    if not family:
        state.families.pop(order.parent, None)
    parent = state.parent(order.parent)
    if parent is not None and not order.executed and not order.cancel_requested:
        parent.futile += 1
        words = "rejected" if order.status is OrderStatus.REJECTED else "ended by the venue"
        parent.trouble = f"{words}: {order.reason}" if order.reason else words


def book_execution(state: EngineState, order: Order, fill: Fill, cost: Decimal) -> None:
    """An order of a parent was executed in part.

    Args:
        state: What it belongs to.
        order: The child.
        fill: Its execution.
        cost: Price x quantity x multiplier of that.
    """
    parent = state.parent(order.parent)
    if parent is None:
        return
    if fill.side is parent.side:
        parent.executed += fill.quantity
        parent.cost += cost
    else:
        parent.exited += fill.quantity
        parent.exit_cost += cost
    parent.fees[fill.fee_currency] = parent.fees.get(fill.fee_currency, ZERO) + fill.fee
    parent.futile, parent.trouble = 0, ""


HANDLERS: Handlers = {
    ev.ParentOpened: _opened,
    ev.ParentPaused: _paused,
    ev.ParentResumed: _resumed,
    ev.ParentAccelerated: _accelerated,
    ev.ParentCancelRequested: _cancel_requested,
    ev.ParentEnded: _ended,
}
