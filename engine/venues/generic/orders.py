"""What is known of one account's orders at a ccxt exchange: their names, their markets, how they were asked for."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

import msgspec

from engine.model.ids import ClientOrderId, InstrumentId, VenueOrderId
from engine.model.venue import OrderCommand

if TYPE_CHECKING:
    from engine.model.venue import VenueOrder

__all__ = ["Orders", "Place"]

KNOWN = 20_000
"""Orders that are remembered; the oldest are forgotten first."""


class Place(msgspec.Struct, frozen=True):
    """Where an order is."""

    instrument: InstrumentId
    number: VenueOrderId = VenueOrderId("")
    """The venue's id; empty while it is not known."""
    asked: OrderCommand | None = None
    """As it was sent; None for one that was not sent by this process."""


class Orders:
    """Outlives the connection: an order without an answer stays one."""

    def __init__(self) -> None:
        self.open: dict[ClientOrderId, None] = {}
        """Those whose end was not told yet."""
        self.markets: dict[InstrumentId, None] = {}
        """Where the account has or had orders."""
        self.unnamed: dict[ClientOrderId, InstrumentId] = {}
        """Sent, and not known by a number: executions without our id may be theirs."""
        self._places: OrderedDict[ClientOrderId, Place] = OrderedDict()
        self._names: OrderedDict[VenueOrderId, ClientOrderId] = OrderedDict()

    def leaves(self, command: OrderCommand) -> None:
        """An order is about to be sent; it may be open from now on."""
        self.markets[command.instrument] = None
        self.open[command.client_id] = None
        self.unnamed[command.client_id] = command.instrument
        self._places[command.client_id] = Place(command.instrument, asked=command)
        self._forget()

    def never_was(self, client_id: ClientOrderId) -> None:
        """An order was refused, or was not sent."""
        self.open.pop(client_id, None)
        self.unnamed.pop(client_id, None)
        known = self._places.get(client_id)
        if known is not None and not known.number:
            # Under its id another attempt may leave; one that was seen there has a number and keeps its place.
            del self._places[client_id]

    def learn(self, client_id: ClientOrderId, number: VenueOrderId, instrument: InstrumentId) -> None:
        """The names of an order belong together; without a client id it is somebody else's."""
        self.markets[instrument] = None
        if number:
            self._names[number] = client_id
        if client_id:
            known = self._places.get(client_id)
            self._places[client_id] = Place(instrument, number, None if known is None else known.asked)
            if number:
                self.unnamed.pop(client_id, None)
        self._forget()

    def _forget(self) -> None:
        for known in (self._places, self._names):
            while len(known) > KNOWN:
                known.popitem(last=False)

    def place(self, client_id: ClientOrderId) -> Place | None:
        """Where an order is; None for one that is not known."""
        return self._places.get(client_id)

    def owner(self, number: VenueOrderId) -> ClientOrderId | None:
        """The client id of an order by the venue's, empty for somebody else's; None for one that is not known."""
        return self._names.get(number)

    def as_asked(self, order: VenueOrder) -> VenueOrder:
        """An order under our id, and of the type and price that were asked for, where ccxt tells others."""
        client_id = order.client_id or self._names.get(order.venue_order_id, ClientOrderId(""))
        place = self._places.get(client_id)
        if place is None or place.asked is None:
            return msgspec.structs.replace(order, client_id=client_id)
        asked = place.asked
        return msgspec.structs.replace(order, client_id=client_id, type=asked.type, price=asked.price)
