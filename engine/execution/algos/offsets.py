"""How far from the market slices rest, by instrument, so that the wanted share of them is executed in time.

What counts is a slice of a passive schedule: executed as a whole while it rested, or not when the next one was due. It
follows from the state, so that after a restart it goes on from the last ended orders that the state remembers.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from engine import events as ev
from engine.execution.fill_rate import FillRate
from engine.model.algos import ParentStatus, SchedulePlan
from engine.model.decimals import ZERO
from engine.model.order import OrderStatus, OrderType

if TYPE_CHECKING:
    from engine.ledger import Ledger
    from engine.model.ids import ClientOrderId, InstrumentId
    from engine.model.order import Order

__all__ = ["Offsets"]

PLACES = Decimal("0.001")
COUNTED = 10_000
_OVER = frozenset({ParentStatus.ENDING, ParentStatus.CANCELLED, ParentStatus.STOPPED})


class Offsets:
    """Follows slices; see the module.

    Args:
        ledger: Whose facts are heard, and whose state is looked at.
        target: Share of slices that should be executed while they rest, above 0 and below 1.
    """

    def __init__(self, ledger: Ledger, target: float) -> None:
        self._ledger = ledger
        self._start = FillRate(target=target)
        self.rates: dict[InstrumentId, FillRate] = {}
        """By instrument, as far as it has had slices that rested."""
        self._counted: dict[ClientOrderId, None] = {}
        for order in ledger.state.recent.values():
            self._count(order)
        ledger.subscribe(self._hear)

    def of(self, instrument: InstrumentId) -> Decimal:
        """Distance from the own side's best price in spreads: above 0 away from the market, below 0 towards it."""
        found = self.rates.get(instrument)
        return ZERO if found is None else Decimal(found.offset).quantize(PLACES)

    def _hear(self, record: ev.Record) -> None:
        event = record.event
        if isinstance(event, ev.OrderFilled):
            self._look_at(event.fill.client_id)
        elif isinstance(event, ev.OrderCanceled | ev.OrderExpired):
            self._look_at(event.client_id)

    def _look_at(self, client_id: ClientOrderId) -> None:
        order = self._ledger.state.order(client_id)
        if order is not None:
            self._count(order)

    def _count(self, order: Order) -> None:
        if order.type is not OrderType.LIMIT or order.is_open or order.client_id in self._counted:
            return
        parent = self._ledger.state.parent(order.parent)
        if parent is None or not isinstance(parent.plan, SchedulePlan) or not parent.plan.passive:
            return
        filled = order.status is OrderStatus.FILLED
        if not filled and (not order.cancel_requested or parent.status in _OVER):
            # Refused, or ended for another reason than that its time was over: that says nothing about its price.
            return
        self._counted[order.client_id] = None
        while len(self._counted) > COUNTED:
            del self._counted[next(iter(self._counted))]
        self.rates[order.instrument] = self.rates.get(order.instrument, self._start).after(filled=filled)
