"""Private events of one account, each told once, whether the answer to a request or the private stream had it first."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

import structlog

from engine import events as ev

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from engine.events import VenueEvent
    from engine.model.fill import Fill
    from engine.model.ids import ClientOrderId

__all__ = ["Reports"]

log = structlog.get_logger(__name__)

ORDERS = 20_000
"""Orders that are remembered; those of which nothing was heard the longest are forgotten first."""
FILLS = 50_000


@dataclass(slots=True)
class _Told:
    """What was told about an order."""

    accepted: bool = False
    triggered: bool = False
    ended: bool = False
    filled: Decimal = Decimal(0)
    amended: tuple[int, Decimal | None, Decimal | None, Decimal | None] | None = None


class Reports:
    """Filters repeats; what is forgotten may be told again, which the engine's books bear.

    Args:
        tell: Gets each event once, on the loop; what it raises is logged.
    """

    def __init__(self, tell: Callable[[VenueEvent], None]) -> None:
        self._tell = tell
        self._orders: OrderedDict[ClientOrderId, _Told] = OrderedDict()
        self._fills: OrderedDict[str, None] = OrderedDict()

    def take(self, events: Iterable[VenueEvent]) -> None:
        """Tell what is new of these, in their order; an execution of an order not yet told as accepted accepts it."""
        for event in events:
            if isinstance(event, ev.OrderFilled):
                self._fill(event.fill)
            elif self._is_new(event):
                self._pass(event)

    def filled(self, client_id: ClientOrderId) -> Decimal:
        """Quantity of all executions told of an order."""
        told = self._orders.get(client_id)
        return Decimal(0) if told is None else told.filled

    def accepted(self, client_id: ClientOrderId) -> bool:
        """Whether an order was told as accepted."""
        told = self._orders.get(client_id)
        return told is not None and told.accepted

    def ended(self, client_id: ClientOrderId) -> bool:
        """Whether the end of an order (other than by its executions) was told."""
        told = self._orders.get(client_id)
        return told is not None and told.ended

    def _fill(self, fill: Fill) -> None:
        if fill.key in self._fills:
            return
        self._fills[fill.key] = None
        if len(self._fills) > FILLS:
            self._fills.popitem(last=False)
        told = self._order(fill.client_id)
        if not told.accepted and not told.ended:
            told.accepted = True
            self._pass(ev.OrderAccepted(client_id=fill.client_id, venue_order_id=fill.venue_order_id, ts=fill.ts))
        told.filled += fill.quantity
        self._pass(ev.OrderFilled(fill=fill))

    def _is_new(self, event: VenueEvent) -> bool:
        assert not isinstance(event, ev.OrderFilled)
        told = self._order(event.client_id)
        match event:
            case ev.OrderAccepted():
                new, told.accepted = not (told.accepted or told.ended), True
            case ev.OrderTriggered():
                new, told.triggered = not told.triggered, True
            case ev.OrderRejected() | ev.OrderCanceled() | ev.OrderExpired():
                new, told.ended = not told.ended, True
            case ev.OrderAmended():
                new = _is_later(told, event)
            case _:
                new = True
        return new

    def _order(self, client_id: ClientOrderId) -> _Told:
        told = self._orders.get(client_id)
        if told is None:
            told = self._orders[client_id] = _Told()
            if len(self._orders) > ORDERS:
                self._orders.popitem(last=False)
        else:
            self._orders.move_to_end(client_id)
        return told

    def _pass(self, event: VenueEvent) -> None:
        try:
            self._tell(event)
        except Exception:  # the stream must live; who listens has its own way to tell
            log.exception("a report was not taken")


def _is_later(told: _Told, event: ev.OrderAmended) -> bool:
    """Whether a change is not the one told last, nor an earlier one that arrives late."""
    change = (event.ts, event.quantity, event.price, event.stop_price)
    if told.amended is not None and (event.ts < told.amended[0] or change[1:] == told.amended[1:]):
        return False
    told.amended = change
    return True
