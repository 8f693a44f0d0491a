"""Closing one position at the market because somebody asks for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.errors import ConflictError
from engine.model.order import Decision, OrderRequest, OrderSide, OrderType

if TYPE_CHECKING:
    from engine.control.context import Context
    from engine.model.ids import ClientOrderId, Owner
    from engine.model.order import Order
    from engine.model.position import Position

__all__ = ["close_position"]


async def close_position(context: Context, position: Position, owner: Owner) -> list[Order]:
    """Close an owner's position: what holds it first, then a market order; a running bot closes its own and goes on.

    Raises:
        ConflictError: Nothing of it is left, or the venue does not confirm the cancels in time.
        OrderRejectionError: Risk refuses.
    """
    engine, account, instrument = context.need_engine(), position.account, position.instrument
    bot = engine.bots.running.get(owner)
    if bot is not None:
        engine.bots.close_position(engine.state.bots[owner], f"closed by {context.actor}")
        return list(bot.orders())
    known = engine.state.instruments[instrument]
    engine.algos.cancel_matching(
        lambda parent: (parent.owner, parent.account, parent.instrument) == (owner, account, instrument),
        "the position is being closed",
    )
    side = OrderSide.SELL if position.quantity > 0 else OrderSide.BUY
    working = engine.desk.cancel_matching(
        lambda o: (o.owner, o.account, o.instrument, o.side) == (owner, account, instrument, side),
        "the position is being closed",
    )
    if working:
        await _until_ended(context, {order.client_id for order in working})
    quantity = known.floor_quantity(abs(position.quantity))
    if not quantity or (position.quantity > 0) != (side is OrderSide.SELL):
        raise ConflictError(f"Nothing of the position in {instrument} is left that could be closed.")
    request = OrderRequest(
        account=account,
        instrument=instrument,
        owner=owner,
        side=side,
        type=OrderType.MARKET,
        quantity=quantity,
        reduce_only=True,
        decision=Decision(reason=f"closed by {context.actor}"),
    )
    return [engine.desk.submit(request)]


async def _until_ended(context: Context, ids: set[ClientOrderId], deadline_s: float = 5.0) -> None:
    """Wait until cancels are confirmed: until then the units are promised to those orders."""
    engine = context.need_engine()
    end = engine.clock.monotonic() + int(deadline_s * 1e9)
    while any(client_id in engine.state.orders for client_id in ids):
        if engine.clock.monotonic() > end:
            raise ConflictError("The venue has not confirmed the cancels yet; try again in a moment.")
        await engine.clock.sleep(0.02)
