"""How an order's life moves the state."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine import events as ev
from engine.errors import IllegalTransitionError, StateConsistencyError
from engine.model.decimals import ZERO
from engine.model.entries import Forgotten
from engine.model.order import OPEN_STATUSES, Decision, Order, OrderStatus, TimeInForce, can_move
from engine.state import parents
from engine.state.money import book_fill, money
from engine.state.quality import await_marks

if TYPE_CHECKING:
    from decimal import Decimal

    from engine.model.ids import ClientOrderId
    from engine.state.core import EngineState
    from engine.state.money import Handlers

__all__ = ["HANDLERS", "RECENT_ORDERS"]

MOST_FORGOTTEN = 50_000
"""Executions of orders not remembered any more that are kept while the venue cannot be asked."""
RECENT_ORDERS = 10_000
"""Ended orders kept for late fills and repeats; older ones live in the history store."""


def _order_refused(state: EngineState, event: ev.OrderRefused, _ts: int) -> None:
    bot = state.bots.get(event.owner)
    if bot is not None:
        bot.refusals += 1


def _order_intended(state: EngineState, event: ev.OrderIntended, ts: int) -> None:
    if event.client_id in state.orders or event.client_id in state.recent:
        raise StateConsistencyError(f"The client order id {event.client_id} is already used.")
    if event.instrument not in state.instruments:
        raise StateConsistencyError(f"The instrument {event.instrument} is not known.")
    money(state, event.account, event.reserve_currency)
    order = Order(
        client_id=event.client_id,
        account=event.account,
        instrument=event.instrument,
        owner=event.owner,
        side=event.side,
        type=event.type,
        quantity=event.quantity,
        price=event.price,
        stop_price=event.stop_price,
        tif=event.tif,
        post_only=event.post_only,
        reduce_only=event.reduce_only,
        oco_group=event.oco_group,
        status=OrderStatus.PENDING,
        created=ts,
        updated=ts,
        reserve_currency=event.reserve_currency,
        reserve_unit=event.reserve_unit,
        decision=event.decision,
        parent=event.parent,
    )
    before = _held(state, order)
    state.orders[order.client_id] = order
    parents.join(state, order)
    parents.child_intended(state, order, ts)
    if order.oco_group is not None:
        state.oco.setdefault(order.oco_group, []).append(order.client_id)
    _reserve(state, order, before)
    state.meta.client_orders += 1


def _find(state: EngineState, client_id: ClientOrderId) -> Order:
    order = state.orders.get(client_id) or state.recent.get(client_id)
    if order is None:
        raise StateConsistencyError(f"The order {client_id} is not known.")
    return order


def _held(state: EngineState, order: Order) -> Decimal:
    """Funds held for an order and its group: the members of an OCO group can never all fill, the largest counts."""
    if order.oco_group is None:
        return order.reserved if order.client_id in state.orders else ZERO
    held = ZERO
    for client_id in state.oco.get(order.oco_group, ()):
        member = state.orders.get(client_id)
        if member is not None and member.reserve_currency == order.reserve_currency:
            held = max(held, member.reserved)
    return held


def _reserve(state: EngineState, order: Order, before: Decimal) -> None:
    after = _held(state, order)
    if after != before:
        balance, _ = money(state, order.account, order.reserve_currency)
        balance.reserved += after - before


def _move(state: EngineState, order: Order, to: OrderStatus, ts: int, reason: str = "") -> None:
    now = order.status
    if not can_move(now, to):
        raise IllegalTransitionError(f"The order {order.client_id} is {now} and cannot become {to}.")
    works, was_open = to in OPEN_STATUSES, order.client_id in state.orders
    if works and was_open:
        # What it holds does not change while it works.
        order.status, order.updated, order.reason = to, ts, reason or order.reason
        return
    before = _held(state, order)
    order.status = to
    order.updated = ts
    if reason:
        order.reason = reason
    if works:
        _reopen(state, order)
    elif was_open:
        _retire(state, order)
    _reserve(state, order, before)


def _retire(state: EngineState, order: Order) -> None:
    del state.orders[order.client_id]
    state.recent[order.client_id] = order
    _forget_amends(order)
    parents.child_ended(state, order)
    if order.oco_group is not None:
        members = state.oco.get(order.oco_group, [])
        if order.client_id in members:
            members.remove(order.client_id)
        if not members:
            state.oco.pop(order.oco_group, None)
    if len(state.recent) > RECENT_ORDERS:
        oldest = state.recent.pop(next(iter(state.recent)))
        if oldest.fill_keys:
            forgotten = state.forgotten.get(oldest.account)
            if forgotten is None:
                forgotten = state.forgotten[oldest.account] = Forgotten()
            elif len(forgotten.fresh) >= MOST_FORGOTTEN:
                forgotten.caught_up()
            forgotten.fresh |= oldest.fill_keys


def _reopen(state: EngineState, order: Order) -> None:
    del state.recent[order.client_id]
    state.orders[order.client_id] = order
    parents.join(state, order)
    if order.oco_group is not None:
        state.oco.setdefault(order.oco_group, []).append(order.client_id)


def _order_submitted(state: EngineState, event: ev.OrderSubmitted, ts: int) -> None:
    order = _find(state, event.client_id)
    # The venue may answer before the send returns; the later notice then changes nothing.
    if order.status is OrderStatus.PENDING:
        _move(state, order, OrderStatus.SUBMITTED, ts)


def _order_unknown(state: EngineState, event: ev.OrderOutcomeUnknown, ts: int) -> None:
    _move(state, _find(state, event.client_id), OrderStatus.UNKNOWN, ts, event.reason)


def _order_accepted(state: EngineState, event: ev.OrderAccepted, ts: int) -> None:
    order = _find(state, event.client_id)
    order.venue_order_id = event.venue_order_id
    if can_move(order.status, OrderStatus.ACCEPTED):
        order.reason = ""
        _move(state, order, OrderStatus.PARTIALLY_FILLED if order.executed else OrderStatus.ACCEPTED, ts)


def _order_rejected(state: EngineState, event: ev.OrderRejected, ts: int) -> None:
    _move(state, _find(state, event.client_id), OrderStatus.REJECTED, ts, event.reason)


def _order_triggered(state: EngineState, event: ev.OrderTriggered, ts: int) -> None:
    order = _find(state, event.client_id)
    order.triggered = True
    order.updated = ts


def _amend_requested(state: EngineState, event: ev.OrderAmendRequested, ts: int) -> None:
    order = _find(state, event.client_id)
    order.updated = ts
    if not order.is_open:
        return
    parents.child_moved(state, order, event.stop_price)
    before = _held(state, order)
    order.pending_amends += 1
    if event.quantity is not None:
        order.pending_quantity = max(event.quantity, order.pending_quantity or ZERO)
    if event.reserve_unit is not None:
        order.pending_reserve_unit = max(event.reserve_unit, order.pending_reserve_unit or ZERO)
    _reserve(state, order, before)


def _amend_answered(order: Order) -> None:
    if order.pending_amends > 1:
        order.pending_amends -= 1
    else:
        _forget_amends(order)


def _forget_amends(order: Order) -> None:
    order.pending_amends, order.pending_quantity, order.pending_reserve_unit = 0, None, None


def _order_amended(state: EngineState, event: ev.OrderAmended, ts: int) -> None:
    order = _find(state, event.client_id)
    before = _held(state, order)
    _amend_answered(order)
    if event.quantity is not None:
        order.quantity = event.quantity
    if event.price is not None:
        order.price = event.price
    if event.stop_price is not None:
        order.stop_price = event.stop_price
    if event.reserve_unit is not None:
        order.reserve_unit = event.reserve_unit
    order.updated = ts
    _reserve(state, order, before)
    if order.is_open and order.executed and order.executed >= order.quantity:
        # Made as small as what is executed, it is done.
        _move(state, order, OrderStatus.FILLED, ts)


def _order_filled(state: EngineState, event: ev.OrderFilled, ts: int) -> None:
    fill = event.fill
    order = _find(state, fill.client_id)
    key = fill.key
    if key in order.fill_keys:
        return
    instrument = state.instruments.get(fill.instrument)
    if instrument is None:
        raise StateConsistencyError(f"The instrument {fill.instrument} of a fill is not known.")
    before = _held(state, order)
    filled = order.filled + fill.quantity
    executed = filled + order.executed_before
    to = _status_after_fill(order, executed)
    if not can_move(order.status, to):
        raise IllegalTransitionError(f"The order {order.client_id} is {order.status} and cannot become {to}.")
    book_fill(state, fill, order.owner)
    await_marks(state, fill, ts)
    order.fill_keys.add(key)
    order.venue_order_id = fill.venue_order_id
    order.filled = filled
    cost = fill.price * fill.quantity * instrument.multiplier
    order.cost += cost
    parents.book_execution(state, order, fill, cost)
    order.fees[fill.fee_currency] = order.fees.get(fill.fee_currency, ZERO) + fill.fee
    order.overfilled = executed > order.quantity
    # The group's hold was measured before the filled quantity changed; _move measures after.
    after_fill = _held(state, order)
    if after_fill != before:
        money(state, order.account, order.reserve_currency)[0].reserved += after_fill - before
    _move(state, order, to, ts)


def _status_after_fill(order: Order, executed: Decimal) -> OrderStatus:
    if executed >= order.quantity:
        return OrderStatus.FILLED
    if order.status in (OrderStatus.CANCELED, OrderStatus.EXPIRED):
        return order.status
    return OrderStatus.PARTIALLY_FILLED


def _cancel_requested(state: EngineState, event: ev.OrderCancelRequested, ts: int) -> None:
    order = _find(state, event.client_id)
    order.cancel_requested = True
    order.updated = ts


def _cancel_rejected(state: EngineState, event: ev.OrderCancelRejected, ts: int) -> None:
    order = _find(state, event.client_id)
    before = _held(state, order)
    _amend_answered(order)
    order.cancel_requested = False
    order.updated = ts
    _reserve(state, order, before)


def _order_canceled(state: EngineState, event: ev.OrderCanceled, ts: int) -> None:
    _move(state, _find(state, event.client_id), OrderStatus.CANCELED, ts, event.reason)


def _order_expired(state: EngineState, event: ev.OrderExpired, ts: int) -> None:
    _move(state, _find(state, event.client_id), OrderStatus.EXPIRED, ts, event.reason)


def _order_adopted(state: EngineState, event: ev.OrderAdopted, ts: int) -> None:
    if event.client_id in state.orders:
        raise StateConsistencyError(f"The order {event.client_id} is tracked already.")
    if event.instrument not in state.instruments:
        raise StateConsistencyError(f"The instrument {event.instrument} is not known.")
    money(state, event.account, event.reserve_currency)
    order = state.recent.get(event.client_id)
    before = ZERO
    if order is None:
        order = state.orders[event.client_id] = Order(
            client_id=event.client_id,
            account=event.account,
            instrument=event.instrument,
            owner=event.owner,
            side=event.side,
            type=event.type,
            quantity=event.quantity,
            price=event.price,
            stop_price=event.stop_price,
            tif=TimeInForce.GTC,
            post_only=False,
            reduce_only=False,
            oco_group=None,
            status=OrderStatus.ACCEPTED,
            created=event.ts,
            updated=ts,
            reserve_currency=event.reserve_currency,
            reserve_unit=event.reserve_unit,
            decision=Decision(reason="It was found at the venue under an id of this engine."),
        )
    else:
        before = _held(state, order)
        _reopen(state, order)
        order.quantity, order.price, order.stop_price = event.quantity, event.price, event.stop_price
        order.reserve_unit, order.updated, order.reason = event.reserve_unit, ts, ""
        order.cancel_requested = False
    order.venue_order_id = event.venue_order_id
    order.executed_before = event.executed_before
    order.status = OrderStatus.PARTIALLY_FILLED if order.executed else OrderStatus.ACCEPTED
    _reserve(state, order, before)


HANDLERS: Handlers = {
    ev.OrderAdopted: _order_adopted,
    ev.OrderRefused: _order_refused,
    ev.OrderIntended: _order_intended,
    ev.OrderSubmitted: _order_submitted,
    ev.OrderOutcomeUnknown: _order_unknown,
    ev.OrderAccepted: _order_accepted,
    ev.OrderRejected: _order_rejected,
    ev.OrderTriggered: _order_triggered,
    ev.OrderAmendRequested: _amend_requested,
    ev.OrderAmended: _order_amended,
    ev.OrderFilled: _order_filled,
    ev.OrderCancelRequested: _cancel_requested,
    ev.OrderCancelRejected: _cancel_rejected,
    ev.OrderCanceled: _order_canceled,
    ev.OrderExpired: _order_expired,
}
