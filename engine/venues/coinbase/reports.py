"""What the user channel says about an order, as events: all but executions, which it tells only as sums."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from engine import events as ev
from engine.model.ids import ClientOrderId, VenueOrderId
from engine.model.order import OrderStatus
from engine.venues.coinbase.parse import status_of
from engine.venues.coinbase.values import amount, iso_ns, some

if TYPE_CHECKING:
    from engine.events import VenueEvent
    from engine.venues.coinbase.frames import StreamOrder

__all__ = ["OrderTerms", "events_of", "terms_of"]

_IMMEDIATE = frozenset({"IMMEDIATE_OR_CANCEL", "FILL_OR_KILL"})


class OrderTerms(msgspec.Struct, frozen=True):
    """What can be changed of a resting order."""

    quantity: Decimal
    price: Decimal | None


def terms_of(order: StreamOrder) -> OrderTerms | None:
    """What a working order asks for now; None where the report does not say it."""
    if order.status != "OPEN" or not order.leaves_quantity or order.order_type.upper() == "MARKET":
        return None
    return OrderTerms(amount(order.cumulative_quantity) + amount(order.leaves_quantity), some(order.limit_price))


def events_of(order: StreamOrder, ts: int) -> list[VenueEvent]:
    """What a report says besides executions, in the order in which it happened.

    Args:
        order: The report.
        ts: When it was told, UTC nanoseconds at the venue.
    """
    client_id = ClientOrderId(order.client_order_id)
    filled = amount(order.cumulative_quantity)
    status = status_of(order.status, filled=filled, immediate=order.time_in_force in _IMMEDIATE)
    if status is OrderStatus.UNKNOWN:
        return []
    if status is OrderStatus.REJECTED:
        code = order.reject_reason or order.status
        return [ev.OrderRejected(client_id=client_id, code=code, reason=_words(code), ts=ts)]
    created = iso_ns(order.creation_time) or ts
    found: list[VenueEvent] = [
        ev.OrderAccepted(client_id=client_id, venue_order_id=VenueOrderId(order.order_id), ts=created)
    ]
    if order.trigger_status == "STOP_TRIGGERED":
        found.append(ev.OrderTriggered(client_id=client_id, ts=ts))
    if status is OrderStatus.CANCELED:
        found.append(ev.OrderCanceled(client_id=client_id, reason=_words(order.cancel_reason), ts=ts))
    elif status is OrderStatus.EXPIRED:
        reason = _words(order.cancel_reason) or "the rest could not be executed at once"
        found.append(ev.OrderExpired(client_id=client_id, reason=reason, ts=ts))
    return found


def _words(code: str) -> str:
    return code.lower().replace("_", " ") if code.isupper() else code
