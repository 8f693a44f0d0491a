"""The exchange's own books: every order, execution, balance and position as the exchange knows it, for ever.

It is the oracle: whatever a client believes is compared with it.
"""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec

from engine.events import (
    OrderAccepted,
    OrderAmended,
    OrderCanceled,
    OrderExpired,
    OrderFilled,
    OrderRejected,
    OrderTriggered,
    VenueEvent,
)
from engine.model.decimals import exact
from engine.model.fill import Fill
from engine.model.ids import AccountId, ClientOrderId, VenueOrderId
from engine.model.order import OPEN_STATUSES, OrderStatus, OrderType
from engine.model.venue import OrderCommand

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from engine.model.ids import InstrumentId
    from engine.model.instrument import Instrument

__all__ = ["Ledger", "WireOrder"]


class WireOrder(msgspec.Struct, kw_only=True, eq=False):
    """An order as the exchange knows it; only the ledger changes it."""

    command: OrderCommand
    """As it came; prices and quantity may have been amended since."""
    number: int
    """The exchange's own number of it."""
    venue_order_id: VenueOrderId
    created: int
    """UTC nanoseconds of arrival."""
    updated: int
    quantity: Decimal
    price: Decimal | None
    stop_price: Decimal | None
    status: OrderStatus = OrderStatus.ACCEPTED
    filled: Decimal = Decimal(0)
    value: Decimal = Decimal(0)
    """What was executed, in quote currency."""
    triggered: bool = False
    reason: str = ""
    fills: list[Fill] = msgspec.field(default_factory=list)
    visible_from: int = 0
    """UTC nanoseconds before which nobody is told of it."""
    terms: dict[str, Any] = msgspec.field(default_factory=dict)
    """The venue's own parameters of it."""
    history: list[tuple[int, str]] = msgspec.field(default_factory=list)
    """What happened to it and when."""

    @property
    def client_id(self) -> ClientOrderId:
        """The client's own id of it."""
        return self.command.client_id

    @property
    def is_open(self) -> bool:
        """True until it has ended."""
        return self.status in OPEN_STATUSES

    @property
    def average(self) -> Decimal:
        """Average price of its executions in quote currency; 0 for none."""
        contracts = sum((f.quantity for f in self.fills), Decimal(0))
        with exact():
            weighted = sum((f.price * f.quantity for f in self.fills), Decimal(0))
        return weighted / contracts if contracts else Decimal(0)


class Ledger:
    """All orders and executions of an exchange.

    Args:
        instruments: What can be traded there.
    """

    def __init__(self, instruments: Iterable[Instrument]) -> None:
        self._instruments = {i.id: i for i in instruments}
        self._orders: dict[tuple[AccountId, ClientOrderId], WireOrder] = {}
        self._by_number: dict[tuple[AccountId, int], WireOrder] = {}
        self._open: dict[tuple[AccountId, ClientOrderId], WireOrder] = {}
        self._fills_of: dict[AccountId, list[tuple[int, Fill]]] = {}
        self.fills: list[Fill] = []
        """All executions, oldest first."""
        self.rejections: Counter[str] = Counter()
        """Orders that were refused, by the exchange's code."""

    def instrument(self, instrument: InstrumentId) -> Instrument:
        """What is traded under an id."""
        return self._instruments[instrument]

    # --- reading -----------------------------------------------------------------------------------------------------

    def orders(self, account: AccountId | None = None) -> Iterator[WireOrder]:
        """All orders ever taken, of one account or of all, oldest first."""
        return (o for o in self._orders.values() if account is None or o.command.account == account)

    def open_orders(self, account: AccountId) -> list[WireOrder]:
        """The working orders of an account, oldest first."""
        return [o for o in self._open.values() if o.command.account == account]

    def fills_of(self, account: AccountId) -> list[tuple[int, Fill]]:
        """Number and execution of everything an account has executed, oldest first."""
        return self._fills_of.get(account, [])

    def find(self, account: AccountId, client_id: str) -> WireOrder | None:
        """An order by the client's id."""
        return self._orders.get((account, ClientOrderId(client_id)))

    def numbered(self, account: AccountId, number: int) -> WireOrder | None:
        """An order by the exchange's number."""
        return self._by_number.get((account, number))

    def dump(self) -> dict[str, Any]:
        """Everything, as plain JSON values."""
        orders = [
            {
                "account": o.command.account,
                "client_id": o.client_id,
                "venue_order_id": o.venue_order_id,
                "instrument": o.command.instrument,
                "side": o.command.side.value,
                "type": o.command.type.value,
                "quantity": str(o.quantity),
                "price": None if o.price is None else str(o.price),
                "stop_price": None if o.stop_price is None else str(o.stop_price),
                "filled": str(o.filled),
                "status": o.status.value,
                "created": o.created,
                "updated": o.updated,
            }
            for o in self._orders.values()
        ]
        return {"orders": orders, "fills": [msgspec.to_builtins(f) for f in self.fills]}

    # --- what happens ------------------------------------------------------------------------------------------------

    def book(
        self,
        account: AccountId,
        event: VenueEvent,
        command: OrderCommand | None = None,
        terms: dict[str, Any] | None = None,
    ) -> WireOrder | None:
        """Take a private event in; gives the order it speaks of, None for one that was never taken.

        Args:
            account: Whose.
            event: What happened.
            command: The order as it came, when it has just come.
            terms: The venue's own parameters of it.
        """
        if isinstance(event, OrderRejected):
            self.rejections[event.code] += 1
            return None
        if isinstance(event, OrderAccepted) and command is not None:
            return self._take(event, command, terms or {})
        client_id = event.fill.client_id if isinstance(event, OrderFilled) else event.client_id
        order = self._orders.get((account, client_id))
        if order is not None:
            self._change(order, event)
            if not order.is_open:
                self._open.pop((account, client_id), None)
        return order

    def adopt(self, fill: Fill) -> WireOrder:
        """Book an execution that no order of a client asked for, such as a liquidation."""
        command = OrderCommand(
            client_id=fill.client_id,
            account=fill.account,
            instrument=fill.instrument,
            side=fill.side,
            type=OrderType.LIMIT,
            quantity=fill.quantity,
            price=fill.price,
        )
        accepted = OrderAccepted(client_id=fill.client_id, venue_order_id=fill.venue_order_id, ts=fill.ts)
        return self._take(accepted, command, {"adopted": True})

    def _take(self, event: OrderAccepted, command: OrderCommand, terms: dict[str, Any]) -> WireOrder:
        digits = "".join(c for c in event.venue_order_id if c.isdigit())
        order = WireOrder(
            command=command,
            number=int(digits or 0),
            venue_order_id=event.venue_order_id,
            created=event.ts,
            updated=event.ts,
            quantity=command.quantity,
            price=command.price,
            stop_price=command.stop_price,
            terms=terms,
            history=[(event.ts, "accepted")],
        )
        self._orders[command.account, command.client_id] = order
        self._open[command.account, command.client_id] = order
        self._by_number[command.account, order.number] = order
        return order

    def _change(self, order: WireOrder, event: VenueEvent) -> None:
        if isinstance(event, OrderFilled):
            self._fill(order, event.fill)
            return
        order.updated = event.ts
        if isinstance(event, OrderAmended):
            order.quantity = order.quantity if event.quantity is None else event.quantity
            order.price = order.price if event.price is None else event.price
            order.stop_price = order.stop_price if event.stop_price is None else event.stop_price
            order.history.append((event.ts, "amended"))
        elif isinstance(event, OrderTriggered):
            order.triggered = True
            order.history.append((event.ts, "triggered"))
        elif isinstance(event, OrderCanceled | OrderExpired):
            order.status = OrderStatus.EXPIRED if isinstance(event, OrderExpired) else OrderStatus.CANCELED
            order.reason = event.reason
            order.history.append((event.ts, order.status.value))

    def _fill(self, order: WireOrder, fill: Fill) -> None:
        self.fills.append(fill)
        self._fills_of.setdefault(fill.account, []).append((len(self.fills), fill))
        order.fills.append(fill)
        with exact():
            order.filled += fill.quantity
            order.value += self._instruments[fill.instrument].notional(fill.price, fill.quantity)
        order.status = OrderStatus.FILLED if order.filled >= order.quantity else OrderStatus.PARTIALLY_FILLED
        order.updated = fill.ts
        order.history.append((fill.ts, f"filled {fill.quantity} at {fill.price}"))
