"""As what an order is sent to a venue that cannot do all that is asked, and as what the books know it then."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from engine.execution.emulation.held import WAITING
from engine.model.decimals import ONE
from engine.model.order import OrderSide, OrderType, TimeInForce
from engine.model.reserve import COLLAR

if TYPE_CHECKING:
    from collections.abc import Mapping

    from engine.model.ids import InstrumentId
    from engine.model.instrument import Instrument
    from engine.model.order import Order
    from engine.model.risk import Quote
    from engine.model.venue import Capabilities, OrderCommand, VenueOrder

__all__ = ["as_asked", "fitted"]


def fitted(
    command: OrderCommand, able: Capabilities, instruments: Mapping[InstrumentId, Instrument], quote: Quote | None
) -> OrderCommand:
    """An order without what the venue does not know; a market order has a worst price where its market is known.

    Args:
        command: As it was asked for.
        able: What the venue itself can do.
        instruments: All that are known.
        quote: Its market.
    """
    if command.type is OrderType.MARKET and not able.collar and TimeInForce.IOC in able.times_in_force:
        buys = command.side is OrderSide.BUY
        best = None if quote is None else quote.ask if buys else quote.bid
        if best is not None:
            worst = best * (ONE + COLLAR if buys else ONE - COLLAR)
            bound = instruments[command.instrument].round_price(worst, up=buys)
            command = msgspec.structs.replace(command, type=OrderType.LIMIT, price=bound, tif=TimeInForce.IOC)
    return msgspec.structs.replace(
        command,
        reduce_only=command.reduce_only and able.reduce_only,
        oco_group=command.oco_group if able.oco else None,
    )


def as_asked(there: VenueOrder, asked: Order | None) -> VenueOrder:
    """An order as it was asked for, where it was sent as another type: the books know it by that."""
    if asked is None or asked.type is there.type or there.type not in (OrderType.MARKET, OrderType.LIMIT):
        return there
    if asked.type is OrderType.MARKET or (asked.type in WAITING and asked.triggered):
        return msgspec.structs.replace(there, type=asked.type, price=asked.price, stop_price=asked.stop_price)
    return there
