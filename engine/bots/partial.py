"""Entries of bots that are filled in part and no further: kept from half on, given up below, protected either way.

A part is judged once its order has ended, or once nothing more was executed for a while. The protective stop follows
every execution by itself: it is always as large as what is held.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from engine import events as ev
from engine.errors import ConflictError, NotFoundError
from engine.logs import get_logger
from engine.model.scenario import ScenarioKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.execution.desk import Desk
    from engine.ledger import Ledger
    from engine.model.ids import ClientOrderId, Owner
    from engine.model.order import Order
    from engine.resilience.scenario import Scenarios
    from engine.resilience.settings import PartialFillSettings

__all__ = ["PartialFills"]

log = get_logger(__name__)


class PartialFills:
    """Judges parts. Plain and synchronous.

    Args:
        ledger: Its facts are heard; its state is looked up.
        desk: Takes cancels.
        settings: From which fraction a part is kept, and how long it is waited for more.
        scenarios: Where each is written down.
        reconsider: Lets a bot judge the signal behind an order anew; called below the fraction.
    """

    def __init__(
        self,
        ledger: Ledger,
        desk: Desk,
        settings: PartialFillSettings,
        scenarios: Scenarios,
        reconsider: Callable[[Owner, str], str],
    ) -> None:
        self._ledger = ledger
        self._desk = desk
        self._settings = settings
        self._scenarios = scenarios
        self._reconsider = reconsider
        self._since: dict[ClientOrderId, int] = {
            order.client_id: order.updated
            for order in ledger.state.orders.values()
            if order.filled and order.remaining and self._is_entry(order)
        }
        """Orders filled in part, with the time of their last execution."""
        self._ended: list[ClientOrderId] = []

    def hear(self, record: ev.Record) -> None:
        """Take a fact in; subscribe this to the ledger."""
        event = record.event
        if isinstance(event, ev.OrderFilled):
            order = self._ledger.state.order(event.fill.client_id)
            if order is None or not self._is_entry(order):
                return
            if order.remaining:
                self._since[order.client_id] = record.ts
            else:
                self._since.pop(order.client_id, None)
        elif isinstance(event, ev.OrderCanceled | ev.OrderExpired) and event.client_id in self._since:
            # What ended by itself leaves the same part behind as what nobody fills any more.
            del self._since[event.client_id]
            self._ended.append(event.client_id)

    def _is_entry(self, order: Order) -> bool:
        # A parent order sees to what its children leave.
        return not order.reduce_only and order.parent is None and order.owner in self._ledger.state.bots

    def tick(self, now: int) -> None:
        """Judge what has waited long enough; `now` in UTC nanoseconds.

        Raises:
            JournalError: Nothing can be booked any more.
        """
        if not self._since and not self._ended:
            return
        ended, self._ended = self._ended, []
        due = [key for key, since in self._since.items() if now - since > self._settings.patience * 1e9]
        for client_id in (*ended, *due):
            self._since.pop(client_id, None)
            order = self._ledger.state.order(client_id)
            if order is not None and order.filled and order.remaining:
                self._judge(order)

    def _judge(self, order: Order) -> None:
        share = order.filled / order.quantity
        cause = f"{order.filled:f} of {order.quantity:f} were executed ({share:.0%})."
        scenario = self._scenarios.begin(ScenarioKind.PARTIAL_FILL, order.client_id, cause)
        if self._settings.log_details:
            log.info("partial fill", client_id=order.client_id, owner=order.owner, filled=str(order.filled))
        kept = share >= Decimal(self._settings.min_fill_percentage)
        if order.is_open and not order.cancel_requested and (self._settings.cancel_remainder or not kept):
            try:
                self._desk.cancel(order.client_id, f"filled in part ({share:.0%})")
                scenario.step(f"the remaining {order.remaining:f} are cancelled")
            except (ConflictError, NotFoundError) as error:
                # It ended in the same moment.
                scenario.step(error.message)
        if kept:
            scenario.step(f"the position is the {order.filled:f} that were executed; its stop is as large")
            scenario.end("Accepted.", succeeded=True)
            return
        scenario.step(self._reconsider(order.owner, f"only {share:.0%} of the entry were executed"))
        scenario.end("Judged anew.", succeeded=True)
