"""Orders that the engine holds itself: which they are, and when their time has come."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from engine.errors import ValidationError
from engine.model.ids import ClientOrderId, VenueOrderId
from engine.model.order import OrderSide, OrderStatus, OrderType, TimeInForce
from engine.model.venue import OrderCommand, VenueOrder

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from decimal import Decimal

    from engine.model.order import Order
    from engine.model.risk import Quote
    from engine.model.venue import Capabilities

__all__ = ["HELD_PREFIX", "WAITING", "Held", "command_of", "goes_before", "held_id", "is_held", "must_hold", "reached"]

WAITING = frozenset({OrderType.STOP_LOSS, OrderType.TAKE_PROFIT})
"""Types of orders that wait for a price."""
HELD_PREFIX = "engine-"
"""Begins the venue order id of an order that is held here and not at the venue."""


def held_id(client_id: ClientOrderId) -> VenueOrderId:
    """The venue order id under which the engine holds an order."""
    return VenueOrderId(f"{HELD_PREFIX}{client_id}")


def is_held(order: Order) -> bool:
    """Whether an open order is held by the engine, so that it works only while the engine lives."""
    return order.is_open and (order.venue_order_id or "").startswith(HELD_PREFIX)


def must_hold(able: Capabilities, kind: OrderType, *, cash: bool, beside: bool) -> bool:
    """Whether the engine has to hold an order because its venue could not.

    Args:
        able: What the venue itself can do.
        kind: Type of the order.
        cash: Whether it needs funds of its own, as on spot; reduce-only orders of derivatives do not.
        beside: Whether another order of its group rests at the venue.
    """
    if kind in WAITING and kind not in able.order_types:
        return True
    return beside and cash and not able.oco


def goes_before(
    other: Order,
    command: OrderCommand,
    members: Sequence[ClientOrderId],
    able: Capabilities,
    held: Collection[ClientOrderId],
) -> bool:
    """Whether another member of an order's group has the funds at the venue, or is to have them.

    Intents of a group may be booked together and sent one after the other: which of them rests at the venue must not
    depend on which is sent first. It is the stop, unless another rests there already.

    Args:
        other: The other member, which is open.
        command: The order.
        members: The group, oldest first.
        able: What the venue itself can do.
        held: What is held here.
    """
    if other.triggered:
        # One that was reached is at the venue, or in a moment.
        return True
    if other.client_id in held or must_hold(able, other.type, cash=True, beside=False):
        return False
    if other.venue_order_id is not None:
        return True
    stops = other.type is OrderType.STOP_LOSS, command.type is OrderType.STOP_LOSS
    if stops[0] is not stops[1]:
        return stops[0]
    place = members.index(command.client_id) if command.client_id in members else len(members)
    return members.index(other.client_id) < place


class Held(msgspec.Struct, kw_only=True):
    """One order that is held here."""

    command: OrderCommand
    since: int
    """UTC nanoseconds."""
    triggered: bool = False
    """Its price was reached: it is being sent, or was."""
    firing: bool = False
    """It is this process that is sending it."""

    def as_venue_order(self, now: int) -> VenueOrder:
        """The order as a venue would show it."""
        command = self.command
        return VenueOrder(
            client_id=command.client_id,
            venue_order_id=held_id(command.client_id),
            account=command.account,
            instrument=command.instrument,
            side=command.side,
            type=command.type,
            quantity=command.quantity,
            filled=command.quantity * 0,
            status=OrderStatus.ACCEPTED,
            created=self.since,
            updated=now,
            price=command.price,
            stop_price=command.stop_price,
        )

    def sent_as(self, quantity: Decimal) -> OrderCommand:
        """What is sent to the venue when its time has come."""
        kind = OrderType.MARKET if self.command.price is None else OrderType.LIMIT
        return msgspec.structs.replace(
            self.command, type=kind, stop_price=None, quantity=quantity, oco_group=None, tif=TimeInForce.GTC
        )


def command_of(order: Order) -> OrderCommand:
    """The command of an order that is booked."""
    return OrderCommand(
        client_id=order.client_id,
        account=order.account,
        instrument=order.instrument,
        side=order.side,
        type=order.type,
        quantity=order.quantity,
        price=order.price,
        stop_price=order.stop_price,
        tif=order.tif,
        post_only=order.post_only,
        reduce_only=order.reduce_only,
        oco_group=order.oco_group,
    )


def reached(command: OrderCommand, quote: Quote) -> bool:
    """Whether the price at which an order would be executed has reached its level.

    A sell is held against the best bid and a buy against the best ask: a book that has a gap or is crossed has neither,
    and nothing is triggered by it.

    Raises:
        ValidationError: The order has no level.
    """
    level = command.stop_price if command.stop_price is not None else command.price
    if level is None:
        raise ValidationError(f"The order {command.client_id} has no price to wait for.")
    price = quote.bid if command.side is OrderSide.SELL else quote.ask
    if price is None:
        return False
    # A stop waits for a worse price, a target and a limit for a better one.
    wants_lower = (command.side is OrderSide.SELL) == (command.type is OrderType.STOP_LOSS)
    return price <= level if wants_lower else price >= level
