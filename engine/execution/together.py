"""Orders that belong together, such as the legs of an arbitrage: all of them leave, or none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine import events as ev
from engine.errors import OrderRejectionError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from engine.execution.desk import Desk
    from engine.execution.effects import Effect
    from engine.ledger import Ledger
    from engine.model.order import Order, OrderRequest

__all__ = ["submit_together"]


class _Held:
    """An outbox that keeps what it is given."""

    def __init__(self) -> None:
        self.effects: list[Effect] = []

    def put(self, effect: Effect) -> None:
        """Keep an effect."""
        self.effects.append(effect)


def submit_together(
    desk: Desk, ledger: Ledger, requests: Sequence[OrderRequest], refused: Callable[[int], None] = lambda place: None
) -> list[Order]:
    """Submit several orders, each checked with those before it booked already.

    Where one is refused, those before it end without having left the house.

    Args:
        desk: Takes them.
        ledger: The desk's.
        requests: In the order in which they are sent.
        refused: Hears the place of the one that was refused, before the error is raised.

    Raises:
        OrderRejectionError: The gate refused one.
        JournalError: Nothing can be booked any more.
    """
    held = _Held()
    orders: list[Order] = []
    outbox = desk.divert(held)
    try:
        for request in requests:
            orders.append(desk.submit(request))
    except OrderRejectionError:
        for order in orders:
            ledger.record(
                ev.OrderCanceled(
                    client_id=order.client_id,
                    reason="another order that belongs to it was refused",
                    ts=ledger.clock.now(),
                )
            )
        refused(len(orders))
        raise
    finally:
        desk.divert(outbox)
    for effect in held.effects:
        outbox.put(effect)
    return orders
